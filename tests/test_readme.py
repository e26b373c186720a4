"""The README's code does what it says."""

import re
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmpretrain.registry import MODELS

from mmstn.models import SpatialTransformer
from tests.old_torch import torch_must

ROOT = Path(__file__).parents[1]
README = (ROOT / 'README.md').read_text()
BLOCKS = re.findall(r'```python\n(.*?)```', README, re.DOTALL)


def block(start):
    (found,) = (code for code in BLOCKS if start in code)
    return found


def test_model_in_ten_lines():
    config = Config.fromstring(block('model = dict('), '.py')
    model = MODELS.build(config.model)
    model.train(False)
    with torch.no_grad():
        assert model(torch.rand(1, 3, 448, 448), mode='tensor').shape == (1, 200)
        theta = model.backbone.transformer(torch.rand(1, 3, 448, 448), return_theta=True)[1]
    assert theta.tolist() == [[[-0.5, 0], [0.5, 0]]]


def test_module_without_a_config():
    scope = {}
    exec(block('return_theta=True'), scope)
    assert scope['upright'].shape == (8, 1, 28, 28) and scope['theta'].shape == (8, 6)


def test_family_of_ones_own():
    code = block('class ZoomGridGenerator')
    assert len(code.strip().splitlines()) <= 20
    try:
        exec(code, {'__name__': 'readme'})
        st = SpatialTransformer(
            loc_net=dict(type='ConvLocNet', in_channels=1, in_size=28),
            grid_generator=dict(type='ZoomGridGenerator'),
        )
        image = torch.rand(2, 1, 28, 28)
        torch.testing.assert_close(st(image), image, rtol=0, atol=2e-6)
        theta = torch.log(torch.tensor([[2.0, 0.5]]))
        assert st.grid_generator.matrix(theta)[0].tolist() == [[2, 0, 0], [0, 0.5, 0]]
    finally:
        MODELS.module_dict.pop('ZoomGridGenerator', None)


def test_use_what_was_trained(tmp_path, monkeypatch):
    onnxruntime = pytest.importorskip('onnxruntime')
    pytest.importorskip('onnxscript')
    torch_must('write ONNX by its new exporter')
    inference, export = block('STNInferencer'), block('torch.onnx.export')
    config, checkpoint = re.findall(r"'(\S+/\S+\.(?:py|pth))'", inference)
    model = MODELS.build(Config.fromfile(ROOT / config).model)
    torch.nn.init.normal_(model.backbone.transformer.loc_net.regression.weight, std=0.05)
    monkeypatch.chdir(tmp_path)
    (tmp_path / 'configs').symlink_to(ROOT / 'configs')
    (tmp_path / checkpoint).parent.mkdir(parents=True)
    torch.save(dict(state_dict=model.state_dict()), checkpoint)
    cv2.imwrite('digit.png', np.arange(28 * 28, dtype=np.uint8).reshape(28, 28))

    scope = {}
    exec(inference, scope)
    assert 0 <= scope['result']['pred_label'] < 10
    assert (tmp_path / 'pictures' / 'digit.png').is_file()
    exec(export, scope)
    images = torch.rand(5, 1, 28, 28)
    (logits,) = onnxruntime.InferenceSession('st-cnn.onnx').run(None, {'image': images.numpy()})
    expected = scope['inferencer'].model(images)
    torch.testing.assert_close(torch.from_numpy(logits), expected, rtol=0, atol=1e-4)


def test_the_diff_is_the_config():
    """What the README adds to mmpretrain's config gives the backbone of our example."""
    added = re.search(r'```diff\n(.*?)```', README, re.DOTALL).group(1)
    code = re.sub(r'(?m)^[ +]', '', added)
    shown = Config.fromstring(code, '.py')
    example = Config.fromfile(ROOT / 'configs/existing_project/st-resnet50_8xb8_cub.py')
    assert shown.model.backbone == example.model.backbone
    assert shown.custom_imports == example.custom_imports


def test_every_path_exists():
    links = re.findall(r'\]\((?!http)([^)#]+)\)', README)
    commands = re.findall(r'(?:python|bash) ((?:tools|configs|benchmarks)/\S+)', README)
    configs = re.findall(r'configs/\S+\.py', README)
    assert links and commands and configs
    for path in {*links, *commands, *configs}:
        assert (ROOT / path).exists(), path


def test_every_module_of_the_table_exists():
    import mmstn.datasets
    import mmstn.engine.hooks
    import mmstn.models
    import mmstn.ops

    table = README.split('## What is in it')[1].split('##')[0]
    for row in re.findall(r'(?m)^\| (`.*?) \|', table):
        for name in re.findall(r'`([\w.]+)`', row):
            *_, last = name.split('.')
            places = (mmstn.models, mmstn.datasets, mmstn.engine.hooks, mmstn.ops)
            assert any(hasattr(place, last) for place in places), name


def test_where_to_look_names_what_is_there():
    section = README.split('## Where to look')[1].split('\n## ')[0]
    paths = re.findall(r'`((?:mmstn|tests|tools)/[^`]*)`', section)
    assert len(paths) > 10
    assert [path for path in paths if not (ROOT / path).exists()] == []
