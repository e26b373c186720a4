"""A wrong argument of any registered model is named when the model is built."""

import inspect

import pytest
from mmengine.registry import init_default_scope
from mmpretrain.registry import MODELS
from torch import nn

AFFINE = dict(type='AffineGridGenerator')
FC_NET = dict(type='FCLocNet', in_channels=3, in_size=8)
ST = dict(loc_net=FC_NET, grid_generator=AFFINE)
SMALL = dict(type='MNISTCNN', in_size=8, in_channels=3, channels=(2,), kernel_sizes=(3,))
NET = dict(num_params=6, num_transformers=2)
NEEDED = dict(
    SpatialTransformer=ST,
    FCLocNet=dict(in_channels=3, in_size=8, **NET),
    ConvLocNet=dict(in_channels=3, **NET),
    BackboneLocNet=dict(backbone=SMALL, in_size=8, **NET),
    ParallelLocNet=dict(loc_net=FC_NET, **NET),
    STNBackbone=dict(backbone=SMALL, transformer=ST),
    STNNeck=dict(transformer=ST),
    DepthProjection=dict(backbone=SMALL),
    MNISTFC=dict(in_size=8, in_channels=1),
    MNISTCNN=dict(in_size=28, in_channels=1),
    SVHNCNN=dict(in_size=32, in_channels=1, width=0.1),
    NumberHead=dict(in_channels=4),
    DropoutLinearClsHead=dict(in_channels=4, num_classes=2),
)
"""What a class needs to be built."""

OF_OTHERS = {'init_cfg', 'kwargs', 'loss', 'channels_last'}
"""Arguments that mmengine or mmpretrain make something of."""

MAY_BE_NONE = {'num_transformers', 'reduction_channels'}


def cases():
    for name in NEEDED:
        for argument in inspect.signature(MODELS.get(name)).parameters.values():
            if argument.name not in OF_OTHERS:
                yield pytest.param(name, argument, id=f'{name}-{argument.name}')


@pytest.mark.parametrize('name, argument', list(cases()))
def test_it_is_named(name, argument):
    init_default_scope('mmpretrain')
    needed = NEEDED[name]
    cls = MODELS.get(name)
    cls(**needed)
    usual = needed.get(argument.name, argument.default)
    wrong = [object(), float('nan'), 'nonsense', -1]
    if argument.name == 'stages':
        wrong.remove(-1)
    if type(usual) in (int, float):
        wrong += [None, float('inf')]
        wrong += [True, 0] if argument.name not in ('dropout', 'stages') else []
        wrong = [
            w
            for w in wrong
            if not (w is None and argument.name in MAY_BE_NONE and name != 'ParallelLocNet')
        ]
    if type(usual) is bool:
        wrong += [1, None]
    if isinstance(usual, tuple):
        wrong += [(0,), (1.5,), ('3',)]
    if argument.name.endswith('_cfg'):
        wrong += [{}, dict(type='Nonsense'), dict(type='BN', nonsense=1)]
    if argument.name in ('loc_net', 'grid_generator', 'backbone', 'transformer'):
        wrong += [nn.Conv2d] if name != 'BackboneLocNet' else []
    for value in wrong:
        with pytest.raises((TypeError, ValueError), match=rf'\b{argument.name}\b'):
            cls(**{**needed, argument.name: value})
            pytest.fail(f'{argument.name}={value!r} was accepted')
