"""Attention: windows of the map's own shape."""

from __future__ import annotations

import torch
from mmpretrain.registry import MODELS
from torch import Tensor

from mmstn.checks import number_in

from .base import MatrixGridGenerator, check_ndim, tile_windows


@MODELS.register_module()
class AttentionGridGenerator(MatrixGridGenerator):
    """Isotropic scale and translation, [s 0 t_x; 0 s t_y] (section 3.2 of the paper).

    theta is (s, t_x, t_y), or (t_x, t_y) with a fixed scale as in the paper's CUB experiment;
    volumes have a t_z behind t_y.

    Args:
        scale: Fixes s, half the side of the window. None leaves it to theta.
        ndim: 2 for maps (N, C, H, W), 3 for volumes (N, C, D, H, W).

    Raises:
        ValueError: If ``scale`` is not positive or ``ndim`` is neither 2 nor 3.
    """

    def __init__(self, scale: float | None = None, ndim: int = 2) -> None:
        super().__init__()
        if scale is not None:
            number_in('scale', scale, '(0, inf)')
        self.scale = scale
        self.held_scale: float | None = None
        self.ndim = check_ndim(ndim)
        self.num_params = ndim if scale is not None else ndim + 1

    def hold_scale(self, scale: float | None) -> None:
        """Makes all windows equally large for a while, whatever theta says.

        theta keeps its s, which gets no gradient then. It is for coarse-to-fine training, see
        :class:`~mmstn.engine.hooks.ScaleAnnealingHook`.

        Args:
            scale: s of all windows; None gives it back to theta.

        Raises:
            ValueError: If ``scale`` is not positive, or fixed anyway.
        """
        if self.scale is not None:
            raise ValueError(f'the scale is fixed at {self.scale}: there is none to hold')
        if scale is not None:
            number_in('scale', scale, '(0, inf)')
        self.held_scale = scale

    def identity_theta(self) -> Tensor:
        """The whole map, or the window in its middle if the scale is fixed, (P,)."""
        center = torch.zeros(self.ndim)
        return center if self.scale is not None else torch.cat([torch.ones(1), center])

    def tiled_theta(self, num_transformers: int) -> Tensor:
        """Windows spread evenly over the map, (K, P).

        They tile it exactly if K is a square (a cube for volumes). In other patterns the windows
        keep the map's shape and do not overlap: K = 2 gives two of half its width and height, side
        by side. Windows of a fixed scale that are too large for their tile are moved inwards to
        the map's edge.

        Raises:
            ValueError: If the scale is fixed at 1 or more, so that several windows cannot differ.
        """
        if self.scale is not None and self.scale >= 1 and num_transformers > 1:
            raise ValueError(
                f'{num_transformers} windows of scale {self.scale} cannot tile the map: '
                f'give explicit values of theta instead'
            )
        tile, centers = tile_windows(num_transformers, self.ndim)
        scale = tile.min() if self.scale is None else torch.tensor(float(self.scale))
        room = (1 - scale).clamp(min=0)
        centers = centers.clamp(-room, room)
        if self.scale is not None:
            return centers
        return torch.cat([scale.expand(num_transformers, 1), centers], dim=1)

    def matrix(self, theta: Tensor) -> Tensor:
        """The matrix, (*, 2, 3) or (*, 3, 4)."""
        theta = self.check_theta(theta)
        if self.scale is None:
            scale, translation = theta[..., :1], theta[..., 1:]
        else:
            scale, translation = torch.full_like(theta[..., :1], self.scale), theta
        if self.held_scale is not None:
            scale = torch.full_like(scale, self.held_scale)
        diagonal = torch.eye(self.ndim, dtype=torch.bool, device=theta.device)
        linear = torch.where(diagonal, scale[..., None], 0)
        return torch.cat([linear, translation[..., None]], dim=-1)
