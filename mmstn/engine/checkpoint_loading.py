"""Lets OpenMMLab's mmengine read its own checkpoints with torch 2.6 and newer.

Since torch 2.6 ``torch.load`` refuses every Python object that is not on a list of allowed ones.
The log histories in a Runner's checkpoint are such objects, so ``resume`` and ``load_from`` end
with "Weights only load failed". OneDL's mmengine brings a list of its own; OpenMMLab's has none.
"""

import pickle
from typing import Any

import numpy as np
import torch
from mmengine.logging import HistoryBuffer
from mmengine.runner import checkpoint
from packaging.version import Version

NUMPY_TYPECODES = '?' + np.typecodes['AllInteger'] + np.typecodes['Float']


def allow_runner_checkpoints() -> None:
    """Puts what a Runner's checkpoint holds on torch's list, where mmengine does not do so itself.

    Numbers, arrays of numbers and mmengine's ``HistoryBuffer`` are added, and of ``getattr`` only
    as much as a ``HistoryBuffer`` needs: about all else ``torch.load`` stays as strict as it is.
    """
    reads_anything = Version(torch.__version__).release < (2, 6)
    if reads_anything or hasattr(checkpoint, 'get_torch_safe_globals'):
        return
    multiarray = getattr(np, '_core', None) or np.core  # numpy 2, numpy 1
    rebuild = [multiarray.multiarray.scalar, multiarray.multiarray._reconstruct]
    torch.serialization.add_safe_globals(
        [
            HistoryBuffer,
            (_history_buffer_method, 'builtins.getattr'),
            np.ndarray,
            np.dtype,
            *{type(np.dtype(code)) for code in NUMPY_TYPECODES},
            # A checkpoint spells these as the numpy that wrote it did.
            *((function, f'numpy._core.multiarray.{function.__name__}') for function in rebuild),
            *((function, f'numpy.core.multiarray.{function.__name__}') for function in rebuild),
        ]
    )


def _history_buffer_method(owner: Any, name: str) -> Any:
    """Stands in for ``getattr`` while a checkpoint is read.

    A ``HistoryBuffer`` stores its statistics as ``getattr(HistoryBuffer, 'min')`` and the like. The
    true ``getattr`` would let a crafted file reach any attribute of any allowed object.

    Raises:
        pickle.UnpicklingError: If the file asks for anything else.
    """
    if owner is HistoryBuffer and isinstance(name, str) and not name.startswith('_'):
        return getattr(owner, name)
    if getattr in torch.serialization.get_safe_globals():  # the user's own decision
        return getattr(owner, name)
    raise pickle.UnpicklingError(
        f'only methods of HistoryBuffer may be read from a checkpoint, got {name!r} of {owner!r}'
    )
