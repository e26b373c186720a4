"""Anti-aliasing for maps that down-sample, which the paper names as open (section 3.3, last lines).

A sampling kernel with a small support reads a few pixels around each point and skips those between
the points. Here an output pixel is the weighted mean of several points of the map: those of a
triangle around it in the *output*, sent through the map one by one. So the filter follows the map,
whatever it is: its footprint in the input is the image of an output pixel under the Jacobian,
turned, skewed and foreshortened.

How wide the triangle must be follows from the Jacobian too. Where a step to the next output pixel
is s input pixels long, the filter that a scaling by s asks for is a triangle of half-width s, with
variance s^2 / 6; the bilinear kernel brings 1 / 6 of it. The rest, (s^2 - 1) / 6, is a triangle of
half-width sqrt(1 - 1 / s^2) output pixels, which is nothing for s <= 1.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from .coordinates import coordinate_dtype, regular_axis
from .grids import clamp_away_from_zero, normalize_homography

# Rounds off the square root where it begins, so that its slope stays finite there.
ROUNDING = 0.02
# No more points than this along an axis: enough for a scaling by 16. Near the horizon of a
# projective map the stretch has no bound.
MOST_POINTS = 32


def antialiased(
    sample: Callable[[Tensor, Tensor], Tensor],
    sample_grid: Callable[[Tensor, Tensor], Tensor],
    input: Tensor,
    matrix: Tensor,
    out_size: Sequence[int],
    align_corners: bool,
) -> Tensor:
    """Samples ``input`` through ``matrix`` with a filter as wide as the map shrinks.

    Args:
        sample: Samples some images through matrices (n, K, 2, 3).
        sample_grid: Samples some images through grids (n, K, H', W', 2).
        input: (N, C, H, W).
        matrix: (N, K, 2, 3) or (N, K, 3, 3).
        out_size: (H', W').
        align_corners: As in :func:`mmstn.ops.affine_grid_sample`.

    Returns:
        (N, K, C, H', W').
    """
    matrix = matrix.to(coordinate_dtype(input.dtype, matrix.dtype))
    affine = matrix.shape[-2] == 2
    if affine:
        bottom = matrix.new_tensor([0.0, 0.0, 1.0]).expand(*matrix.shape[:-2], 1, 3)
        matrix = torch.cat([matrix, bottom], dim=-2)
    matrix = normalize_homography(matrix)
    steps = [_step(size, align_corners) for size in out_size]  # of normalised output, per pixel
    halves = [_half(size, align_corners) for size in input.shape[2:]]
    x, y = (matrix.new_zeros(1), matrix.new_zeros(1, 1))
    if not affine:  # the Jacobian differs from point to point
        x = regular_axis(out_size[1], align_corners, matrix.dtype, matrix.device)
        y = regular_axis(out_size[0], align_corners, matrix.dtype, matrix.device)[:, None]
    stretch_x, stretch_y = _stretch(matrix, x, y, steps, halves)  # (N, K, H', W') or (N, K, 1, 1)
    width_x, width_y = _half_width(stretch_x), _half_width(stretch_y)

    def warp(rows: Tensor | slice, count_x: int, count_y: int) -> Tensor:
        images, matrices = input[rows], matrix[rows]
        if count_x == count_y == 1:  # nothing to filter
            return sample(images, matrices[..., :2, :] if affine else matrices)
        total = 0
        for ty, weight_y in _triangle(count_y):
            for tx, weight_x in _triangle(count_x):
                shift_x = width_x[rows] * (tx * steps[1])
                shift_y = width_y[rows] * (ty * steps[0])
                if affine:
                    points = _translated(matrices, shift_x[..., 0, 0], shift_y[..., 0, 0])
                    samples = sample(images, points[..., :2, :])
                else:
                    samples = sample_grid(images, _through(matrices, x + shift_x, y + shift_y))
                total = total + samples * (weight_x * weight_y)
        return total

    # Images that need the same number of points go together; most often that is all of them.
    counts = [_count(width_x * stretch_x), _count(width_y * stretch_y)]
    groups: dict[tuple[int, int], list[int]] = {}
    for row, pair in enumerate(zip(*counts, strict=True)):
        groups.setdefault(pair, []).append(row)
    if len(groups) == 1:
        return warp(slice(None), *next(iter(groups)))
    parts = [warp(torch.tensor(rows, device=input.device), *pair) for pair, rows in groups.items()]
    order = torch.tensor([row for rows in groups.values() for row in rows], device=input.device)
    if not parts:  # an empty batch
        return sample(input, matrix)
    return torch.cat(parts)[order.argsort()]


def _step(size: int, align_corners: bool) -> float:
    return 2 / max(size - 1, 1) if align_corners else 2 / size


def _half(size: int, align_corners: bool) -> float:
    return (size - 1) / 2 if align_corners else size / 2


def _stretch(
    matrix: Tensor, x: Tensor, y: Tensor, steps: list[float], halves: list[float]
) -> tuple[Tensor, Tensor]:
    """How many input pixels a step of one output pixel is long, along x and along y."""
    rows = [matrix[..., r, :, None, None] for r in range(3)]
    w = rows[2][..., 0, :, :] * x + rows[2][..., 1, :, :] * y + rows[2][..., 2, :, :]
    w = clamp_away_from_zero(w)
    result = []
    for column, step in ((0, steps[1]), (1, steps[0])):
        squares = 0
        for row, half in zip(rows[:2], (halves[1], halves[0]), strict=True):
            point = (row[..., 0, :, :] * x + row[..., 1, :, :] * y + row[..., 2, :, :]) / w
            slope = (row[..., column, :, :] - point * rows[2][..., column, :, :]) / w
            squares = squares + (slope * (step * half)) ** 2
        result.append(squares.clamp(min=1).sqrt())  # no filter below 1
    return result[0], result[1]


def _half_width(stretch: Tensor) -> Tensor:
    """Half the width of the filter in output pixels: 0 for a stretch of 1, 1 for a large one."""
    return (1 - stretch.reciprocal() ** 2 + ROUNDING**2).sqrt() - ROUNDING


def _count(reach: Tensor) -> list[int]:
    """How many points each image needs so that they lie no further than a pixel apart."""
    if not reach.numel():
        return [1] * reach.shape[0]
    most = reach.detach().nan_to_num(0.0).flatten(1).amax(1)
    # Powers of two, so that images of about the same scale go together.
    exponents = [math.ceil(math.log2(min(max(2 * r, 1), MOST_POINTS))) for r in most.tolist()]
    return [2**exponent for exponent in exponents]


def _triangle(count: int) -> list[tuple[float, float]]:
    """Places in (-1, 1) and their weights, which sum to one."""
    places = [(2 * m + 1) / count - 1 for m in range(count)]
    weights = [1 - abs(place) for place in places]
    return [(place, weight / sum(weights)) for place, weight in zip(places, weights, strict=True)]


def _translated(matrix: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """``matrix`` behind a translation of the output by (x, y)."""
    last = matrix[..., 0] * x[..., None] + matrix[..., 1] * y[..., None] + matrix[..., 2]
    return torch.stack([matrix[..., 0], matrix[..., 1], last], dim=-1)


def _through(matrix: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """The points of output points (x, y) under a projective map, (N, K, H', W', 2)."""
    m = matrix[..., None, None]
    u, v, w = (
        m[..., r, 0, :, :] * x + m[..., r, 1, :, :] * y + m[..., r, 2, :, :] for r in range(3)
    )
    return torch.stack([u, v], dim=-1) / clamp_away_from_zero(w)[..., None]
