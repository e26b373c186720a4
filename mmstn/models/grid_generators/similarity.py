"""Similarities."""

from __future__ import annotations

import torch
from mmpretrain.registry import MODELS
from torch import Tensor

from .attention import AttentionGridGenerator
from .base import MatrixGridGenerator


@MODELS.register_module()
class SimilarityGridGenerator(MatrixGridGenerator):
    """Scale, rotation and translation: [s cos a, -s sin a, t_x; s sin a, s cos a, t_y].

    theta is (s, a, t_x, t_y), P = 4, with the angle a in radians. As y points down, a positive
    angle turns the window clockwise on the map, and what it shows anti-clockwise.
    """

    num_params = 4

    def identity_theta(self) -> Tensor:
        """Scale 1, no rotation, no translation, (4,)."""
        return torch.tensor([1.0, 0.0, 0.0, 0.0])

    def tiled_theta(self, num_transformers: int) -> Tensor:
        """The upright windows of ``AttentionGridGenerator.tiled_theta``, (K, 4)."""
        windows = AttentionGridGenerator().tiled_theta(num_transformers)  # (s, t_x, t_y)
        return torch.cat([windows[:, :1], torch.zeros_like(windows[:, :1]), windows[:, 1:]], dim=1)

    def matrix(self, theta: Tensor) -> Tensor:
        """The matrix, (*, 2, 3)."""
        scale, angle, x, y = self.check_theta(theta).unbind(-1)
        cos, sin = scale * torch.cos(angle), scale * torch.sin(angle)
        rows = [torch.stack(row, dim=-1) for row in ([cos, -sin, x], [sin, cos, y])]
        return torch.stack(rows, dim=-2)
