"""mmpretrain's own tools on models with spatial transformers, run as a user runs them."""

import runpy
import sys
from pathlib import Path

import mmpretrain
import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmpretrain.apis import get_model

TOOLS = Path(mmpretrain.__path__[0], '.mim', 'tools')
pytestmark = pytest.mark.skipif(not TOOLS.is_dir(), reason='mmpretrain has come without its tools')

TRANSFORMER = dict(
    loc_net=dict(type='ConvLocNet', in_channels=3, norm_cfg=dict(type='BN')),
    grid_generator=dict(type='AffineGridGenerator'),
    out_size=(32, 32),
    num_transformers=2,
    init='tile',
)
INSERTED = dict(
    loc_net=dict(
        type='ConvLocNet', in_channels=16, downsample=1, kernel_sizes=3, paddings=1,
        norm_cfg=dict(type='BN'),
    ),
    grid_generator=dict(type='AffineGridGenerator'),
)  # fmt: skip
RESNET = dict(type='ResNet', depth=18, base_channels=8, stem_channels=8)
REPVGG = dict(type='RepVGG', arch='A0', out_indices=(3,))


@pytest.fixture
def write_config(tmp_path, project):
    """Writes a config of a model on the project's twelve pictures, and its weights."""

    def write(**backbone):
        config = Config.fromfile(project / 'config.py')
        pipeline = [dict(type='LoadImageFromFile'), dict(type='PackInputs')]
        for name in ('train_dataloader', 'val_dataloader', 'test_dataloader'):
            config[name].dataset.pipeline = pipeline
        config.model = dict(
            type='ImageClassifier',
            data_preprocessor=dict(mean=[127.5] * 3, std=[127.5] * 3),
            backbone=dict(type='STNBackbone', **backbone),
            neck=dict(type='GlobalAveragePooling'),
            head=dict(type='LinearClsHead', num_classes=3, in_channels=1),
        )
        config.model.head.in_channels = 2560 if backbone['backbone'] == REPVGG else 128
        if 'insert' in backbone:
            config.model.head.in_channels = 64
        config.load_from = None
        config.work_dir = str(tmp_path)
        config.log_level = 'INFO'
        config.visualizer.vis_backends = [dict(type='LocalVisBackend')]
        path = tmp_path / 'config.py'
        config.dump(path)
        torch.manual_seed(0)
        model = get_model(str(path), device='cpu')
        torch.save(dict(state_dict=model.state_dict(), meta={}), tmp_path / 'weights.pth')
        return [str(path), str(tmp_path / 'weights.pth')]

    return write


@pytest.fixture
def run(monkeypatch, tmp_path):
    """Runs a tool with arguments, in a folder of its own."""
    monkeypatch.chdir(tmp_path)

    def run_tool(name, *arguments):
        monkeypatch.setattr(sys, 'argv', [name, *arguments])
        runpy.run_path(str(TOOLS / name), run_name='__main__')

    return run_tool


def test_features_by_t_sne(write_config, run, tmp_path):
    config, weights = write_config(backbone=RESNET, transformer=TRANSFORMER)
    run(
        'visualization/vis_tsne.py', config, '--checkpoint', weights, '--work-dir', str(tmp_path),
        '--perplexity', '3', '--n-iter', '250',
    )  # fmt: skip
    (features,) = tmp_path.rglob('feat_3.npy')
    assert np.load(features).shape == (12, 128)  # two views of 64


@pytest.mark.parametrize('streams', ['shared', 'separate'])
def test_re_parameterised_models_give_the_same(write_config, run, tmp_path, streams):
    config, weights = write_config(backbone=REPVGG, transformer=TRANSFORMER, streams=streams)
    run('model_converters/reparameterize_model.py', config, weights, str(tmp_path / 'deploy.pth'))
    before = get_model(config, weights, device='cpu').eval()
    changed = Config.fromfile(config)
    changed.model.backbone.backbone.deploy = True
    after = get_model(changed, str(tmp_path / 'deploy.pth'), device='cpu').eval()
    assert len(after.state_dict()) < len(before.state_dict())
    x = torch.rand(2, 3, 64, 64)
    torch.testing.assert_close(after(x), before(x), atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize(
    'parts', [dict(transformer=TRANSFORMER), dict(insert=dict(layer3=INSERTED))]
)
def test_operations_are_counted(write_config, run, capsys, parts):
    config, _ = write_config(backbone=RESNET, **parts)
    run('analysis_tools/get_flops.py', config, '--shape', '32')
    output = capsys.readouterr().out
    assert 'Flops: ' in output and 'streams' in output


def test_confusion_matrix(write_config, run, tmp_path):
    config, weights = write_config(backbone=RESNET, insert=dict(layer3=INSERTED))
    run('analysis_tools/confusion_matrix.py', config, weights, '--out', str(tmp_path / 'out.pkl'))
    matrix = np.load(tmp_path / 'out.pkl', allow_pickle=True)
    assert np.asarray(matrix).sum() == 12
