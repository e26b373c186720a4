"""Digits in three dimensions (appendix A.3 of the paper)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from mmpretrain.registry import TRANSFORMS

from mmstn.ops.checks import check_size

from .transforms.randomness import RandomTransform


@TRANSFORMS.register_module()
class RandomExtrusion(RandomTransform):
    """Extrudes an image along depth and puts it at a random place of a black volume.

    Places are whole voxels, all alike. ``results['img']`` becomes a volume with one channel, (H, W)
    -> (1, D, H', W'), which exists as long as the batch that it goes into.

    Args:
        depth: How many voxels deep the image becomes.
        out_size: Size of the volume, (D, H', W').
        seed: See :class:`~mmstn.datasets.RandomTransform`.

    Raises:
        TypeError: If ``out_size`` does not hold whole numbers.
        ValueError: If a size is below 1 or ``out_size`` is not three of them; in use, if the image
            has channels or does not fit.
    """

    def __init__(
        self, depth: int = 28, out_size: Sequence[int] = (60, 60, 60), seed: int | None = None
    ) -> None:
        super().__init__(seed)
        if not isinstance(depth, int) or depth < 1:
            raise ValueError(f'depth must be a whole number >= 1, got {depth!r}')
        self.depth = depth
        self.out_size = check_size('out_size', out_size)
        if len(self.out_size) != 3:
            raise ValueError(f"out_size must be (D, H', W'), got {self.out_size}")

    def apply(self, results: dict, rng: np.random.Generator) -> dict:
        """Replaces the image by a volume."""
        image = results['img']
        size = (self.depth, *image.shape)
        if image.ndim != 2 or any(s > room for s, room in zip(size, self.out_size, strict=True)):
            raise ValueError(
                f'img must be (H, W) and fit into out_size={self.out_size} with '
                f'depth={self.depth}, got {image.shape}'
            )
        corner = rng.integers(np.subtract(self.out_size, size) + 1)
        volume = np.zeros((1, *self.out_size), image.dtype)
        z, y, x = (slice(start, start + s) for start, s in zip(corner, size, strict=True))
        volume[0, z, y, x] = image
        results['img'] = volume
        results['img_shape'] = self.out_size
        return results

    def __repr__(self) -> str:
        return (
            f'{type(self).__name__}(depth={self.depth}, out_size={self.out_size}, seed={self.seed})'
        )
