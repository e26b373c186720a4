"""The picture of the projections, from a config of the project."""

import importlib.util
import uuid
from pathlib import Path

import cv2
import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmpretrain.registry import MODELS

ROOT = Path(__file__).parents[2]
CONFIG = ROOT / 'configs/mnist_3d/st-cnn-affine_1xb64-2k_mnist5k-30.py'


def test_draws_what_is_before_and_after_the_transformer(tmp_path):
    path = ROOT / 'tools/visualization/draw_projections.py'
    spec = importlib.util.spec_from_file_location('draw_projections', path)
    tool = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tool)
    init_default_scope('mmpretrain')
    model = MODELS.build(Config.fromfile(CONFIG).model)
    model.init_weights()
    torch.save(dict(state_dict=model.state_dict()), tmp_path / 'start.pth')
    tool.main([
        str(CONFIG), str(tmp_path / 'start.pth'), '--out', str(tmp_path / 'new' / 'picture.png'),
        '--num-samples', '3', '--work-dir', str(tmp_path), '--cfg-options',
        'test_dataloader.num_workers=0', 'test_dataloader.persistent_workers=False',
        f'experiment_name={uuid.uuid4().hex}',
    ])  # fmt: skip
    picture = cv2.imread(str(tmp_path / 'new' / 'picture.png'), 0)
    # Four rows of three views; at the start what is after is what is before.
    height, width = picture.shape
    assert width > 3 * 100 and height > 4 * 100
    assert (picture < 50).mean() > 0.4  # mostly black volumes
    assert (picture > 200).mean() > 0.05
