"""A spatial transformer learns to straighten digits, from class labels alone."""

import math

import pytest
import torch

from mmstn.datasets.mnist5k import load_digits
from mmstn.datasets.mnist5k import test_digits as held_out  # pytest would collect it
from mmstn.ops import affine_grid_sample
from mmstn.visualization import record_transformers
from tests import tiny

pytest.importorskip('mlxtend')

LIMIT = 60  # degrees to either side


def rotations(degrees):
    """Matrices that turn the image, (N, 2, 3)."""
    angle = torch.as_tensor(degrees, dtype=torch.float32).deg2rad()
    cos, sin, zero = angle.cos(), angle.sin(), torch.zeros_like(angle)
    return torch.stack([cos, -sin, zero, sin, cos, zero], -1).unflatten(-1, (2, 3))


def angles(matrix):
    """The rotation nearest to each matrix (in the sense of Frobenius), in degrees."""
    return torch.atan2(
        matrix[..., 1, 0] - matrix[..., 0, 1], matrix[..., 0, 0] + matrix[..., 1, 1]
    ).rad2deg()


def spread_after(model, num_digits=200):
    """Standard deviation of one digit's orientation after the transformer, over its rotations."""
    images, labels = load_digits()
    images = torch.tensor(images[held_out(labels)])[:: 1000 // num_digits, None].float() / 255
    turns = torch.linspace(-LIMIT, LIMIT, 9)
    left = []
    for turn in turns:
        x = affine_grid_sample(images, rotations(turn.expand(num_digits)), (28, 28))
        with record_transformers(model) as records, torch.no_grad():
            model.extract_feat(x)
        left.append(turn + angles(records[0].theta.unflatten(-1, (2, 3))))
    return float(turns.std()), float(torch.stack(left).std(0).mean())


BACKBONE = dict(type='MNISTCNN', in_size=28, channels=(16, 32))


def train(work_dir, backbone, pipeline, num_steps, seed, load_from=None, custom_keys=None):
    """Trains a classifier as any config does; gives the model and its last checkpoint."""
    runner = tiny.runner(
        work_dir,
        dict(
            type='ImageClassifier',
            data_preprocessor=dict(type='ClsDataPreprocessor', mean=[0.0], std=[255.0]),
            backbone=backbone,
            head=dict(
                type='LinearClsHead',
                num_classes=10,
                in_channels=128,
                loss=dict(type='CrossEntropyLoss'),
            ),
        ),
        train_dataloader=tiny.loader(
            dict(type='MNIST5k', pipeline=[*pipeline, dict(type='PackInputs')]),
            batch_size=64,
            sampler=dict(type='InfiniteSampler', shuffle=True),
        ),
        train_cfg=dict(type='IterBasedTrainLoop', max_iters=num_steps),
        optim_wrapper=dict(
            optimizer=dict(type='Adam', lr=0.003),
            paramwise_cfg=dict(custom_keys=custom_keys or {}),
        ),
        param_scheduler=dict(type='CosineAnnealingLR', by_epoch=False, T_max=num_steps),
        default_hooks=dict(
            checkpoint=dict(type='CheckpointHook', by_epoch=False, interval=num_steps)
        ),
        load_from=load_from,
        randomness=dict(seed=seed),
    )
    runner.train()
    return runner.model.eval(), str(work_dir / f'iter_{num_steps}.pth')


def test_a_transformer_straightens_digits(tmp_path):
    """A classifier that knows upright digits only: to please it, the transformer must turn them."""
    _, upright = train(tmp_path / 'upright', BACKBONE, [], 200, seed=0)
    transformer = dict(
        loc_net=dict(type='ConvLocNet', in_channels=1, in_size=28),
        grid_generator=dict(type='AffineGridGenerator'),
    )
    model, _ = train(
        tmp_path / 'rotated',
        dict(type='STNBackbone', transformer=transformer, backbone=BACKBONE),
        [dict(type='RandomRotation', angle=LIMIT)],
        500,
        seed=0,
        load_from=upright,
        custom_keys={'streams': dict(lr_mult=0.0), 'head': dict(lr_mult=0.0)},
    )
    before, after = spread_after(model)
    assert before == pytest.approx(math.sqrt(15 / 2) * 15)  # of -60, -45, ..., 60 degrees
    assert after < before / 2
