"""Thin-plate splines."""

from __future__ import annotations

from collections.abc import Sequence

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
        control_points = self.control_points.to(theta)
        grid = regular_grid(out_size, align_corners, theta.dtype, theta.device)
        # What is interpolated is how far each control point moves. With theta at the identity that
        # is nothing, and the grid is the regular one to the last bit.
        moves = theta.unflatten(-1, (-1, 2)) - control_points
        with torch.autocast(theta.device.type, enabled=False):
            basis = _basis(grid, control_points) @ self.coefficients.to(theta)  # (H', W', n)
            return grid + (basis.flatten(0, 1) @ moves).unflatten(-2, grid.shape[:2])


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
