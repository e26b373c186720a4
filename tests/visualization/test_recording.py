import pytest
import torch
from torch import nn

from mmstn.models import SpatialTransformer, STNBackbone
from mmstn.visualization import record_transformers

TRANSLATION = dict(type='TranslationGridGenerator')


def make_transformer(in_channels=1, **kwargs):
    loc_net = dict(type='ConvLocNet', in_channels=in_channels, downsample=1, kernel_sizes=3)
    return SpatialTransformer(loc_net, TRANSLATION, **kwargs)


@pytest.mark.parametrize('return_theta', [False, True])
@pytest.mark.parametrize('by_keyword', [False, True])
def test_a_record_holds_what_went_in_and_came_out(return_theta, by_keyword):
    transformer = make_transformer(init=[0.25, -0.5])
    x = torch.rand(3, 1, 16, 16)
    with record_transformers(transformer) as records:
        args, kwargs = ((), dict(x=x)) if by_keyword else ((x,), {})
        output = transformer(*args, **kwargs, return_theta=return_theta)
    output = output[0] if return_theta else output
    (record,) = records
    assert record.name == '' and record.transformer is transformer and len(record) == 3
    assert torch.equal(record.input, x)
    assert torch.equal(record.theta, torch.tensor([0.25, -0.5]).expand(3, 2))
    assert torch.equal(record.output, output)
    assert not record.output.requires_grad and output.requires_grad


def test_parallel_transformers_keep_their_axis():
    start = [[0.5, 0.0], [0.0, 0.5], [-0.5, 0.0]]
    transformer = make_transformer(num_transformers=3, init=start)
    with record_transformers(transformer) as records:
        transformer(torch.rand(2, 1, 16, 16))
    (record,) = records
    assert torch.equal(record.theta, torch.tensor(start).expand(2, 3, 2))
    assert record.output.shape == (2, 3, 1, 16, 16)


def test_transformers_in_series_and_inside_each_other_are_recorded_by_name():
    class WithInner(nn.Module):
        """A localisation net that looks through a transformer of its own."""

        def __init__(self):
            super().__init__()
            self.inner = make_transformer(init=[0.1, 0.0])

        def forward(self, x):
            return self.inner(x).mean((1, 2, 3))[:, None] * torch.zeros(2)

    outer = SpatialTransformer(WithInner(), dict(TRANSLATION))
    model = nn.ModuleDict(dict(first=make_transformer(init=[0.2, 0.0]), second=outer))
    with record_transformers(model) as records:
        x = torch.rand(2, 1, 16, 16)
        warped = model['first'](x)
        model['second'](warped)
    names = [record.name for record in records]
    assert names == ['first', 'second.loc_net.inner', 'second']
    thetas = [record.theta[0].tolist() for record in records]
    assert thetas == [pytest.approx([0.2, 0]), pytest.approx([0.1, 0]), [0, 0]]
    assert torch.equal(records[2].input, warped)


def test_transformers_inside_a_wrapped_backbone_are_found():
    transformer = dict(
        loc_net=dict(type='ConvLocNet', in_channels=64, downsample=1), grid_generator=TRANSLATION
    )
    model = STNBackbone(dict(type='ResNet', depth=18), insert={'layer2': transformer})
    with record_transformers(model) as records, torch.no_grad():
        model(torch.rand(2, 3, 96, 96))
    (record,) = records
    assert record.name.endswith('layer2')
    assert record.input.shape == (2, 64, 24, 24)


def test_a_net_shared_by_two_transformers_gives_each_its_own_theta():
    loc_net = make_transformer().loc_net
    nn.init.normal_(loc_net.regression.weight)
    model = nn.Sequential(*(SpatialTransformer(loc_net, dict(TRANSLATION)) for _ in range(2)))
    with record_transformers(model) as records:
        model(torch.rand(2, 1, 16, 16))
    for record in records:
        assert torch.equal(record.theta, loc_net(record.input))
    assert not torch.equal(records[0].theta, records[1].theta)


def test_records_are_safe_from_layers_that_work_in_place():
    model = nn.Sequential(make_transformer(), nn.ReLU(inplace=True))
    with record_transformers(model) as records, torch.no_grad():
        model(-torch.ones(1, 1, 16, 16))
    torch.testing.assert_close(records[0].output, -torch.ones(1, 1, 16, 16))


def test_nothing_is_recorded_afterwards_even_if_the_model_fails():
    transformer = make_transformer()
    with pytest.raises(ValueError), record_transformers(transformer) as records:
        transformer(torch.rand(2, 16, 16))
    transformer(torch.rand(2, 1, 16, 16))
    assert records == []
    assert not transformer._forward_hooks and not transformer.loc_net._forward_hooks


@pytest.mark.parametrize('before', [False, True])
@pytest.mark.parametrize('inside', [False, True])
def test_compiled_models(before, inside):
    """Whether they have run before or not: compiled code knows no hooks that came later."""
    model = nn.Sequential(make_transformer(init=[0.25, -0.5]), nn.ReLU())
    x = torch.rand(2, 1, 16, 16)
    expected = model(x)
    if inside:
        model[0] = torch.compile(model[0], backend='eager')
    else:
        model = torch.compile(model, backend='eager')
    if before:
        model(x)
    for _ in range(2):
        with record_transformers(model) as records:
            model(x)
        (record,) = records
        assert record.name == '0' and torch.equal(record.input, x)
        assert record.theta.tolist() == [[0.25, -0.5]] * 2
        torch.testing.assert_close(record.output.relu(), expected)
    torch.testing.assert_close(model(x), expected)
    assert len(records) == 1


def test_one_sample_of_a_record():
    transformer = make_transformer(num_transformers=2)
    with record_transformers(transformer) as records:
        transformer(torch.rand(3, 1, 16, 16))
    sample = records[0].sample(1)
    assert len(sample) == 1 and sample.name == records[0].name
    for name in ('input', 'theta', 'output'):
        part = getattr(sample, name)
        assert torch.equal(part[0], getattr(records[0], name)[1])
        assert part.untyped_storage().nbytes() == part.numel() * part.element_size()
