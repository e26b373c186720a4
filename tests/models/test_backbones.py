"""STNBackbone, STNNeck and the paper's small nets."""

import copy

import pytest
import torch
from mmengine.runner.checkpoint import load_checkpoint
from mmpretrain.registry import MODELS
from torch import nn

from mmstn.models import MNISTCNN, MNISTFC, STNBackbone, STNNeck

RESNET = dict(type='ResNet', depth=18, base_channels=8, stem_channels=8)
VIT = dict(
    type='VisionTransformer',
    arch=dict(embed_dims=16, num_layers=2, num_heads=2, feedforward_channels=32),
    img_size=32,
    patch_size=8,
)
SWIN = dict(
    type='SwinTransformer',
    arch=dict(embed_dims=8, depths=[1, 1], num_heads=[2, 2]),
    img_size=32,
    out_indices=(1,),
    pad_small_map=True,
)
BACKBONES = {'ResNet': RESNET, 'ViT': VIT, 'Swin': SWIN}
every_backbone = pytest.mark.parametrize('name', BACKBONES)


def front(num_transformers=None, init='identity', **options):
    return dict(
        loc_net=dict(type='ConvLocNet', in_channels=3),
        grid_generator=dict(type='AffineGridGenerator'),
        num_transformers=num_transformers,
        init=init,
        **options,
    )


def inside(channels, **options):
    loc_net = dict(
        type='ConvLocNet', in_channels=channels, kernel_sizes=3, paddings=1, downsample=1
    )
    return dict(loc_net=loc_net, grid_generator=dict(type='AffineGridGenerator'), **options)


def last(outputs):
    return outputs[-1] if isinstance(outputs, tuple) else outputs


def evaluate(module):
    module.train(False)  # mmpretrain's ResNet gives no module back from eval()
    return module


def classifier(backbone):
    head = dict(type='LinearClsHead', num_classes=3, in_channels=64)
    return MODELS.build(
        dict(
            type='ImageClassifier',
            backbone=backbone,
            neck=dict(type='GlobalAveragePooling'),
            head=head,
        )
    )


@every_backbone
@pytest.mark.parametrize('streams', ['shared', 'separate'])
@pytest.mark.parametrize('fusion', ['concat', 'mean', 'max'])
def test_streams_and_fusions_by_hand(name, streams, fusion):
    image = torch.rand(2, 3, 32, 32)
    wrapper = STNBackbone(
        BACKBONES[name],
        front(2, init='tile', out_size=(32, 32)),
        streams=streams,
        fusion=fusion,
        with_global=True,
    )
    evaluate(wrapper)
    assert len(wrapper.streams) == (3 if streams == 'separate' else 1)
    views = [*wrapper.transformer(image).unbind(1), image]
    outputs = [
        last(wrapper.streams[k if streams == 'separate' else 0](view))
        for k, view in enumerate(views)
    ]
    expected = {
        'concat': torch.cat(outputs, dim=1),
        'mean': sum(outputs) / 3,
        'max': torch.maximum(torch.maximum(outputs[0], outputs[1]), outputs[2]),
    }[fusion]
    torch.testing.assert_close(last(wrapper(image)), expected, rtol=1e-4, atol=1e-5)


def test_tokens_are_concatenated_along_channels():
    wrapper = evaluate(STNBackbone(dict(VIT, out_type='raw'), front(2, init='tile')))
    image = torch.rand(2, 3, 32, 32)
    tokens = [wrapper.streams[0](view)[-1] for view in wrapper.transformer(image).unbind(1)]
    torch.testing.assert_close(wrapper(image)[-1], torch.cat(tokens, dim=-1), rtol=1e-4, atol=1e-5)


def test_the_whole_image_is_scaled_to_the_views():
    wrapper = STNBackbone(RESNET, front(2, out_size=0.5), with_global=True)
    seen = []
    wrapper.streams[0].register_forward_pre_hook(lambda module, args: seen.append(args[0]))
    image = torch.rand(2, 3, 64, 64)
    wrapper(image)
    whole = seen[0].unflatten(0, (2, 3))[:, 2]
    expected = nn.functional.interpolate(image, (32, 32), mode='bilinear', antialias=True)
    torch.testing.assert_close(whole, expected)


def test_inception_v3_with_its_auxiliary_output():
    config = dict(type='InceptionV3', num_classes=4, aux_logits=True)
    wrapper = STNBackbone(config, front(2, init='tile'))
    image = torch.rand(2, 3, 299, 299)
    with torch.no_grad():
        aux, logits = wrapper(image)
        assert aux.shape == logits.shape == (2, 8)
        evaluate(wrapper)
        aux, logits = wrapper(image)
    assert aux is None and logits.shape == (2, 8)


@every_backbone
@pytest.mark.parametrize('num_transformers', [None, 1])
def test_identity_in_front_is_the_bare_backbone(name, num_transformers):
    plain = evaluate(MODELS.build(BACKBONES[name]))
    wrapper = evaluate(STNBackbone(BACKBONES[name], front(num_transformers)))
    wrapper.load_state_dict(plain.state_dict(), strict=False)
    image = torch.rand(2, 3, 32, 32)
    torch.testing.assert_close(last(wrapper(image)), last(plain(image)), rtol=1e-3, atol=1e-5)


def test_identity_inside_is_the_bare_backbone():
    plain = evaluate(MODELS.build(RESNET))
    wrapper = STNBackbone(RESNET, insert={'layer2': inside(8), 'layer3.1': inside(32)})
    evaluate(wrapper)
    missing, unexpected = wrapper.load_state_dict(plain.state_dict(), strict=False)
    assert not unexpected and all(key.startswith('inserted.') for key in missing)
    image = torch.rand(2, 3, 64, 64)
    torch.testing.assert_close(wrapper(image)[-1], plain(image)[-1], rtol=1e-4, atol=1e-5)
    names = {name for name, _ in plain.named_parameters()}
    assert {name for name, _ in wrapper.streams[0].named_parameters()} == names


def test_inserted_transformer_warps_what_the_child_takes():
    flip = [-1, 0, 0, 0, 1, 0]
    wrapper = evaluate(STNBackbone(RESNET, insert={'layer3': inside(16, init=flip)}))
    maps = {}
    backbone = wrapper.streams[0]
    backbone.layer2.register_forward_hook(lambda m, args, out: maps.update(before=out))
    backbone.layer3[0].register_forward_pre_hook(lambda m, args: maps.update(after=args[0]))
    wrapper(torch.rand(2, 3, 64, 64))
    torch.testing.assert_close(maps['after'], maps['before'].flip(-1), rtol=0, atol=1e-4)


def test_parallel_transformers_inside_are_concatenated():
    net = dict(type='MNISTFC', in_size=8, in_channels=4, channels=(5,))
    loc_net = dict(type='FCLocNet', in_channels=2, in_size=8)
    cfg = dict(loc_net=loc_net, grid_generator=dict(type='AffineGridGenerator'), num_transformers=2)
    wrapper = STNBackbone(net, insert={'layers': cfg})
    image = torch.rand(3, 2, 8, 8)
    expected = wrapper.streams[0].layers[1:](torch.cat([image, image], dim=1))
    torch.testing.assert_close(wrapper(image)[0], expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize('streams', ['shared', 'separate'])
@pytest.mark.parametrize('where', ['load_from', 'init_cfg', 'own init_cfg'])
def test_ordinary_checkpoint_loads_into_every_stream(streams, where, tmp_path, recwarn):
    plain = classifier(RESNET)
    path = str(tmp_path / 'plain.pth')
    torch.save(dict(state_dict=plain.state_dict()), path)
    pretrained = dict(type='Pretrained', checkpoint=path, prefix='backbone.')
    backbone = dict(RESNET, init_cfg=pretrained) if where == 'init_cfg' else RESNET
    wrapper = dict(type='STNBackbone', backbone=backbone, transformer=front(2), streams=streams)
    wrapper['insert'] = {'layer3': inside(16)}
    if where == 'own init_cfg':
        wrapper['init_cfg'] = pretrained
    model = classifier(wrapper)
    model.init_weights()
    if where == 'load_from':
        load_checkpoint(model, path, map_location='cpu')
    assert len(model.backbone.streams) == (2 if streams == 'separate' else 1)
    for stream in model.backbone.streams:
        state = stream.state_dict()
        for name, tensor in plain.backbone.state_dict().items():
            assert torch.equal(state[name], tensor), name


def test_wrappers_own_checkpoint_round_trips():
    wrapper = dict(type='STNBackbone', backbone=RESNET, transformer=front(2), streams='separate')
    first, second = classifier(wrapper), classifier(wrapper)
    for parameter in first.parameters():
        nn.init.normal_(parameter)
    second.load_state_dict(first.state_dict(), strict=True)
    for name, tensor in first.state_dict().items():
        assert torch.equal(second.state_dict()[name], tensor)


def test_a_deep_copy_has_transformers_of_its_own():
    """EMA copies models; a hook that held on to the original's transformer would go unseen."""
    wrapper = evaluate(STNBackbone(RESNET, insert={'layer2': inside(8)}))
    image = torch.rand(1, 3, 64, 64)
    before = wrapper(image)[-1]
    copied = copy.deepcopy(wrapper)
    with torch.no_grad():
        wrapper.inserted[0]['layer2'].loc_net.regression.bias += 0.5
    assert torch.equal(copied(image)[-1], before)
    assert not torch.allclose(wrapper(image)[-1], before)


def test_frozen_stages_and_norm_eval_hold_in_every_stream():
    config = dict(RESNET, frozen_stages=1, norm_eval=True)
    wrapper = STNBackbone(config, front(2), streams='separate')
    wrapper.train()
    for stream in wrapper.streams:
        assert not any(p.requires_grad for p in stream.layer1.parameters())
        assert all(p.requires_grad for p in stream.layer2.parameters())
        assert not any(m.training for m in stream.modules() if isinstance(m, nn.BatchNorm2d))
    assert all(p.requires_grad for p in wrapper.transformer.parameters())


@pytest.mark.parametrize('streams', ['shared', 'separate'])
def test_layer_depth_is_the_backbones(streams):
    backbone = dict(type='ResNet', depth=50, base_channels=4, stem_channels=4)
    plain = MODELS.build(backbone)
    wrapper = STNBackbone(backbone, front(2), streams=streams)
    name = 'layer3.4.conv1.weight'
    expected = plain.get_layer_depth(f'backbone.{name}', 'backbone.')
    top = plain.get_layer_depth('head.fc.weight', 'backbone.')
    for k in range(len(wrapper.streams)):
        assert wrapper.get_layer_depth(f'backbone.streams.{k}.{name}', 'backbone.') == expected
    loc_net = 'backbone.transformer.loc_net.regression.bias'
    assert wrapper.get_layer_depth(loc_net, 'backbone.') == top
    with pytest.raises(NotImplementedError, match='MNISTCNN'):
        STNBackbone(dict(type='MNISTCNN', in_size=28, in_channels=3), front()).get_layer_depth('x')


BAD_WRAPPERS = {
    'nothing to add': (dict(transformer=None), ValueError, 'transformer and insert'),
    'built backbone': (dict(backbone=nn.Identity()), TypeError, 'backbone.*Identity'),
    'streams': (dict(streams='both'), ValueError, "streams.*'both'"),
    'fusion': (dict(fusion='sum'), ValueError, "fusion.*'sum'"),
    'no such child': (
        dict(insert={'layer9': inside(8)}),
        ValueError,
        "'layer9' does not exist.*conv1, bn1, relu, maxpool, layer1, layer2, layer3, layer4",
    ),
    'a list of children': (
        dict(backbone=VIT, insert={'layers': inside(8)}),
        ValueError,
        "'layers' is a list",
    ),
    'global without views': (
        dict(transformer=None, insert={'layer2': inside(8)}, with_global=True),
        ValueError,
        'with_global',
    ),
    'no transformer': (
        dict(transformer=dict(type='STNNeck', transformer=front())),
        TypeError,
        'STNNeck',
    ),
}


@pytest.mark.parametrize(('change', 'error', 'message'), BAD_WRAPPERS.values(), ids=BAD_WRAPPERS)
def test_bad_wrappers_are_named(change, error, message):
    with pytest.raises(error, match=message):
        STNBackbone(**(dict(backbone=RESNET, transformer=front()) | change))


def test_neck_on_a_tensor_or_a_tuple():
    low, high = torch.rand(2, 4, 10, 10), torch.rand(2, 6, 8, 8)
    neck = STNNeck(inside(6))
    torch.testing.assert_close(neck(high), high, rtol=0, atol=2e-6)
    out = neck((low, high))
    assert out[0] is low
    torch.testing.assert_close(out[1], high, rtol=0, atol=2e-6)
    both = STNNeck([inside(4, out_size=0.5), inside(6)], stages=(0, 1))
    assert [tuple(x.shape) for x in both((low, high))] == [(2, 4, 5, 5), (2, 6, 8, 8)]


def test_neck_with_parallel_transformers():
    image = torch.rand(2, 6, 8, 8)
    halves = [image[..., :4], image[..., 4:]]
    options = dict(num_transformers=2, init='tile', out_size=(8, 4))
    concat = STNNeck(inside(6, **options))(image)
    torch.testing.assert_close(concat, torch.cat(halves, dim=1), rtol=0, atol=2e-6)
    stacked = STNNeck(inside(6, **options), fusion='stack')(image)
    torch.testing.assert_close(stacked, torch.stack(halves, dim=1), rtol=0, atol=2e-6)


def test_neck_works_in_a_list_of_necks():
    model = MODELS.build(
        dict(
            type='ImageClassifier',
            backbone=RESNET,
            neck=[dict(type='STNNeck', transformer=inside(64)), dict(type='GlobalAveragePooling')],
            head=dict(type='LinearClsHead', num_classes=3, in_channels=64),
        )
    )
    assert model(torch.rand(2, 3, 256, 256), mode='tensor').shape == (2, 3)


def test_bad_necks_are_named():
    with pytest.raises(ValueError, match="fusion.*'mean'"):
        STNNeck(inside(6), fusion='mean')
    with pytest.raises(ValueError, match=r'one config for each of stages \(0, 1\), got 1'):
        STNNeck(inside(6), stages=(0, 1))
    with pytest.raises(ValueError, match='stages.*2 inputs, got 4'):
        STNNeck(inside(6), stages=4)((torch.rand(1, 6, 8, 8),) * 2)


def test_layout_in_memory_changes_no_number():
    x = torch.randn(2, 2, 28, 28)
    plain, other = MNISTCNN(28, 2), MNISTCNN(28, 2, channels_last=True)
    other.load_state_dict(plain.state_dict())
    assert other.layers[:2](x).is_contiguous(memory_format=torch.channels_last)  # pool, conv
    torch.testing.assert_close(plain(x), other(x), rtol=1e-4, atol=1e-5)


def test_small_nets_by_hand():
    def count(net):
        return sum(p.numel() for p in net.parameters())

    fc = MNISTFC(in_size=28, channels=(128, 64))
    assert count(fc) == (784 * 128 + 128) + (128 * 64 + 64)
    assert fc(torch.rand(2, 1, 28, 28))[0].shape == (2, fc.out_channels) == (2, 64)
    # 28 - 8 = 20, pooled 10, 10 - 6 = 4, pooled 2.
    cnn = MNISTCNN(in_size=28, channels=(32, 64))
    assert count(cnn) == (81 * 32 + 32) + (32 * 49 * 64 + 64)
    assert cnn(torch.rand(2, 1, 28, 28))[0].shape == (2, cnn.out_channels) == (2, 64 * 2 * 2)
    # 60 averaged to 30, 22, 11, 5, 2.
    wide = MNISTCNN(in_size=60, in_channels=2, downsample=2)
    assert wide(torch.rand(2, 2, 60, 60))[0].shape == (2, 64 * 2 * 2)
    half = MNISTFC(in_size=(42, 40), downsample=2, channels=(8,))
    assert count(half) == 21 * 20 * 8 + 8
    with pytest.raises(ValueError, match='in_size.*8.*does not fit'):
        MNISTCNN(in_size=8)
    with pytest.raises(ValueError, match='downsample.*0'):
        MNISTFC(in_size=8, downsample=0)
