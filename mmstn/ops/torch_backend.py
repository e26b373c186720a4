"""The sampler in plain PyTorch: works wherever PyTorch does, in two and three dimensions."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from .coordinates import autocast_enabled, coordinate_dtype, pad_index, to_pixels
from .grids import matrix_grid
from .kernels import BICUBIC, SamplingKernel

# Normalised coordinates are held within this bound. Nothing that lies further out than a million
# half-widths of a map can be told apart in float32, and larger numbers overflow on the way to
# pixels.
FARTHEST = 2.0**20


def affine_grid_sample(
    input: Tensor,
    matrix: Tensor,
    out_size: Sequence[int],
    mode: str | SamplingKernel,
    padding_mode: str,
    align_corners: bool,
) -> Tensor:
    """:func:`mmstn.ops.affine_grid_sample` for arguments that were checked, with the axis K."""
    grid = matrix_grid(
        matrix.to(coordinate_dtype(input.dtype, matrix.dtype)), out_size, align_corners
    )
    return grid_sample(input, grid, mode, padding_mode, align_corners)


def grid_sample(
    input: Tensor, grid: Tensor, mode: str | SamplingKernel, padding_mode: str, align_corners: bool
) -> Tensor:
    """:func:`mmstn.ops.grid_sample` for arguments that were checked, with the axis K."""
    out_dtype = output_dtype(input, grid)
    dtype = coordinate_dtype(input.dtype, grid.dtype)
    finite = None
    if padding_mode == 'zeros':  # far out there is nothing to sample
        grid = grid.to(dtype).clamp(-FARTHEST, FARTHEST).nan_to_num(FARTHEST)
    else:
        finite = grid.isfinite().all(dim=-1)  # (N, K, [D',] H', W')
        grid = torch.where(finite[..., None], grid.to(dtype), 0).clamp(-FARTHEST, FARTHEST)

    # The transformers of an image become rows of one tall grid: so none of them needs a copy of it.
    tall = grid.flatten(1, 2)
    if mode == 'bilinear' or (mode == 'bicubic' and grid.shape[-1] == 2):
        samples = F.grid_sample(input.to(dtype), tall, mode, padding_mode, align_corners)
    else:
        samples = _sum_of_taps(input.to(dtype), tall, mode, padding_mode, align_corners)
    samples = samples.unflatten(2, grid.shape[1:3]).movedim(2, 1)
    if finite is not None:
        samples = torch.where(finite[:, :, None], samples, 0)
    return samples.to(out_dtype)


def output_dtype(input: Tensor, grid: Tensor) -> torch.dtype:
    """The type of ``input``; under autocast that of ``F.grid_sample``: the wider one of both.

    On a CPU autocast runs ``F.grid_sample`` in float32 at least.
    """
    device = input.device.type
    if not autocast_enabled(device):
        return input.dtype
    wider = torch.promote_types(input.dtype, grid.dtype)
    return torch.promote_types(wider, torch.float32) if device == 'cpu' else wider


def _sum_of_taps(
    input: Tensor, grid: Tensor, mode: str | SamplingKernel, padding_mode: str, align_corners: bool
) -> Tensor:
    """Equation (3) of the paper, summed over the pixels inside the kernel's support only.

    Args:
        input: (N, C, [D,] H, W).
        grid: (N, [D',] H', W', 2 or 3), finite.
        mode: Any kernel but those that ``F.grid_sample`` has.
        padding_mode: See :func:`mmstn.ops.grid_sample`.
        align_corners: See there.

    Returns:
        (N, C, [D',] H', W').
    """
    sizes = input.shape[2:]
    axes = []  # of each axis, slowest first: the taps as (pixel, is inside, weight), each (N, P)
    for axis, size in enumerate(sizes):
        points = to_pixels(grid.flatten(1, -2)[..., -1 - axis], size, align_corners)
        taps = []
        for index, weight in _taps(points, mode):
            inside = (index >= 0) & (index < size) if padding_mode == 'zeros' else None
            taps.append((pad_index(index, size, padding_mode, align_corners), inside, weight))
        axes.append(taps)

    pixels = input.flatten(2)
    samples = 0
    for taps in itertools.product(*axes):
        flat, weight, inside = 0, 1, None
        for size, (index, tap_inside, tap_weight) in zip(sizes, taps, strict=True):
            flat = flat * size + index
            weight = weight * tap_weight
            if tap_inside is not None:
                inside = tap_inside if inside is None else inside & tap_inside
        values = pixels.gather(2, flat[:, None].expand(-1, pixels.shape[1], -1))
        if (
            inside is not None
        ):  # by choice, not by a weight of 0: what is read there may be inf or nan
            values = torch.where(inside[:, None], values, 0)
        samples = samples + values * weight[:, None]
    return samples.unflatten(2, grid.shape[1:-1])


def _taps(points: Tensor, mode: str | SamplingKernel) -> list[tuple[Tensor, Tensor]]:
    """The pixels that count for ``points`` on one axis: (whole numbers, weights), each (N, P)."""
    if mode == 'nearest':  # equation (4): floor(x + 0.5), not PyTorch's round half to even
        # Its weight has a gradient of zero, not none: parameters behind it stay part of the graph.
        return [(torch.floor(points.detach() + 0.5).long(), 1 + 0 * points)]
    kernel = BICUBIC if mode == 'bicubic' else mode
    first = torch.floor(points.detach() - kernel.support) + 1
    pixels = [first + tap for tap in range(kernel.num_taps)]
    return [(pixel.long(), kernel(points - pixel)) for pixel in pixels]
