"""Distractors: the C in the paper's TC."""

from __future__ import annotations

import numpy as np
from mmpretrain.registry import TRANSFORMS

from .randomness import RandomTransform


@TRANSFORMS.register_module()
class RandomClutter(RandomTransform):
    """Scatters small patches of other images over the image (sections 4.1 and A.2 of the paper).

    Each patch is cut at a random place out of another image of the dataset, drawn at random, and
    put at a random place; where things overlap the brighter pixel stays. The dataset must be
    wrapped in :class:`~mmstn.datasets.MultiImageDataset`, which hands out the other images.

    Args:
        num_patches: How many (6 in the paper's TC, from a second-hand account).
        patch_size: Their height and width in pixels.
        seed: See :class:`~mmstn.datasets.RandomTransform`.

    Raises:
        ValueError: If a number is not positive; in use, if a patch does not fit into an image.
    """

    def __init__(self, num_patches: int = 6, patch_size: int = 6, seed: int | None = None) -> None:
        super().__init__(seed)
        for name, number in dict(num_patches=num_patches, patch_size=patch_size).items():
            if not isinstance(number, int) or number < 1:
                raise ValueError(f'{name} must be a whole number >= 1, got {number!r}')
        self.num_patches = num_patches
        self.patch_size = patch_size

    def apply(self, results: dict, rng: np.random.Generator) -> dict:
        """Adds patches to ``results['img']``."""
        if 'dataset' not in results:
            raise KeyError(
                "RandomClutter needs results['dataset'] to take other images from: wrap the "
                "dataset in dict(type='MultiImageDataset', dataset=..., pipeline=...)"
            )
        image = results['img'].copy()
        for other in self._other_images(results, rng):
            patch = other[self._window(rng, other)]
            target = image[self._window(rng, image)]
            np.maximum(target, patch, out=target)
        results['img'] = image
        return results

    def _other_images(self, results: dict, rng: np.random.Generator) -> list[np.ndarray]:
        """As many images as patches, none of them the sample's own."""
        dataset, own = results['dataset'], results['sample_idx']
        if len(dataset) < 2:
            raise ValueError(f'dataset must hold another image, got {len(dataset)} in all')
        chosen = rng.integers(len(dataset) - 1, size=self.num_patches)
        return [dataset[int(index) + int(index >= own)]['img'] for index in chosen]

    def _window(self, rng: np.random.Generator, image: np.ndarray) -> tuple[slice, slice]:
        """A random window of the patch's size."""
        room = np.array(image.shape[:2]) - self.patch_size
        if room.min() < 0:
            raise ValueError(
                f'patch_size must fit into images of {image.shape[:2]}, got {self.patch_size}'
            )
        top, left = rng.integers(0, room, endpoint=True).tolist()
        return slice(top, top + self.patch_size), slice(left, left + self.patch_size)

    def __repr__(self) -> str:
        return (
            f'{type(self).__name__}(num_patches={self.num_patches}, '
            f'patch_size={self.patch_size}, seed={self.seed})'
        )
