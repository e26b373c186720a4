"""The sampler as the compiled op ``torch.ops.mmstn.sample``."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from . import _ext
from .coordinates import coordinate_dtype
from .kernels import SamplingKernel
from .torch_backend import is_transformed, output_dtype

DTYPES = (torch.float32, torch.float64, torch.float16, torch.bfloat16)
MOST_PIXELS = 2**31 - 1  # of a map with its border: the kernels count them in 32 bits


def covers(input: Tensor, map: Tensor, mode: str | SamplingKernel) -> bool:
    """Whether the op can do what is asked; PyTorch does the rest.

    Args:
        input: The feature map.
        map: The matrices or the grid.
        mode: The sampling kernel.
    """
    if input.dim() != 4 or mode not in _ext.MODES:
        return False
    if input.dtype not in DTYPES or map.dtype not in DTYPES:
        return False
    device = input.device.type
    if device not in ('cpu', 'meta') and not (device == 'cuda' and _ext.HAS_CUDA):
        return False
    # An ONNX file must hold standard nodes, and TorchScript must find its operations elsewhere.
    if torch.onnx.is_in_onnx_export() or torch.jit.is_tracing():
        return False
    if (input.shape[2] + 4) * (input.shape[3] + 2) + 2 > MOST_PIXELS:
        return False
    return not is_transformed()  # which the op's own derivatives know nothing of


def sample(
    input: Tensor,
    map: Tensor,
    out_size: Sequence[int],
    mode: str,
    padding_mode: str,
    align_corners: bool,
) -> Tensor:
    """As :func:`mmstn.ops.torch_backend.sample`, for what :func:`covers` says yes to."""
    dtype = coordinate_dtype(input.dtype, map.dtype)
    return torch.ops.mmstn.sample.default(  # no search among overloads
        input,
        map if map.dtype == dtype else map.to(dtype),
        out_size[0],
        out_size[1],
        _ext.MODES[mode],
        _ext.PADDING_MODES[padding_mode],
        align_corners,
        output_dtype(input, map),
    )
