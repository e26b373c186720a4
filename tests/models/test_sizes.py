"""The models of MNIST addition and of volumes are as large as those of the paper's MNIST table."""

from pathlib import Path

import pytest
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmpretrain.registry import MODELS

CONFIGS = Path(__file__).parents[2] / 'configs'
FILES = [*CONFIGS.glob('mnist_addition/*.py'), *CONFIGS.glob('mnist_3d/*.py')]


@pytest.mark.parametrize('file', sorted(FILES), ids=lambda file: file.stem)
def test_about_400_000_parameters(file):
    init_default_scope('mmpretrain')
    model = MODELS.build(Config.fromfile(file).model)
    parameters = sum(parameter.numel() for parameter in model.parameters())
    assert abs(parameters - 400_000) <= 0.05 * 400_000
