"""A random place on a larger black image."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from mmpretrain.registry import TRANSFORMS

from mmstn.models.grid_generators import AffineGridGenerator

from .warp import RandomWarp, Size, similarity_theta


@TRANSFORMS.register_module()
class RandomTranslation(RandomWarp):
    """Puts the image, as it is, at a random place of a black one: the T in the paper's TC.

    Places are whole pixels, all alike, so that no pixel is blurred.

    Args:
        out_size: Size of the black image, (H', W').
        seed: See :class:`~mmstn.datasets.RandomTransform`.

    Raises:
        ValueError: If ``out_size`` is not two whole numbers >= 1; in use, if the image is larger.
    """

    def __init__(self, out_size: Sequence[int] = (60, 60), seed: int | None = None) -> None:
        super().__init__(AffineGridGenerator(), out_size, seed)

    def draw_theta(self, rng: np.random.Generator, in_size: Size, out_size: Size) -> np.ndarray:
        """See :meth:`RandomWarp.draw_theta`."""
        room_y, room_x = out_size[0] - in_size[0], out_size[1] - in_size[1]
        if min(room_y, room_x) < 0:
            raise ValueError(f'out_size must hold an image of {in_size}, got {out_size}')
        x = rng.integers(room_x + 1) - room_x / 2  # of the image's centre
        y = rng.integers(room_y + 1) - room_y / 2
        return similarity_theta(1, 0, (x, y), in_size, out_size)
