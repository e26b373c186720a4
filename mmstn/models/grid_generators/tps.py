"""Thin-plate splines."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from mmpretrain.registry import MODELS
from torch import Tensor

from mmstn.ops import regular_grid

from .base import BaseGridGenerator, tile_windows


@MODELS.register_module()
class TPSGridGenerator(BaseGridGenerator):
    """Thin-plate splines: the smoothest map that takes control points to where theta says.

    The control points stand on a regular grid from -1 to 1 on the output; theta says where on the
    input each of them is sampled: (x_1, y_1, x_2, y_2, ...), row by row; P = 2 n for n points
    (section 3.2 of the paper; the spline is that of Bookstein, 1989, without smoothing). The
    spline is a function of normalised coordinates, so it does not depend on ``align_corners``;
    only the points where it is evaluated do.

    Args:
        num_control_points: Rows and columns of control points, at least 2 each; the paper's are
            (4, 4).

    Raises:
        ValueError: If ``num_control_points`` is not two whole numbers >= 2.
    """

    def __init__(self, num_control_points: Sequence[int] = (4, 4)) -> None:
        super().__init__()
        counts = tuple(num_control_points)
        if len(counts) != 2 or not all(isinstance(n, int) and n >= 2 for n in counts):
            raise ValueError(f'num_control_points must be two whole numbers >= 2, got {counts}')
        points = regular_grid(counts, align_corners=True, dtype=torch.float64).flatten(0, 1)
        self.num_params = points.numel()
        self.register_buffer('control_points', points.float(), persistent=False)  # (n, 2)
        self.register_buffer('coefficients', _coefficients(points).float(), persistent=False)
        self._last_weights: tuple[object, Tensor] | None = None  # of a grid, and which it was

    def _apply(self, fn: Callable[[Tensor], Tensor], *args: Any, **kwargs: Any) -> TPSGridGenerator:
        """Takes the spline along to a device or type, but never to half precision.

        Points are computed in float32 at least, and rounded coefficients would bend their grid.
        """
        self._last_weights = None
        before = dict(self._buffers)
        super()._apply(fn, *args, **kwargs)
        for name, exact in before.items():
            device, dtype = self.get_buffer(name).device, self.get_buffer(name).dtype
            if exact is not None and dtype.itemsize < torch.float32.itemsize:
                self._buffers[name] = exact.to(device)
        return self

    def identity_theta(self) -> Tensor:
        """The control points themselves, (P,)."""
        return self.control_points.flatten().clone()

    def tiled_theta(self, num_transformers: int) -> Tensor:
        """The control points of windows that cover the map exactly once, (K, P)."""
        scale, centers = tile_windows(num_transformers, ndim=2)
        return (self.control_points.cpu() * scale + centers[:, None]).flatten(1)

    def forward(
        self, theta: Tensor, out_size: Sequence[int], align_corners: bool = False
    ) -> Tensor:
        """The points to sample, see :meth:`BaseGridGenerator.forward`."""
        theta = self.check_theta(theta)
        grid = regular_grid(out_size, align_corners, theta.dtype, theta.device)
        # What is interpolated is how far each control point moves. With theta at the identity that
        # is nothing, and the grid is the regular one to the last bit.
        moves = theta.unflatten(-1, (-1, 2)) - self.control_points.to(theta)  # (*, n, 2)
        with torch.autocast(theta.device.type, enabled=False):
            # In one product of two matrices: one for each theta would take five times as long.
            rows = moves.transpose(-1, -2).flatten(0, -2) @ self._weights(grid, align_corners)
            moved = rows.unflatten(0, (*theta.shape[:-1], 2)).transpose(-1, -2)  # (*, H' W', 2)
            return grid + moved.unflatten(-2, grid.shape[:2])

    def _weights(self, grid: Tensor, align_corners: bool) -> Tensor:
        """What a unit move of each control point adds at the points of a regular grid, (n, H' W').

        Those of the last grid are kept: a network asks for the same ones at every step.
        """
        if torch.compiler.is_compiling() or type(grid) is not Tensor:  # may hold no numbers
            return self._make_weights(grid)
        key = (grid.shape, align_corners, grid.dtype, grid.device)
        if self._last_weights is None or self._last_weights[0] != key:
            # Never as inference tensors, which no later step could train with.
            with torch.inference_mode(False), torch.no_grad():
                self._last_weights = key, self._make_weights(grid)
        return self._last_weights[1]

    def _make_weights(self, grid: Tensor) -> Tensor:
        basis = _basis(grid, self.control_points.to(grid)) @ self.coefficients.to(grid)
        return basis.flatten(0, 1).T


def _basis(points: Tensor, control_points: Tensor) -> Tensor:
    """U(|p - c|) for all control points, then 1, x, y: (*, 2) -> (*, n + 3); U(r) = r^2 log r^2."""
    squared = (points[..., None, :] - control_points).square().sum(dim=-1)
    bend = squared * torch.log(squared.clamp(min=torch.finfo(squared.dtype).tiny))
    return torch.cat([bend, torch.ones_like(points[..., :1]), points], dim=-1)


def _coefficients(control_points: Tensor) -> Tensor:
    """Spline coefficients of a unit move of each control point: (n, 2) -> (n + 3, n).

    They solve the spline's linear system, whose last three rows ask that the bending part has no
    affine component.
    """
    n = len(control_points)
    basis = _basis(control_points, control_points)
    system = torch.zeros(n + 3, n + 3, dtype=basis.dtype)
    system[:n] = basis
    system[n:, :n] = basis[:, n:].T
    return torch.linalg.inv(system)[:, :n]
