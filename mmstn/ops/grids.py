"""Coordinates, normalised and in pixels; regular grids and their images under a matrix.

The sampling grid is equation (1) of the paper.
"""

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor

from mmstn.checks import flag

from .checks import check_matrix, check_size

# A projective map sends the points of a line to infinity. The homogeneous coordinate stops this far
# from zero, for a matrix that `normalize_homography` has scaled: points near the line become very
# distant but stay finite, and so do gradients.
MIN_HOMOGENEOUS = 1e-6


def coordinate_dtype(*dtypes: torch.dtype) -> torch.dtype:
    """The type that coordinates are computed in: float64 if any of ``dtypes`` is, else float32.

    Half precision is not enough: at 224 pixels float16 misses a point by 0.02 px and bfloat16 by
    0.19.
    """
    return torch.float64 if torch.float64 in dtypes else torch.float32


def autocast_enabled(device_type: str) -> bool:
    """Whether autocast is on for a type of device."""
    if device_type == 'meta':  # has shapes only, and no autocast
        return False
    if _ONE_FOR_ALL_DEVICES:
        return torch.is_autocast_enabled(device_type)
    return torch.is_autocast_cpu_enabled() if device_type == 'cpu' else torch.is_autocast_enabled()


# Before torch 2.4 each type of device had a function of its own. Found out once: torch.compile does
# not follow a call that fails.
try:
    torch.is_autocast_enabled('cpu')
    _ONE_FOR_ALL_DEVICES = True
except TypeError:
    _ONE_FOR_ALL_DEVICES = False


def without_autocast(device_type: str) -> AbstractContextManager:
    """A context without autocast, on the meta device too, where ``torch.autocast`` raises."""
    return nullcontext() if device_type == 'meta' else torch.autocast(device_type, enabled=False)


def regular_axis(
    size: int,
    align_corners: bool,
    dtype: torch.dtype = torch.float32,
    device: torch.device | str | None = None,
) -> Tensor:
    """Normalised coordinates of ``size`` pixel centres along one axis, shape (size,).

    The convention is that of :func:`torch.nn.functional.affine_grid`: -1 and 1 are the centres of
    the first and the last pixel with ``align_corners=True``, and their outer edges without it.
    """
    flag('align_corners', align_corners)
    # In halves of a pixel, from the centre. The last one tells the size, also to torch.jit.trace.
    halves = torch.arange(1 - size, size, 2, dtype=dtype, device=device)
    last = halves[-1:]
    return halves / (last.clamp(min=1) if align_corners else last + 1)


def to_pixels(coordinate: Tensor, size: int, align_corners: bool) -> Tensor:
    """Pixel coordinates of normalised ones, of the same shape; pixel centres are the integers."""
    if align_corners:
        return (coordinate + 1) / 2 * (size - 1)
    return ((coordinate + 1) * size - 1) / 2


def pad_index(index: Tensor, size: int, padding_mode: str, align_corners: bool) -> Tensor:
    """Which pixel of the map the extended map shows at ``index``.

    Args:
        index: Whole pixel numbers, negative and beyond ``size`` too, any shape.
        size: The number of pixels of the map along this axis.
        padding_mode: ``'border'`` repeats the border pixel; ``'reflection'`` mirrors the map about
            the centres of its border pixels with ``align_corners`` and about their outer edges
            without it. ``'zeros'`` shows no pixel; the index is held inside the map so that it can
            be read.
        align_corners: See above.

    Returns:
        Pixel numbers from 0 to ``size - 1``, of the shape of ``index``.
    """
    if padding_mode == 'reflection':
        period = max(2 * (size - 1), 1) if align_corners else 2 * size
        index = index.remainder(period)
        mirrored = period - index if align_corners else period - 1 - index
        index = torch.where(index < size, index, mirrored)
    return index.clamp(0, size - 1)


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
