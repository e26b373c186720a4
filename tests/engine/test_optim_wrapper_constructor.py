"""An ST changes no learning rate of the project that gets it, and has the rate that it is given."""

import copy

import numpy as np
import pytest
import torch
from mmengine.optim import build_optim_wrapper
from mmengine.registry import init_default_scope
from mmpretrain.registry import MODELS

RESNET = dict(type='mmpretrain.ResNet', depth=50, base_channels=4, stem_channels=4)
VIT = dict(
    type='mmpretrain.VisionTransformer',
    arch=dict(embed_dims=16, num_layers=3, num_heads=2, feedforward_channels=32),
    img_size=32,
    patch_size=8,
)
AFFINE = dict(type='mmpretrain.AffineGridGenerator')
FRONT = dict(
    loc_net=dict(type='mmpretrain.BackboneLocNet', backbone=RESNET, in_size=32),
    grid_generator=AFFINE,
    num_transformers=2,
    init='tile',
)
INSIDE = dict(
    loc_net=dict(type='mmpretrain.ConvLocNet', in_channels=32, kernel_sizes=3, downsample=1),
    grid_generator=AFFINE,
)


def classifier(backbone, **options):
    head = dict(type='mmpretrain.LinearClsHead', num_classes=2, in_channels=128)
    return MODELS.build(
        dict(type='mmpretrain.ImageClassifier', backbone=backbone, head=head, **options)
    )


def settings(model, paramwise_cfg, **options):
    """Learning rate and weight decay of each parameter by its name."""
    optimizer = dict(type='SGD', lr=1.0, weight_decay=1.0)
    cfg = dict(optimizer=optimizer, paramwise_cfg=paramwise_cfg, **options)
    groups = build_optim_wrapper(model, copy.deepcopy(cfg)).optimizer.param_groups
    found = {id(p): (g['lr'], g['weight_decay']) for g in groups for p in g['params']}
    named = dict(model.named_parameters())
    assert len(found) == len(named)
    return {name: found[id(parameter)] for name, parameter in named.items()}


@pytest.fixture
def said(monkeypatch):
    messages = []
    monkeypatch.setattr(
        'mmstn.engine.optim_wrapper_constructor.print_log', lambda m, *_: messages.append(m)
    )
    return messages


LAYER_DECAY = dict(constructor='LearningRateDecayOptimWrapperConstructor')
SCHEDULES = {
    'a stage': (RESNET, dict(custom_keys={'backbone.layer3': dict(lr_mult=0.1)}), {}),
    'a part of a stage': (
        RESNET,
        dict(
            custom_keys={
                'backbone': dict(lr_mult=0.1, decay_mult=0.5),
                'backbone.layer3.1': dict(lr_mult=0.2),
                'layer3.1.conv1': dict(lr_mult=0.3),
                'head': dict(lr_mult=10),
            },
            norm_decay_mult=0,
            bias_lr_mult=2,
        ),
        {},
    ),
    'kinds of layers': (RESNET, dict(norm_decay_mult=0, bias_lr_mult=2, flat_decay_mult=0.5), {}),
    'tokens': (
        VIT,
        dict(
            custom_keys={
                'backbone.cls_token': dict(decay_mult=0.0),
                '.pos_embed': dict(decay_mult=0.0),
                'backbone.layers.1': dict(lr_mult=0.3),
            }
        ),
        {},
    ),
    'layers of a ViT': (VIT, dict(layer_decay_rate=0.5, norm_decay_mult=0.0), LAYER_DECAY),
    'layers of a ResNet': (
        RESNET,
        dict(
            layer_decay_rate=0.5,
            custom_keys={'backbone.layer3.1': dict(decay_mult=0.25), 'head': dict(decay_mult=3)},
        ),
        LAYER_DECAY,
    ),
}


@pytest.mark.parametrize('streams', ['shared', 'separate'])
@pytest.mark.parametrize('case', SCHEDULES)
def test_rates_and_decay_are_those_of_the_plain_model(case, streams, said):
    backbone, paramwise_cfg, options = SCHEDULES[case]
    init_default_scope('mmpretrain')
    wrapper = dict(type='mmpretrain.STNBackbone', backbone=backbone, transformer=FRONT)
    if backbone is RESNET:
        wrapper['insert'] = {'layer3': INSIDE}
    plain = settings(classifier(backbone), paramwise_cfg, **options)
    assert len(set(plain.values())) > 1
    found = settings(classifier(dict(wrapper, streams=streams)), paramwise_cfg, **options)
    for name, setting in plain.items():
        names = [name]
        if name.startswith('backbone.'):
            own = name.removeprefix('backbone.')
            count = 2 if streams == 'separate' else 1
            names = [f'backbone.streams.{k}.{own}' for k in range(count)]
        for wrapped in names:
            assert found.pop(wrapped) == setting, wrapped
    assert all('.loc_net.' in name for name in found)
    assert not said


@pytest.mark.parametrize('scope', ['mmpretrain', 'mmengine', 'mmseg'])
def test_keys_of_transformers_come_before_those_of_the_project(scope, said):
    init_default_scope('mmpretrain')
    model = classifier(
        dict(type='STNBackbone', backbone=RESNET, transformer=FRONT, insert={'layer3': INSIDE})
    )
    init_default_scope(scope)
    keys = {
        'backbone': dict(lr_mult=0.1),
        'loc_net': dict(lr_mult=0.01),
        'loc_net.regression': dict(lr_mult=0.03),
        'before.layer3': dict(lr_mult=0.5),
        'layer3.0.conv1': dict(lr_mult=0.7),
    }
    for name, (rate, _) in settings(model, dict(custom_keys=keys)).items():
        if '.before.layer3.' in name:
            right = 0.03 if 'loc_net.regression' in name else 0.5
        elif '.loc_net.' in name:  # also the layers of its own ResNet
            right = 0.03 if 'loc_net.regression' in name else 0.01
        elif 'layer3.0.conv1' in name:
            right = 0.7
        else:
            right = 0.1 if name.startswith('backbone.') else 1.0
        assert rate == pytest.approx(right), name
    assert not said


def test_a_transformer_without_a_key_of_its_own_learns_as_where_it_stands():
    init_default_scope('mmpretrain')
    model = classifier(dict(type='STNBackbone', backbone=RESNET, transformer=FRONT))
    found = settings(model, dict(custom_keys={'backbone': dict(lr_mult=0.1)}))
    assert {rate for name, (rate, _) in found.items() if '.loc_net.' in name} == {0.1}


def test_streams_can_have_rates_of_their_own():
    init_default_scope('mmpretrain')
    wrapper = dict(type='STNBackbone', backbone=RESNET, transformer=FRONT, streams='separate')
    keys = {'streams.1': dict(lr_mult=0.5)}
    for name, (rate, _) in settings(classifier(wrapper), dict(custom_keys=keys)).items():
        assert rate == (0.5 if '.streams.1.' in name else 1), name


def test_keys_that_match_nothing_are_warned_of(said):
    init_default_scope('mmpretrain')
    keys = {'backbone.layer9': dict(lr_mult=0.1), 'loc_net': {}, 'before.layer3': dict(lr_mult=2)}
    settings(
        classifier(dict(type='STNBackbone', backbone=RESNET, transformer=FRONT)),
        dict(custom_keys=keys),
    )
    assert [message.split("'")[1] for message in said] == ['backbone.layer9', 'before.layer3']
    said.clear()
    settings(classifier(RESNET), dict(custom_keys=keys))  # not a matter of ours
    assert not said


def test_a_transformer_as_a_neck():
    init_default_scope('mmpretrain')
    loc_net = dict(type='ConvLocNet', in_channels=128, kernel_sizes=3, downsample=1)
    neck = dict(type='STNNeck', transformer=dict(loc_net=loc_net, grid_generator=AFFINE))
    model = classifier(RESNET, neck=[neck, dict(type='GlobalAveragePooling')])
    keys = {'backbone': dict(lr_mult=0.1), 'neck': dict(lr_mult=0.2), 'loc_net': dict(lr_mult=0.3)}
    for name, (rate, _) in settings(model, dict(custom_keys=keys)).items():
        right = {'backbone': 0.1, 'neck': 0.3, 'head': 1}[name.split('.')[0]]
        assert rate == pytest.approx(right), name


LINEAR = dict(type='LinearNeck', in_channels=128, out_channels=128)
POOLING = dict(type='GlobalAveragePooling')


@pytest.mark.parametrize(
    'necks, key, layer',
    [
        ([LINEAR], 'neck.fc', 'neck.1.fc.weight'),  # which was no list before
        ([LINEAR], 'neck.1.fc', 'neck.1.fc.weight'),
        ([POOLING, LINEAR], 'neck.1.fc', 'neck.2.fc.weight'),
        ([POOLING, LINEAR], 'neck.2.fc', 'neck.2.fc.weight'),
        ([LINEAR, LINEAR], 'neck.1.fc', 'neck.2.fc.weight'),
    ],
)
def test_a_neck_before_others_leaves_them_their_rates(necks, key, layer, said):
    init_default_scope('mmpretrain')
    loc_net = dict(type='ConvLocNet', in_channels=128, kernel_sizes=3, downsample=1)
    neck = dict(type='STNNeck', transformer=dict(loc_net=loc_net, grid_generator=AFFINE))
    model = classifier(RESNET, neck=[neck, *necks])
    found = settings(model, dict(custom_keys={key: dict(lr_mult=0.1)}))
    slow = [name for name, (rate, _) in found.items() if rate == 0.1]
    assert slow == [layer, layer.replace('weight', 'bias')]
    assert not said


def test_rates_of_transformers_count_where_rates_fall_with_depth():
    init_default_scope('mmpretrain')
    model = classifier(dict(type='STNBackbone', backbone=VIT, transformer=FRONT))
    keys = {'loc_net': dict(lr_mult=0.1), 'backbone': dict(lr_mult=0.3)}
    cfg = dict(
        optimizer=dict(type='AdamW', lr=1.0, weight_decay=1.0),
        paramwise_cfg=dict(layer_decay_rate=0.5, custom_keys=keys),
    )
    for group in build_optim_wrapper(model, dict(cfg, **LAYER_DECAY)).optimizer.param_groups:
        if 'loc_net' in group['param_name']:
            assert group['lr'] == pytest.approx(0.1)
        else:  # mmpretrain's constructor lets depth alone count
            assert group['lr'] == 0.5 ** round(-np.log2(group['lr']))


def test_distributed_and_compiled_models_are_looked_into(said):
    init_default_scope('mmpretrain')
    model = classifier(dict(type='STNBackbone', backbone=RESNET, transformer=FRONT))
    keys = {'backbone.layer3': dict(lr_mult=0.1), 'backbone': {}, 'loc_net': dict(lr_mult=0.2)}
    expected = settings(model, dict(custom_keys=keys))
    for wrapped in (torch.nn.DataParallel(model), torch.compile(model, backend='eager')):
        found = settings(wrapped, dict(custom_keys=keys))
        assert list(found.values()) == list(expected.values())
    assert not said
