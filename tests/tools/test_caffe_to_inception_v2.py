"""The converter of BN-Inception's weights, against an evaluation under their published names."""

import importlib.util
from pathlib import Path

import pytest
import torch
from mmengine.runner import load_checkpoint
from mmpretrain.registry import MODELS
from torch.nn import functional as F

TOOL = Path(__file__).parents[2] / 'tools/model_converters/caffe_to_inception_v2.py'

# name: kernel, channels in, channels out; in the published names.
P = 128
BLOCKS = {
    '3a': (192, 64, 64, 64, 64, 96, 96, 32),
    '3b': (256, 64, 64, 96, 64, 96, 96, 64),
    '3c': (320, 0, 128, 160, 64, 96, 96, 0),
    '4a': (576, 224, 64, 96, 96, 128, 128, 128),
    '4b': (576, 192, 96, 128, 96, 128, 128, 128),
    '4c': (576, 160, 128, 160, 128, 160, 160, P),
    '4d': (480 + P, 96, 128, 192, 160, 192, 192, P),
    '4e': (480 + P, 0, 128, 192, 192, 256, 256, 0),
    '5a': (928 + P, 352, 192, 320, 160, 224, 224, 128),
    '5b': (1024, 352, 192, 320, 192, 224, 224, 128),
}


@pytest.fixture(scope='module')
def tool():
    spec = importlib.util.spec_from_file_location('caffe_to_inception_v2', TOOL)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope='module')
def source():
    """A state dict as it is published, with random numbers that keep the signal's size."""
    generator = torch.Generator().manual_seed(0)

    def random(*shape):
        return torch.randn(*shape, generator=generator)

    state = {}

    def add(name, kernel, channels_in, channels):
        if channels == 0:
            return
        scale = (2 / (kernel**2 * channels_in)) ** 0.5
        state[f'{name}.weight'] = random(channels, channels_in, kernel, kernel) * scale
        state[f'{name}.bias'] = random(channels)
        state[f'{name}_bn.weight'] = random(channels) * 0.1 + 1
        state[f'{name}_bn.bias'] = random(channels) * 0.1
        state[f'{name}_bn.running_mean'] = random(channels)
        state[f'{name}_bn.running_var'] = random(channels).abs() + 0.5

    add('conv1_7x7_s2', 7, 3, 64)
    add('conv2_3x3_reduce', 1, 64, 64)
    add('conv2_3x3', 3, 64, 192)
    for block, (width, one, reduce, three, reduce2, middle, double, pool) in BLOCKS.items():
        add(f'inception_{block}_1x1', 1, width, one)
        add(f'inception_{block}_3x3_reduce', 1, width, reduce)
        add(f'inception_{block}_3x3', 3, reduce, three)
        add(f'inception_{block}_double_3x3_reduce', 1, width, reduce2)
        add(f'inception_{block}_double_3x3_1', 3, reduce2, middle)
        add(f'inception_{block}_double_3x3_2', 3, middle, double)
        add(f'inception_{block}_pool_proj', 1, width, pool)
    state['last_linear.weight'] = random(10, 1024)
    state['last_linear.bias'] = random(10)
    return state


def evaluate(state, x):
    """Caffe's network, layer by layer under the published names, with nothing folded."""

    def conv(name, x, stride=1):
        kernel = state[f'{name}.weight'].shape[-1]
        x = F.conv2d(x, state[f'{name}.weight'], state[f'{name}.bias'], stride, kernel // 2)
        norm = [state[f'{name}_bn.{field}'] for field in ('running_mean', 'running_var')]
        x = F.batch_norm(x, *norm, state[f'{name}_bn.weight'], state[f'{name}_bn.bias'], eps=1e-5)
        return F.relu(x)

    x = F.max_pool2d(conv('conv1_7x7_s2', x, 2), 3, 2, ceil_mode=True)
    x = conv('conv2_3x3', conv('conv2_3x3_reduce', x))
    x = F.max_pool2d(x, 3, 2, ceil_mode=True)
    for block in BLOCKS:
        halve = block in ('3c', '4e')
        name = f'inception_{block}'
        three = conv(f'{name}_3x3', conv(f'{name}_3x3_reduce', x), 1 + halve)
        double = conv(f'{name}_double_3x3_1', conv(f'{name}_double_3x3_reduce', x))
        double = conv(f'{name}_double_3x3_2', double, 1 + halve)
        if halve:
            x = torch.cat([three, double, F.max_pool2d(x, 3, 2, ceil_mode=True)], 1)
            continue
        pool = F.max_pool2d if block == '5b' else F.avg_pool2d
        pool = conv(f'{name}_pool_proj', pool(x, 3, 1, 1))
        x = torch.cat([conv(f'{name}_1x1', x), three, double, pool], 1)
    return F.linear(x.mean((2, 3)), state['last_linear.weight'], state['last_linear.bias'])


@pytest.mark.parametrize('flat', [True, False])
def test_outputs_are_equal(tool, source, tmp_path, flat):
    published = source if flat else {k: v[None] if '_bn.' in k else v for k, v in source.items()}
    torch.save(published, tmp_path / 'source.pth')
    tool.main([str(tmp_path / 'source.pth'), str(tmp_path / 'target.pth')])
    assert sorted(path.name for path in tmp_path.iterdir()) == ['source.pth', 'target.pth']

    model = MODELS.build(
        dict(
            type='ImageClassifier',
            backbone=dict(type='InceptionV2'),
            neck=dict(type='GlobalAveragePooling'),
            head=dict(type='LinearClsHead', num_classes=10, in_channels=1024),
        )
    )
    load_checkpoint(model, str(tmp_path / 'target.pth'), strict=True)
    x = torch.rand(2, 3, 224, 224, generator=torch.Generator().manual_seed(1)) * 255 - 117
    with torch.no_grad():
        expected = evaluate({k: v.double() for k, v in source.items()}, x.double())
        logits = model.eval().double()(x.double())
        torch.testing.assert_close(logits, expected, rtol=1e-5, atol=1e-5)
        assert logits.abs().max() > 0.1 and logits.std(0).max() > 1e-3


def test_without_a_classifier_only_the_backbone_is_written(tool, source):
    result = tool.convert({k: v for k, v in source.items() if not k.startswith('last_linear')})
    assert all(name.startswith('backbone.') for name in result)


@pytest.mark.parametrize(
    'change, message',
    [
        (lambda s: s.pop('inception_4b_3x3.bias'), "must hold 'inception_4b_3x3.bias'"),
        (lambda s: s.update(extra=torch.zeros(1)), r"got also: \['extra'\]"),
        (
            lambda s: s.update({'conv2_3x3.weight': torch.zeros(192, 64, 1, 1)}),
            r'conv2_3x3.weight must have shape \(192, 64, 3, 3\), got shape \(192, 64, 1, 1\)',
        ),
    ],
)
def test_a_source_that_does_not_match_is_refused(tool, source, tmp_path, change, message):
    broken = dict(source)
    change(broken)
    torch.save(broken, tmp_path / 'source.pth')
    with pytest.raises(SystemExit, match=message):
        tool.main([str(tmp_path / 'source.pth'), str(tmp_path / 'target.pth')])
    assert not (tmp_path / 'target.pth').exists()


def test_a_source_that_would_run_code_is_refused(tool, tmp_path):
    class Evil:
        def __reduce__(self):
            return (Path.touch, (tmp_path / 'touched',))

    torch.save(dict(state_dict=Evil()), tmp_path / 'source.pth')
    with pytest.raises(SystemExit, match='source.pth: expected .*[Ww]eights'):
        tool.main([str(tmp_path / 'source.pth'), str(tmp_path / 'target.pth')])
    assert not (tmp_path / 'touched').exists()


@pytest.mark.parametrize(
    'content',
    [
        b'',
        b'\x80',
        b'# A text',
        b'\x89PNG\r\n\x1a\n',
        b'PK\x03\x04' + bytes(40),
        'a tensor',
        'a list',
        'numbers by name',
        'cut off',
        'a folder',
        'nothing',
    ],
)
def test_wrong_files_are_told_what_was_expected(tool, tmp_path, content):
    path = tmp_path / 'source.pth'
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif content == 'a folder':
        path.mkdir()
    elif content != 'nothing':
        wrong = {'a tensor': torch.ones(3), 'a list': [torch.ones(3)], 'numbers by name': {'a': 1}}
        torch.save(wrong.get(content, {'a': torch.ones(3)}), path)
        if content == 'cut off':
            path.write_bytes(path.read_bytes()[:-100])
    message = 'source.pth: (expected the named weights|.*No such file|.*Is a directory)'
    with pytest.raises(SystemExit, match=message):
        tool.main([str(path), str(tmp_path / 'target.pth')])
    assert not (tmp_path / 'target.pth').exists()


def test_weights_of_other_shapes(tool, source):
    for shape in ((), (5,), (96, 1, 1, 1)):
        broken = {**source, 'inception_4c_pool_proj.weight': torch.zeros(shape)}
        with pytest.raises(ValueError, match='must have shape'):
            tool.convert(broken)
