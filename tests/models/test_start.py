"""The start of theta through real Runners: initialisation, checkpoints, resuming, EMA."""

import pytest
import torch
from mmengine.hooks import EMAHook
from mmengine.runner import Runner
from mmpretrain.registry import MODELS
from torch.utils.data import Dataset

from mmstn.models import SpatialTransformer

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
    return Runner(
        model=model,
        work_dir=str(tmp_path),
        train_dataloader=dict(
            dataset=Images(),
            batch_size=4,
            sampler=dict(type='DefaultSampler', shuffle=False),
            collate_fn=dict(type='default_collate'),
        ),
        train_cfg=dict(by_epoch=True, max_epochs=epochs),
        optim_wrapper=dict(optimizer=dict(type='SGD', lr=lr, momentum=0.9)),
        default_hooks=dict(logger=dict(type='LoggerHook', interval=1)),
        custom_hooks=list(hooks),
        default_scope='mmpretrain',
        experiment_name=f'test_{id(tmp_path)}',
        **options,
    )


def transformers(model):
    return {name: m for name, m in model.named_modules() if isinstance(m, SpatialTransformer)}


@pytest.mark.parametrize('loc_net', [CONV, DEEP], ids=['conv', 'backbone'])
def test_the_start_survives_the_runner_to_the_last_bit(tmp_path, loc_net):
    runner = make_runner(tmp_path, classifier(loc_net))
    runner.train()
    found = transformers(runner.model)
    assert len(found) == 3
    probe = torch.rand(2, 3, 32, 32)
    for name, transformer in found.items():
        regression = transformer.loc_net.regression
        assert regression.weight.eq(0).all(), name
        generator, k = transformer.grid_generator, transformer.num_transformers
        start = generator.tiled_theta(k) if k else generator.identity_theta()
        assert torch.equal(regression.bias, start.flatten()), name
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
    bias = second.model.backbone.transformer.loc_net.regression.bias
    start = second.model.backbone.transformer.loc_net.regression.start
    assert not torch.equal(bias, start)  # it did learn


def test_ema_starts_with_the_model(tmp_path):
    ema = EMAHook()
    runner = make_runner(tmp_path, classifier(), hooks=[ema])
    runner.train()
    averaged = transformers(ema.ema_model.module)
    for name, transformer in transformers(runner.model).items():
        regression = averaged[name].loc_net.regression
        assert torch.equal(regression.bias, transformer.loc_net.regression.start), name


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
