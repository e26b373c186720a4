"""Regular grids and their images under a matrix: equation (1) of the paper."""

from collections.abc import Sequence

import torch
from torch import Tensor

from .checks import check_matrix, check_size
from .coordinates import coordinate_dtype, regular_axis

# A projective map sends the points of a line to infinity. The homogeneous coordinate stops this far
# from zero, for a matrix that `normalize_homography` has scaled: points near the line become very
# distant but stay finite, and so do gradients.
MIN_HOMOGENEOUS = 1e-6


def regular_grid(
    out_size: Sequence[int],
    align_corners: bool = False,
    dtype: torch.dtype = torch.float32,
    device: torch.device | str | None = None,
) -> Tensor:
    """The regular grid G of output points (section 3.2 of the paper).

    Args:
        out_size: (H', W') or (D', H', W').
        align_corners: Whether -1 and 1 are the centres of the border pixels or their outer edges.
        dtype: Type of the coordinates.
        device: Where to make them.

    Returns:
        Points (x_t, y_t) or (x_t, y_t, z_t), normalised, shape (H', W', 2) or (D', H', W', 3).
    """
    out_size = check_size('out_size', out_size)
    axes = [regular_axis(size, align_corners, dtype, device) for size in out_size]
    return torch.stack(torch.meshgrid(*axes, indexing='ij')[::-1], dim=-1)


def matrix_grid(matrix: Tensor, out_size: Sequence[int], align_corners: bool = False) -> Tensor:
    """The sampling grid T_theta(G) of an affine or projective map (equation (1) of the paper).

    The sum is written out instead of a matrix product: the identity matrix then gives the regular
    grid to the last bit, and autocast, which turns matrix products into half precision, has no
    hold on it.

    Args:
        matrix: Maps from output to input coordinates, normalised, in the order (x, y[, z], 1):
            (*, 2, 3) or (*, 3, 3) in two dimensions, (*, 3, 4) or (*, 4, 4) in three.
        out_size: (H', W') or (D', H', W').
        align_corners: Whether -1 and 1 are the centres of the border pixels or their outer edges.

    Returns:
        Points to sample, (*, H', W', 2) or (*, D', H', W', 3), in float64 for a matrix in float64
        and in float32 for any other.

    Raises:
        TypeError: If ``matrix`` is not a floating-point tensor.
        ValueError: If ``matrix`` or ``out_size`` has another shape.
    """
    out_size = check_size('out_size', out_size)
    check_matrix(matrix, ndim=len(out_size))
    ndim = len(out_size)
    matrix = matrix.to(coordinate_dtype(matrix.dtype))
    if matrix.shape[-2] > ndim:
        matrix = normalize_homography(matrix)
    columns = matrix[(...,) + (None,) * ndim].unbind(-1 - ndim)  # each (*, rows, 1, 1[, 1])

    def term(column: int) -> Tensor:
        """One column of the matrix times its axis, (*, rows, D', H', W') by broadcasting."""
        axis = regular_axis(out_size[-1 - column], align_corners, matrix.dtype, matrix.device)
        axis = axis.reshape([-1] + [1] * column)
        return columns[column] * axis

    points = sum((term(column) for column in range(ndim)), columns[ndim])
    last = points.dim() - 1
    points = points.movedim(last - ndim, last)  # the TorchScript ONNX exporter: no negative ones
    points = points.expand(*matrix.shape[:-2], *out_size, matrix.shape[-2])
    if matrix.shape[-2] == ndim:
        return points
    # Points at infinity do not move; the derivative of a quotient would make NaN of them.
    infinite = points.abs().sum(dim=-1, keepdim=True).isinf()
    points = torch.where(infinite, points.detach(), points)
    return points[..., :ndim] / clamp_away_from_zero(points[..., ndim:])


def normalize_homography(matrix: Tensor) -> Tensor:
    """The same projective map, with 1 as the largest number of the matrix's bottom row.

    A homography is defined up to a factor, so the factor is a constant to autograd. A bottom row of
    zeros, or with infinite numbers, stays as it is.

    Args:
        matrix: (*, 3, 3) or (*, 4, 4).

    Returns:
        ``matrix`` divided by a positive number, of the same shape.
    """
    largest = matrix.detach()[..., -1:, :].abs().amax(dim=-1, keepdim=True)
    return matrix / largest.masked_fill((largest == 0) | ~largest.isfinite(), 1)


def clamp_away_from_zero(w: Tensor) -> Tensor:
    """Homogeneous coordinates, at least ``MIN_HOMOGENEOUS`` on their side of zero; any shape."""
    least = torch.full_like(w, MIN_HOMOGENEOUS).masked_fill(w < 0, -MIN_HOMOGENEOUS)
    return torch.where(w.abs() < MIN_HOMOGENEOUS, least, w)
