"""TPSGridGenerator: thin-plate splines."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from mmpretrain.registry import MODELS
from torch import Tensor

from mmstn.checks import sizes
from mmstn.ops import regular_grid
from mmstn.ops.grids import without_autocast
from mmstn.ops.torch_backend import is_compiling

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
        counts = sizes('num_control_points', num_control_points, 2, low=2)
        self.counts = counts
        self.num_params = 2 * counts[0] * counts[1]
        for name, buffer in _spline(counts).items():
            self.register_buffer(name, buffer, persistent=False)
        # What the last grid asked for, and which grid it was.
        self._last: tuple[object, tuple[Tensor, Tensor]] | None = None

    def _apply(self, fn: Callable[[Tensor], Tensor], *args: Any, **kwargs: Any) -> TPSGridGenerator:
        """Takes the spline along to a device, but to no other type: it stays in float64.

        Rounded coefficients would bend every grid, and a later ``float()`` would not straighten it.
        """
        self._last = None
        exact = dict(self._buffers)
        # Some devices have no float64 and would refuse.
        self._buffers.update({name: buffer.float() for name, buffer in exact.items()})
        super()._apply(fn, *args, **kwargs)
        device = self.control_points.device
        if exact['coefficients'].is_meta and device.type != 'meta':
            exact = _spline(self.counts, device='cpu')  # `to_empty` brings no numbers
        dtype = torch.float32 if device.type == 'mps' else torch.float64
        self._buffers.update({name: b.to(device, dtype) for name, b in exact.items()})
        return self

    def identity_theta(self) -> Tensor:
        """The control points themselves, (P,)."""
        return self.control_points.flatten().float()

    def tiled_theta(self, num_transformers: int) -> Tensor:
        """The control points of windows that cover the map exactly once, (K, P)."""
        scale, centers = tile_windows(num_transformers, ndim=2)
        return (self.control_points.cpu().float() * scale + centers[:, None]).flatten(1)

    def forward(
        self, theta: Tensor, out_size: Sequence[int], align_corners: bool = False
    ) -> Tensor:
        """The points to sample, see :meth:`BaseGridGenerator.forward`."""
        theta = self.check_theta(theta)
        grid = regular_grid(out_size, align_corners, theta.dtype, theta.device)
        with without_autocast(theta.device.type):
            control_points, weights = self._for_grid(grid, align_corners)
            # What is interpolated is how far each control point moves. With theta at the identity
            # that is nothing, and the grid is the regular one to the last bit.
            leading = theta.shape[:-1]
            moves = theta.reshape(*leading, *control_points.shape) - control_points  # (*, n, 2)
            # In one product of two matrices: one for each theta would take five times as long.
            rows = moves.transpose(-1, -2).flatten(0, -2) @ weights
            moved = rows.reshape(*leading, 2, *grid.shape[:2])
            return grid + moved.movedim(len(leading), -1)

    def to_input(self, points: Tensor, theta: Tensor) -> Tensor:
        """Points of the input, see :meth:`BaseGridGenerator.to_input`."""
        points, theta, dtype = self.check_points(points, theta)
        moves = theta.unflatten(-1, (-1, 2)) - self.control_points.to(points)
        basis = _basis(points, self.control_points.to(points)) @ self.coefficients.to(points)
        return (points + basis @ moves).to(dtype)

    def _for_grid(self, grid: Tensor, align_corners: bool) -> tuple[Tensor, Tensor]:
        """The control points, (n, 2), and what a move of each adds at a grid's points, (n, H' W').

        Those of the last grid are kept: a network asks for the same ones at every step.
        """
        traced = is_compiling() or torch.jit.is_tracing()
        if traced or type(grid) is not Tensor:  # sizes may change later; there may be no numbers
            return self._make(grid)
        key = (grid.shape, align_corners, grid.dtype, grid.device)
        if self._last is None or self._last[0] != key:
            # Never as inference tensors, which no later step could train with.
            with torch.inference_mode(False), torch.no_grad():
                dtype = self.coefficients.dtype
                exact = regular_grid(grid.shape[:2], align_corners, dtype, grid.device)
                points, weights = self._make(exact)
                self._last = key, (points.to(grid.dtype), weights.to(grid.dtype))
        return self._last[1]

    def _make(self, grid: Tensor) -> tuple[Tensor, Tensor]:
        """:meth:`_for_grid` in the type of ``grid``."""
        control_points = self.control_points.to(grid)
        basis = _basis(grid, control_points) @ self.coefficients.to(grid)
        return control_points, basis.flatten(0, 1).T


def _spline(counts: Sequence[int], device: str | None = None) -> dict[str, Tensor]:
    """The buffers of a spline, in float64."""
    points = regular_grid(counts, True, torch.float64, device).flatten(0, 1)
    return dict(control_points=points, coefficients=_coefficients(points))


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
    system = basis.new_zeros(n + 3, n + 3)
    system[:n] = basis
    system[n:, :n] = basis[:, n:].T
    return torch.linalg.inv(system)[:, :n]
