"""Localisation nets: shapes, the start of theta, the paper's layouts counted by hand."""

import pytest
import torch
from mmcv.cnn import ConvModule
from mmengine.config import Config
from mmpretrain.registry import MODELS
from torch import nn
from torch.nn import functional as F

from mmstn.models import (
    BackboneLocNet,
    BaseLocNet,
    ConvLocNet,
    FCLocNet,
    ParallelLocNet,
    SpatialTransformer,
)
from mmstn.models.loc_nets.base import OffsetRegression

SMALL_BACKBONE = dict(type='ResNet', depth=18, base_channels=4, stem_channels=4)
SMALL_BACKBONE |= dict(num_stages=1, strides=(1,), dilations=(1,), out_indices=(0,))
NETS = {
    'FCLocNet': dict(in_channels=3, in_size=(20, 24)),
    'ConvLocNet': dict(in_channels=3, in_size=(40, 44)),
    'BackboneLocNet': dict(backbone=SMALL_BACKBONE, in_size=(32, 40)),
    'ParallelLocNet': dict(loc_net=dict(type='FCLocNet', in_channels=3, in_size=(20, 24))),
}
every_net = pytest.mark.parametrize('name', NETS)


def build(name, **options):
    return MODELS.build(dict(type=name, **NETS[name], **options))


def in_transformer(name, init):
    """The net in a transformer of three numbers, s, t_x and t_y, for each k of ``init``."""
    generator = dict(type='AttentionGridGenerator')
    loc_net = dict(type=name, **NETS[name])
    return SpatialTransformer(loc_net, generator, num_transformers=len(init), init=init)


def image_for(name, batch=2):
    options = NETS[name].get('loc_net', NETS[name])
    return torch.rand(batch, 3, *options['in_size'])


def test_every_registered_net_is_tested():
    registered = {
        name
        for name, cls in MODELS.module_dict.items()
        if isinstance(cls, type) and issubclass(cls, BaseLocNet)
    }
    assert registered == set(NETS)


@every_net
def test_theta_begins_at_the_start_to_the_last_bit(name):
    start = [[0.1, 0.2, 0.3], [4, 5, 6]]
    theta = in_transformer(name, start)(image_for(name), return_theta=True)[1]
    assert torch.equal(theta, torch.tensor(start).expand(2, 2, 3))
    assert build(name, num_params=3, num_transformers=2)(image_for(name)).eq(0).all()


@pytest.mark.parametrize('name', [name for name in NETS if name != 'ParallelLocNet'])
def test_without_a_number_of_transformers_there_is_no_axis(name):
    assert build(name, num_params=3)(image_for(name)).shape == (2, 3)


@every_net
def test_theta_learns(name):
    torch.manual_seed(0)
    net = build(name, num_params=3, num_transformers=2)
    image = image_for(name)
    optimizer = torch.optim.Adam(net.parameters(), lr=0.01)
    target = torch.linspace(-1, 1, 6).reshape(2, 3)
    for _ in range(150):
        optimizer.zero_grad()
        loss = (net(image) - target).square().sum(dim=(1, 2)).mean()
        loss.backward()
        optimizer.step()
    assert loss < 0.01
    hidden = [p for n, p in net.named_parameters() if 'regression' not in n]
    assert any(p.grad is not None and p.grad.abs().sum() > 0 for p in hidden)


@every_net
def test_autocast_does_not_round_theta(name):
    torch.manual_seed(0)
    transformer = in_transformer(name, [[0.1, 1 / 3, 0.7]] * 2).eval()
    regressions = [m for m in transformer.modules() if isinstance(m, OffsetRegression)]
    for regression in regressions:
        nn.init.normal_(regression.bias)
    offset = torch.stack([r.bias for r in regressions]).view(2, 3)
    with torch.autocast('cpu', dtype=torch.bfloat16):
        theta = transformer(image_for(name), return_theta=True)[1]
    assert torch.equal(theta, (transformer.start + offset).expand(2, 2, 3))


def test_paper_layouts_by_hand():
    def count(net):
        return sum(p.numel() for p in net.parameters())

    # Two layers of 32 units on 28x28 pixels, then theta.
    fc = FCLocNet(in_channels=1, in_size=28, num_params=6)
    assert count(fc) == (784 * 32 + 32) + (32 * 32 + 32) + (32 * 6 + 6)
    # 42x42 averaged to 21x21; conv 5x5: 17x17; pooled: 8x8; conv 5x5: 4x4; FC 20; theta.
    conv = ConvLocNet(in_channels=1, in_size=42, num_params=6)
    layers = (25 * 20 + 20) + (20 * 25 * 20 + 20)
    assert count(conv) == layers + (20 * 4 * 4 * 20 + 20) + (20 * 6 + 6)
    # Co-localisation: 84x84, conv 8 9x9 stride 4: 19x19; pooled: 9x9; FC 8, FC 8, FC 3.
    coloc = ConvLocNet(
        in_channels=1,
        in_size=84,
        num_params=3,
        channels=(8,),
        kernel_sizes=9,
        strides=4,
        pool_sizes=2,
        fc_channels=(8, 8),
        downsample=1,
    )
    assert count(coloc) == (81 * 8 + 8) + (8 * 81 * 8 + 8) + (8 * 8 + 8) + (8 * 3 + 3)


def test_fully_connected_net_on_an_averaged_map():
    """Written out for one map; the sixth row and the seventh column are left over."""
    torch.manual_seed(0)
    net = FCLocNet(in_channels=2, in_size=(6, 7), num_params=3, fc_channels=(4,), downsample=5)
    nn.init.normal_(net.regression.weight)
    x = torch.rand(1, 2, 6, 7)
    averages = torch.stack([channel[:5, :5].mean() for channel in x[0]])
    hidden = (net.fc[0].weight @ averages + net.fc[0].bias).relu()
    torch.testing.assert_close(net(x)[0], net.regression(hidden))
    assert FCLocNet(2, (8, 8, 8), num_params=12, downsample=2).fc[0].in_features == 2 * 4**3


def test_fully_connected_net_is_normalised_before_each_relu():
    net = FCLocNet(in_channels=3, in_size=8, num_params=6, norm_cfg=dict(type='BN1d'))
    kinds = [type(layer) for layer in net.fc]
    assert kinds == 2 * [nn.Linear, nn.BatchNorm1d, nn.ReLU]
    features = net.features(10 + torch.rand(64, 3, 8, 8))  # far from what a net is started for
    assert 0.3 < (features > 0).float().mean() < 0.7


def test_with_centred_features_the_bias_alone_is_the_mean_of_theta():
    torch.manual_seed(0)
    net = ConvLocNet(
        in_channels=1, num_params=3, feature_norm_cfg=dict(type='BN1d', affine=False)
    ).double()
    nn.init.normal_(net.regression.weight)
    nn.init.constant_(net.regression.bias, 0.25)
    theta = net(torch.rand(6, 1, 40, 40, dtype=torch.float64))
    assert theta.std(0).min() > 0.1
    torch.testing.assert_close(theta.mean(0), torch.full_like(theta[0], 0.25))


def test_conv_net_without_in_size_takes_any_size():
    net = ConvLocNet(in_channels=2, num_params=6)
    for size in [(28, 28), (60, 33)]:
        assert net(torch.rand(3, 2, *size)).shape == (3, 6)


def test_conv_net_pads_for_maps_that_are_too_small_only():
    """Written out, with the layers' own functions, for a map on either side of the border."""
    torch.manual_seed(0)
    net = ConvLocNet(in_channels=3, num_params=6)
    first, second = (m for m in net.conv if isinstance(m, ConvModule))
    # 28 averaged to 14, 5x5 makes 10, pooled 5, 5x5 makes 1; 27 would leave nothing.
    for side, padding in ((28, 0), (27, 2), (14, 2), (7, 2)):
        x = torch.rand(2, 3, side, side)
        x, hidden = F.avg_pool2d(x, 2), x
        for layer, pool in ((first, 2), (second, 1)):
            x = F.conv2d(x, layer.conv.weight, layer.conv.bias, padding=padding).relu()
            x = F.max_pool2d(x, pool)
        expected = F.adaptive_avg_pool2d(x, 4).flatten(1)
        torch.testing.assert_close(net.conv(hidden), expected)


@pytest.mark.parametrize('in_size', [None, 14, 7, (7, 30), 4])
def test_conv_net_with_its_defaults_reads_small_maps(in_size):
    net = ConvLocNet(in_channels=8, num_params=6, in_size=in_size)
    size = in_size or 14
    x = torch.rand(2, 8, *((size, size) if isinstance(size, int) else size))
    assert net(x).shape == (2, 6)
    nn.init.normal_(net.regression.weight)
    net(x).sum().backward()
    assert all(parameter.grad.any() for parameter in net.fc.parameters())


@pytest.mark.parametrize('size', [14, 7, 4])
def test_the_net_of_the_neck_config_reads_the_last_map_of_a_resnet(size):
    config = Config.fromfile('configs/existing_project/resnet50-stn-neck_8xb8_cub.py')
    loc_net = config.model.neck[0].transformer.loc_net
    net = MODELS.build(dict(loc_net, num_params=6))
    assert net(torch.rand(2, 2048, size, size)).shape == (2, 6)


def test_conv_net_says_which_maps_are_too_small():
    message = 'in_size must be at least 4 for .*downsample.*'
    with pytest.raises(ValueError, match=message + r'\(3, 3\)'):
        ConvLocNet(in_channels=3, num_params=6, in_size=3)
    with pytest.raises(ValueError, match=message + r'\(3, 9\)'):
        ConvLocNet(in_channels=3, num_params=6)(torch.rand(1, 3, 3, 9))
    with pytest.raises(ValueError, match=r'in_size must be at least 28 .*\(27, 28\)'):
        ConvLocNet(in_channels=3, num_params=6, paddings=0)(torch.rand(1, 3, 27, 28))


@pytest.mark.parametrize('kernel_sizes', [1, 2, 3, 4, (7, 3)])
@pytest.mark.parametrize('strides', [1, 2])
@pytest.mark.parametrize('pool_sizes', [1, (3, 2)])
@pytest.mark.parametrize('downsample', [1, 3])
@pytest.mark.parametrize('paddings', [None, 0, 1, (1, 0)])
def test_the_smallest_map_that_fits(kernel_sizes, strides, pool_sizes, downsample, paddings):
    """The layers take it, and nothing smaller if no padding is left to them."""
    net = ConvLocNet(
        in_channels=1,
        num_params=2,
        channels=(2, 2),
        kernel_sizes=kernel_sizes,
        strides=strides,
        pool_sizes=pool_sizes,
        downsample=downsample,
        paddings=paddings,
    )
    smallest = net.conv.smallest
    assert net(torch.rand(1, 1, smallest, smallest)).shape == (1, 2)
    layers = nn.Sequential(*net.conv)
    for side in range(1, net.conv.unpadded + 4):
        try:
            layers(torch.rand(1, 1, side, side))
            fits = True
        except RuntimeError:
            fits = False
        assert fits == (side >= net.conv.unpadded), side


def test_conv_net_for_volumes():
    net = ConvLocNet(in_channels=1, num_params=12, in_size=32, ndim=3, channels=(4, 4))
    assert net(torch.rand(2, 1, 32, 32, 32)).shape == (2, 12)


def test_backbone_net_options():
    image = torch.rand(2, 3, 64, 48)
    flat = BackboneLocNet(SMALL_BACKBONE, in_size=(64, 48), num_params=4, downsample=2)
    assert flat(image).shape == (2, 4)
    seen = []
    flat.backbone.register_forward_pre_hook(lambda module, args: seen.append(args[0].shape[2:]))
    flat(image)
    assert tuple(seen[0]) == (32, 24)
    pooled = BackboneLocNet(SMALL_BACKBONE, in_size=64, num_params=4, pool_size=2)
    assert pooled(image).shape == pooled(torch.rand(2, 3, 80, 64)).shape == (2, 4)
    vit = dict(type='VisionTransformer', arch='deit-tiny', img_size=32)
    vector = BackboneLocNet(vit, in_size=32, num_params=4)
    assert vector(torch.rand(2, 3, 32, 32)).shape == (2, 4)
    assert not [m for m in vector.reduction if isinstance(m, nn.Conv2d)]


def test_backbone_net_is_traced_as_it_runs():
    net = BackboneLocNet(SMALL_BACKBONE, in_size=(64, 48), num_params=4, downsample=2).train(False)
    nn.init.normal_(net.regression.weight)
    image = torch.rand(2, 3, 64, 48)
    traced = torch.jit.trace(net, image)
    other = torch.rand(3, 3, 64, 48)
    torch.testing.assert_close(traced(other), net(other))


def test_building_does_not_touch_running_statistics():
    net = BackboneLocNet(SMALL_BACKBONE, in_size=32, num_params=4)
    norm = next(m for m in net.modules() if isinstance(m, nn.BatchNorm2d))
    assert norm.num_batches_tracked == 0 and norm.training


def test_pretrained_weights_through_init_cfg(tmp_path):
    source = MODELS.build(SMALL_BACKBONE)
    path = str(tmp_path / 'backbone.pth')
    torch.save(dict(state_dict={f'backbone.{k}': v for k, v in source.state_dict().items()}), path)
    pretrained = dict(type='Pretrained', checkpoint=path, prefix='backbone.')
    net = BackboneLocNet(dict(SMALL_BACKBONE, init_cfg=pretrained), 32, num_params=4)
    net.init_weights()
    for name, tensor in source.state_dict().items():
        assert torch.equal(net.backbone.state_dict()[name], tensor)


BAD_NETS = {
    'no such size': (FCLocNet, dict(in_channels=1, in_size=0), 'in_size'),
    'no parameters': (FCLocNet, dict(in_channels=1, in_size=4, num_params=0), 'num_params.*0'),
    'no K': (FCLocNet, dict(in_channels=1, in_size=4, num_transformers=0), 'num_transformers.*0'),
    'averaged away': (FCLocNet, dict(in_channels=1, in_size=(4, 2), downsample=3), 'down.*2.*3'),
    'half a pixel': (FCLocNet, dict(in_channels=1, in_size=4, downsample=1.5), 'downsample.*1.5'),
    'too small': (ConvLocNet, dict(in_channels=1, in_size=3), r'in_size.*at least 4.*\(3, 3\)'),
    'no convolution': (ConvLocNet, dict(in_channels=1, channels=()), 'channels'),
    'kernel sizes': (ConvLocNet, dict(in_channels=1, kernel_sizes=(3, 3, 3)), 'kernel_sizes'),
    'nothing to normalise': (
        ConvLocNet,
        dict(in_channels=1, fc_channels=(), feature_norm_cfg=dict(type='BN1d')),
        'feature_norm_cfg.*fc_channels',
    ),
    'four dimensions': (ConvLocNet, dict(in_channels=1, ndim=4), 'ndim'),
    'upsampling': (
        BackboneLocNet,
        dict(backbone=SMALL_BACKBONE, in_size=32, downsample=0.5),
        'down',
    ),
}


@pytest.mark.parametrize(('net', 'options', 'message'), BAD_NETS.values(), ids=BAD_NETS)
def test_bad_options_are_named(net, options, message):
    with pytest.raises(ValueError, match=message):
        net(**(dict(num_params=6) | options))


@every_net
def test_map_of_another_size_is_named(name):
    net = build(name, num_params=3, num_transformers=2)
    with pytest.raises(ValueError, match=r'in_size=.*\(1, 3, 48, 48\)'):
        net(torch.rand(1, 3, 48, 48))
    with pytest.raises(ValueError, match=r'in_channels=3.*\(1, 2, '):
        net(image_for(name)[:1, :2])


ONE = dict(type='mmpretrain.FCLocNet', in_channels=2, in_size=6, fc_channels=(8,))


@pytest.fixture
def parallel():
    torch.manual_seed(0)
    return SpatialTransformer(
        loc_net=dict(type='mmpretrain.ParallelLocNet', loc_net=ONE),
        grid_generator=dict(type='mmpretrain.AffineGridGenerator'),
        num_transformers=2,
        init='tile',
    )


def test_parallel_nets_start_where_the_transformer_says(parallel):
    _, theta = parallel(torch.rand(3, 2, 6, 6), return_theta=True)
    left, right = [0.5, 0, -0.5, 0, 1, 0], [0.5, 0, 0.5, 0, 1, 0]  # halves of the map
    torch.testing.assert_close(theta, torch.tensor([[left, right]]).expand(3, 2, 6))


def test_each_transformer_has_parameters_of_its_own(parallel):
    torch.nn.init.normal_(parallel.loc_net.loc_nets[0].regression.weight)
    torch.nn.init.normal_(parallel.loc_net.loc_nets[1].regression.weight)
    offset = parallel.loc_net(torch.rand(3, 2, 6, 6))
    offset[:, 1].sum().backward()
    first, second = parallel.loc_net.loc_nets
    assert all(p.grad is None or not p.grad.any() for p in first.parameters())
    assert all(p.grad.any() for p in second.parameters())


def test_parallel_net_says_what_is_wrong():
    with pytest.raises(TypeError, match="loc_net must be a config.*got 'FCLocNet'"):
        ParallelLocNet('FCLocNet', num_params=6, num_transformers=2)
    with pytest.raises(TypeError, match='num_transformers.*got None'):
        ParallelLocNet(ONE, num_params=6, num_transformers=None)
