"""Translations."""

from __future__ import annotations

from mmpretrain.registry import MODELS

from .attention import AttentionGridGenerator


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
