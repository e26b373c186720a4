"""RandomCropParts and RandomFlipParts: crops and flips that move boxes and parts with the image."""

from collections.abc import Sequence

import numpy as np
from mmcv.transforms import CenterCrop, RandomFlip
from mmcv.transforms.utils import cache_randomness
from mmpretrain.registry import TRANSFORMS

from mmstn.checks import as_size, number_in, numbers_in, strings

from ..cub import PARTS

_OTHER_SIDE = {'left': 'right', 'right': 'left'}
_MIRRORED = [
    PARTS.index(' '.join(_OTHER_SIDE.get(word, word) for word in name.split())) for name in PARTS
]
"""Which part of the bird a mirror shows in place of each."""


@TRANSFORMS.register_module()
class RandomCropParts(CenterCrop):
    """Crops at a random place, with ``gt_bboxes`` and ``gt_keypoints``.

    Parts outside the crop become invisible, boxes are cut at its edge, as by mmcv's ``CenterCrop``.

    Args:
        crop_size: (width, height), or a number for a square.

    Raises:
        TypeError: If ``crop_size`` does not hold whole numbers.
        ValueError: If they are below 1; in use, if an image is smaller than the crop.
    """

    def __init__(self, crop_size: int | Sequence[int]) -> None:
        super().__init__(as_size('crop_size', crop_size))

    @cache_randomness
    def _choose_corner(self, most_x: int, most_y: int) -> tuple[int, int]:
        return np.random.randint(most_x + 1), np.random.randint(most_y + 1)

    def transform(self, results: dict) -> dict:
        """Crops ``img`` and what is known about it."""
        width, height = self.crop_size
        img_height, img_width = results['img'].shape[:2]
        if img_width < width or img_height < height:
            raise ValueError(
                f'crop_size must fit into the image, got {width}x{height} for '
                f'{img_width}x{img_height} (width x height) of {results.get("img_path")}'
            )
        x, y = self._choose_corner(img_width - width, img_height - height)
        box = np.array([x, y, x + width - 1, y + height - 1])  # mmcv counts the last pixel in
        self._crop_img(results, box)
        self._crop_bboxes(results, box)
        self._crop_keypoints(results, box)
        return results


@TRANSFORMS.register_module()
class RandomFlipParts(RandomFlip):
    """mmcv's ``RandomFlip`` for birds: a mirror turns the left eye, leg and wing into right ones.

    A diagonal flip is a rotation by half a turn, which leaves left and right as they are.

    Args:
        prob: How often an image is flipped, or how often in each of the directions.
        direction: ``'horizontal'``, ``'vertical'`` or ``'diagonal'``, or a list of them.

    Raises:
        TypeError: If an argument has the wrong type.
        ValueError: If a direction is unknown, or ``prob`` is no probability or not one for each
            direction.
    """

    def __init__(
        self, prob: float | Sequence[float], direction: str | Sequence[str] = 'horizontal'
    ) -> None:
        directions = [direction] if isinstance(direction, str) else direction
        directions = list(strings('direction', directions, ('horizontal', 'vertical', 'diagonal')))
        if isinstance(prob, Sequence):
            prob = list(map(float, numbers_in('prob', prob, '[0, 1]', len(directions))))
            number_in('the sum of prob', sum(prob), '[0, 1]')
        else:
            prob = float(number_in('prob', prob, '[0, 1]'))
        super().__init__(prob, directions)

    def _flip_keypoints(
        self, keypoints: np.ndarray, img_shape: tuple[int, int], direction: str
    ) -> np.ndarray:
        flipped = super()._flip_keypoints(keypoints, img_shape, direction)
        return flipped if direction == 'diagonal' else flipped[..., _MIRRORED, :]
