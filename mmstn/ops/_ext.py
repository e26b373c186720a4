"""Finds the compiled op and completes it: shapes for compilers, derivatives beyond the first."""

from __future__ import annotations

import importlib
import importlib.util
import warnings
from types import ModuleType

import torch
from torch import Tensor

from . import torch_backend

HOW_TO_BUILD = 'Build it with: python -m mmstn.ops.build'
# The numbers of csrc/sampler_math.h.
MODES = {'nearest': 0, 'bilinear': 1, 'bicubic': 2}
PADDING_MODES = {'zeros': 0, 'border': 1, 'reflection': 2}


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


def _backward(
    gradient: Tensor,
    input: Tensor,
    map: Tensor,
    mode: int,
    padding: int,
    align_corners: bool,
    wants_input: bool,
    wants_map: bool,
) -> tuple[Tensor, Tensor]:
    """mmstn::sample_backward where its result may be differentiated again, any number of times."""
    tensors = (gradient, input, map)
    followed = torch.is_grad_enabled() and any(tensor.requires_grad for tensor in tensors)
    if not followed and not torch_backend.is_transformed():
        arguments = (*tensors, mode, padding, align_corners, wants_input, wants_map)
        with torch._C._AutoDispatchBelowAutograd():
            return torch.ops.mmstn.sample_backward.default(*arguments)
    d_input, d_map = torch_backend.backward(
        *tensors, _name(MODES, mode), _name(PADDING_MODES, padding), align_corners
    )
    none = map.new_empty(0)
    return d_input if wants_input else none, d_map if wants_map else none


def _name(numbers: dict[str, int], number: int) -> str:
    return next(name for name, value in numbers.items() if value == number)


if MODULE is not None:
    # `register_fake` had another name before torch 2.4, and `register_autograd` did not exist.
    register_fake = getattr(torch.library, 'register_fake', None) or torch.library.impl_abstract
    register_fake('mmstn::sample')(_fake_sample)
    register_fake('mmstn::sample_backward')(_fake_backward)
    # `torch.library.register_autograd` would take the second derivative only.
    _LIBRARY = torch.library.Library('mmstn', 'IMPL')
    _LIBRARY.impl('sample_backward', _backward, 'Autograd')
