"""RandomClutter: pieces of other images as distractors, the C in the paper's TC."""

import numpy as np
from mmpretrain.registry import TRANSFORMS

from mmstn.checks import positive_int

from ..multi_image_dataset import OtherImages
from .randomness import RandomTransform


@TRANSFORMS.register_module()
class RandomClutter(RandomTransform):
    """Scatters small patches of other images over the image (sections 4.1 and A.2 of the paper).

    Each patch is cut out of another image of the dataset, drawn at random, so that it covers a
    random pixel that is not black: a patch that shows nothing is no distractor. It is put at a
    random place; where things overlap the brighter pixel stays. The dataset must be wrapped in
    :class:`~mmstn.datasets.MultiImageDataset`, which hands out the other images.

    Args:
        num_patches: How many (6 in the paper's TC, from a second-hand account).
        patch_size: Their height and width in pixels.
        seed: See :class:`~mmstn.datasets.RandomTransform`.

    Raises:
        KeyError: In use, if the dataset is not wrapped.
        TypeError: If a number is no whole number.
        ValueError: If it is not positive; in use, if a patch does not fit into an image.
    """

    def __init__(self, num_patches: int = 6, patch_size: int = 6, seed: int | None = None) -> None:
        super().__init__(seed)
        self.num_patches = positive_int('num_patches', num_patches)
        self.patch_size = positive_int('patch_size', patch_size)

    def apply(self, results: dict, rng: np.random.Generator) -> dict:
        """Adds patches to ``results['img']``."""
        others = OtherImages(self, results)
        image = results['img'].copy()
        # One call for all numbers: most of the time would go into drawing them one by one.
        draws = rng.random((self.num_patches, 6)).tolist()
        for which, pixel, dy, dx, y, x in draws:
            other = others[int(which * len(others))]['img']
            patch = self._cut(other, pixel, dy, dx)
            room_y, room_x = self._room(image)
            target = self._window(image, int(y * (room_y + 1)), int(x * (room_x + 1)))
            np.maximum(target, patch, out=target)
        results['img'] = image
        return results

    def _cut(self, image: np.ndarray, pixel: float, dy: float, dx: float) -> np.ndarray:
        """A patch that covers a pixel of the motif; numbers in [0, 1) say which and where."""
        motif = np.flatnonzero(image.any(axis=-1) if image.ndim == 3 else image)
        if len(motif) == 0:  # a black image: all pixels are alike
            motif = np.arange(image.shape[0] * image.shape[1])
        y, x = divmod(int(motif[int(pixel * len(motif))]), image.shape[1])
        room_y, room_x = self._room(image)
        top = min(max(y - int(dy * self.patch_size), 0), room_y)
        left = min(max(x - int(dx * self.patch_size), 0), room_x)
        return self._window(image, top, left)

    def _window(self, image: np.ndarray, top: int, left: int) -> np.ndarray:
        return image[top : top + self.patch_size, left : left + self.patch_size]

    def _room(self, image: np.ndarray) -> tuple[int, int]:
        """How far a patch can be moved within the image, down and to the right."""
        room = image.shape[0] - self.patch_size, image.shape[1] - self.patch_size
        if min(room) < 0:
            raise ValueError(
                f'patch_size must fit into images of {image.shape[:2]}, got {self.patch_size}'
            )
        return room

    def __repr__(self) -> str:
        return (
            f'{type(self).__name__}(num_patches={self.num_patches}, '
            f'patch_size={self.patch_size}, seed={self.seed})'
        )
