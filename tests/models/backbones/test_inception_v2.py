"""InceptionV2 against the table of its paper."""

import pytest
import torch
from mmpretrain.registry import MODELS
from torch import nn

from mmstn.models import InceptionV2, InceptionV3Features

# Channels and size for a 224 px image, as in the paper's table (4c, 4d: with 96 and with 128).
SHAPES = {
    'inception_3a': (256, 28),
    'inception_3b': (320, 28),
    'inception_3c': (576, 14),
    'inception_4a': (576, 14),
    'inception_4b': (576, 14),
    'inception_4c': ({96: 576, 128: 608}, 14),
    'inception_4d': ({96: 576, 128: 608}, 14),
    'inception_4e': ({96: 1024, 128: 1056}, 7),
    'inception_5a': (1024, 7),
    'inception_5b': (1024, 7),
}


@pytest.mark.parametrize('pool_channels', [96, 128])
def test_each_block_has_the_shape_of_the_table(pool_channels):
    model = InceptionV2(pool_channels=pool_channels, out_indices=(0, 1, 2, 3)).eval()
    shapes = {}

    def note(name):
        return lambda module, args, output: shapes.update({name: tuple(output.shape)})

    for name, module in model.named_modules():
        if name.split('.')[-1] in SHAPES:
            module.register_forward_hook(note(name.split('.')[-1]))
    with torch.no_grad():
        outputs = model(torch.zeros(1, 3, 224, 224))
    for name, (channels, size) in SHAPES.items():
        channels = channels[pool_channels] if isinstance(channels, dict) else channels
        assert shapes[name] == (1, channels, size, size), name
    sizes = [(192, 56), (320, 28), ({96: 576, 128: 608}[pool_channels], 14), (1024, 7)]
    assert [tuple(output.shape) for output in outputs] == [(1, c, s, s) for c, s in sizes]


@pytest.mark.parametrize('pool_channels', [96, 128])
def test_number_of_parameters_is_that_of_the_table(pool_channels):
    p = pool_channels
    # (kernel, channels in, channels out) of every convolution, written out from the table.
    convs = [(7, 3, 64), (1, 64, 64), (3, 64, 192)]
    widths = {'3a': 192, '3b': 256, '3c': 320, '4a': 576, '4b': 576, '4c': 576}
    widths |= {'4d': 480 + p, '4e': 480 + p, '5a': 928 + p, '5b': 1024}
    rows = {
        '3a': (64, 64, 64, 64, 96, 96, 32),
        '3b': (64, 64, 96, 64, 96, 96, 64),
        '3c': (0, 128, 160, 64, 96, 96, 0),
        '4a': (224, 64, 96, 96, 128, 128, 128),
        '4b': (192, 96, 128, 96, 128, 128, 128),
        '4c': (160, 128, 160, 128, 160, 160, p),
        '4d': (96, 128, 192, 160, 192, 192, p),
        '4e': (0, 128, 192, 192, 256, 256, 0),
        '5a': (352, 192, 320, 160, 224, 224, 128),
        '5b': (352, 192, 320, 192, 224, 224, 128),
    }
    for block, (one, reduce, three, reduce2, middle, double, pool) in rows.items():
        width = widths[block]
        convs += [(1, width, one), (1, width, reduce), (3, reduce, three), (1, width, reduce2)]
        convs += [(3, reduce2, middle), (3, middle, double), (1, width, pool)]
    expected = sum(k * k * c_in * c_out + 2 * c_out for k, c_in, c_out in convs)
    model = InceptionV2(pool_channels=p)
    assert sum(parameter.numel() for parameter in model.parameters()) == expected
    # The total by hand, once with the biases and the classifier of the published Caffe network.
    assert expected == {96: 10_169_984, 128: 10_260_224}[p]
    if p == 128:
        biases = sum(c_out for _, _, c_out in convs)
        assert expected + biases + 1024 * 1000 + 1000 == 11_295_240


@pytest.mark.parametrize('size', [(32, 32), (97, 131)])
def test_any_size_goes_through(size):
    with torch.no_grad():
        maps = InceptionV2(out_indices=(1, 2, 3)).eval()(torch.rand(1, 3, *size))
    for smaller, larger in zip(maps[1:], maps[:-1], strict=True):
        assert tuple(smaller.shape[2:]) == tuple((s + 1) // 2 for s in larger.shape[2:])


def test_stages_after_the_last_output_are_not_built():
    model = InceptionV2(out_indices=(1,))
    assert not hasattr(model, 'stage2')
    assert [tuple(m.shape) for m in model(torch.rand(2, 3, 64, 64))] == [(2, 320, 8, 8)]


def test_frozen_stages_and_norm_eval():
    model = InceptionV2(frozen_stages=1).train()
    for name, parameter in model.named_parameters():
        assert parameter.requires_grad == name.startswith(('stage2', 'stage3')), name
    for name, module in model.named_modules():
        if isinstance(module, nn.BatchNorm2d):
            assert module.training == name.startswith(('stage2', 'stage3')), name
    model = InceptionV2(norm_eval=True).train()
    assert not any(m.training for m in model.modules() if isinstance(m, nn.BatchNorm2d))
    assert all(parameter.requires_grad for parameter in model.parameters())


@pytest.mark.parametrize('options', [{}, dict(norm_eval=True), dict(frozen_stages=0)])
def test_checkpointing_changes_neither_gradients_nor_statistics(options):
    torch.manual_seed(0)
    plain = InceptionV2(out_indices=(2,), **options).double().train()
    thrifty = InceptionV2(out_indices=(2,), with_cp=True, **options).double().train()
    thrifty.load_state_dict(plain.state_dict())
    x = torch.rand(2, 3, 32, 32, dtype=torch.float64)
    saved = {}
    gradients = []
    for name, model in dict(plain=plain, thrifty=thrifty).items():
        inputs = x.clone().requires_grad_()
        tensors = []

        def pack(tensor, tensors=tensors):
            tensors.append(tensor.numel())
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
            loss = model(inputs)[0].square().mean()
        saved[name] = sum(tensors)
        loss.backward()
        gradients.append([inputs.grad] + [p.grad for p in model.parameters() if p.requires_grad])
    torch.testing.assert_close(*gradients, rtol=1e-9, atol=1e-12)
    torch.testing.assert_close(dict(thrifty.state_dict()), dict(plain.state_dict()))
    assert all(m.momentum == 0.1 for m in thrifty.modules() if isinstance(m, nn.BatchNorm2d))
    assert saved['thrifty'] < saved['plain'] / 2


@pytest.mark.parametrize(
    'options, message',
    [
        (dict(pool_channels=64), 'pool_channels must be 96 or 128, got 64'),
        (dict(out_indices=(4,)), 'out_indices must be stages 0 to 3'),
        (dict(out_indices=()), 'out_indices must be'),
        (dict(frozen_stages=4), 'frozen_stages must be a whole number -1 to 3, got 4'),
        (dict(out_indices=(1,), frozen_stages=2), '-1 to 1, got 2'),
    ],
)
def test_bad_options(options, message):
    with pytest.raises(ValueError, match=message):
        InceptionV2(**options)


def test_inception_v3_without_its_classifier_gives_the_same_descriptor():
    torch.manual_seed(0)
    whole, features = MODELS.build(dict(type='InceptionV3')), InceptionV3Features()
    whole.eval()  # returns nothing
    features.eval()
    left_over = features.load_state_dict(whole.state_dict(), strict=False)
    assert not left_over.missing_keys
    assert set(left_over.unexpected_keys) == {'fc.weight', 'fc.bias'}
    x = torch.rand(1, 3, 160, 160)
    with torch.no_grad():
        logits = whole.fc(features(x)[0].mean((2, 3)))
        torch.testing.assert_close(logits, whole(x)[1])
