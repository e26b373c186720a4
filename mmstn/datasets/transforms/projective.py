"""RandomProjective: moves the corners, the paper's P."""

import math
from collections.abc import Sequence

import numpy as np
from mmpretrain.registry import TRANSFORMS

from mmstn.checks import number_in, number_range
from mmstn.grid_generators import ProjectiveGridGenerator

from .warp import RandomWarp, Size

# Corners of an image, normalised (x, y), in the order of its outline.
CORNERS = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]], dtype=float)

# Four random points outline a convex shape, in their order, about one time in ten.
MOST_DRAWS = 1000


@TRANSFORMS.register_module()
class RandomProjective(RandomWarp):
    """Scales the image and moves each of its corners: P (section 4.1 of the paper).

    The scale is uniform; each coordinate of a corner then moves by a normal number of pixels.
    Corners that no longer outline a convex shape, which would be no picture of a plane (the image
    folds over), are drawn again.

    Args:
        scale: The smallest and the largest scale.
        std: Standard deviation of a corner's move, in pixels.
        seed: See :class:`~mmstn.datasets.RandomTransform`.

    Raises:
        TypeError: If an argument is of another type.
        ValueError: If it is out of range; in use, if the image folds over at every draw, as it does
            where numbers overflow.
    """

    def __init__(
        self, scale: Sequence[float] = (0.75, 1.0), std: float = 5, seed: int | None = None
    ) -> None:
        super().__init__(ProjectiveGridGenerator(), seed=seed)
        self.scale = number_range('scale', scale, '(0, inf)')
        self.std = number_in('std', std, '[0, inf)')

    def draw_theta(self, rng: np.random.Generator, in_size: Size, out_size: Size) -> np.ndarray:
        """See :meth:`RandomWarp.draw_theta`."""
        return homography_theta(self.draw_corners(rng, in_size))

    def draw_corners(self, rng: np.random.Generator, in_size: Size) -> np.ndarray:
        """Where the corners go, normalised, (4, 2) in the order of ``CORNERS``."""
        pixels_to_normalised = 2 / np.array(in_size[::-1])
        for _ in range(MOST_DRAWS):
            moves = rng.normal(scale=self.std, size=(4, 2)) * pixels_to_normalised
            corners = rng.uniform(*self.scale) * CORNERS + moves
            if is_convex(corners):
                return corners
        raise ValueError(
            f'std must leave the image convex now and then, got {self.std} (scale={self.scale}) '
            f'for an image of {in_size}'
        )


def homography_theta(corners: np.ndarray) -> np.ndarray:
    """The projective map that takes ``corners`` to the image's own, (4, 2) -> (8,).

    It solves w x_s = h_11 x_t + h_12 y_t + h_13, likewise y_s, with w = h_31 x_t + h_32 y_t + 1.
    """
    rows, values = [], []
    for (x_t, y_t), (x_s, y_s) in zip(corners.tolist(), CORNERS.tolist(), strict=True):
        rows.append([x_t, y_t, 1, 0, 0, 0, -x_s * x_t, -x_s * y_t])
        rows.append([0, 0, 0, x_t, y_t, 1, -y_s * x_t, -y_s * y_t])
        values += [x_s, y_s]
    return np.linalg.solve(np.array(rows), np.array(values))


def is_convex(corners: np.ndarray) -> bool:
    """Whether an outline (4, 2) turns the way ``CORNERS`` does at every corner."""
    x, y = corners.T.tolist()
    turns = []
    for i in range(4):
        j, k = (i + 1) % 4, (i + 2) % 4
        turns.append((x[j] - x[i]) * (y[k] - y[j]) - (y[j] - y[i]) * (x[k] - x[j]))
    return min(turns) > 0 and max(turns) < math.inf
