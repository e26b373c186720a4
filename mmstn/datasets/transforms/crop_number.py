"""CropNumber and RandomCropNumber: the window around a house number."""

import math
from collections.abc import Sequence

import numpy as np
from mmcv.transforms import BaseTransform
from mmpretrain.registry import TRANSFORMS

from mmstn.checks import number_in

from .randomness import RandomTransform


@TRANSFORMS.register_module()
class CropNumber(BaseTransform):
    """Cuts out the box around all digits, enlarged, as section 4.2 of the paper does.

    The box is first clamped to the image, as some annotations reach outside; the enlarged window
    ends where the image does. An image without a box is taken to be cropped already.

    **Required Keys:**

    - img
    - bbox (optional): x1, y1, x2, y2 in pixels

    **Modified Keys:**

    - img
    - img_shape

    Args:
        enlarge: By how much the window is wider and higher than the box in total: 0.3 for the
            paper's 30 % (whether it means in total or at each side differs between accounts; that
            would be 0.6).

    Raises:
        TypeError: If ``enlarge`` is no number.
        ValueError: If it is negative or not finite.
    """

    def __init__(self, enlarge: float = 0.3) -> None:
        self.enlarge = number_in('enlarge', enlarge, '[0, inf)')

    def transform(self, results: dict) -> dict:
        """Crops with the number in the middle."""
        return crop(results, self.enlarge, (0.5, 0.5))

    def __repr__(self) -> str:
        return f'{type(self).__name__}(enlarge={self.enlarge})'


@TRANSFORMS.register_module()
class RandomCropNumber(RandomTransform):
    """The same window anywhere where it holds all digits: the random crop of the training.

    Args:
        enlarge: See :class:`CropNumber`.
        seed: See :class:`~mmstn.datasets.RandomTransform`.

    Raises:
        TypeError: If ``enlarge`` is no number.
        ValueError: If it is negative or not finite.
    """

    def __init__(self, enlarge: float = 0.3, seed: int | None = None) -> None:
        super().__init__(seed)
        self.enlarge = number_in('enlarge', enlarge, '[0, inf)')

    def apply(self, results: dict, rng: np.random.Generator) -> dict:
        """Crops with the number at a random place."""
        return crop(results, self.enlarge, rng.uniform(size=2))

    def __repr__(self) -> str:
        return f'{type(self).__name__}(enlarge={self.enlarge}, seed={self.seed})'


def crop(results: dict, enlarge: float, place: Sequence[float]) -> dict:
    """Crops ``results['img']``.

    Args:
        results: What mmcv's transforms take and give.
        enlarge: By how much the window is larger than the box.
        place: Where the box lies in the window, (x, y): 0 at the left or upper end, 1 at the other.
    """
    if results.get('bbox') is None:
        return results
    sides = []
    for axis in (0, 1):
        size = results['img'].shape[1 - axis]
        low = min(max(results['bbox'][axis], 0), size - 1)
        high = max(min(results['bbox'][axis + 2], size), low + 1)
        room = enlarge * (high - low)
        start = low - place[axis] * room
        end = high + (1 - place[axis]) * room
        sides.append(slice(max(math.floor(start), 0), min(math.ceil(end), size)))
    results['img'] = results['img'][sides[1], sides[0]]
    results['img_shape'] = results['img'].shape[:2]
    return results
