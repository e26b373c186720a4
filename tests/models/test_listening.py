"""Finding the transformers of a model inside any wrapper, and hearing theta of all of them."""

import pytest
import torch
from mmengine.model import BaseTTAModel, ExponentialMovingAverage, MMDistributedDataParallel
from mmpretrain.registry import MODELS
from torch import nn

from mmstn.models import SpatialTransformer, find_transformers, listen

TRANSLATION = dict(type='TranslationGridGenerator')


class OwnNet(nn.Module):
    """A localisation net that has nothing of mmstn's."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(1, 2)

    def forward(self, x):
        return self.layer(x.mean((2, 3)))


class Model(nn.Sequential):
    """Two transformers in series."""

    def test_step(self, data):
        return self(data)


def make_model():
    loc_net = dict(type='ConvLocNet', in_channels=1, downsample=1, kernel_sizes=3)
    inner = dict(loc_net=loc_net, grid_generator=TRANSLATION, init=[0.25, -0.5])
    return Model(SpatialTransformer(OwnNet(), TRANSLATION), SpatialTransformer(**inner))


class Augmented(BaseTTAModel):
    """Test-time augmentation, as mmengine wraps a model in it."""

    def merge_preds(self, data_samples_list):
        return data_samples_list


def distributed(model, tmp_path):
    torch.distributed.init_process_group(
        'gloo', init_method=f'file://{tmp_path}/store', rank=0, world_size=1
    )
    return MMDistributedDataParallel(model)


WRAPPERS = {
    'none': lambda model, _: model,
    'averaged': lambda model, _: ExponentialMovingAverage(model),
    'augmented': lambda model, _: Augmented(model),
    'compiled': lambda model, _: torch.compile(model, backend='eager'),
    'distributed': distributed,
    'two at once': lambda model, _: Augmented(torch.compile(model, backend='eager')),
}


@pytest.mark.parametrize('wrap', WRAPPERS.values(), ids=WRAPPERS)
def test_transformers_are_found_by_their_own_names(wrap, tmp_path):
    model = make_model()
    try:
        found = find_transformers(wrap(model, tmp_path))
    finally:
        if torch.distributed.is_initialized():
            torch.distributed.destroy_process_group()
    assert list(found) == ['0', '1']
    assert all(isinstance(module, SpatialTransformer) for module in found.values())
    (itself,) = find_transformers(model[0]).items()
    assert itself == ('', model[0])


def test_a_compiled_part_keeps_its_name():
    model = make_model()
    model[0] = torch.compile(model[0], backend='eager')
    assert list(find_transformers(model)) == ['0', '1']


def in_whole(model):
    return torch.compile(model, backend='eager')


def its_forward(model):
    model.forward = torch.compile(model.forward, backend='eager')
    return model


def a_part(model):
    model[0] = torch.compile(model[0], backend='eager')
    return model


@pytest.mark.parametrize('compile', [lambda model: model, in_whole, its_forward, a_part])
@pytest.mark.parametrize('used_before', [False, True])
def test_theta_of_every_net_is_heard(compile, used_before):
    torch.manual_seed(0)
    plain = make_model()
    x = torch.rand(3, 1, 16, 16)
    mean = nn.functional.linear(x.mean((2, 3)), plain[0].loc_net.layer.weight)
    expected = [mean + plain[0].loc_net.layer.bias, torch.tensor([[0.25, -0.5]]).expand(3, 2)]
    model = compile(plain)
    if used_before:
        model(x)
    heard = []
    with listen(model, lambda *what: heard.append(what)):
        output = model(x)
    model(x)
    assert [name for name, *_ in heard] == ['0', '1']
    for (_, _, _, theta, _), right in zip(heard, expected, strict=True):
        torch.testing.assert_close(theta, right)
    (_, first, read, theta, sampled), (_, _, read_next, _, sampled_last) = heard
    assert isinstance(first, SpatialTransformer) and theta.requires_grad
    assert torch.equal(read, x) and torch.equal(read_next, sampled)
    assert torch.equal(sampled_last, output)


def test_each_of_several_listeners_ends_on_its_own():
    model = in_whole(make_model())
    x = torch.rand(1, 1, 16, 16)
    model(x)
    heard = {'a': 0, 'b': 0}

    def count(key):
        def hear(*what):
            heard[key] += 1

        return hear

    first, second = listen(model, count('a')), listen(model, count('b'))
    model(x)
    first.close()
    model(x)
    second.close()
    model(x)
    assert heard == {'a': 2, 'b': 4}
    for transformer in find_transformers(model).values():
        assert not transformer._forward_hooks and not transformer.theta._forward_hooks


def test_nothing_of_a_failed_call_is_left_over():
    model = make_model()
    heard = []
    with listen(model, lambda *what: heard.append(what)):
        with pytest.raises(ValueError, match='input'):
            model(torch.rand(1, 16, 16))
        model(torch.rand(1, 1, 16, 16))
    assert len(heard) == 2


def test_a_transformer_in_a_localisation_net_is_heard_first():
    inner = make_model()
    outer = SpatialTransformer(nn.Sequential(inner, OwnNet()), dict(TRANSLATION))
    names = []
    with listen(outer, lambda name, *_: names.append(name)):
        outer(torch.rand(1, 1, 16, 16))
    assert names == ['loc_net.0.0', 'loc_net.0.1', '']


def test_a_model_of_mmpretrain_is_heard():
    transformer = dict(
        loc_net=dict(type='ConvLocNet', in_channels=3, downsample=1), grid_generator=TRANSLATION
    )
    backbone = dict(type='LeNet5', num_classes=2)
    model = MODELS.build(
        dict(
            type='ImageClassifier',
            backbone=dict(type='STNBackbone', backbone=backbone, transformer=transformer),
        )
    )
    assert list(find_transformers(model)) == ['backbone.transformer']
