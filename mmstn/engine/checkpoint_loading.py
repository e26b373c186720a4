"""Loads the checkpoints that mmengine writes, and refuses those that hold code.

Since torch 2.6 ``torch.load`` refuses every Python object that is not on a list of allowed ones.
The log histories in a Runner's checkpoint are such objects, so ``resume`` and ``load_from`` end
with "Weights only load failed". OneDL's mmengine brings a list of its own; OpenMMLab's has none.
"""

import pickle
import zipfile
from pathlib import Path
from typing import Any
from urllib.parse import urlparse

import numpy as np
import torch
from mmengine.dist import barrier, get_rank
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
    if getattr in _safe_globals():  # the user's own decision
        return getattr(owner, name)
    raise pickle.UnpicklingError(
        f'only methods of HistoryBuffer may be read from a checkpoint, got {name!r} of {owner!r}'
    )


SAFE = {
    'builtins': {'bytearray', 'complex', 'frozenset', 'set', 'slice'},
    'collections': {'OrderedDict', 'defaultdict', 'deque'},
    '_codecs': {'encode'},  # bytes, in the old protocol that torch writes
    'mmengine.logging.history_buffer': {'HistoryBuffer'},
    'numpy': {'dtype', 'ndarray'},
    'numpy._core.multiarray': {'_reconstruct', 'scalar'},
    'numpy.core.multiarray': {'_reconstruct', 'scalar'},
    'torch': {'Size', 'Tensor', 'device'},
    'torch._tensor': {'_rebuild_from_type_v2'},
    'torch._utils': {
        '_rebuild_parameter', '_rebuild_parameter_with_state', '_rebuild_tensor',
        '_rebuild_tensor_v2', '_rebuild_tensor_v3',
    },
    'torch.nn.parameter': {'Buffer', 'Parameter'},
    'torch.storage': {'TypedStorage', 'UntypedStorage'},
}  # fmt: skip
"""What a checkpoint of weights, optimizer states and logs is made of, by module."""


class _SafePickle:
    """What ``torch.load`` takes for the module pickle: it finds nothing but ``SAFE``."""

    class Unpickler(pickle.Unpickler):
        def find_class(self, module: str, name: str) -> Any:
            module = {'__builtin__': 'builtins'}.get(module, module)
            if (module, name) == ('builtins', 'getattr'):
                return _history_buffer_method
            is_type = module == 'numpy.dtypes' or (
                module == 'torch'
                and (name.endswith('Storage') or isinstance(getattr(torch, name, 0), torch.dtype))
            )
            if is_type or name in SAFE.get(module, ()) or f'{module}.{name}' in _allowed_by_user():
                return super().find_class(module, name)
            raise pickle.UnpicklingError(f'{module}.{name}')

    @classmethod
    def load(cls, file: Any, **kwargs: Any) -> Any:
        return cls.Unpickler(file, **kwargs).load()


def _allowed_by_user() -> set[str]:
    return {
        f'{x.__module__}.{x.__qualname__}' for x in _safe_globals() if hasattr(x, '__qualname__')
    }


def _safe_globals() -> list:
    """torch's list of allowed objects, which came with torch 2.5."""
    return getattr(torch.serialization, 'get_safe_globals', list)()


def load_checked(filename: str, map_location: Any = None) -> Any:
    """Loads a local checkpoint, if it holds nothing but weights and what a Runner adds to them.

    A checkpoint is a pickle, which may call any function while it is read. With torch before 2.6
    mmengine reads every pickle, and OneDL's mmengine does where torch itself refuses. It also runs
    ``meta['config']``, which its own checkpoints do not have, as Python: that is left out here.

    Args:
        filename: The file.
        map_location: See ``torch.load``.

    Raises:
        FileNotFoundError: If there is no such file.
        pickle.UnpicklingError: If it holds anything else; the message says what.
    """
    path = Path(filename).expanduser()
    if not path.is_file():
        raise FileNotFoundError(f'there is no checkpoint {filename}')
    try:
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                if any(Path(name).name == 'constants.pkl' for name in archive.namelist()):
                    raise pickle.UnpicklingError('a TorchScript program')
        content = torch.load(
            path, map_location=map_location, pickle_module=_SafePickle, weights_only=False
        )
    except pickle.UnpicklingError as error:
        raise pickle.UnpicklingError(
            f'{filename} holds more than weights: {error}. To read it could run whatever its '
            'author wished. If you know where it comes from, say so: --trust (tools), trust=True '
            '(inferencers), torch.serialization.add_safe_globals (one type)'
        ) from None
    if isinstance(content, dict) and isinstance(content.get('meta'), dict):
        content['meta'].pop('config', None)
    return content


def load_checked_from_http(
    filename: str, map_location: Any = None, model_dir: str | None = None, **kwargs: Any
) -> Any:
    """Downloads a checkpoint to where torch keeps its downloads, then see :func:`load_checked`."""
    folder = Path(model_dir or Path(torch.hub.get_dir(), 'checkpoints'))
    path = folder / Path(urlparse(filename).path).name
    if get_rank() > 0:  # the first process downloads for all who see its disk
        barrier()
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        torch.hub.download_url_to_file(filename, str(path), progress=False)
    if get_rank() == 0:
        barrier()
    return load_checked(str(path), map_location)


def refuse_code() -> None:
    """Lets mmengine load checkpoints by :func:`load_checked` only, in this process.

    Those that lie in the cloud storage of a project are left to mmengine.
    """
    register = checkpoint.CheckpointLoader.register_scheme
    register(prefixes='', loader=load_checked, force=True)
    register(prefixes=('http://', 'https://'), loader=load_checked_from_http, force=True)
