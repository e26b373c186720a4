"""RandomTPS: moves the control points of a spline, the paper's E."""

from collections.abc import Sequence

import numpy as np
import torch
from mmpretrain.registry import TRANSFORMS

from mmstn.checks import number_in, number_range
from mmstn.grid_generators import TPSGridGenerator

from .warp import RandomWarp, Size


@TRANSFORMS.register_module()
class RandomTPS(RandomWarp):
    """Scales the image and bends it with a thin-plate spline: E (section 4.1 of the paper).

    The scale is uniform; each coordinate of a control point then moves by a normal number of
    pixels.

    Args:
        scale: The smallest and the largest scale (the paper's are from a second-hand account).
        std: Standard deviation of a control point's move, in pixels of the scaled image.
        num_control_points: Rows and columns of control points, on a regular grid over the image.
        seed: See :class:`~mmstn.datasets.RandomTransform`.

    Raises:
        TypeError: If an argument is of another type.
        ValueError: If it is out of range.
    """

    def __init__(
        self,
        scale: Sequence[float] = (0.75, 1.0),
        std: float = 1.5,
        num_control_points: Sequence[int] = (4, 4),
        seed: int | None = None,
    ) -> None:
        super().__init__(TPSGridGenerator(num_control_points), seed=seed)
        self.scale = number_range('scale', scale, '(0, inf)')
        self.std = number_in('std', std, '[0, inf)')
        self._linear_maps: dict[Size, tuple[torch.Tensor, torch.Tensor]] = {}
        self._control_points = self.grid_generator.control_points.numpy().astype(float)

    def draw_theta(self, rng: np.random.Generator, in_size: Size, out_size: Size) -> np.ndarray:
        """See :meth:`RandomWarp.draw_theta`."""
        # A point c of the result shows the scaled image at c + move: the image at (c + move) / s.
        moves = rng.normal(scale=self.std, size=self._control_points.shape)
        points = self._control_points + moves * (2 / np.array(in_size[::-1]))
        return (points / rng.uniform(*self.scale)).ravel()

    def grid(self, theta: torch.Tensor, out_size: Size) -> torch.Tensor:
        """The points to sample, see :meth:`RandomWarp.grid`.

        They are linear in theta, so that the generator need not evaluate the same spline for every
        image again: most of the time would go there.
        """
        if out_size not in self._linear_maps:
            unit_thetas = torch.eye(self.grid_generator.num_params)
            origin = self.grid_generator(torch.zeros_like(unit_thetas[:1]), out_size)
            slopes = self.grid_generator(unit_thetas, out_size) - origin
            self._linear_maps[out_size] = origin, slopes.flatten(1)
        origin, slopes = self._linear_maps[out_size]
        return origin + (theta @ slopes).view_as(origin)
