"""Every registered part builds in a project of another default scope, as mmseg's or one's own."""

import inspect

import mmengine.registry as root
import mmpretrain.registry
import pytest
from mmengine.registry import DefaultScope, Registry
from mmpretrain.registry import MODELS
from torch import nn

import mmstn.models
from mmstn.registry import build_part

FOREIGN = Registry('model', scope='foreign', parent=root.MODELS, locations=['tests'])


@FOREIGN.register_module()
class ForeignNet(nn.Module):
    """A backbone of the project itself."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3, stride=2)

    def forward(self, x):
        return (self.conv(x),)


@FOREIGN.register_module(name='SpatialTransformer')
class OwnTransformer(nn.Module):
    """A name that mmstn has too."""


@pytest.fixture(autouse=True)
def foreign_scope():
    with DefaultScope.overwrite_default_scope('foreign'):
        yield


def transformer(loc_net='ConvLocNet', generator='AffineGridGenerator', prefix='', **options):
    nets = dict(
        ConvLocNet=dict(in_channels=3),
        FCLocNet=dict(in_channels=3, in_size=32),
        BackboneLocNet=dict(backbone=dict(type='ForeignNet'), in_size=32),
        ParallelLocNet=dict(loc_net=dict(type=f'{prefix}ConvLocNet', in_channels=3)),
    )
    loc_net = dict(nets[loc_net], type=prefix + loc_net)
    return dict(loc_net=loc_net, grid_generator=dict(type=prefix + generator), **options)


def classifier(prefix='mmpretrain.'):
    """What is mmpretrain's own builds its parts in the default scope: it needs full names."""
    return dict(
        type='mmpretrain.ImageClassifier',
        data_preprocessor=dict(type='mmpretrain.ClsDataPreprocessor'),
        backbone=dict(type=f'{prefix}MNISTCNN', in_size=12, channels=(3, 4), kernel_sizes=(3, 3)),
        head=dict(
            type='mmpretrain.LinearClsHead',
            num_classes=5,
            in_channels=4,
            loss=dict(type='mmpretrain.CrossEntropyLoss'),
        ),
    )


def models(prefix):
    """Configs that hold every model of mmstn; ``prefix`` stands before the types inside."""
    nets = ('ConvLocNet', 'FCLocNet', 'BackboneLocNet')
    generators = ('Affine', 'Projective', 'Attention', 'Translation', 'Similarity', 'TPS')
    configs = [transformer(net, prefix=prefix) for net in nets]
    configs += [transformer(generator=f'{g}GridGenerator', prefix=prefix) for g in generators]
    parallel = transformer('ParallelLocNet', prefix=prefix, num_transformers=2)
    configs = [dict(cfg, type='SpatialTransformer') for cfg in [*configs, parallel]]
    backbones = (
        f'{prefix}LeNet5', f'{prefix}InceptionV2', f'{prefix}InceptionV3Features', 'ForeignNet',
        'foreign.ForeignNet',
    )  # fmt: skip
    configs += [
        dict(type='STNBackbone', backbone=dict(type=b), transformer=transformer(prefix=prefix))
        for b in backbones
    ]
    configs += [
        dict(type='STNNeck', transformer=transformer(prefix=prefix)),
        dict(
            type='DepthProjection',
            backbone=dict(type=f'{prefix}MNISTFC', in_size=28, in_channels=28),
        ),
        dict(type='SVHNCNN', in_size=64),
        dict(type='NumberHead', in_channels=8),
        dict(type='DropoutLinearClsHead', num_classes=3, in_channels=8),
        dict(
            type='STNCoLocalizer',
            transformer=transformer(generator='AttentionGridGenerator', prefix=prefix),
            encoder=dict(
                type=f'{prefix}ActivationEncoder', classifier=classifier(), layers=['head.fc']
            ),
            loss=dict(type=f'{prefix}TripletHingeLoss'),
            data_preprocessor=dict(mean=[0.0], std=[1.0]),
        ),
    ]
    return configs


def registered(registry):
    return {
        name
        for name, part in registry.module_dict.items()
        if part.__module__.startswith('mmstn.') and inspect.isclass(part)  # old names are functions
    }


@pytest.mark.parametrize('prefix', ['', 'mmpretrain.'])
def test_every_model_builds(prefix):
    built = [
        root.MODELS.build(dict(cfg, type=f'mmpretrain.{cfg["type"]}')) for cfg in models(prefix)
    ]
    seen = {type(module).__name__ for model in built for module in model.modules()}
    assert registered(MODELS) - seen == set()
    assert not any(isinstance(m, OwnTransformer) for model in built for m in model.modules())


ARGUMENTS = dict(
    ScaleAnnealingHook=dict(num_iters=1, start=1, end=1),
    RandomCropParts=dict(crop_size=8),
    RandomFlipParts=dict(prob=0.5),
    NumberVisualizer=dict(name='foreign'),
)


@pytest.mark.parametrize('name', ['HOOKS', 'METRICS', 'TRANSFORMS', 'VISUALIZERS'])
def test_every_hook_metric_transform_and_visualizer_builds(name):
    parts = registered(getattr(mmpretrain.registry, name))
    assert parts
    for part in parts:
        cfg = dict(type=f'mmpretrain.{part}', **ARGUMENTS.get(part, {}))
        assert type(getattr(root, name).build(cfg)).__name__ == part


def test_a_type_of_the_project_comes_before_one_of_mmpretrain():
    for name, part in {
        'SpatialTransformer': OwnTransformer,
        'foreign.SpatialTransformer': OwnTransformer,
        OwnTransformer: OwnTransformer,
        'ForeignNet': ForeignNet,
    }.items():
        assert type(build_part(MODELS, dict(type=name))) is part
    ours = dict(transformer(), type='mmpretrain.SpatialTransformer')
    assert type(build_part(MODELS, ours)) is mmstn.models.SpatialTransformer
    assert type(build_part(MODELS, dict(type='LeNet5', _scope_='mmpretrain'))).__name__ == 'LeNet5'


def test_parts_of_a_data_set(monkeypatch):
    """Those of a set of sets are built here too."""

    class Stub:
        def __new__(cls, **options):
            raise LookupError('found')

    monkeypatch.setitem(mmpretrain.registry.DATASETS.module_dict, 'Stub', Stub)
    with pytest.raises(LookupError, match='found'):
        root.DATASETS.build(dict(type='mmpretrain.MultiImageDataset', dataset=dict(type='Stub')))


@pytest.mark.parametrize('cfg', [dict(type='Nothing'), dict(type='foreign.LeNet5'), {}])
def test_what_does_not_exist_is_named(cfg):
    with pytest.raises(KeyError, match=cfg.get('type', 'type')):
        build_part(MODELS, cfg)
