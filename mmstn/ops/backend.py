"""Who samples: the compiled op where it is there and covers the case, PyTorch everywhere else."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar

import torch
from torch import Tensor

from . import _ext, native_backend, torch_backend
from .kernels import SamplingKernel

BACKENDS = ('auto', 'native', 'torch')
_logger = logging.getLogger('mmstn')
_of_process = 'auto'
_of_context: ContextVar[str | None] = ContextVar('mmstn_backend', default=None)
_announced = False


def set_backend(name: str) -> None:
    """Chooses who samples, in all threads of the process outside blocks of :func:`use_backend`.

    Processes that are started later, as the workers of a data loader, start with ``'auto'`` unless
    they are forked. A backward pass belongs to whoever sampled, whatever was chosen since.

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
    global _of_process
    _check(name)
    _of_process = name


def get_backend() -> str:
    """The backend of this thread or task: ``'auto'`` unless another was chosen."""
    return _of_context.get() or _of_process


@contextmanager
def use_backend(name: str) -> Iterator[None]:
    """Chooses a backend inside a ``with`` block, for the thread or asynchronous task that runs it.

    Threads that are started inside the block see the choice of the process, and so do PyTorch's own
    threads of a GPU's backward pass, where ``torch.utils.checkpoint`` samples again. Asynchronous
    tasks that are started inside take part in it.

    Args:
        name: See :func:`set_backend`.

    Raises:
        ValueError: As :func:`set_backend`.
        RuntimeError: As :func:`set_backend`.

    Example:
        >>> with mmstn.ops.use_backend('torch'):
        ...     mmstn.ops.grid_sample(image, grid)
    """
    _check(name)
    token = _of_context.set(name)
    try:
        yield
    finally:
        _of_context.reset(token)


def _check(name: str) -> None:
    if name not in BACKENDS:
        raise ValueError(f'name must be one of {BACKENDS}, got {name!r}')
    if name == 'native' and _ext.MODULE is None:
        raise RuntimeError(f"backend 'native' is missing. {_ext.WHY_MISSING}")


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
    return module.sample(input, matrix, out_size, mode, padding_mode, align_corners)


def grid_sample(
    input: Tensor, grid: Tensor, mode: str | SamplingKernel, padding_mode: str, align_corners: bool
) -> Tensor:
    """:func:`mmstn.ops.grid_sample` for arguments that were checked, with the axis K."""
    module = native_backend if _is_native(input, grid, mode) else torch_backend
    return module.sample(input, grid, grid.shape[2:-1], mode, padding_mode, align_corners)


def _is_native(input: Tensor, map: Tensor, mode: str | SamplingKernel) -> bool:
    chosen = get_backend()
    if chosen == 'auto' and not _announced and not _tracing():
        _announce()
    return chosen != 'torch' and _ext.MODULE is not None and native_backend.covers(input, map, mode)


def _tracing() -> bool:
    return torch_backend.is_compiling() or torch.jit.is_tracing()


def _announce() -> None:
    """Says once what ``'auto'`` means on this machine."""
    global _announced
    _announced = True
    if _ext.MODULE is None:
        _logger.info('mmstn samples with PyTorch. %s', _ext.WHY_MISSING)
    else:
        devices = 'CPU and CUDA' if _ext.HAS_CUDA else 'CPU only'
        _logger.info('mmstn samples with its compiled op (%s, %s)', devices, _ext.MODULE.cpu_path())
