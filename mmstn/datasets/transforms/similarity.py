"""RandomRotation and RandomSimilarity: rotation, scale and place, the paper's R and RTS."""

import math
from collections.abc import Sequence

import numpy as np
from mmpretrain.registry import TRANSFORMS

from mmstn.checks import number_in, number_range
from mmstn.grid_generators import AffineGridGenerator

from .warp import RandomWarp, Size, similarity_theta


@TRANSFORMS.register_module()
class RandomSimilarity(RandomWarp):
    """Turns and scales the image and puts it at a random place: RTS (section 4.1 of the paper).

    Angle and scale are uniform. So is the place, among those where the scaled image, before it is
    turned, lies inside the result; an image that is larger than the result is centred.

    Args:
        angle: The largest rotation to either side, in degrees.
        scale: The smallest and the largest scale.
        out_size: The result's size, (H', W'); None keeps the image's.
        seed: See :class:`~mmstn.datasets.RandomTransform`.

    Raises:
        TypeError: If an argument is of another type.
        ValueError: If it is out of range.
    """

    def __init__(
        self,
        angle: float = 45,
        scale: Sequence[float] = (0.7, 1.2),
        out_size: Sequence[int] | None = (42, 42),
        seed: int | None = None,
    ) -> None:
        super().__init__(AffineGridGenerator(), out_size, seed)
        self.angle = number_in('angle', angle, '[0, inf)')
        self.scale = number_range('scale', scale, '(0, inf)')

    def draw_theta(self, rng: np.random.Generator, in_size: Size, out_size: Size) -> np.ndarray:
        """See :meth:`RandomWarp.draw_theta`."""
        angle = math.radians(rng.uniform(-self.angle, self.angle))
        scale = rng.uniform(*self.scale)
        y, x = (
            rng.uniform(-1, 1) * max(size_out - scale * size_in, 0) / 2
            for size_in, size_out in zip(in_size, out_size, strict=True)
        )
        return similarity_theta(scale, angle, (x, y), in_size, out_size)


@TRANSFORMS.register_module()
class RandomRotation(RandomSimilarity):
    """Turns the image about its centre by a uniform angle: R (section 4.1 of the paper).

    Args:
        angle: The largest rotation to either side, in degrees.
        seed: See :class:`~mmstn.datasets.RandomTransform`.

    Raises:
        ValueError: If ``angle`` is negative.
    """

    def __init__(self, angle: float = 90, seed: int | None = None) -> None:
        super().__init__(angle, scale=(1, 1), out_size=None, seed=seed)
