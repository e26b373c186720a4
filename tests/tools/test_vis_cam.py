"""tools/visualization/vis_cam.py: what it draws lies where the model looked."""

import importlib.util
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from mmpretrain.apis import get_model

pytest.importorskip('pytorch_grad_cam')

TOOL = Path(__file__).parents[2] / 'tools/visualization/vis_cam.py'
# Two windows, on the upper left and the lower right quarter of the image.
CONFIG = """
default_scope = 'mmpretrain'
custom_imports = dict(imports=['mmstn'], allow_failed_imports=False)
model = dict(
    type='ImageClassifier',
    data_preprocessor=dict(mean=[0.0] * 3, std=[255.0] * 3),
    backbone=dict(
        type='STNBackbone',
        backbone=dict(type='ResNet', depth=18, base_channels=8, stem_channels=8),
        transformer=dict(
            loc_net=dict(type='ConvLocNet', in_channels=3, norm_cfg=dict(type='BN')),
            grid_generator=dict(type='AffineGridGenerator'),
            num_transformers=2,
            init=[[0.5, 0, -0.5, 0, 0.5, -0.5], [0.5, 0, 0.5, 0, 0.5, 0.5]])),
    neck=dict(type='GlobalAveragePooling'),
    head=dict(type='LinearClsHead', num_classes=2, in_channels=128))
test_dataloader = dict(
    dataset=dict(
        type='CustomDataset',
        pipeline=[dict(type='LoadImageFromFile'), dict(type='PackInputs')]))
"""


@pytest.fixture
def tool():
    spec = importlib.util.spec_from_file_location('mmstn_vis_cam', TOOL)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize('method', ['GradCAM', 'LayerCAM'])
def test_it_lies_where_the_windows_are(tool, tmp_path, monkeypatch, method):
    (tmp_path / 'config.py').write_text(CONFIG)
    torch.manual_seed(0)
    model = get_model(str(tmp_path / 'config.py'), device='cpu')
    torch.save(dict(state_dict=model.state_dict()), tmp_path / 'weights.pth')
    image = np.random.default_rng(0).integers(0, 256, (128, 128, 3), dtype=np.uint8)
    cv2.imwrite(str(tmp_path / 'image.png'), image)
    heat = []
    mmpretrain_tool = tool.load_tool()
    monkeypatch.setattr(tool, 'load_tool', lambda: mmpretrain_tool)
    monkeypatch.setattr(mmpretrain_tool, 'show_cam_grad', lambda cam, *args, **_: heat.append(cam))
    files = [str(tmp_path / name) for name in ('image.png', 'config.py', 'weights.pth')]
    layer = ['--target-layers', 'backbone.streams.0.layer1.1.conv1']
    monkeypatch.setattr(sys, 'argv', ['vis_cam.py', *files, *layer, '--method', method])
    tool.main()
    ((cam,),) = heat
    assert cam.shape == (128, 128)
    seen = np.zeros((128, 128), bool)
    seen[:64, :64] = seen[64:, 64:] = True
    assert cam[seen].sum() > 0.99 * cam.sum() > 0
    for window in (cam[:64, :64], cam[64:, 64:]):  # both, not only the first
        assert window.sum() > 0.05 * cam.sum()
