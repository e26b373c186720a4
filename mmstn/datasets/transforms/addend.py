"""RandomAddend: a second digit, and the sum as the label (appendix A.1 of the paper)."""

import numpy as np
from mmpretrain.registry import TRANSFORMS

from ..multi_image_dataset import OtherImages
from .randomness import RandomTransform


@TRANSFORMS.register_module()
class RandomAddend(RandomTransform):
    """Puts another digit of the dataset into a channel of its own, and the sum into the label.

    The other one is drawn at random, so that the digits are independent; both come with the
    dataset's own distortions. The dataset must be wrapped in
    :class:`~mmstn.datasets.MultiImageDataset`, which hands out the others.

    Adds a last channel to ``results['img']``, (H, W) -> (H, W, 2), and sets
    ``results['gt_label']``.

    Args:
        seed: See :class:`~mmstn.datasets.RandomTransform`.

    Raises:
        KeyError: In use, if the dataset is not wrapped.
        ValueError: In use, if the dataset holds one image only, or images of several sizes.
    """

    def apply(self, results: dict, rng: np.random.Generator) -> dict:
        """Adds a digit."""
        others = OtherImages(self, results)
        other = others[rng.integers(len(others))]
        if other['img'].shape[:2] != results['img'].shape[:2]:
            raise ValueError(
                f'images must be of one size to be channels of one, got '
                f'{results["img"].shape[:2]} and {other["img"].shape[:2]}'
            )
        results['img'] = np.dstack([results['img'], other['img']])
        results['gt_label'] = int(results['gt_label']) + int(other['gt_label'])
        return results

    def __repr__(self) -> str:
        return f'{type(self).__name__}(seed={self.seed})'
