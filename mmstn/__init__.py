"""Spatial Transformer Networks for OpenMMLab, a plugin for mmpretrain.

Importing mmstn registers everything it has in mmpretrain's registries, so that a config needs no
more than ``custom_imports = dict(imports=['mmstn'], allow_failed_imports=False)``.
"""

from .dependencies import check_dependencies
from .version import __version__

check_dependencies()  # before anything that imports mmengine, so that its message comes first

from . import datasets, evaluation, models, ops  # noqa: E402
from .engine import hooks  # noqa: E402, F401
from .engine.checkpoint_loading import allow_runner_checkpoints  # noqa: E402

allow_runner_checkpoints()

__all__ = ['__version__', 'datasets', 'evaluation', 'models', 'ops']
