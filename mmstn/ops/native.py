"""The compiled op ``torch.ops.mmstn.sample``: loads it, says what it covers, and calls it."""

import importlib
import importlib.util
import warnings
from collections.abc import Sequence
from types import ModuleType
from typing import Any

import torch
from torch import Tensor
from torch.jit import is_tracing

from . import torch_backend
from .grids import coordinate_dtype
from .kernels import SamplingKernel
from .torch_backend import is_compiling, is_transformed, output_dtype

HOW_TO_BUILD = 'Build it with: python -m mmstn.ops.build'
# The numbers of csrc/sampler_math.h.
MODES: dict[str | SamplingKernel, int] = {'nearest': 0, 'bilinear': 1, 'bicubic': 2}
PADDING_MODES = {'zeros': 0, 'border': 1, 'reflection': 2}
DTYPES = (torch.float32, torch.float64, torch.float16, torch.bfloat16)
MOST_PIXELS = 2**31 - 1  # of a map with its border: the kernels count them in 32 bits


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


def why_not(input: Tensor, warp: Tensor, mode: str | SamplingKernel) -> str | None:
    """Why the op cannot do what is asked, or None where it can.

    Args:
        input: The feature map.
        warp: The matrices or the grid.
        mode: The sampling kernel.
    """
    if MODULE is None:
        return WHY_MISSING
    if input.dim() != 4:
        return 'The compiled op does not know volumes.'
    if not isinstance(mode, str):
        return "The compiled op does not know a user's own kernel."
    if input.dtype not in DTYPES or warp.dtype not in DTYPES:
        return f'The compiled op does not know {input.dtype} with {warp.dtype}.'
    if not (input.is_cpu or input.is_meta or (input.is_cuda and HAS_CUDA)):
        return f'The compiled op was not built for {input.device.type}.'
    if is_tracing():
        return 'TorchScript must find its operations where there is no mmstn.'
    if is_compiling() and torch.onnx.is_in_onnx_export():
        return 'An ONNX file must hold standard nodes.'
    if is_transformed():
        return 'The compiled op knows neither torch.func nor forward mode.'
    # Of a map of 1 x 1 the border makes 5 x 3. The number of images is nothing to guard a graph by.
    if is_compiling() or not 0 < input.numel() < MOST_PIXELS // 15:
        height, width = input.shape[2:]
        if (height + 4) * (width + 2) + 2 > MOST_PIXELS:
            return f'The compiled op cannot count the pixels of {height} x {width}.'
    return None


def sample(
    input: Tensor,
    warp: Tensor,
    out_size: Sequence[int],
    mode: str | SamplingKernel,
    padding_mode: str,
    align_corners: bool,
) -> Tensor:
    """As :func:`mmstn.ops.torch_backend.sample`, where :func:`why_not` says nothing."""
    dtype = torch.float32
    if input.dtype != dtype or warp.dtype != dtype:  # else neither autocast nor anything changes it
        dtype = output_dtype(input, warp)
        warp = warp.to(coordinate_dtype(input.dtype, warp.dtype))
    return _OP(
        input,
        warp,
        out_size[0],
        out_size[1],
        MODES[mode],
        PADDING_MODES[padding_mode],
        align_corners,
        dtype,
    )


def _channels_innermost(input: Tensor) -> bool:
    return input.is_contiguous(memory_format=torch.channels_last) and not input.is_contiguous()


def _fake_sample(
    input: Tensor,
    warp: Tensor,
    out_height: int,
    out_width: int,
    mode: int,
    padding: int,
    align_corners: bool,
    dtype: torch.dtype,
) -> Tensor:
    """A tensor of the shape and layout that mmstn::sample gives."""
    n, c = input.shape[:2]
    k = warp.shape[1]
    if _channels_innermost(input):
        samples = input.new_empty((n, k, out_height, out_width, c), dtype=dtype)
        return samples.permute(0, 1, 4, 2, 3)
    return input.new_empty((n, k, c, out_height, out_width), dtype=dtype)


def _fake_backward(
    gradient: Tensor,
    input: Tensor,
    warp: Tensor,
    mode: int,
    padding: int,
    align_corners: bool,
    wants_input: bool,
    wants_warp: bool,
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
    return d_input, warp.new_empty(warp.shape if wants_warp else (0,))


def _backward(
    gradient: Tensor,
    input: Tensor,
    warp: Tensor,
    mode: int,
    padding: int,
    align_corners: bool,
    wants_input: bool,
    wants_warp: bool,
) -> tuple[Tensor, Tensor]:
    """mmstn::sample_backward where its result may be differentiated again, any number of times."""
    tensors = (gradient, input, warp)
    followed = torch.is_grad_enabled() and any(tensor.requires_grad for tensor in tensors)
    if not followed and not torch_backend.is_transformed():
        arguments = (*tensors, mode, padding, align_corners, wants_input, wants_warp)
        with torch._C._AutoDispatchBelowAutograd():
            return torch.ops.mmstn.sample_backward.default(*arguments)
    d_input, d_warp = torch_backend.backward(
        *tensors, _name(MODES, mode), _name(PADDING_MODES, padding), align_corners
    )
    none = warp.new_empty(0)
    return d_input if wants_input else none, d_warp if wants_warp else none


def _name(numbers: dict[Any, int], number: int) -> str:
    return next(name for name, value in numbers.items() if value == number)


if MODULE is not None:
    _OP = torch.ops.mmstn.sample.default  # found once, without a search among overloads
    # In the way that torch 2.1 has too. `torch.library.register_autograd` would take the second
    # derivative only.
    _LIBRARY = torch.library.Library('mmstn', 'IMPL')
    _LIBRARY.impl('sample', _fake_sample, 'Meta')
    _LIBRARY.impl('sample_backward', _fake_backward, 'Meta')
    _LIBRARY.impl('sample_backward', _backward, 'Autograd')
