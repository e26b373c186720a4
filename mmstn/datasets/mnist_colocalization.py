"""The paper's co-localisation data (appendix A.2): one digit class, known boxes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from mmpretrain.registry import DATASETS, TRANSFORMS

from mmstn.ops.checks import check_size

from .mnist5k import NUM_CLASSES, MNIST5k
from .multi_image_dataset import MultiImageDataset
from .transforms.randomness import RandomTransform


@DATASETS.register_module()
class MNIST5kOneClass(MNIST5k):
    """The first digits of one class.

    Args:
        label: The class.
        num_images: How many digits.
        **kwargs: Other arguments of :class:`MNIST5k`.

    Raises:
        ValueError: If there is no such class or it has fewer digits.
    """

    def __init__(self, label: int, num_images: int = 100, **kwargs) -> None:
        if label not in range(NUM_CLASSES):
            raise ValueError(f'label must be a digit, 0 to 9, got {label!r}')
        self.label = label
        self.num_images = num_images
        super().__init__(**kwargs)

    def load_data_list(self) -> list[dict]:
        """Images and labels."""
        digits = [digit for digit in super().load_data_list() if digit['gt_label'] == self.label]
        if not 1 <= self.num_images <= len(digits):
            raise ValueError(
                f'num_images must be 1 to {len(digits)} for this split, got {self.num_images}'
            )
        return digits[: self.num_images]


@DATASETS.register_module()
class ImagesAmongOthers(MultiImageDataset):
    """A dataset whose transforms see the images of another one.

    Args:
        dataset: Config of the dataset.
        others: Config of the dataset that transforms find as ``results['dataset']``.
        pipeline: The transforms.

    Raises:
        TypeError: If one is neither a config nor a dataset.
    """

    def __init__(self, dataset: dict, others: dict, pipeline: Sequence[dict] = ()) -> None:
        super().__init__(dataset, pipeline)
        self.others = MultiImageDataset(others).dataset

    def full_init(self) -> None:
        """Loads the datasets if that was put off."""
        super().full_init()
        self.others.full_init()

    def __getitem__(self, idx: int) -> dict:
        results = self.pipeline(dict(self.dataset[idx], dataset=self.others))
        results.pop('dataset', None)
        return results


@TRANSFORMS.register_module()
class RandomPlacement(RandomTransform):
    """Puts the image at a random place of a black one and says where.

    As :class:`~mmstn.datasets.RandomTranslation`, and adds ``results['gt_box']``, (x1, y1, x2, y2)
    in pixels from the upper left corner: the whole image that was put there, so a digit with its
    margin.

    Args:
        out_size: Size of the black image, (H', W').
        seed: See :class:`~mmstn.datasets.RandomTransform`.

    Raises:
        ValueError: If ``out_size`` is not two whole numbers >= 1; in use, if the image is larger.
    """

    def __init__(self, out_size: Sequence[int] = (84, 84), seed: int | None = None) -> None:
        super().__init__(seed)
        self.out_size = check_size('out_size', out_size)
        if len(self.out_size) != 2:
            raise ValueError(f"out_size must be (H', W'), got {self.out_size}")

    def apply(self, results: dict, rng: np.random.Generator) -> dict:
        """Places ``results['img']``, (H, W) or (H, W, C)."""
        image = results['img']
        room = np.subtract(self.out_size, image.shape[:2])
        if room.min() < 0:
            raise ValueError(
                f'out_size must hold an image of {image.shape[:2]}, got {self.out_size}'
            )
        top, left = rng.integers(room + 1)
        bottom, right = top + image.shape[0], left + image.shape[1]
        canvas = np.zeros((*self.out_size, *image.shape[2:]), image.dtype)
        canvas[top:bottom, left:right] = image
        results['img'] = canvas
        results['img_shape'] = self.out_size
        results['gt_box'] = np.array([left, top, right, bottom], np.float32)
        return results

    def __repr__(self) -> str:
        return f'{type(self).__name__}(out_size={self.out_size}, seed={self.seed})'
