"""A project that the tools can train in a moment: twelve small pictures and LeNet-5."""

import importlib.util
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from mmengine.runner import CheckpointLoader
from mmpretrain.registry import MODELS

TOOLS = Path(__file__).parents[2] / 'tools'
CONFIG = """
# mmengine names a Runner's globals by the second, in which two tests may fall. (An import statement
# would make this a config of mmengine's other, lazy kind.)
experiment_name = __import__('uuid').uuid4().hex
custom_imports = dict(imports=['mmstn'], allow_failed_imports=False)
default_scope = 'mmpretrain'
model = dict(
    type='ImageClassifier',
    backbone=dict(type='LeNet5', num_classes=3),
    head=dict(type='ClsHead', loss=dict(type='CrossEntropyLoss')),
    data_preprocessor=dict(mean=[127.5], std=[127.5], num_classes=3))
train_dataloader = dict(
    batch_size=12,
    num_workers=0,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type='CustomDataset',
        data_root='{folder}/images',
        pipeline=[
            dict(type='LoadImageFromFile', color_type='grayscale'), dict(type='PackInputs')]))
val_dataloader = train_dataloader
test_dataloader = train_dataloader
val_evaluator = dict(type='Accuracy', topk=(1, ))
test_evaluator = val_evaluator
train_cfg = dict(by_epoch=True, max_epochs=2, val_interval=1)
val_cfg = dict()
test_cfg = dict()
optim_wrapper = dict(optimizer=dict(type='SGD', lr=0.1, momentum=0.9))
auto_scale_lr = dict(base_batch_size=6)
default_hooks = dict(
    checkpoint=dict(type='CheckpointHook', interval=1, save_best='auto'),
    visualization=dict(type='VisualizationHook', enable=False))
visualizer = dict(type='UniversalVisualizer')
load_from = '{folder}/start.pth'
work_dir = '{folder}/work_dir'
"""


@pytest.fixture(scope='session')
def project(tmp_path_factory):
    """A folder with ``config.py``, twelve ``images/<class>/*.png`` and weights, ``start.pth``."""
    folder = tmp_path_factory.mktemp('project')
    random = np.random.default_rng(0)
    for label in range(3):
        (folder / f'images/{label}').mkdir(parents=True)
        for number in range(4):
            image = random.integers(0, 256, (32, 32), dtype=np.uint8)
            cv2.imwrite(str(folder / f'images/{label}/{label}_{number}.png'), image)
    (folder / 'config.py').write_text(CONFIG.format(folder=folder))
    torch.manual_seed(0)
    backbone = MODELS.build(dict(type='mmpretrain.LeNet5', num_classes=3))
    state = {f'backbone.{name}': value for name, value in backbone.state_dict().items()}
    torch.save(dict(state_dict=state), folder / 'start.pth')
    return folder


@pytest.fixture
def load_tool(monkeypatch):
    """Gives a script of tools/ as a module, to be run in this process."""
    monkeypatch.setenv('LOCAL_RANK', '0')  # as the tools leave it; taken back after the test
    loaders = dict(CheckpointLoader._schemes)  # which the tools make stricter
    monkeypatch.setattr(CheckpointLoader, '_schemes', loaders)
    monkeypatch.syspath_prepend(TOOLS)  # where Python looks first when it runs a script there

    def load(name):
        spec = importlib.util.spec_from_file_location(f'tool_{name}', TOOLS / f'{name}.py')
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module

    return load
