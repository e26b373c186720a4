"""RandomTranslation and RandomExtrusion: a random place on a larger black image or in a volume."""

from collections.abc import Sequence

import numpy as np
from mmpretrain.registry import TRANSFORMS

from mmstn.checks import positive_int, sizes

from .randomness import RandomTransform


@TRANSFORMS.register_module()
class RandomPlacement(RandomTransform):
    """Puts the image, as it is, at a random place of a black one and says where.

    Places are whole pixels, all alike. Sets ``results['gt_box']``, (x1, y1, x2, y2) in pixels from
    the upper left corner: the whole image that was put there, so a digit with its margin.

    Args:
        out_size: Size of the black image, (H', W').
        seed: See :class:`~mmstn.datasets.RandomTransform`.

    Raises:
        TypeError: If ``out_size`` does not hold whole numbers.
        ValueError: If it is not two of them, >= 1; in use, if the image is larger.
    """

    def __init__(self, out_size: Sequence[int] = (84, 84), seed: int | None = None) -> None:
        super().__init__(seed)
        self.out_size = sizes('out_size', out_size, 2)

    def apply(self, results: dict, rng: np.random.Generator) -> dict:
        """Places ``results['img']``, (H, W) or (H, W, C)."""
        image = results['img']
        top, left = self.draw_corner(image.shape[:2], rng)
        bottom, right = top + image.shape[0], left + image.shape[1]
        canvas = np.zeros((*self.out_size, *image.shape[2:]), image.dtype)
        canvas[top:bottom, left:right] = image
        results['img'] = canvas
        results['img_shape'] = self.out_size
        results['gt_box'] = np.array([left, top, right, bottom], np.float32)
        return results

    def draw_corner(self, size: Sequence[int], rng: np.random.Generator) -> np.ndarray:
        """Where the first pixel goes, (y, x), of an image of this size."""
        return rng.integers(self.room(size) + 1)

    def room(self, size: Sequence[int]) -> np.ndarray:
        """How far an image of this size can be moved, along each axis."""
        room = np.subtract(self.out_size, size)
        if room.min() < 0:
            raise ValueError(f'out_size must hold an image of {size}, got {self.out_size}')
        return room

    def __repr__(self) -> str:
        return f'{type(self).__name__}(out_size={self.out_size}, seed={self.seed})'


@TRANSFORMS.register_module()
class RandomTranslation(RandomPlacement):
    """The T in the paper's TC: :class:`RandomPlacement` on 60x60 pixels.

    Args:
        out_size: See there.
        seed: See there.

    Raises:
        TypeError: As there.
        ValueError: As there.
    """

    def __init__(self, out_size: Sequence[int] = (60, 60), seed: int | None = None) -> None:
        super().__init__(out_size, seed)

    def draw_corner(self, size: Sequence[int], rng: np.random.Generator) -> np.ndarray:
        """Draws x first, as it always has: test sets must stay the same to the last bit."""
        return rng.integers(self.room(size)[::-1] + 1)[::-1]


@TRANSFORMS.register_module()
class RandomExtrusion(RandomTransform):
    """Extrudes an image along depth and puts it at a random place of a black volume.

    Places are whole voxels, all alike. ``results['img']`` becomes a volume with one channel, (H, W)
    -> (1, D, H', W'), which exists as long as the batch that it goes into. Appendix A.3 of the
    paper.

    Args:
        depth: How many voxels deep the image becomes.
        out_size: Size of the volume, (D, H', W').
        seed: See :class:`~mmstn.datasets.RandomTransform`.

    Raises:
        TypeError: If a size is no whole number.
        ValueError: If a size is below 1 or ``out_size`` is not three of them; in use, if the image
            has channels or does not fit.
    """

    def __init__(
        self, depth: int = 28, out_size: Sequence[int] = (60, 60, 60), seed: int | None = None
    ) -> None:
        super().__init__(seed)
        self.depth = positive_int('depth', depth)
        self.out_size = sizes('out_size', out_size, 3)

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
