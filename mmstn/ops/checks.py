"""Checks of arguments, shared by the ops and by the modules that are built on them."""

from collections.abc import Sequence
from numbers import Integral

import torch
from torch import Tensor

from mmstn.checks import flag, number_in

from .kernels import SamplingKernel

MODES = ('nearest', 'bilinear', 'bicubic')
PADDING_MODES = ('zeros', 'border', 'reflection')


def check_size(name: str, size: Sequence[int]) -> tuple[int, ...]:
    """``size`` as a tuple of two or three whole numbers >= 1.

    Raises:
        TypeError: If it is no sequence of whole numbers.
        ValueError: If it has another length or holds a number below 1.
    """
    if type(size) is tuple and len(size) in (2, 3):
        for s in size:
            if type(s) is not int or s < 1:
                break
        else:
            return size  # the usual case, at a tenth of the time
    if isinstance(size, str) or not isinstance(size, Sequence):
        raise TypeError(f'{name} must be (H, W) or (D, H, W), got {type(size).__name__} {size!r}')
    if not all(_is_whole(s) for s in size):
        raise TypeError(f'{name} must hold whole numbers, got {tuple(size)}')
    known = [s for s in size if not isinstance(s, Tensor)]
    if len(size) not in (2, 3) or min(known, default=1) < 1:
        raise ValueError(f'{name} must be (H, W) or (D, H, W) with sizes >= 1, got {tuple(size)}')
    return tuple(int(s) if isinstance(s, Integral) else s for s in size)


def _is_whole(size: object) -> bool:
    """Whether it is a whole number, or what stands for one where a graph is traced."""
    if isinstance(size, Tensor):  # a size of a tensor that torch.jit.trace follows
        return torch.jit.is_tracing() and size.dim() == 0 and not size.is_floating_point()
    return isinstance(size, (Integral, torch.SymInt)) and not isinstance(size, bool)


def check_float(name: str, tensor: Tensor) -> None:
    """Raises a TypeError unless ``tensor`` is a floating-point tensor."""
    if not isinstance(tensor, Tensor):
        raise TypeError(f'{name} must be a tensor, got {type(tensor).__name__}')
    if not tensor.is_floating_point():
        raise TypeError(f'{name} must be a floating-point tensor, got {tensor.dtype}')


def check_mode(mode: str | SamplingKernel, padding_mode: str, **flags: bool) -> None:
    """Raises a ValueError unless ``mode`` and ``padding_mode`` are known, a TypeError for flags."""
    for name, value in flags.items():
        if value is not True and value is not False:
            flag(name, value)
    if mode not in MODES and not isinstance(mode, SamplingKernel):
        raise ValueError(f'mode must be one of {MODES} or a SamplingKernel, got {mode!r}')
    if padding_mode not in PADDING_MODES:
        raise ValueError(f'padding_mode must be one of {PADDING_MODES}, got {padding_mode!r}')


def check_antialias(antialias: bool | float) -> None:
    """Raises unless ``antialias`` is True, False or a scale that can be filtered."""
    if not isinstance(antialias, bool):
        number_in('antialias', antialias, '(1, 64]')  # the work grows with the square


def check_map(name: str, tensor: Tensor) -> int:
    """The number of spatial dimensions (2 or 3) of a feature map (N, C, [D,] H, W).

    Raises:
        TypeError: If it is not a floating-point tensor.
        ValueError: If it has another number of dimensions or no pixels.
    """
    check_float(name, tensor)
    ndim = tensor.dim() - 2
    if ndim not in (2, 3):
        raise ValueError(
            f'{name} must be (N, C, H, W) or (N, C, D, H, W), got shape {tuple(tensor.shape)}'
        )
    if tensor.numel() == 0 and 0 in tensor.shape[2:]:
        raise ValueError(f'{name} must have at least one pixel, got shape {tuple(tensor.shape)}')
    return ndim


def check_matrix(matrix: Tensor, ndim: int) -> None:
    """Raises unless ``matrix`` is float, (*, ndim, ndim + 1) or (*, ndim + 1, ndim + 1)."""
    check_float('matrix', matrix)
    shape = matrix.shape
    if len(shape) < 2 or shape[-1] != ndim + 1 or shape[-2] not in (ndim, ndim + 1):
        expected = f'(*, {ndim}, {ndim + 1}) or (*, {ndim + 1}, {ndim + 1})'
        raise ValueError(f'matrix must be {expected}, got shape {tuple(shape)}')


def check_leading(name: str, tensor: Tensor, input: Tensor, trailing: int) -> bool:
    """Whether ``tensor`` has an axis of transformers: (N, K, ...) rather than (N, ...).

    Args:
        name: The argument's name, for the messages.
        tensor: What is applied to ``input``.
        input: The feature map (N, C, ...).
        trailing: The number of dimensions after N or (N, K).

    Raises:
        ValueError: If ``tensor`` has neither form, belongs to another batch or lies on another
            device.
    """
    leading = tensor.dim() - trailing
    if leading not in (1, 2) or tensor.shape[0] != input.shape[0]:
        raise ValueError(
            f'{name} must be (N, ...) or (N, K, ...) with N = {input.shape[0]}, the batch size of '
            f'input, got shape {tuple(tensor.shape)}'
        )
    if tensor.device != input.device:
        raise ValueError(f'{name} must be on {input.device} as input is, got {tensor.device}')
    return leading == 2
