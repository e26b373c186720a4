"""Sampling kernels k(d): how much a pixel at distance d from the sampling point counts."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from mmstn.checks import number_in


@dataclass(frozen=True)
class SamplingKernel:
    """A separable sampling kernel, k(x_s - m) k(y_s - n) in equation (3) of the paper.

    Args:
        function: The kernel k, from signed distances in pixels (a tensor of any shape) to weights
            of the same shape. It must be differentiable in the distance for a gradient to reach
            theta.
        support: k(d) = 0 wherever abs(d) >= support, in pixels. The cost of a sample grows with
            ``ceil(2 * support)`` to the power of the number of dimensions.

    Raises:
        TypeError: If ``function`` cannot be called.
        ValueError: If ``support`` is not a positive, finite number.

    Example:
        >>> hann = SamplingKernel(lambda d: torch.cos(torch.pi * d / 4) ** 2 / 2, support=2)
        >>> mmstn.ops.grid_sample(image, grid, mode=hann)
    """

    function: Callable[[Tensor], Tensor]
    support: float

    def __post_init__(self) -> None:
        if not callable(self.function):
            raise TypeError(f'function must be callable, got {type(self.function).__name__}')
        number_in('support', self.support, '(0, inf)')

    def __call__(self, distance: Tensor) -> Tensor:
        """Weights of pixels at ``distance``, exactly zero outside the support."""
        inside = distance.abs() < self.support
        # The function may have no derivative outside, and 0 * inf would be one that is not finite.
        safe = distance.masked_fill(~inside, self.support / 2)
        return self.function(safe).masked_fill(~inside, 0)

    @property
    def num_taps(self) -> int:
        """How many pixels of a row can lie inside the support at once."""
        return math.ceil(2 * self.support)


def triangle(distance: Tensor) -> Tensor:
    """The bilinear kernel max(0, 1 - abs(d)), equation (5) of the paper."""
    return (1 - distance.abs()).clamp(min=0)


def keys_cubic(distance: Tensor, a: float = -0.75) -> Tensor:
    """The cubic convolution kernel of Keys (1981); ``a = -0.75`` as PyTorch and OpenCV have it."""
    d = distance.abs()
    near = ((a + 2) * d - (a + 3)) * d * d + 1
    far = ((a * d - 5 * a) * d + 8 * a) * d - 4 * a
    return torch.where(d <= 1, near, far.masked_fill(d >= 2, 0))


BILINEAR = SamplingKernel(triangle, support=1)
BICUBIC = SamplingKernel(keys_cubic, support=2)


def bilinear_weights(t: Tensor) -> tuple[Tensor, ...]:
    """Weights of the pixels on both sides of a point that lies ``t`` after the first."""
    return 1 - t, t


def bicubic_weights(t: Tensor, a: float = -0.75) -> tuple[Tensor, ...]:
    """Weights of the four pixels around a point that lies ``t`` after the second."""
    u = 1 - t
    return (
        a * t * u * u,
        ((a + 2) * t - (a + 3)) * t * t + 1,
        ((a + 2) * u - (a + 3)) * u * u + 1,
        a * u * t * t,
    )


# The same kernels inside one cell between pixels, where they are polynomials: the first pixel that
# counts, from the one before the point, and the weights. A point on a pixel has the derivatives of
# the cell after it.
CELL_KERNELS = {'bilinear': (0, bilinear_weights), 'bicubic': (-1, bicubic_weights)}
