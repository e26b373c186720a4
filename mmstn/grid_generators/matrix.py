"""Families of transforms that are matrices: affine maps and their kin, and homographies."""

import torch
from mmpretrain.registry import MODELS
from torch import Tensor
from torch.nn import functional as F

from mmstn.checks import number_in

from .base import MatrixGridGenerator, check_ndim, tile_windows


@MODELS.register_module()
class AffineGridGenerator(MatrixGridGenerator):
    """Affine maps: crop, translation, rotation, scale and skew (equation (1) of the paper).

    theta is the matrix, row by row: (a_11, a_12, t_x, a_21, a_22, t_y); P = 6, or 12 for volumes.
    The convention is that of :class:`~mmstn.grid_generators.BaseGridGenerator`.

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


@MODELS.register_module()
class AttentionGridGenerator(MatrixGridGenerator):
    """Isotropic scale and translation, [s 0 t_x; 0 s t_y] (section 3.2 of the paper).

    theta is (s, t_x, t_y), or (t_x, t_y) with a fixed scale as in the paper's CUB experiment;
    volumes have a t_z after t_y.

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
        linear = scale[..., None].masked_fill(~diagonal, 0)
        return torch.cat([linear, translation[..., None]], dim=-1)


@MODELS.register_module()
class TranslationGridGenerator(AttentionGridGenerator):
    """Translation alone, [1 0 t_x; 0 1 t_y]: attention with its scale fixed at 1.

    theta is (t_x, t_y), or (t_x, t_y, t_z) for volumes. Windows of the map's own size cannot tile
    it, so parallel translations need explicit values to start from.

    Args:
        ndim: 2 for maps (N, C, H, W), 3 for volumes (N, C, D, H, W).

    Raises:
        ValueError: If ``ndim`` is neither.
    """

    def __init__(self, ndim: int = 2) -> None:
        super().__init__(scale=1, ndim=ndim)


@MODELS.register_module()
class SimilarityGridGenerator(MatrixGridGenerator):
    """Scale, rotation and translation: [s cos a, -s sin a, t_x; s sin a, s cos a, t_y].

    theta is (s, a, t_x, t_y), P = 4, with the angle a in radians. As y points down, a positive
    angle turns the window clockwise on the map, and what it shows anti-clockwise.

    Args:
        aspect: Width over height of the map in pixels. With it a rotation turns what is seen and
            leaves its shape, where the output has the same aspect: the matrix is
            [s cos a, -s sin a / aspect, t_x; s sin a * aspect, s cos a, t_y]. With 1, the
            convention of :class:`~mmstn.grid_generators.BaseGridGenerator`, a rotation shears the
            pixels of a map that is not square.

    Raises:
        TypeError: If ``aspect`` is not a number.
        ValueError: If it is not positive.
    """

    num_params = 4

    def __init__(self, aspect: float = 1.0) -> None:
        super().__init__()
        self.aspect = number_in('aspect', aspect, '(0, inf)')

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
        rows = ([cos, -sin / self.aspect, x], [sin * self.aspect, cos, y])
        return torch.stack([torch.stack(row, dim=-1) for row in rows], dim=-2)


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
