"""Converts between normalised coordinates and pixels, also those that padding shows."""

from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor

from mmstn.checks import flag


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
