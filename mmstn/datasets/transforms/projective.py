"""Corners that move: the paper's P."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from mmpretrain.registry import TRANSFORMS

from mmstn.models.grid_generators import ProjectiveGridGenerator

from .warp import RandomWarp, Size, check_not_negative, check_range

# Corners of an image, normalised (x, y), in the order of its outline.
CORNERS = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]], dtype=float)


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
        ValueError: If an argument is out of range.
    """

    def __init__(
        self, scale: Sequence[float] = (0.75, 1.0), std: float = 5, seed: int | None = None
    ) -> None:
        super().__init__(ProjectiveGridGenerator(), seed=seed)
        self.scale = check_range('scale', scale)
        self.std = check_not_negative('std', std)

    def draw_theta(self, rng: np.random.Generator, in_size: Size, out_size: Size) -> np.ndarray:
        """See :meth:`RandomWarp.draw_theta`."""
        return homography_theta(self.draw_corners(rng, in_size))

    def draw_corners(self, rng: np.random.Generator, in_size: Size) -> np.ndarray:
        """Where the corners go, normalised, (4, 2) in the order of ``CORNERS``."""
        pixels_to_normalised = 2 / np.array(in_size[::-1])
        while True:
            moves = rng.normal(scale=self.std, size=(4, 2)) * pixels_to_normalised
            corners = rng.uniform(*self.scale) * CORNERS + moves
            if is_convex(corners):
                return corners


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
    return min(turns) > 0
