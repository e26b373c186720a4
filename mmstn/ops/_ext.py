"""Finds the compiled op and completes it: shapes for compilers, and the second derivative."""

from __future__ import annotations

import importlib
import importlib.util
import warnings
from types import ModuleType

import torch
from torch import Tensor

from . import torch_backend
from .grids import matrix_grid
from .kernels import BICUBIC

HOW_TO_BUILD = 'Build it with: python -m mmstn.ops.build'
# The numbers of csrc/sampler_math.h.
MODES = {'nearest': 0, 'bilinear': 1, 'bicubic': 2}
PADDING_MODES = {'zeros': 0, 'border': 1, 'reflection': 2}


# The op computes points of the identity, of flips and of quarter turns exactly: they lie on pixels.
# Here they would be off by a rounding error, some of them in the next cell, where the derivative is
# another one. A shift beyond that error keeps them in the op's cell.
LATTICE_SHIFT = 1e-12


def _load() -> tuple[ModuleType | None, str]:
    """The extension, or None and why there is none."""
    if importlib.util.find_spec('mmstn._ext') is None:
        return None, f'The compiled op was not built. {HOW_TO_BUILD}'
    try:
        module = importlib.import_module('mmstn._ext')
    except (ImportError, OSError) as error:
        reason = f'The compiled op does not load: {error}. {HOW_TO_BUILD}'
        warnings.warn(reason, stacklevel=2)
        return None, reason
    if module.torch_version != torch.__version__.partition('+')[0]:
        reason = (
            f'The compiled op was built for torch {module.torch_version}, but torch is '
            f'{torch.__version__}. {HOW_TO_BUILD}'
        )
        warnings.warn(reason, stacklevel=2)
        return None, reason
    return module, ''


MODULE, WHY_MISSING = _load()
HAS_CUDA = MODULE is not None and MODULE.cuda_version != 0


def _channels_innermost(input: Tensor) -> bool:
    return input.is_contiguous(memory_format=torch.channels_last) and not input.is_contiguous()


def _fake_sample(
    input: Tensor,
    map: Tensor,
    out_height: int,
    out_width: int,
    mode: int,
    padding: int,
    align_corners: bool,
    dtype: torch.dtype,
) -> Tensor:
    """A tensor of the shape and layout that mmstn::sample gives."""
    n, c = input.shape[:2]
    k = map.shape[1]
    if _channels_innermost(input):
        samples = input.new_empty((n, k, out_height, out_width, c), dtype=dtype)
        return samples.permute(0, 1, 4, 2, 3)
    return input.new_empty((n, k, c, out_height, out_width), dtype=dtype)


def _fake_backward(
    gradient: Tensor,
    input: Tensor,
    map: Tensor,
    mode: int,
    padding: int,
    align_corners: bool,
    wants_input: bool,
    wants_map: bool,
) -> tuple[Tensor, Tensor]:
    """Tensors of the shapes and layouts that mmstn::sample_backward gives."""
    layout = torch.channels_last if _channels_innermost(input) else torch.contiguous_format
    shape = input.shape if wants_input else (0,)
    d_input = torch.empty(
        shape,
        dtype=input.dtype,
        device=input.device,
        memory_format=layout if wants_input else torch.contiguous_format,
    )
    return d_input, map.new_empty(map.shape if wants_map else (0,))


class _Cell:
    """The bilinear kernel inside one cell of four pixels.

    At a pixel's centre, where the kernel has no derivative, it has that of the cell to the right
    and below, as the op has it.
    """

    support = 1
    num_taps = 2

    def __call__(self, distance: Tensor) -> Tensor:
        return torch.where(distance >= 0, 1 - distance, 1 + distance)


def _save_for_second(ctx, inputs, output) -> None:
    gradient, input, map, *ctx.options = inputs
    ctx.save_for_backward(gradient, input, map)


def _second_backward(ctx, to_input: Tensor | None, to_map: Tensor | None) -> tuple:
    """The gradient of the gradient, by plain PyTorch operations."""
    mode, padding, align_corners, wants_input, wants_map = ctx.options
    padding_mode = next(name for name, number in PADDING_MODES.items() if number == padding)
    kernel = {0: 'nearest', 1: _Cell(), 2: BICUBIC}[mode]  # differentiable twice
    with torch.enable_grad():
        gradient, input, map = leaves = [
            tensor.detach().requires_grad_() for tensor in ctx.saved_tensors
        ]
        grid = map.double()
        if map.dim() == 4:
            grid = matrix_grid(grid, gradient.shape[3:], align_corners)
        samples = torch_backend.grid_sample(
            input.double(), grid + LATTICE_SHIFT, kernel, padding_mode, align_corners
        )
        wanted = [(input, to_input)] * wants_input + [(map, to_map)] * wants_map
        first = torch.autograd.grad(
            samples, [x for x, _ in wanted], gradient.to(samples.dtype), create_graph=True
        )
        given = [(g, to) for g, (_, to) in zip(first, wanted, strict=True) if to is not None]
        total = sum((g * to).sum() for g, to in given)
    second = torch.autograd.grad(total, leaves, allow_unused=True)
    return *second, None, None, None, None, None


if MODULE is not None:
    # `register_fake` had another name before torch 2.4, and `register_autograd` did not exist.
    register_fake = getattr(torch.library, 'register_fake', None) or torch.library.impl_abstract
    register_fake('mmstn::sample')(_fake_sample)
    register_fake('mmstn::sample_backward')(_fake_backward)
    if hasattr(torch.library, 'register_autograd'):
        torch.library.register_autograd(
            'mmstn::sample_backward', _second_backward, setup_context=_save_for_second
        )
