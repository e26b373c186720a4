"""Anti-aliasing for maps that down-sample, which the paper names as open (section 3.3, last lines).

A sampling kernel with a small support reads a few pixels around each point and skips those between
the points. Here an output pixel is the weighted mean of several points of the map: those of a
triangle around it in the *output*, sent through the warp one by one. So the filter follows the
warp, whatever it is: its footprint in the input is the image of an output pixel under the Jacobian,
turned, skewed and foreshortened.

How wide the triangle must be follows from the Jacobian too. Where a step to the next output pixel
is s input pixels long, the filter that a scaling by s asks for is a triangle of half-width s, with
variance s^2 / 6. Points at k d with weights m - abs(k), abs(k) < m, have the variance
d^2 (m^2 - 1) / 6, and the bilinear kernel brings 1 / 6. So d = sqrt((s^2 - 1) / (m^2 - 1)); m is
the least that keeps d at about a pixel. For s = m it is a pixel, and what the bilinear kernel makes
of the points is the very triangle that was asked for.

With zero padding the filter reaches out of the map all along its rim. What it finds there must not
count as black, so the mean is over what lies inside. How black an output pixel is then follows from
its centre alone: as black as it would be if the input had pixels as large as the footprint.
"""

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from . import backend
from .grids import (
    clamp_away_from_zero,
    coordinate_dtype,
    normalize_homography,
    regular_axis,
    without_autocast,
)
from .torch_backend import is_compiling, output_dtype

# Points may lie so far apart, in pixels. It is also the scale up to which nothing is filtered.
LARGEST_GAP = 1.05
# The m of images that are filtered together; a few, so that most often it is all of them. The last
# bounds the work: near the horizon of a homography a warp shrinks without bound.
HALF_WIDTHS = (1, 2, 3, 4, 6, 8, 12, 16)
# The scale that suffices where the number of points cannot depend on the warp.
TRACED_SCALE = 4.0
# A smaller part of a filter inside the map counts for nothing.
LEAST_COVER = 1e-6
# Footprints are no wider, in pixels: an infinite one would make NaNs.
LARGEST_STRETCH = 2.0**20


def antialiased(
    input: Tensor,
    matrix: Tensor,
    out_size: Sequence[int],
    padding_mode: str,
    align_corners: bool,
    scale: float | None = None,
) -> Tensor:
    """Samples ``input`` through ``matrix`` with a filter as wide as the warp shrinks.

    Args:
        input: (N, C, H, W).
        matrix: (N, K, 2, 3) or (N, K, 3, 3).
        out_size: (H', W').
        padding_mode: See :func:`mmstn.ops.affine_grid_sample`.
        align_corners: See there.
        scale: Takes as many points as shrinking by this needs. None looks at each warp.

    Returns:
        (N, K, C, H', W').
    """
    options = (out_size, padding_mode, align_corners)
    matrix = matrix.to(coordinate_dtype(input.dtype, matrix.dtype))
    if matrix.shape[-2] == 3:
        matrix = normalize_homography(matrix)
    needs = _needs(input, matrix, out_size, align_corners) if scale is None else None
    if needs is None:
        half = math.ceil((TRACED_SCALE if scale is None else scale) / LARGEST_GAP)
        return _filtered(input, matrix, *options, half, half)
    # Images with the same needs go together; most often that is all of them.
    groups: dict[tuple[int, int, bool], list[int]] = {}
    for row, need in enumerate(needs):
        groups.setdefault(need, []).append(row)
    if len(groups) == 1:
        return _filtered(input, matrix, *options, *next(iter(groups)))
    if not groups:  # an empty batch
        return _filtered(input, matrix, *options, 1, 1)
    parts = []
    for need, rows in groups.items():
        chosen = torch.tensor(rows, device=input.device)
        parts.append(_filtered(input[chosen], matrix[chosen], *options, *need))
    order = torch.tensor([row for rows in groups.values() for row in rows], device=input.device)
    return torch.cat(parts)[order.argsort()]


def _filtered(
    input: Tensor,
    matrix: Tensor,
    out_size: Sequence[int],
    padding_mode: str,
    align_corners: bool,
    half_x: int,
    half_y: int,
    leaves: bool = True,
) -> Tensor:
    """:func:`antialiased` with these m, at the most, along x and along y.

    ``leaves`` is whether points may lie outside the map. A row of points is sampled at once, as so
    many transformers of an image.
    """
    options = ('bilinear', padding_mode, align_corners)
    if half_x == half_y == 1:  # nothing to filter
        return backend.sample(input, matrix, out_size, *options)
    affine = matrix.shape[-2] == 2
    jacobian = _jacobian(matrix, input.shape[2:], out_size, align_corners)
    stretch_x, stretch_y = _stretches(jacobian)
    places_x, weights_x = _triangle(stretch_x, half_x)  # (N, K, points, H' or 1, W' or 1)
    places_y, weights_y = _triangle(stretch_y, half_y)
    shift_x = places_x * _step(out_size[1], align_corners)
    shifts_y = places_y * _step(out_size[0], align_corners)
    weights_x = weights_x[:, :, :, None]
    warp = matrix[:, :, None]
    x, y = _axes(matrix, out_size, align_corners)

    def row_mean(images: Tensor, points: Tensor) -> Tensor:
        """(N, K * points, ...), or (1, N * K * points, ...) for one map -> (N, K, C, H', W')."""
        samples = backend.sample(images, points, out_size, *options)
        samples = samples.reshape(*weights_x.shape[:3], *samples.shape[2:])
        return _weighted_sum(samples, weights_x)

    leaves = leaves and padding_mode == 'zeros'
    total: Any = 0
    cover: Any = 0
    ones = input.new_ones(1, 1, *input.shape[2:]) if leaves else None
    for shift_y, weight in zip(shifts_y.split(1, 2), weights_y.split(1, 2), strict=True):
        if affine:
            points = _translated(warp, shift_x[..., 0, 0], shift_y[..., 0, 0])
        else:
            points = torch.stack(_through(warp, x + shift_x, y + shift_y), dim=-1)
        total = total + row_mean(input, points.flatten(1, 2)) * weight
        if leaves:  # what part of the filter lies inside; one map of ones serves all images
            cover = cover + row_mean(ones, points.flatten(0, 2)[None]) * weight
    if leaves:
        shares = _share_inside(matrix, jacobian, input.shape[2:], out_size, align_corners)
        factor = shares[:, :, None] / cover.clamp(min=LEAST_COVER)
        unfiltered = (_halves(stretch_x) == 1) & (_halves(stretch_y) == 1)
        total = total * factor.masked_fill(unfiltered[:, :, None], 1)
    return total.to(output_dtype(input, matrix))


def _weighted_sum(samples: Tensor, weights: Tensor) -> Tensor:
    """(N, K, points, C, H', W') and (N, K, points, 1, H' or 1, W' or 1) -> (N, K, C, H', W')."""
    samples = samples.to(weights.dtype)
    if weights.shape[4:] == (1, 1):  # one product of matrices, without a copy of the samples
        with without_autocast(samples.device.type):
            total = weights.flatten(2)[:, :, None] @ samples.flatten(3)
        return total.reshape(*samples.shape[:2], *samples.shape[3:])
    total = 0
    for sample, weight in zip(samples.unbind(2), weights.unbind(2), strict=True):
        total = total + sample * weight
    return total


def _jacobian(
    matrix: Tensor, in_size: Sequence[int], out_size: Sequence[int], align_corners: bool
) -> list[list[Tensor]]:
    """Input pixels per output pixel: of x and y (outer list) along the output's x and y.

    Each is (N, K, H', W'), or (N, K, 1, 1) for affine warps, where it is the same everywhere.
    """
    m = matrix[..., None, None]
    slopes = [[m[..., row, column, :, :] for column in (0, 1)] for row in (0, 1)]
    if matrix.shape[-2] == 3:
        x, y = _axes(matrix, out_size, align_corners)
        w = clamp_away_from_zero(
            m[..., 2, 0, :, :] * x + m[..., 2, 1, :, :] * y + m[..., 2, 2, :, :]
        )
        slopes = [
            [(slope - point * m[..., 2, column, :, :]) / w for column, slope in enumerate(row)]
            for row, point in zip(slopes, _through(matrix, x, y), strict=True)
        ]
    halves = [_half(size, align_corners) for size in in_size[::-1]]
    steps = [_step(size, align_corners) for size in out_size[::-1]]
    return [
        [slope * (step * half) for slope, step in zip(row, steps, strict=True)]
        for row, half in zip(slopes, halves, strict=True)
    ]


def _stretches(jacobian: list[list[Tensor]]) -> list[Tensor]:
    """How many input pixels a step of one output pixel is long, along x and along y."""
    return [_length(*column) for column in zip(*jacobian, strict=True)]


def _share_inside(
    matrix: Tensor,
    jacobian: list[list[Tensor]],
    in_size: Sequence[int],
    out_size: Sequence[int],
    align_corners: bool,
) -> Tensor:
    """How much of each output pixel shows the map, and not the black outside, (N, K, H', W').

    The map ends as for the bilinear kernel, but within the width of a footprint instead of a pixel.
    """
    shares = 1
    centers = _through(matrix, *_axes(matrix, out_size, align_corners))
    for center, row, size in zip(centers, jacobian, in_size[::-1], strict=True):
        inside = _half(size, align_corners) * (1 - center.abs())  # pixels from the map's rim
        start = 1 if align_corners else 0.5  # at the centre of the border pixel, or at its edge
        shares = shares * (inside / _length(*row) + start).clamp(0.0, 1.0)
    return shares


def _axes(matrix: Tensor, out_size: Sequence[int], align_corners: bool) -> tuple[Tensor, Tensor]:
    """The regular grid's x, (W',), and y, (H', 1)."""
    like = dict(dtype=matrix.dtype, device=matrix.device)
    y, x = (regular_axis(size, align_corners, **like) for size in out_size)
    return x, y[:, None]


def _step(size: int, align_corners: bool) -> float:
    """Normalised coordinates per pixel."""
    return 2 / max(size - 1, 1) if align_corners else 2 / size


def _half(size: int, align_corners: bool) -> float:
    """Pixels per normalised coordinate."""
    return (size - 1) / 2 if align_corners else size / 2


def _length(x: Tensor, y: Tensor) -> Tensor:
    """Of a step in pixels; no filter is narrower than a pixel."""
    return (x**2 + y**2).clamp(1.0, LARGEST_STRETCH**2).sqrt()


def _halves(stretch: Tensor) -> Tensor:
    """m, as whole numbers in the type of ``stretch`` and of its shape."""
    return (stretch.detach() / LARGEST_GAP).ceil().clamp(min=1)


def _needs(
    input: Tensor, matrix: Tensor, out_size: Sequence[int], align_corners: bool
) -> list[tuple[int, int, bool]] | None:
    """The largest m of each image along x and y, and whether points may lie outside the map.

    m is rounded up to one of ``HALF_WIDTHS``. None if there are no numbers to look at, or if those
    of other calls will be others.
    """
    if is_compiling() or torch.jit.is_tracing():
        return None
    if matrix.is_cuda and torch.cuda.is_current_stream_capturing():
        return None
    if not matrix.numel():
        return [(1, 1, False)] * len(matrix)
    matrix = matrix.detach()
    stretches = _stretches(_jacobian(matrix, input.shape[2:], out_size, align_corners))
    most = HALF_WIDTHS[-1]
    numbers = [_halves(s).flatten(1).nan_to_num(1).amax(1).clamp(max=most) for s in stretches]
    outside = torch.ones_like(numbers[0])
    if matrix.shape[-2] == 2:  # the filter reaches less than an output pixel beyond the window
        x, y = (axis.max() for axis in _axes(matrix, out_size, align_corners))
        reach = torch.stack(
            [x + _step(out_size[1], align_corners), y + _step(out_size[0], align_corners)]
        )
        farthest = (matrix[..., :2].abs() * reach).sum(-1) + matrix[..., 2].abs()  # (N, K, 2)
        # Of the border pixels' centres, up to which all four taps of a sample are pixels.
        rim = [1.0 if align_corners else (size - 1) / size for size in input.shape[:1:-1]]
        inside = farthest < torch.tensor(rim, dtype=matrix.dtype, device=matrix.device)
        outside = 1 - inside.all(-1).all(-1).to(matrix.dtype)
    try:
        rows = torch.stack([*numbers, outside], dim=1).tolist()
    except RuntimeError:  # vmap, fake tensors, the meta device
        return None
    up = {m: next(half for half in HALF_WIDTHS if half >= m) for m in range(1, most + 1)}
    return [(up[x], up[y], bool(leaves)) for x, y, leaves in rows]


def _triangle(stretch: Tensor, most: int) -> tuple[Tensor, Tensor]:
    """Places, in output pixels, and weights, which sum to one: (N, K, points, H' or 1, W' or 1).

    There are ``2 * most - 1`` points, of which those that a smaller m leaves out weigh nothing.
    """
    stretch = stretch[:, :, None]
    half = _halves(stretch).clamp(max=most)
    width = (1 - stretch**-2).clamp(min=1 - LARGEST_GAP**-2).sqrt()  # below it half is 1
    gap = width / (half**2 - 1).clamp(min=1).sqrt()
    steps = torch.arange(1 - most, most, dtype=stretch.dtype, device=stretch.device)[:, None, None]
    weights = (half - steps.abs()).clamp(min=0) / half**2
    return (gap * steps).masked_fill(weights <= 0, 0), weights


def _translated(matrix: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """Affine ``matrix`` after a translation of the output by (x, y)."""
    last = matrix[..., 0] * x[..., None] + matrix[..., 1] * y[..., None] + matrix[..., 2]
    linear = matrix[..., :2].expand(*last.shape, 2)
    return torch.cat([linear, last[..., None]], dim=-1)


def _through(matrix: Tensor, x: Tensor, y: Tensor) -> list[Tensor]:
    """x and y of the points of output points (x, y), each (..., H', W')."""
    m = matrix[..., None, None]
    rows = [
        m[..., row, 0, :, :] * x + m[..., row, 1, :, :] * y + m[..., row, 2, :, :]
        for row in range(matrix.shape[-2])
    ]
    return rows if len(rows) == 2 else [row / clamp_away_from_zero(rows[2]) for row in rows[:2]]
