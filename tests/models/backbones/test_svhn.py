"""The paper's network for SVHN: its layers, and where its transformers stand."""

from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.optim import build_optim_wrapper
from mmpretrain.registry import MODELS
from torch import nn

from mmstn.models import SVHNCNN

CONFIGS = Path(__file__).parents[3] / 'configs' / '_base_'


def test_layers_of_the_paper():
    """Written down from section 4.2: channels, and a pooling after every second convolution."""
    model = SVHNCNN(in_size=64)
    convs = [m for m in model.modules() if isinstance(m, nn.Conv2d)]
    assert [conv.out_channels for conv in convs] == [48, 64, 128, 160, 192, 192, 192, 192]
    assert {(c.kernel_size, c.stride, c.padding) for c in convs} == {((5, 5), (1, 1), (2, 2))}
    kinds = {nn.Conv2d: 'conv', nn.MaxPool2d: 'max2', nn.Linear: 'fc', nn.Dropout: 'drop'}
    order = [kinds[type(m)] for m in model.modules() if type(m) in kinds]
    expected = 'conv max2'
    for pooled in (False, True, False, True, False, True, False):
        expected += ' conv max2 drop' if pooled else ' conv drop'
    assert ' '.join(order) == expected + 3 * ' fc drop'
    assert {m.p for m in model.modules() if isinstance(m, nn.Dropout)} == {0.5}
    linears = [m for m in model.modules() if isinstance(m, nn.Linear)]
    sizes = [(m.in_features, m.out_features) for m in linears]
    assert sizes == [(4 * 4 * 192, 3072), (3072, 3072), (3072, 3072)]
    (descriptor,) = model(torch.rand(2, 3, 64, 64))
    assert descriptor.shape == (2, 3072) and model.out_channels == 3072


def test_width_and_size():
    model = SVHNCNN(in_size=(32, 48), in_channels=1, width=0.1)
    assert [getattr(model, f'conv{i}')[0].out_channels for i in (1, 2, 3)] == [5, 6, 13]
    assert model.fc1[0].in_features == 2 * 3 * 19 and model.out_channels == 307
    assert model(torch.rand(2, 1, 32, 48))[0].shape == (2, 307)
    assert SVHNCNN(in_size=16, width=1e-6).out_channels == 1


def test_first_layer_keeps_all_units():
    model = SVHNCNN(in_size=16, width=0.2, dropout=0.9).train()
    x = torch.rand(2, 3, 16, 16)
    assert torch.equal(model.conv1(x), model.conv1(x))
    maps = model.conv1(x)
    assert not torch.equal(model.conv2(maps), model.conv2(maps))


def test_normalised_after_each_layer():
    norms = dict(norm_cfg=dict(type='BN'), fc_norm_cfg=dict(type='BN1d'))
    model = SVHNCNN(in_size=16, width=0.1, **norms).train()
    layers = [module for module in model.children() if isinstance(module, nn.Sequential)]
    assert [type(layer[1]) for layer in layers] == 8 * [nn.BatchNorm2d] + 3 * [nn.BatchNorm1d]
    inputs = []
    for layer in layers:
        assert type(layer[2]) is nn.ReLU
        layer[2].register_forward_pre_hook(lambda _, args: inputs.append(args[0].clone()))
    model(5 + 3 * torch.randn(8, 3, 16, 16))
    for x in inputs:  # of each ReLU: whatever comes in, each channel has mean 0
        assert x.transpose(0, 1).flatten(1).mean(1).abs().max() < 1e-4
    assert len(inputs) == 11


def test_layout_in_memory_changes_no_number():
    x = torch.randn(2, 3, 16, 16)
    plain = SVHNCNN(in_size=16, width=0.1).eval()
    other = SVHNCNN(in_size=16, width=0.1, channels_last=True).eval()
    other.load_state_dict(plain.state_dict())
    assert other.conv2(other.conv1(x)).is_contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(plain(x), other(x), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    'kwargs, error',
    [
        (dict(width=0), 'width'),
        (dict(dropout=1), 'dropout'),
        (dict(in_size=8), 'in_size'),
        (dict(in_size=0), 'in_size'),
    ],
)
def test_bad_arguments(kwargs, error):
    with pytest.raises(ValueError, match=error):
        SVHNCNN(**kwargs)


def test_other_image_size_is_refused():
    with pytest.raises(ValueError, match='in_size'):
        SVHNCNN(in_size=16, width=0.1)(torch.rand(1, 3, 32, 32))


def build(name):
    """The backbone of a config."""
    model = Config.fromfile(CONFIGS / 'models' / 'svhn' / f'{name}.py').model
    return MODELS.build(model).eval()


@pytest.mark.parametrize('size', [64, 128])
@pytest.mark.parametrize(
    'name, maps',
    [
        ('st-cnn-single-small', [(3, 1)]),
        # The map in front of each of the first four convolutions: channels, and the size over it.
        ('st-cnn-multi-small', [(3, 1), (6, 2), (8, 2), (16, 4)]),
    ],
)
def test_transformers_stand_where_the_paper_puts_them(name, maps, size):
    torch.manual_seed(0)
    model = build(f'{name}_{size}px')
    seen = []
    for module in model.modules():
        if type(module).__name__ == 'SpatialTransformer':
            module.register_forward_hook(
                lambda _, args, out: seen.append((args[0].shape[1:], out.shape[1:]))
            )
    x = torch.randn(2, 3, size, size)
    logits = model(x)
    expected = [(channels, size // stride, size // stride) for channels, stride in maps]
    assert [shape for shape, _ in seen] == [shape for _, shape in seen] == expected

    # At the start they pass everything on: the plain network with the same weights says the same.
    plain = build(f'cnn-small_{size}px')
    weights = {
        key.replace('streams.0.', ''): value
        for key, value in model.state_dict().items()
        if 'streams.0.' in key or key.startswith('head.')
    }
    plain.load_state_dict(weights)
    torch.testing.assert_close(logits, plain(x), rtol=1e-4, atol=1e-5)


def test_multi_has_fully_connected_localisation_nets_of_two_layers_of_32():
    model = build('st-cnn-multi-small_64px')
    for loc_net in (m for name, m in model.named_modules() if name.endswith('loc_net')):
        sizes = [m.out_features for m in loc_net.modules() if isinstance(m, nn.Linear)]
        assert sizes == [32, 32, 6]
        assert not any(isinstance(m, (nn.Dropout, nn.Conv2d)) for m in loc_net.modules())


def test_localisation_nets_learn_at_a_tenth_of_the_rate():
    model = build('st-cnn-multi-small_64px')
    schedule = Config.fromfile(CONFIGS / 'schedules' / 'svhn_bs128_400k.py')
    groups = build_optim_wrapper(model, schedule.optim_wrapper).optimizer.param_groups
    rates = {id(p): group['lr'] for group in groups for p in group['params']}
    for name, parameter in model.named_parameters():
        expected = 0.001 if 'loc_net' in name else 0.01
        assert rates[id(parameter)] == pytest.approx(expected), name
