"""RandomWarp: draws theta and warps the image with the model's own grid generator and sampler."""

import math
from abc import abstractmethod
from collections.abc import Sequence

import numpy as np
import torch

from mmstn.checks import instance_of, sizes
from mmstn.grid_generators import BaseGridGenerator, MatrixGridGenerator
from mmstn.ops import affine_grid_sample, grid_sample

from .randomness import RandomTransform

Size = tuple[int, ...]  # (H, W)


class RandomWarp(RandomTransform):
    """Draws theta from a distribution and samples the image through a grid generator.

    Your own distortion names a grid generator and defines :meth:`draw_theta`.

    Convention:
        That of the model: theta maps normalised output coordinates to normalised input coordinates
        (``align_corners=False``), so an image that is to grow by s needs a theta that shrinks by s.
        What lies outside the image is black.

    Args:
        grid_generator: The family of transforms.
        out_size: The result's size, (H', W'); None keeps the image's.
        seed: See :class:`RandomTransform`.

    Raises:
        TypeError: If an argument is of another type.
        ValueError: If ``out_size`` is not two whole numbers >= 1.
    """

    def __init__(
        self,
        grid_generator: BaseGridGenerator,
        out_size: Sequence[int] | None = None,
        seed: int | None = None,
    ) -> None:
        super().__init__(seed)
        self.grid_generator = instance_of(
            'grid_generator', grid_generator, BaseGridGenerator, 'a grid generator'
        )
        self.out_size = None if out_size is None else sizes('out_size', out_size, 2)

    @abstractmethod
    def draw_theta(self, rng: np.random.Generator, in_size: Size, out_size: Size) -> np.ndarray:
        """One distortion.

        Args:
            rng: The source of random numbers.
            in_size: Size of the image, (H, W).
            out_size: Size of the result, (H', W').

        Returns:
            theta, (P,).
        """

    def apply(self, results: dict, rng: np.random.Generator) -> dict:
        """Distorts ``results['img']``, (H, W) or (H, W, C), and sets ``results['img_shape']``."""
        image = results['img']
        in_size = image.shape[:2]
        out_size = self.out_size or in_size
        theta = self.draw_theta(rng, in_size, out_size)
        results['img'] = self.warp(image, theta, out_size)
        results['img_shape'] = out_size
        return results

    @torch.no_grad()
    def warp(self, image: np.ndarray, theta: np.ndarray, out_size: Size) -> np.ndarray:
        """The image through theta, in its own type and number of dimensions."""
        theta = torch.as_tensor(theta, dtype=torch.float32)[None]
        # (H, W[, C]) -> (1, C, H, W)
        u = torch.as_tensor(np.atleast_3d(image), dtype=torch.float32).permute(2, 0, 1)[None]
        if isinstance(self.grid_generator, MatrixGridGenerator):
            v = affine_grid_sample(u, self.grid_generator.matrix(theta), out_size)
        else:
            v = grid_sample(u, self.grid(theta, out_size))
        v = v[0].permute(1, 2, 0).numpy()
        if np.issubdtype(image.dtype, np.integer):
            v = np.rint(v)
        return v.astype(image.dtype).reshape(*out_size, *image.shape[2:])

    def grid(self, theta: torch.Tensor, out_size: Size) -> torch.Tensor:
        """The points to sample, (1, P) -> (1, H', W', 2), of a family that has no matrix."""
        return self.grid_generator(theta, out_size)

    def __repr__(self) -> str:
        shown = {k: v for k, v in vars(self).items() if k[0] != '_' and k != 'grid_generator'}
        return f'{type(self).__name__}({", ".join(f"{k}={v}" for k, v in shown.items())})'


def similarity_theta(
    scale: float, angle: float, shift: Sequence[float], in_size: Size, out_size: Size
) -> np.ndarray:
    """theta of an affine map that scales and turns an image about its centre, then moves it.

    Args:
        scale: By how much it grows.
        angle: By how much it turns, in radians; clockwise as seen, since y points down.
        shift: How far its centre then lies from the result's, (x, y) in pixels.
        in_size: Size of the image, (H, W).
        out_size: Size of the result, (H', W').

    Returns:
        (6,), the inverse map in normalised coordinates. A pixel is as wide as it is high, whatever
        the sizes, so rotations do not shear.
    """
    cos, sin = math.cos(angle) / scale, math.sin(angle) / scale
    (h_in, w_in), (h_out, w_out), (x, y) = in_size, out_size, shift
    # The inverse takes pixels about the result's centre to pixels about the image's. Normalised
    # coordinates count in halves of a size.
    return np.array(
        [
            cos * w_out / w_in,
            sin * h_out / w_in,
            -2 * (cos * x + sin * y) / w_in,
            -sin * w_out / h_in,
            cos * h_out / h_in,
            2 * (sin * x - cos * y) / h_in,
        ]
    )
