"""Small trainings in processes of their own, which a test may kill."""

import multiprocessing
import os
import sys
from pathlib import Path
from unittest import mock

import numpy as np
import torch
from mmcv.transforms import BaseTransform
from mmengine.config import Config
from mmengine.dataset import BaseDataset
from mmengine.evaluator import BaseMetric
from mmengine.logging import MessageHub
from mmengine.model import BaseModel
from mmengine.registry import init_default_scope
from mmengine.runner import Runner
from mmengine.runner.checkpoint import _load_checkpoint
from mmpretrain.registry import DATASETS, METRICS, MODELS, TRANSFORMS
from torch import nn
from torch.nn import functional as F


@DATASETS.register_module(force=True)
class Noise(BaseDataset):
    """Grey pictures of 8x8 pixels, whose number is their label."""

    def load_data_list(self):
        images = np.random.default_rng(0).random((20, 8, 8), dtype=np.float32)
        return [dict(img=image, gt_label=i % 5) for i, image in enumerate(images)]


@MODELS.register_module(force=True)
class TwoLayers(BaseModel):
    """With dropout, so that training draws random numbers, and running statistics."""

    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Flatten(), nn.Linear(64, 32), nn.BatchNorm1d(32), nn.Dropout(0.3), nn.Linear(32, 5)
        )

    def forward(self, img, gt_label, mode='tensor', **kwargs):
        scores = self.layers(img)
        if mode == 'loss':
            return dict(loss=F.cross_entropy(scores, gt_label))
        return list(scores)


@TRANSFORMS.register_module(force=True)
class KeepImageAndLabel(BaseTransform):
    """So that mmengine's plain collate can make a batch."""

    def transform(self, results):
        return dict(img=torch.tensor(results['img'].copy()), gt_label=results['gt_label'])


# Distortions of mmstn, of mmcv, and of other images of the data set.
DISTORTED = dict(
    type='MultiImageDataset',
    dataset=dict(type='Noise', pipeline=[dict(type='RandomRotation')]),
    pipeline=[
        dict(type='SeedBySample'),
        dict(type='RandomClutter', num_patches=2, patch_size=3),
        dict(type='RandomFlip', prob=0.5),
        dict(type='KeepImageAndLabel'),
    ],
)


@METRICS.register_module(force=True)
class EverBetter(BaseMetric):
    """The number of the iteration, so that every validation finds a new best checkpoint."""

    def process(self, data_batch, data_samples):
        self.results += data_samples

    def compute_metrics(self, results):
        return dict(accuracy=float(MessageHub.get_current_instance().get_info('iter')))


def config(work_dir, **changes):
    """Thirty iterations with a checkpoint every fifth and a validation every tenth.

    Args:
        work_dir: The work folder.
        changes: Settings of the Runner, with ``__`` for the dots of their names.
    """
    loader = dict(
        batch_size=4,
        num_workers=0,
        dataset=DISTORTED,
        sampler=dict(type='InfiniteSampler', shuffle=True),
        collate_fn=dict(type='default_collate'),
    )
    checkpoint = dict(
        type='CheckpointHook', by_epoch=False, interval=5, max_keep_ckpts=1, save_best='accuracy'
    )
    settings = dict(
        model=dict(type='TwoLayers'),
        work_dir=str(work_dir),
        train_dataloader=loader,
        val_dataloader=loader | dict(sampler=dict(type='DefaultSampler', shuffle=False)),
        train_cfg=dict(type='IterBasedTrainLoop', max_iters=30, val_interval=10),
        val_cfg=dict(),
        val_evaluator=dict(type='EverBetter'),
        optim_wrapper=dict(optimizer=dict(type='Adam', lr=0.01)),
        param_scheduler=dict(type='CosineAnnealingLR', by_epoch=False, T_max=30),
        default_hooks=dict(checkpoint=checkpoint, logger=dict(type='LoggerHook', interval=10)),
        randomness=dict(seed=0),
        default_scope='mmpretrain',
        experiment_name=f'{Path(work_dir).name}_{os.getpid()}',
        log_level='ERROR',
    )
    settings = Config(settings)
    settings.merge_from_dict({name.replace('__', '.'): value for name, value in changes.items()})
    return settings


def train(settings):
    """Trains in this process."""
    init_default_scope('mmpretrain')
    # Every checkpoint holds the config in a tidy form, which takes longer than all the rest.
    with mock.patch.object(Config, 'pretty_text', str(settings)):
        Runner.from_cfg(settings).train()


def weights(work_dir, name='iter_30.pth'):
    """All that a checkpoint says of the model and its optimizer."""
    checkpoint = _load_checkpoint(str(Path(work_dir) / name), map_location='cpu')
    return {**checkpoint['state_dict'], **checkpoint['optimizer']['state']}


def in_a_process(do, *args):
    """A forked process, already started, whose output goes nowhere."""

    def quiet():
        torch.set_num_threads(1)
        sys.stdout = sys.stderr = open(os.devnull, 'w')
        do(*args)

    process = multiprocessing.get_context('fork').Process(target=quiet)
    process.start()
    return process
