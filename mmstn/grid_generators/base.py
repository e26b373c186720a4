"""BaseGridGenerator: a family of transforms, theta -> sampling grid (section 3.2 of the paper)."""

import math
from abc import ABCMeta, abstractmethod
from collections.abc import Sequence
from functools import partial

import torch
from torch import Tensor, nn

from mmstn.ops import coordinate_dtype, matrix_grid
from mmstn.ops.checks import check_float

from .newton import invert


class BaseGridGenerator(nn.Module, metaclass=ABCMeta):
    """A family of transforms T_theta from output to input coordinates.

    Convention:
        Coordinates are normalised, in the order (x, y) or (x, y, z). The map runs from points of
        the output to the points of the input that are sampled for them, so a scale of 0.5 is a
        window of half the size: it zooms in. Rotations act on normalised coordinates: on a map
        that is not square they shear its pixels.

    Your own family defines :attr:`num_params`, :meth:`identity_theta` and :meth:`forward`;
    one that is a matrix subclasses :class:`MatrixGridGenerator` and defines ``matrix`` instead of
    ``forward``.
    """

    num_params: int
    """P, how many numbers theta holds for one transform."""
    ndim: int = 2
    """The number of spatial dimensions, 2 or 3."""

    @abstractmethod
    def identity_theta(self) -> Tensor:
        """The theta of the identity, or what is nearest to it in the family, shape (P,)."""

    def tiled_theta(self, num_transformers: int) -> Tensor:
        """Windows that tile the map, a start for parallel transformers that differ from each other.

        Args:
            num_transformers: K, the number of windows.

        Returns:
            theta, shape (K, P).

        Raises:
            ValueError: If the family has no windows of different places and sizes.
        """
        raise ValueError(f'{type(self).__name__} cannot tile the map: it defines no tiled_theta')

    @abstractmethod
    def forward(
        self, theta: Tensor, out_size: Sequence[int], align_corners: bool = False
    ) -> Tensor:
        """The points to sample, T_theta(G).

        Args:
            theta: Parameters, (*, P), with any leading dimensions.
            out_size: (H', W') or (D', H', W').
            align_corners: Whether -1 and 1 are the centres of the border pixels or their outer
                edges.

        Returns:
            Points, (*, H', W', 2) or (*, D', H', W', 3), never in less than float32.

        Raises:
            TypeError: If ``theta`` is not a floating-point tensor.
            ValueError: If ``theta`` does not hold P numbers.
        """

    def to_input(self, points: Tensor, theta: Tensor) -> Tensor:
        """Where points of the output lie on the input, T_theta(points).

        Args:
            points: (*, M, 2) or (*, M, 3), normalised, (x, y[, z]).
            theta: (*, P); leading dimensions broadcast.

        Returns:
            (*, M, 2) or (*, M, 3), in float64 if an argument is, else in float32; computed in
            float64.

        Raises:
            TypeError: If an argument is not a floating-point tensor.
            ValueError: If an argument has another shape.
            NotImplementedError: If the family defines grids alone.
        """
        raise NotImplementedError(
            f'{type(self).__name__} gives grids only: define to_input to take points there and back'
        )

    def to_output(self, points: Tensor, theta: Tensor) -> Tensor:
        """Where points of the input lie on the output, the inverse of :meth:`to_input`.

        Here it is found by Newton's method, without gradients, for families of two dimensions.
        Where a transform folds over, several points fit and one of them is given.

        Args:
            points: As in :meth:`to_input`.
            theta: As in :meth:`to_input`.

        Returns:
            As in :meth:`to_input`; NaN for a point that nothing near the output goes to.
        """
        points, theta, dtype = self.check_points(points, theta)
        shape = torch.broadcast_shapes(points.shape[:-2], theta.shape[:-1])
        points = points.expand(*shape, *points.shape[-2:])
        pairs = zip(
            theta.expand(*shape, -1).reshape(-1, self.num_params),
            points.reshape(-1, *points.shape[-2:]),
            strict=True,
        )
        found = [invert(partial(self.to_input, theta=one), some) for one, some in pairs]
        return (torch.stack(found) if found else points).view(points.shape).to(dtype)

    def check_points(self, points: Tensor, theta: Tensor) -> tuple[Tensor, Tensor, torch.dtype]:
        """Checks both; gives them in float64, and the type for the result."""
        check_float('points', points)
        if points.dim() < 2 or points.shape[-1] != self.ndim:
            raise ValueError(
                f'points must be (*, M, {self.ndim}) for {type(self).__name__}, '
                f'got shape {tuple(points.shape)}'
            )
        dtype = coordinate_dtype(points.dtype, theta.dtype)
        return points.double(), self.check_theta(theta).double(), dtype

    def check_theta(self, theta: Tensor) -> Tensor:
        """``theta`` in float32 (float64 if it is), or an error if it does not hold P numbers."""
        check_float('theta', theta)
        if theta.shape[-1:] != (self.num_params,):
            raise ValueError(
                f'theta must be (*, {self.num_params}) for {type(self).__name__}, '
                f'got shape {tuple(theta.shape)}'
            )
        return theta.to(coordinate_dtype(theta.dtype))


class MatrixGridGenerator(BaseGridGenerator):
    """A family of affine or projective maps, whose matrix lets the sampler work without a grid."""

    @abstractmethod
    def matrix(self, theta: Tensor) -> Tensor:
        """The matrix that takes (x_t, y_t, 1) to (x_s, y_s[, w]).

        Args:
            theta: Parameters, (*, P), with any leading dimensions.

        Returns:
            (*, 2, 3) for affine maps and (*, 3, 3) for projective ones; (*, 3, 4) for affine maps
            of volumes.
        """

    def forward(
        self, theta: Tensor, out_size: Sequence[int], align_corners: bool = False
    ) -> Tensor:
        """The points to sample, see :meth:`BaseGridGenerator.forward`."""
        return matrix_grid(self.matrix(theta), out_size, align_corners)

    def to_input(self, points: Tensor, theta: Tensor) -> Tensor:
        """Points of the input, see :meth:`BaseGridGenerator.to_input`."""
        points, theta, dtype = self.check_points(points, theta)
        return _apply(self._square_matrix(theta), points).to(dtype)

    def to_output(self, points: Tensor, theta: Tensor) -> Tensor:
        """Points of the output; NaN where a matrix has no inverse.

        See :meth:`BaseGridGenerator.to_output`; here with gradients and in any dimension.
        """
        points, theta, dtype = self.check_points(points, theta)
        inverse, singular = torch.linalg.inv_ex(self._square_matrix(theta))
        inverse = inverse.masked_fill(singular[..., None, None] != 0, torch.nan)
        return _apply(inverse, points).to(dtype)

    def _square_matrix(self, theta: Tensor) -> Tensor:
        """The matrix with its last row, (*, 3, 3) or (*, 4, 4)."""
        matrix = self.matrix(theta)
        if matrix.shape[-2] == self.ndim:
            last = matrix.new_tensor([0] * self.ndim + [1]).expand_as(matrix[..., :1, :])
            matrix = torch.cat([matrix, last], dim=-2)
        return matrix


def _apply(matrix: Tensor, points: Tensor) -> Tensor:
    """Square matrices (*, D + 1, D + 1) on points (*, M, D)."""
    moved = points @ matrix[..., :-1].mT + matrix[..., None, :, -1]
    return moved[..., :-1] / moved[..., -1:]


def check_ndim(ndim: int) -> int:
    """``ndim``, or a ValueError if it is not 2 or 3."""
    if ndim not in (2, 3):
        raise ValueError(f'ndim must be 2 or 3, got {ndim!r}')
    return ndim


def tile_windows(num_windows: int, ndim: int) -> tuple[Tensor, Tensor]:
    """Windows that cover the map once, in as square a pattern as their number allows.

    Args:
        num_windows: K, at least 1. Two windows stand side by side, four make a square, a prime
            number makes a row.
        ndim: The number of spatial dimensions.

    Returns:
        Half the size of a window along each axis, shape (ndim,), and the centres of the windows in
        reading order, (K, ndim); normalised and in the order (x, y[, z]).

    Raises:
        ValueError: If ``num_windows`` is not a positive whole number.
    """
    if not isinstance(num_windows, int) or num_windows < 1:
        raise ValueError(f'num_transformers must be a whole number >= 1, got {num_windows!r}')
    counts = []  # of windows along z, y, x
    rest = num_windows
    for axes_left in range(ndim, 1, -1):
        most = round(rest ** (1 / axes_left))
        counts.append(max(n for n in range(1, most + 1) if rest % n == 0))
        rest //= counts[-1]
    counts.append(rest)
    assert math.prod(counts) == num_windows
    axes = [(2 * torch.arange(n) + 1) / n - 1 for n in counts]
    centers = torch.stack(torch.meshgrid(*axes, indexing='ij')[::-1], dim=-1)
    return 1 / torch.tensor(counts[::-1]), centers.reshape(-1, ndim)
