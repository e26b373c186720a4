"""Who samples: the compiled op where it is there and covers the case, PyTorch everywhere else."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor

from . import _ext, native_backend, torch_backend
from .kernels import SamplingKernel

BACKENDS = ('auto', 'native', 'torch', 'mmcv')
NO_MMCV = (
    "backend 'mmcv' is not offered: mmcv's ms_deform_attn could stand in for the sampler on a GPU, "
    'but nobody has measured whether it is faster than PyTorch there. Use '
    f"'native' ({_ext.HOW_TO_BUILD}) or 'torch'"
)

_logger = logging.getLogger('mmstn')
_chosen = 'auto'
_announced = False


def set_backend(name: str) -> None:
    """Chooses who samples, in the whole process.

    Args:
        name: ``'auto'``: the compiled op where it was built, for whatever it covers, and PyTorch
            for the rest. ``'native'``: the same, but an error where the op was not built.
            ``'torch'``: PyTorch alone. What the op does not cover (volumes, a user's own sampling
            kernel, devices other than CPU and CUDA, forward-mode derivatives, export to ONNX) goes
            through PyTorch with every backend.

    Raises:
        ValueError: If there is no backend of that name.
        RuntimeError: If it is asked for by name and missing; the message says how to get it.
    """
    global _chosen
    if name not in BACKENDS:
        raise ValueError(f'backend must be one of {BACKENDS}, got {name!r}')
    if name == 'mmcv':
        raise RuntimeError(NO_MMCV)
    if name == 'native' and _ext.MODULE is None:
        raise RuntimeError(f"backend 'native' is missing. {_ext.WHY_MISSING}")
    _chosen = name


def get_backend() -> str:
    """The backend that was chosen: ``'auto'`` unless :func:`set_backend` said otherwise."""
    return _chosen


@contextmanager
def use_backend(name: str) -> Iterator[None]:
    """Chooses a backend inside a ``with`` block; see :func:`set_backend`.

    Example:
        >>> with mmstn.ops.use_backend('torch'):
        ...     mmstn.ops.grid_sample(image, grid)
    """
    before = _chosen
    set_backend(name)
    try:
        yield
    finally:
        set_backend(before)


def affine_grid_sample(
    input: Tensor,
    matrix: Tensor,
    out_size: Sequence[int],
    mode: str | SamplingKernel,
    padding_mode: str,
    align_corners: bool,
) -> Tensor:
    """:func:`mmstn.ops.affine_grid_sample` for arguments that were checked, with the axis K."""
    module = native_backend if _is_native(input, matrix, mode) else torch_backend
    return module.affine_grid_sample(input, matrix, out_size, mode, padding_mode, align_corners)


def grid_sample(
    input: Tensor, grid: Tensor, mode: str | SamplingKernel, padding_mode: str, align_corners: bool
) -> Tensor:
    """:func:`mmstn.ops.grid_sample` for arguments that were checked, with the axis K."""
    module = native_backend if _is_native(input, grid, mode) else torch_backend
    return module.grid_sample(input, grid, mode, padding_mode, align_corners)


def _is_native(input: Tensor, map: Tensor, mode: str | SamplingKernel) -> bool:
    if _chosen == 'auto' and not _announced and not _tracing():
        _announce()
    return (
        _chosen != 'torch' and _ext.MODULE is not None and native_backend.covers(input, map, mode)
    )


def _tracing() -> bool:
    return torch.compiler.is_compiling() or torch.jit.is_tracing()


def _announce() -> None:
    """Says once what ``'auto'`` means on this machine."""
    global _announced
    _announced = True
    if _ext.MODULE is None:
        _logger.info('mmstn samples with PyTorch. %s', _ext.WHY_MISSING)
    else:
        devices = 'CPU and CUDA' if _ext.HAS_CUDA else 'CPU only'
        _logger.info('mmstn samples with its compiled op (%s, %s)', devices, _ext.MODULE.cpu_path())
