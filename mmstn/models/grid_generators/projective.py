"""Projective maps."""

from __future__ import annotations

import torch
from mmpretrain.registry import MODELS
from torch import Tensor
from torch.nn import functional as F

from .affine import AffineGridGenerator
from .base import MatrixGridGenerator


@MODELS.register_module()
class ProjectiveGridGenerator(MatrixGridGenerator):
    """Projective maps (plane homographies): a 3x3 matrix with eight parameters (section 3.2).

    theta is the matrix, row by row, without its last element, which is 1; P = 8.
    """

    num_params = 8

    def identity_theta(self) -> Tensor:
        """The identity matrix without its last element, (8,)."""
        return torch.eye(3).flatten()[:-1]

    def tiled_theta(self, num_transformers: int) -> Tensor:
        """Windows that cover the map exactly once, (K, 8)."""
        return F.pad(AffineGridGenerator().tiled_theta(num_transformers), (0, 2))

    def matrix(self, theta: Tensor) -> Tensor:
        """The matrix, (*, 3, 3)."""
        theta = self.check_theta(theta)
        return F.pad(theta, (0, 1), value=1).reshape(*theta.shape[:-1], 3, 3)
