"""What training adds to a model leaves the start of its STs and their learning rate alone."""

from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.model import ExponentialMovingAverage, convert_sync_batchnorm
from mmengine.optim import build_optim_wrapper
from mmengine.registry import init_default_scope
from mmpretrain.registry import MODELS
from torch import nn

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
