"""Affine maps."""

from __future__ import annotations

import torch
from mmpretrain.registry import MODELS
from torch import Tensor

from .base import MatrixGridGenerator, check_ndim, tile_windows


@MODELS.register_module()
class AffineGridGenerator(MatrixGridGenerator):
    """Affine maps: crop, translation, rotation, scale and skew (equation (1) of the paper).

    theta is the matrix, row by row: (a_11, a_12, t_x, a_21, a_22, t_y); P = 6, or 12 for volumes.
    The convention is that of :class:`~mmstn.models.grid_generators.BaseGridGenerator`.

    Args:
        ndim: 2 for maps (N, C, H, W), 3 for volumes (N, C, D, H, W).

    Raises:
        ValueError: If ``ndim`` is neither.
    """

    def __init__(self, ndim: int = 2) -> None:
        super().__init__()
        self.ndim = check_ndim(ndim)
        self.num_params = ndim * (ndim + 1)

    def identity_theta(self) -> Tensor:
        """The identity matrix, (P,)."""
        return torch.eye(self.ndim, self.ndim + 1).flatten()

    def tiled_theta(self, num_transformers: int) -> Tensor:
        """Windows that cover the map exactly once, (K, P)."""
        scale, centers = tile_windows(num_transformers, self.ndim)
        linear = torch.diag(scale).expand(num_transformers, -1, -1)
        return torch.cat([linear, centers[..., None]], dim=-1).flatten(1)

    def matrix(self, theta: Tensor) -> Tensor:
        """The matrix, (*, 2, 3) or (*, 3, 4)."""
        theta = self.check_theta(theta)
        return theta.reshape(*theta.shape[:-1], self.ndim, self.ndim + 1)
