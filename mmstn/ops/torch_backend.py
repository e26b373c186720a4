"""The sampler in plain PyTorch: works wherever PyTorch does, in two and three dimensions.

``F.grid_sample`` is fast but has no forward-mode derivative, and its second derivative, which old
versions lack, mixes in pixels that no point touches. There the paper's sum over the pixels under
the kernel is written out in operations that PyTorch differentiates any number of times.
"""

import itertools
import math
from collections.abc import Iterator, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd import forward_ad

from .grids import autocast_enabled, coordinate_dtype, matrix_grid, pad_index, to_pixels
from .kernels import CELL_KERNELS, SamplingKernel

# Normalised coordinates are held within this bound. Nothing that lies further out than a million
# half-widths of a map can be told apart in float32, and larger numbers overflow on the way to
# pixels.
FARTHEST = 2.0**20

# Of a coordinate in [-1, 1] on its way to pixels, as a grid was made, moved and scaled: in units
# of the type's epsilon and the map's size.
ROUNDING_ERRORS = 2

# PyTorch's numbers of them.
_MODES = {'bilinear': 0, 'bicubic': 2}
_PADDING_MODES = {'zeros': 0, 'border': 1, 'reflection': 2}

# Old versions of PyTorch have other names for these.
is_compiling = getattr(torch.compiler, 'is_compiling', None) or torch._utils.is_compiling
_num_transforms = getattr(
    torch._C._functorch,
    'get_dynamic_layer_stack_depth',
    lambda: int(torch._C._functorch.peek_interpreter_stack() is not None),
)


def sample(
    input: Tensor,
    warp: Tensor,
    out_size: Sequence[int],
    mode: str | SamplingKernel,
    padding_mode: str,
    align_corners: bool,
    written_out: bool = False,
) -> Tensor:
    """Samples ``input`` through matrices or at the points of a grid, all of them checked before.

    Args:
        input: (N, C, [D,] H, W).
        warp: Matrices (N, K, 2, 3), (N, K, 3, 3), (N, K, 3, 4) or (N, K, 4, 4), or points
            (N, K, [D',] H', W', 2 or 3).
        out_size: ([D',] H', W').
        mode: See :func:`mmstn.ops.grid_sample`.
        padding_mode: See there.
        align_corners: See there.
        written_out: Whether to do without ``F.grid_sample``.

    Returns:
        (N, K, C, [D',] H', W').
    """
    grid = warp.to(coordinate_dtype(input.dtype, warp.dtype))
    if mode == 'nearest':
        grid = grid.detach()
    if warp.dim() == 4:
        grid = matrix_grid(grid, out_size, align_corners)
    unknown = grid.isnan().any(dim=-1)  # (N, K, [D',] H', W')
    # Not `torch.where`: of a number beside a tensor old exporters of ONNX write the wrong type.
    points = grid.masked_fill(unknown[..., None], 0).clamp(-FARTHEST, FARTHEST)

    # The transformers of an image become rows of one tall grid: so none of them needs a copy of it.
    arguments = (input.to(grid.dtype), points.flatten(1, 2), mode, padding_mode, align_corners)
    is_fast = mode == 'bilinear' or (mode == 'bicubic' and grid.shape[-1] == 2)
    if not is_fast or written_out or is_transformed():
        samples = _sum_of_taps(*arguments)
    elif is_compiling() or torch.jit.is_tracing():
        samples = F.grid_sample(*arguments)
    else:
        samples = _GridSample.apply(*arguments)
    samples = samples.reshape(*samples.shape[:2], *grid.shape[1:3], *samples.shape[3:])
    samples = samples.movedim(2, 1)

    # Of a point that is not a number nothing reaches the map, but its derivatives of any order are
    # not numbers either, so that a broken theta is seen. Those of 'nearest' are zero everywhere.
    unknown = unknown[:, :, None]
    if mode == 'nearest':
        # They are not none: parameters that the warp comes from stay part of the graph.
        zero = (0 * warp.nan_to_num(0, 0, 0)).sum()
        samples = (samples + zero).masked_fill(unknown, math.nan)
    else:
        nan = grid.sum(dim=-1)[:, :, None].masked_fill(~unknown, 0).exp()
        samples = torch.where(unknown, nan, samples)
    return samples.to(output_dtype(input, warp))


def backward(
    gradient: Tensor,
    input: Tensor,
    warp: Tensor,
    mode: str,
    padding_mode: str,
    align_corners: bool,
) -> tuple[Tensor, Tensor]:
    """The gradients of :func:`sample` to ``input`` and ``warp``, differentiable once more.

    Args:
        gradient: That of the samples, (N, K, C, [D',] H', W').
        input: As in :func:`sample`.
        warp: As there.
        mode: As there.
        padding_mode: As there.
        align_corners: As there.
    """

    def written_out(input: Tensor, warp: Tensor) -> Tensor:
        options = (mode, padding_mode, align_corners)
        return sample(input, warp, gradient.shape[3:], *options, written_out=True)

    samples, pull_back = torch.func.vjp(written_out, input, warp)
    return pull_back(gradient.to(samples.dtype))


def is_transformed() -> bool:
    """Whether torch.func or forward-mode differentiation is at work."""
    return _num_transforms() > 0 or forward_ad._current_level >= 0


def output_dtype(input: Tensor, warp: Tensor) -> torch.dtype:
    """The type of ``input``; under autocast that of ``F.grid_sample``: the wider one of both.

    On a CPU autocast runs ``F.grid_sample`` in float32 at least.
    """
    device = input.device.type
    if not autocast_enabled(device):
        return input.dtype
    wider = torch.promote_types(input.dtype, warp.dtype)
    return torch.promote_types(wider, torch.float32) if device == 'cpu' else wider


class _GridSample(torch.autograd.Function):
    """``F.grid_sample``, for a map and a grid without K, with derivatives of any order."""

    @staticmethod
    def forward(ctx, input: Tensor, grid: Tensor, *options) -> Tensor:
        ctx.save_for_backward(input, grid)
        ctx.options = options
        return F.grid_sample(input, grid, *options)

    @staticmethod
    def backward(ctx, gradient: Tensor) -> tuple[Tensor | None, ...]:
        input, grid = ctx.saved_tensors
        if torch.is_grad_enabled() or is_transformed():
            d_input, d_grid = backward(gradient[:, None], input, grid[:, None], *ctx.options)
            result = d_input, d_grid.squeeze(1)
        else:
            mode, padding_mode, align_corners = ctx.options
            aten = torch.ops.aten
            once = (aten.grid_sampler_2d_backward, aten.grid_sampler_3d_backward)[input.dim() - 4]
            numbers = _MODES[mode], _PADDING_MODES[padding_mode]
            wanted = ctx.needs_input_grad[:2]
            result = once(gradient, input, grid, *numbers, align_corners, wanted)
        return *result, None, None, None


def _sum_of_taps(
    input: Tensor, grid: Tensor, mode: str | SamplingKernel, padding_mode: str, align_corners: bool
) -> Tensor:
    """Equation (3) of the paper, summed over the pixels inside the kernel's support only.

    Args:
        input: (N, C, [D,] H, W).
        grid: (N, [D',] H', W', 2 or 3), finite.
        mode: See :func:`mmstn.ops.grid_sample`.
        padding_mode: See there.
        align_corners: See there.

    Returns:
        (N, C, [D',] H', W').
    """
    sizes = input.shape[2:]
    axes = []  # of each axis, slowest first: its taps as (pixel, weight, counts)
    for axis, size in enumerate(sizes):
        points = to_pixels(grid.flatten(1, -2)[..., -1 - axis], size, align_corners)
        taps = []
        for index, weight, counts in _taps(points, size, mode):
            if padding_mode == 'zeros':
                inside = (index >= 0) & (index < size)
                counts = inside if counts is None else counts & inside
            taps.append((pad_index(index, size, padding_mode, align_corners), weight, counts))
        axes.append(taps)

    pixels = input.flatten(2)
    samples: Any = 0
    for chosen in itertools.product(*axes):
        flat: Any = 0
        weight = 1
        for size, (index, tap_weight, _) in zip(sizes, chosen, strict=True):
            flat = flat * size + index
            weight = weight * tap_weight
        values = pixels.gather(2, flat[:, None].expand(-1, pixels.shape[1], -1))
        for _, _, counts in chosen:
            if counts is not None:  # by choice, not by a weight of 0: the value may be inf or nan
                values = values.masked_fill(~counts[:, None], 0)
        samples = samples + values * weight[:, None]
    return samples.reshape(*samples.shape[:2], *grid.shape[1:-1])


def _taps(
    points: Tensor, size: int, mode: str | SamplingKernel
) -> Iterator[tuple[Tensor, Tensor, Tensor | None]]:
    """The pixels that may count for ``points`` on an axis of ``size`` pixels.

    Args:
        points: In pixels, (N, P).
        size: The number of pixels of the map along the axis.
        mode: The sampling kernel.

    Yields:
        Whole numbers, weights, and which of them count (None: all), each (N, P).
    """
    at = points.detach()
    # A point that lies on a border of cells comes here with a few rounding errors. So far before it
    # belongs to the next cell too; else regular grids would take their pixels unevenly.
    rounding = ROUNDING_ERRORS * torch.finfo(points.dtype).eps * size
    if mode == 'nearest':  # equation (4): floor(x + 0.5), not PyTorch's round half to even
        yield torch.floor(at + (0.5 + rounding)).long(), torch.ones_like(at), None
    elif isinstance(mode, str):
        first, weights = CELL_KERNELS[mode]
        cell = torch.floor(at + rounding)
        for tap, weight in enumerate(weights(points - cell)):
            yield cell.long() + (first + tap), weight, None
    else:
        first = torch.floor(at - mode.support) + 1
        for tap in range(mode.num_taps):
            distance = points - (first + tap)
            yield (first + tap).long(), mode(distance), distance.abs() < mode.support
