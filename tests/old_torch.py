"""What older versions of PyTorch cannot do; docs/stacks.md says the same to users."""

import inspect

import pytest
import torch
from packaging.version import Version

_VERSION = Version(torch.__version__)
_ONNX_OPTIONS = inspect.signature(torch.onnx.export).parameters
_CAN = {
    'export graphs for any batch size': hasattr(torch.export, 'Dim'),
    'write ONNX by its new exporter': 'dynamo' in _ONNX_OPTIONS,
    'carry tangents into the backward pass of an op': _VERSION >= Version('2.2'),
    'check an op': hasattr(torch.library, 'opcheck'),
    # Its compiler follows neither context variables nor torch.func before.
    'compile all of it into one graph': _VERSION >= Version('2.6'),
}
# The old exporter of ONNX, where there are two.
BY_TORCHSCRIPT = {'dynamo': False} if 'dynamo' in _ONNX_OPTIONS else {}


def torch_must(do: str) -> None:
    """Skips the test where this torch cannot."""
    if not _CAN[do]:
        pytest.skip(f'torch {torch.__version__} cannot {do}')
