"""STNBackbone: streams, inserted transformers, checkpoints."""

import copy

import pytest
import torch
from mmcv.cnn.utils import fuse_conv_bn
from mmengine.model import convert_sync_batchnorm
from mmengine.runner.checkpoint import load_checkpoint
from mmpretrain.registry import MODELS
from torch import nn

from mmstn.models import InceptionV2, STNBackbone, listen

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
AFFINE = dict(type='AffineGridGenerator')
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
    assert not unexpected and all(key.startswith('before.') for key in missing)
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
        wrapper.before['layer2'].loc_net.regression.bias += 0.5
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


class Shift(nn.Module):
    """A localisation net for maps of any channels and size, which stays where it starts."""

    def forward(self, x):
        return x.new_zeros(len(x), 2)


def shift(**options):
    grid_generator = dict(type='TranslationGridGenerator')
    return dict(loc_net=Shift(), grid_generator=grid_generator, init='identity', **options)


ITERATED = {
    'VGG': (dict(type='VGG', depth=11), 'features'),
    'CSPDarkNet': (dict(type='CSPDarkNet', depth=53), 'stages'),
    'CSPResNet': (dict(type='CSPResNet', depth=50), 'stages'),
    'MobileViT': (dict(type='MobileViT', arch='xx_small'), 'layers'),
    'ConvMixer': (dict(type='ConvMixer', arch='768/32'), 'stages'),
}


@pytest.mark.parametrize(('backbone', 'name'), ITERATED.values(), ids=ITERATED)
def test_what_is_never_called_is_named_with_what_to_take_instead(backbone, name):
    image = torch.rand(1, 3, 64, 64)
    wrapper = evaluate(STNBackbone(backbone, insert={name: shift()}))
    message = rf'insert must name.*{backbone["type"]}.*{name!r}.*items instead: {name}\.'
    for _ in range(2):  # the second call is no better than the first
        with torch.no_grad(), pytest.raises(ValueError, match=message) as error:
            wrapper(image)
    instead = str(error.value).split('instead: ')[1].split(',')[0]
    wrapper = evaluate(STNBackbone(backbone, insert={instead: shift()}))
    heard = []
    with torch.no_grad(), listen(wrapper, lambda name, *_: heard.append(name)):
        wrapper(image)
    assert heard == [f'before.{instead.replace(".", "_")}']


@pytest.mark.skipif(not hasattr(torch.compiler, 'set_stance'), reason='hooks in compiled code')
def test_what_compiled_code_never_calls_is_named_and_no_graph_is_made_twice():
    image, graphs = torch.rand(2, 3, 64, 64), []

    def backend(graph, inputs):
        graphs.append(graph)
        return graph

    wrapper = STNBackbone(dict(type='VGG', depth=11), insert={'features': shift()})
    with torch.no_grad(), pytest.raises(ValueError, match="'features', which it never calls"):
        torch.compile(wrapper, backend='eager')(image)

    wrapper = evaluate(STNBackbone(RESNET, insert={'layer2': shift(), 'layer3': shift()}))
    wrapper.before['layer3'].start.fill_(0.5)
    compiled = torch.compile(wrapper, backend=backend, fullgraph=True)
    with torch.no_grad():
        for _ in range(3):
            torch.testing.assert_close(compiled(image)[0], wrapper(image)[0])
    assert len(graphs) == 1


def test_a_child_that_is_not_used_at_all_is_named():
    config = dict(VIT, type='DistilledVisionTransformer')
    wrapper = STNBackbone(config, insert={'patch_embed': shift(), 'pre_norm': shift()})
    with pytest.raises(
        ValueError, match="DistilledVisionTransformer .*'pre_norm', which it never calls$"
    ):
        wrapper(torch.rand(1, 3, 32, 32))


def test_a_view_is_not_taken_for_a_call_of_each_stream():
    wrapper = STNBackbone(RESNET, front(2), {'layer2': shift()}, streams='separate')
    wrapper(torch.rand(2, 3, 64, 64))
    assert list(wrapper.before) == ['layer2_0', 'layer2_1']
    assert wrapper.inserted(1) == [wrapper.before['layer2_1']]


@pytest.mark.parametrize('change', ['sync', 'fuse'])
def test_inserted_transformers_survive_what_replaces_normalisations(change):
    names = ('relu', 'layer2', 'layer3.0.conv2', 'layer3.1.relu', 'layer3.0.downsample')
    flip = [[-1, 0, 0, 0, 1, 0]]
    insert = {}
    for name, channels in zip(names, (8, 8, 32, 32, 16), strict=True):
        insert[name] = inside(channels, init=flip)
    wrapper = evaluate(STNBackbone(RESNET, insert=insert))
    image = torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        before = wrapper(image)[-1]
        changed = convert_sync_batchnorm(wrapper, 'torch') if change == 'sync' else wrapper
        changed = fuse_conv_bn(changed) if change == 'fuse' else changed
        heard = []
        with listen(changed, lambda name, *_: heard.append(name)):
            after = changed.eval()(image)[-1] if change == 'sync' else changed(image)[-1]
    assert set(heard) == {f'before.{name.replace(".", "_")}' for name in names}
    torch.testing.assert_close(after, before, rtol=1e-3, atol=1e-4)


def own_backbone(*names):
    """A backbone of the user's own, whose children are called like those of the wrapper."""

    class Own(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(3, 4, 3)
            for name in names:
                self.add_module(name, nn.ModuleList([nn.Conv2d(4, 4, 3)]))

        def forward(self, x):
            x = self.conv(x)
            for name in names:
                x = getattr(self, name)[0](x)
            return (x,)

    return Own


@pytest.mark.parametrize('streams', ['shared', 'separate'])
def test_a_backbone_with_children_of_the_wrappers_names_keeps_its_weights(streams):
    names = ('transformer', 'streams', 'before', 'inserted')
    cls = own_backbone(*names)
    plain = cls()
    wrapper, other = (
        STNBackbone(dict(type=cls), front(2), {'conv': inside(3)}, streams=streams)
        for _ in range(2)
    )
    missing, unexpected = wrapper.load_state_dict(plain.state_dict(), strict=False)
    assert not unexpected
    assert {name.split('.')[0] for name in missing} == {'transformer', 'before'}
    assert all('.loc_net.' in name or name.endswith('.start') for name in missing)
    for stream in wrapper.streams:
        for name, tensor in plain.state_dict().items():
            assert torch.equal(stream.state_dict()[name], tensor), name
    for parameter in wrapper.parameters():
        nn.init.normal_(parameter)
    other.load_state_dict(wrapper.state_dict(), strict=True)
    for name, tensor in wrapper.state_dict().items():
        assert torch.equal(other.state_dict()[name], tensor), name


def test_a_wrapper_in_a_wrapper_loads_either_checkpoint():
    inner = dict(type='STNBackbone', backbone=RESNET, transformer=front())
    plain, outer, other = (MODELS.build(inner), *(STNBackbone(inner, front()) for _ in range(2)))
    for module in (plain, outer):
        for parameter in module.parameters():
            nn.init.normal_(parameter)
    other.load_state_dict(outer.state_dict(), strict=True)
    for name, tensor in outer.state_dict().items():
        assert torch.equal(other.state_dict()[name], tensor), name
    other.load_state_dict(plain.state_dict(), strict=False)
    for name, tensor in plain.state_dict().items():
        assert torch.equal(other.streams[0].state_dict()[name], tensor), name


@pytest.mark.parametrize('assign', [False, True])
def test_streams_do_not_share_what_they_load(assign):
    plain = MODELS.build(RESNET)
    wrapper = STNBackbone(RESNET, front(2), streams='separate')
    wrapper.load_state_dict(plain.state_dict(), strict=False, assign=assign)
    first, second = (stream.conv1.weight for stream in wrapper.streams)
    assert torch.equal(first, second)
    with torch.no_grad():
        first.zero_()
    assert second.any()


def test_checkpoints_with_the_old_name_of_inserted_transformers_load():
    options = dict(transformer=front(2), insert={'layer3.1': inside(32)}, streams='separate')
    first, second = STNBackbone(RESNET, **options), STNBackbone(RESNET, **options)
    for parameter in first.parameters():
        nn.init.normal_(parameter)
    old = {}
    for name, tensor in first.state_dict().items():
        for k in (0, 1):
            name = name.replace(f'before.layer3_1_{k}.', f'inserted.{k}.layer3_1.')
        old[name] = tensor
    assert any(name.startswith('inserted.1.layer3_1.') for name in old)
    second.load_state_dict(old, strict=True)
    for name, tensor in first.state_dict().items():
        assert torch.equal(second.state_dict()[name], tensor), name


@pytest.mark.parametrize('streams', ['shared', 'separate'])
def test_what_tools_read_from_a_backbone_is_there(streams):
    wrapper = STNBackbone(dict(VIT, out_type='raw'), front(2), streams=streams)
    stream = wrapper.streams[0]
    for name in ('num_extra_tokens', 'out_type', 'out_indices', 'embed_dims', 'frozen_stages'):
        assert getattr(wrapper, name) == getattr(stream, name)
    for name in ('layer1', 'switch_to_deploy', 'no_such_thing'):
        assert not hasattr(wrapper, name)
        with pytest.raises(AttributeError, match=name):
            getattr(wrapper, name)
    # What acts on one stream alone, or is a part of it, would be taken for the whole.
    assert hasattr(wrapper, 'cls_token') == hasattr(wrapper, 'patch_embed') == (streams == 'shared')
    assert copy.deepcopy(wrapper).out_type == 'raw'


@pytest.mark.parametrize('streams', ['shared', 'separate'])
def test_every_stream_is_deployed(streams):
    wrapper = evaluate(STNBackbone(dict(type='RepVGG', arch='A0'), front(2), streams=streams))
    image = torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        before = wrapper(image)[-1]
        wrapper.switch_to_deploy()
        after = wrapper(image)[-1]
    assert all(stream.deploy for stream in wrapper.streams)
    torch.testing.assert_close(after, before, rtol=1e-3, atol=1e-4)


def test_a_transformer_that_deploying_takes_away_is_named():
    insert = {'stage_2': shift(), 'stage_1.0.branch_3x3': shift()}
    wrapper = evaluate(STNBackbone(dict(type='RepVGG', arch='A0'), insert=insert))
    image = torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        wrapper(image)
        wrapper.switch_to_deploy()
        with pytest.raises(ValueError, match="'stage_1.0.branch_3x3', which it never calls"):
            wrapper(image)


def test_the_last_layer_of_all_is_the_backbones():
    """mmpretrain's vis_cam takes the last normalisation of ``model.backbone`` by default."""
    loc_net = dict(type='ConvLocNet', in_channels=16, downsample=1, kernel_sizes=3)
    net = dict(loc_net=dict(loc_net, norm_cfg=dict(type='BN')), grid_generator=AFFINE)
    wrapper = STNBackbone(RESNET, front(), insert={'layer3': net})
    norms = [name for name, m in wrapper.named_modules() if isinstance(m, nn.BatchNorm2d)]
    assert any(name.startswith('before.layer3.loc_net') for name in norms)
    assert norms[-1] == 'streams.0.layer4.1.bn2'


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
    'a normalisation': (
        dict(insert={'bn1': inside(8)}),
        ValueError,
        "'bn1' is a batch normalisation",
    ),
    'a normalisation inside': (
        dict(insert={'layer1.0.bn2': inside(8)}),
        ValueError,
        "'layer1.0.bn2' is a batch normalisation",
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


def two_streams_of_inception(loc_net_stages=(1,), **options):
    backbone = dict(type='InceptionV2', out_indices=(1,))
    return MODELS.build(
        dict(
            type='STNBackbone',
            backbone=backbone,
            transformer=dict(
                loc_net=dict(
                    type='BackboneLocNet',
                    backbone=dict(backbone, out_indices=loc_net_stages),
                    in_size=64,
                    downsample=2,
                ),
                grid_generator=dict(type='AttentionGridGenerator', scale=0.5),
                num_transformers=2,
                out_size=(32, 32),
                init='tile',
            ),
            streams='separate',
            **options,
        )
    )


@pytest.mark.parametrize('loc_net_stages', [(1,), (0,)])
def test_one_setting_loads_the_localisation_net_and_every_stream(tmp_path, loc_net_stages):
    torch.manual_seed(0)
    plain = InceptionV2(out_indices=(1,))
    for parameter in plain.parameters():
        torch.nn.init.normal_(parameter)
    torch.save({f'backbone.{k}': v for k, v in plain.state_dict().items()}, tmp_path / 'plain.pth')

    checkpoint = dict(type='Pretrained', checkpoint=str(tmp_path / 'plain.pth'), prefix='backbone.')
    model = two_streams_of_inception(loc_net_stages, init_cfg=checkpoint)
    model.init_weights()
    loc_net = model.transformer.loc_net
    for backbone in (*model.streams, loc_net.backbone):
        for name, tensor in backbone.state_dict().items():
            assert torch.equal(tensor, plain.state_dict()[name]), name
    theta = model.transformer(torch.rand(3, 3, 64, 64), return_theta=True)[1]
    assert torch.equal(theta, torch.tensor([[[-0.5, 0], [0.5, 0]]]).expand(3, 2, 2))


def test_a_loc_net_of_another_backbone_is_left_alone():
    model = two_streams_of_inception()
    model.transformer.loc_net.backbone = torch.nn.Conv2d(3, 64, 1)
    before = {k: v.clone() for k, v in model.transformer.loc_net.state_dict().items()}
    left = model.load_state_dict(InceptionV2(out_indices=(1,)).state_dict(), strict=False)
    assert all(name.startswith('transformer.') for name in left.missing_keys)
    assert not left.unexpected_keys
    for name, tensor in model.transformer.loc_net.state_dict().items():
        assert torch.equal(tensor, before[name])
