"""What samples here: for bug reports, and to see that a build was found."""

from __future__ import annotations

import torch

from . import _ext
from .backend import get_backend


def info() -> dict[str, str]:
    """What was built, against what, and which path the CPU takes.

    Returns:
        Names and values in the style of mmengine's ``collect_env``: print them line by line.
    """
    module = _ext.MODULE
    result = {'mmstn backend': get_backend(), 'PyTorch': torch.__version__}
    if module is None:
        return result | {'mmstn compiled op': f'no. {_ext.WHY_MISSING}'}
    cuda = f'CUDA {module.cuda_version}' if _ext.HAS_CUDA else 'CPU only'
    return result | {
        'mmstn compiled op': module.__file__,
        'mmstn op built for': f'PyTorch {module.torch_version}, {cuda}',
        'mmstn op compiler': module.compiler,
        'mmstn op CPU path': module.cpu_path(),
        'mmstn op CPU threads': "as many as PyTorch's" if module.parallel else 'one',
    }
