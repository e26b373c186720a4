"""Chooses the sampler: the compiled op if it was built and covers the case, else PyTorch."""

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar

import torch
from torch import Tensor

from . import native, torch_backend
from .kernels import SamplingKernel

BACKENDS = ('auto', 'native', 'torch')
_logger = logging.getLogger('mmstn')
_of_process = 'auto'
_of_context: ContextVar[str | None] = ContextVar('mmstn_backend', default=None)
_announced = False
_fallbacks: list[str] = []  # why PyTorch sampled where the op was wanted, each said once


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
    if name == 'native' and native.MODULE is None:
        raise RuntimeError(f"backend 'native' is missing. {native.WHY_MISSING}")


def info() -> dict[str, str]:
    """What was built, against what, and which path the CPU takes.

    Returns:
        Names and values in the style of mmengine's ``collect_env``: print them line by line. Among
        them, why calls went to PyTorch until now.
    """
    module = native.MODULE
    result = {'mmstn backend': get_backend(), 'PyTorch': torch.__version__}
    if _fallbacks:
        result['mmstn fell back'] = ' '.join(_fallbacks)
    if module is None:
        return result | {'mmstn compiled op': f'no. {native.WHY_MISSING}'}
    cuda = f'CUDA {module.cuda_version}' if native.HAS_CUDA else 'CPU only'
    return result | {
        'mmstn compiled op': module.__file__,
        'mmstn op built for': f'PyTorch {module.torch_version}, {cuda}',
        'mmstn op compiler': module.compiler,
        'mmstn op CPU path': module.cpu_path(),
        'mmstn op CPU threads': "as many as PyTorch's" if module.parallel else 'one',
    }


def sample(
    input: Tensor,
    warp: Tensor,
    out_size: Sequence[int],
    mode: str | SamplingKernel,
    padding_mode: str,
    align_corners: bool,
) -> Tensor:
    """:func:`mmstn.ops.torch_backend.sample`, by the chosen backend."""
    if get_backend() != 'torch':
        reason = native.why_not(input, warp, mode)
        if not _announced or reason is not None:
            _report(reason)
        if reason is None:
            return native.sample(input, warp, out_size, mode, padding_mode, align_corners)
    return torch_backend.sample(input, warp, out_size, mode, padding_mode, align_corners)


def _report(reason: str | None) -> None:
    """Logs what ``'auto'`` means on this machine, and why a call goes to PyTorch; each once."""
    global _announced
    if torch_backend.is_compiling() or torch.jit.is_tracing():
        return
    if not _announced:
        _announced = True
        if native.MODULE is None:
            _logger.info('mmstn samples with PyTorch. %s', native.WHY_MISSING)
        else:
            devices = 'CPU and CUDA' if native.HAS_CUDA else 'CPU only'
            path = native.MODULE.cpu_path()
            _logger.info('mmstn samples with its compiled op (%s, %s)', devices, path)
    if reason is not None and native.MODULE is not None and reason not in _fallbacks:
        _fallbacks.append(reason)
        _logger.debug('mmstn samples with PyTorch. %s', reason)
