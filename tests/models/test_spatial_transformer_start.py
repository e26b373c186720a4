"""The start of theta: initialisation, checkpoints, resuming, EMA, SyncBN, half precision."""

from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.hooks import EMAHook
from mmengine.model import ExponentialMovingAverage, convert_sync_batchnorm
from mmengine.optim import build_optim_wrapper
from mmengine.registry import init_default_scope
from mmpretrain.registry import MODELS
from torch import nn
from torch.utils.data import Dataset

from mmstn.models import SpatialTransformer, find_transformers
from tests import tiny

# Every layer of every kind anew, biases too: what a parent's init_cfg may well do.
HOSTILE = [
    dict(type='TruncNormal', layer=['Conv2d', 'Linear'], std=0.5, bias=3.0),
    dict(type='Constant', layer=['BatchNorm2d'], val=2, bias=1),
]
CONV = dict(type='ConvLocNet', in_channels=3, kernel_sizes=3, init_cfg=HOSTILE)
INSIDE = dict(type='FCLocNet', in_channels=16, in_size=8, init_cfg=HOSTILE)
BACKBONE = dict(type='ResNet', depth=18, base_channels=8, stem_channels=8)
DEEP = dict(type='BackboneLocNet', backbone=BACKBONE, in_size=32, init_cfg=HOSTILE)


def stn(loc_net, family='Affine', **options):
    return dict(loc_net=loc_net, grid_generator=dict(type=f'{family}GridGenerator'), **options)


def classifier(loc_net=CONV):
    return dict(
        type='ImageClassifier',
        data_preprocessor=dict(mean=[0.0] * 3, std=[1.0] * 3),
        backbone=dict(
            type='STNBackbone',
            backbone=BACKBONE,
            transformer=stn(loc_net, num_transformers=4, init='tile', out_size=(64, 64)),
            insert={'layer3': dict(stn(INSIDE, 'TPS'), init_cfg=HOSTILE)},
            fusion='mean',
            init_cfg=HOSTILE,
        ),
        neck=[
            dict(type='STNNeck', transformer=stn(dict(INSIDE, in_channels=64, in_size=2))),
            dict(type='GlobalAveragePooling'),
        ],
        head=dict(type='LinearClsHead', num_classes=2, in_channels=64),
        init_cfg=HOSTILE,
    )


class Images(Dataset):
    """Eight fixed images with the labels of their brighter half."""

    def __init__(self):
        self.images = torch.rand(8, 3, 32, 32, generator=torch.Generator().manual_seed(0)) * 255

    def __len__(self):
        return len(self.images)

    def __getitem__(self, index):
        from mmpretrain.structures import DataSample

        return dict(inputs=self.images[index], data_samples=DataSample().set_gt_label(index % 2))


def make_runner(tmp_path, model, lr=0.0, epochs=1, hooks=(), **options):
    return tiny.runner(
        tmp_path,
        model,
        train_dataloader=tiny.loader(Images()),
        train_cfg=dict(by_epoch=True, max_epochs=epochs),
        optim_wrapper=dict(optimizer=dict(type='SGD', lr=lr, momentum=0.9)),
        default_hooks=dict(logger=dict(type='LoggerHook', interval=1)),
        custom_hooks=list(hooks),
        **options,
    )


@pytest.mark.parametrize('loc_net', [CONV, DEEP], ids=['conv', 'backbone'])
def test_the_start_survives_the_runner_to_the_last_bit(tmp_path, loc_net):
    runner = make_runner(tmp_path, classifier(loc_net))
    runner.train()
    found = find_transformers(runner.model)
    assert len(found) == 3
    probe = torch.rand(2, 3, 32, 32)
    for name, transformer in found.items():
        regression = transformer.loc_net.regression
        assert regression.weight.eq(0).all() and regression.bias.eq(0).all(), name
        generator, k = transformer.grid_generator, transformer.num_transformers
        start = generator.tiled_theta(k) if k else generator.identity_theta()
        assert torch.equal(transformer.start, start), name
    theta = found['backbone.transformer'](probe, return_theta=True)[1]
    tiles = found['backbone.transformer'].grid_generator.tiled_theta(4)
    assert torch.equal(theta, tiles.expand(2, 4, 6))
    # The hostile initialisation did happen to the layers beside it.
    hidden = [t.loc_net.fc[0].bias for t in found.values()]
    assert all(bias.eq(3).all() for bias in hidden)


@pytest.mark.parametrize('where', ['load_from', 'init_cfg'])
def test_the_start_does_not_overwrite_a_checkpoint(tmp_path, where):
    trained = MODELS.build(classifier())
    for parameter in trained.parameters():
        torch.nn.init.normal_(parameter)
    path = str(tmp_path / 'trained.pth')
    torch.save(dict(state_dict=trained.state_dict()), path)
    config, options = classifier(), {}
    if where == 'load_from':
        options['load_from'] = path
    else:
        config['init_cfg'] = dict(type='Pretrained', checkpoint=path)
    runner = make_runner(tmp_path, config, **options)
    runner.train()
    state = runner.model.state_dict()
    for name, parameter in trained.named_parameters():
        assert torch.equal(state[name], parameter), name


def test_resuming_goes_on_where_it_stopped(tmp_path):
    """Two epochs in a row and one epoch, a checkpoint and another epoch end in the same weights."""
    # Initialised elsewhere, once, so that both runs begin alike.
    model = MODELS.build(classifier())
    model.init_weights()
    path = str(tmp_path / 'start.pth')
    torch.save(dict(state_dict=model.state_dict()), path)
    whole = make_runner(tmp_path / 'whole', classifier(), lr=1e-3, epochs=2, load_from=path)
    whole.train()
    first = make_runner(tmp_path / 'parts', classifier(), lr=1e-3, epochs=1, load_from=path)
    first.train()
    second = make_runner(tmp_path / 'parts', classifier(), lr=1e-3, epochs=2, resume=True)
    second.train()
    assert second.iter == whole.iter == 4
    for name, tensor in whole.model.state_dict().items():
        torch.testing.assert_close(second.model.state_dict()[name], tensor, msg=name)
    assert second.model.backbone.transformer.loc_net.regression.bias.any()  # it did learn


def test_ema_starts_with_the_model(tmp_path):
    ema = EMAHook()
    runner = make_runner(tmp_path, classifier(), hooks=[ema])
    runner.train()
    averaged = find_transformers(ema.ema_model)
    for name, transformer in find_transformers(runner.model).items():
        assert torch.equal(averaged[name].start, transformer.start), name
        assert not averaged[name].loc_net.regression.bias.any(), name


def test_learning_rate_of_loc_nets_at_any_depth(tmp_path):
    runner = make_runner(tmp_path, classifier())
    runner.model.init_weights()
    wrapper = runner.build_optim_wrapper(
        dict(
            optimizer=dict(type='SGD', lr=1.0),
            paramwise_cfg=dict(custom_keys={'loc_net': dict(lr_mult=0.1)}),
        )
    )
    names = {parameter: name for name, parameter in runner.model.named_parameters()}
    for group in wrapper.optimizer.param_groups:
        (parameter,) = group['params']
        assert group['lr'] == (0.1 if 'loc_net' in names[parameter] else 1.0)


NETS = {
    'FCLocNet': dict(in_channels=3, in_size=8),
    'ConvLocNet': dict(in_channels=3, kernel_sizes=3, downsample=1, norm_cfg=dict(type='BN')),
    'BackboneLocNet': dict(
        backbone=dict(type='MNISTCNN', in_size=8, in_channels=3, channels=(4,), kernel_sizes=(3,)),
        in_size=8,
    ),
    'ParallelLocNet': dict(loc_net=dict(type='FCLocNet', in_channels=3, in_size=8)),
}
FAMILIES = ('Affine', 'Similarity', 'Attention', 'Translation', 'Projective', 'TPS')


def started_transformers(loc_net):
    """Every family from every start that it has, with the start that was asked for."""
    loc_net = dict(type=loc_net, **NETS[loc_net])
    for family in FAMILIES:
        generator = MODELS.build(dict(type=f'{family}GridGenerator'))
        numbers = torch.linspace(-0.7, 0.9, 2 * generator.num_params).view(2, -1)
        starts = dict(identity=generator.identity_theta().expand(2, -1), numbers=numbers)
        if family != 'Translation':
            starts['tile'] = generator.tiled_theta(2)
        for name, start in starts.items():
            init = numbers.tolist() if name == 'numbers' else name
            options = stn(loc_net, family, num_transformers=2, init=init)
            yield SpatialTransformer(**options), start


@pytest.mark.parametrize('loc_net', NETS)
@pytest.mark.parametrize(
    'optimizer',
    [
        dict(type='SGD', lr=0.1, momentum=0.9, weight_decay=1e-4),
        dict(type='AdamW', lr=0.003, weight_decay=0.3),
    ],
    ids=['SGD', 'AdamW'],
)
def test_weight_decay_alone_moves_no_window(loc_net, optimizer):
    modules, starts = zip(*started_transformers(loc_net), strict=True)
    model = torch.nn.ModuleList(modules)
    wrapper = build_optim_wrapper(model, dict(optimizer=optimizer))
    weights = [p for p in model.parameters() if p.dim() > 1]
    before = sum(w.detach().norm() for w in weights)
    for parameter in model.parameters():
        parameter.grad = torch.zeros_like(parameter)
    for _ in range(1000):
        wrapper.step()
    assert sum(w.norm() for w in weights) < 0.999 * before  # the others do decay
    size = NETS[loc_net].get('in_size', 8)
    for transformer, start in zip(modules, starts, strict=True):
        theta = transformer(torch.rand(2, 3, size, size), return_theta=True)[1]
        assert torch.equal(theta, start.expand(2, -1, -1)), transformer.grid_generator


def old_state(transformer):
    """What a checkpoint held when the bias of the last layer began at the start."""
    state = transformer.state_dict()
    start = state.pop('start')
    biases = [name for name in state if name.endswith('regression.bias')]
    for name, part in zip(biases, start.view(len(biases), -1), strict=True):
        state[name] = state[name] + part
    return state


@pytest.mark.parametrize('loc_net', NETS)
@pytest.mark.parametrize('prefix', ['', 'backbone.transformer.'])
def test_an_old_checkpoint_gives_the_same_theta(loc_net, prefix, monkeypatch):
    said = []
    monkeypatch.setattr('mmstn.models.spatial_transformer.print_log', lambda m, *_: said.append(m))
    options = dict(num_transformers=2, init='tile')
    trained, loaded = (
        SpatialTransformer(**stn(dict(type=loc_net, **NETS[loc_net]), **options)) for _ in range(2)
    )
    for parameter in trained.loc_net.parameters():
        torch.nn.init.normal_(parameter, std=0.1)
    model = loaded
    for name in filter(None, reversed(prefix.split('.'))):
        model = torch.nn.ModuleDict({name: model})
    old = {prefix + name: tensor for name, tensor in old_state(trained).items()}
    model.load_state_dict(old, strict=True)
    size = NETS[loc_net].get('in_size', 8)
    image = torch.rand(2, 3, size, size)
    expected, theta = (t.eval()(image, return_theta=True)[1] for t in (trained, loaded))
    torch.testing.assert_close(theta, expected, rtol=0, atol=1e-6)
    assert said and all('was taken off it' in message for message in said)
    again = SpatialTransformer(**stn(dict(type=loc_net, **NETS[loc_net]), num_transformers=2))
    again.load_state_dict(loaded.state_dict())  # of another init, but the checkpoint's counts
    assert torch.equal(again.eval()(image, return_theta=True)[1], theta)


def own_net():
    return torch.nn.Sequential(
        torch.nn.AdaptiveAvgPool2d(2), torch.nn.Flatten(), torch.nn.Linear(12, 3)
    )


def test_a_net_of_ones_own_gives_theta_or_with_init_its_offset():
    image = torch.rand(2, 3, 8, 8)
    net = own_net()
    plain = SpatialTransformer(net, dict(type='AttentionGridGenerator'))
    assert plain.start is None
    assert torch.equal(plain(image, return_theta=True)[1], net(image))
    started = SpatialTransformer(net, dict(type='AttentionGridGenerator'), init=[0.5, 0.25, -0.5])
    offset = torch.tensor([0.5, 0.25, -0.5])
    assert torch.equal(started(image, return_theta=True)[1], offset + net(image))
    # A checkpoint of the one would silently give another theta in the other.
    for source, target in ((plain, started), (started, plain)):
        for strict in (True, False):
            with pytest.raises(RuntimeError, match='loc_net gave .* built with'):
                target.load_state_dict(source.state_dict(), strict=strict)
        target.load_state_dict(target.state_dict())


def test_a_registered_net_of_ones_own_is_given_what_it_takes():
    class Own(torch.nn.Module):
        def __init__(self, width, num_params):
            super().__init__()
            self.num = num_params, width

        def forward(self, x):
            return x.mean((2, 3))[:, :1].repeat(1, self.num[0])

    MODELS.register_module(module=Own, name='OwnLocNet')
    try:
        st = SpatialTransformer(
            dict(type='OwnLocNet', width=3), dict(type='TranslationGridGenerator'), init='identity'
        )
        assert st(torch.full((1, 3, 8, 8), 0.25), return_theta=True)[1].tolist() == [[0.25, 0.25]]
    finally:
        MODELS.module_dict.pop('OwnLocNet')


@pytest.mark.parametrize(
    ('give', 'error', 'message'),
    [
        (lambda x: x.mean((2, 3))[:, :1], ValueError, r'theta.*\(2, 3\), got shape \(2, 1\)'),
        (lambda x: (x.mean((2, 3)),), TypeError, 'theta.*tensor, got tuple'),
    ],
)
def test_what_a_net_of_ones_own_must_give(give, error, message):
    class Own(torch.nn.Module):
        def forward(self, x):
            return give(x)

    for init in (None, 'identity'):
        st = SpatialTransformer(Own(), dict(type='AttentionGridGenerator'), init=init)
        with pytest.raises(error, match=message):
            st(torch.rand(2, 3, 8, 8))


CONFIGS = Path(__file__).parents[2] / 'configs'
TILES = {2: [(-0.5, 0.0), (0.5, 0.0)], 4: [(x, y) for y in (-0.5, 0.5) for x in (-0.5, 0.5)]}


@pytest.fixture(params=[2, 4])
def model(request):
    init_default_scope('mmpretrain')
    name = f'cub/{request.param}x-st-small_1xb32-1200_birds-192.py'
    config = Config.fromfile(CONFIGS / name)
    config.model.backbone.init_cfg = None  # a checkpoint, which has no weights for theta
    model = MODELS.build(config.model)
    model.init_weights()
    return model


def theta_of(model):
    return model.backbone.transformer(torch.rand(2, 3, 192, 192), return_theta=True)[1]


def test_ema_and_sync_bn_start_from_the_tiles(model):
    number = model.backbone.transformer.num_transformers
    tiles = torch.tensor(TILES[number]).expand(2, number, 2)
    averaged = ExponentialMovingAverage(model)
    averaged.update_parameters(model)
    assert torch.equal(theta_of(averaged.module), tiles)
    synced = convert_sync_batchnorm(model, 'torch')
    assert any(isinstance(module, nn.SyncBatchNorm) for module in synced.modules())
    assert torch.equal(theta_of(synced.eval()), tiles)  # SyncBN trains on GPUs only


def test_the_loc_net_alone_learns_at_1e_4_of_the_rate(model):
    schedule = Config.fromfile(CONFIGS / '_base_/schedules/cub_bs256_30k.py')
    model = convert_sync_batchnorm(model, 'torch')
    optimizer = build_optim_wrapper(model, schedule.optim_wrapper).optimizer
    rates = {id(p): group['lr'] for group in optimizer.param_groups for p in group['params']}
    names = dict(model.named_parameters())
    assert len(rates) == len(names)
    for name, parameter in names.items():
        slow = name.startswith('backbone.transformer.loc_net.')
        assert rates[id(parameter)] == pytest.approx(1e-5 if slow else 0.1), name


def test_half_precision_starts_from_the_tiles_and_teaches_the_loc_net(model):
    number = model.backbone.transformer.num_transformers
    with torch.autocast('cpu', torch.bfloat16):  # as AmpOptimWrapper does, which wants a GPU
        theta = theta_of(model)
        scores = model(torch.rand(2, 3, 192, 192), mode='tensor')
    assert theta.dtype == torch.float32
    assert torch.equal(theta, torch.tensor(TILES[number]).expand(2, number, 2))
    assert scores.dtype == torch.bfloat16
    scores.float().square().sum().backward()
    weight = model.backbone.transformer.loc_net.regression.weight
    assert weight.grad.isfinite().all() and weight.grad.abs().max() > 0
