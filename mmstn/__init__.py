"""Spatial Transformer Networks for OpenMMLab, a plugin for mmpretrain.

Importing mmstn registers everything it has in mmpretrain's registries, so that a config needs no
more than ``custom_imports = dict(imports=['mmstn'], allow_failed_imports=False)``. Where there is
no mmengine, :mod:`mmstn.ops` works all the same; the rest says what to install when it is imported.
"""

import importlib
from types import ModuleType

from .dependencies import check_torch, is_importable
from .version import __version__

check_torch()

from . import ops

if is_importable('mmengine'):
    from . import datasets, evaluation, models
    from .engine import hooks, optim_wrapper_constructor
    from .engine.checkpoint_loading import allow_runner_checkpoints

    allow_runner_checkpoints()
    __all__ = ['__version__', 'datasets', 'evaluation', 'models', 'ops']
else:
    __all__ = ['__version__', 'ops']


def __getattr__(name: str) -> ModuleType:
    """Imports a package that was left out, which raises the message."""
    if name in ('datasets', 'evaluation', 'models'):
        return importlib.import_module(f'{__name__}.{name}')
    raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
