"""The bird classifier under torchrun: two processes on the CPU learn as one does."""

import json

import pytest
import torch
from mmengine.runner.checkpoint import _load_checkpoint

from tests.tools.scripts import TOOLS, run_script

CONFIG = """
# Four birds a step. Left out is what processes cannot share: chance in the pipeline, and statistics
# of a batch (SyncBN does, on GPUs).
_base_ = '{configs}/cub/2x-st-small_1xb32-1200_birds-192.py'
experiment_name = __import__('uuid').uuid4().hex
custom_imports = dict(imports=['mmstn', 'losses_hook'], allow_failed_imports=False)
custom_hooks = [dict(type='WindowsHook'), dict(type='LossesHook'), {hook}]
train_dataloader = dict(
    batch_size=4,
    num_workers=0,
    dataset=dict(data_root='{folder}/birds', pipeline=_base_.test_pipeline))
train_cfg = dict(max_iters=3)
val_dataloader = dict(num_workers=0, dataset=dict(data_root='{folder}/birds'))
model = dict(backbone=dict(
    init_cfg=None,
    backbone=dict(norm_eval=True),
    transformer=dict(loc_net=dict(backbone=dict(norm_eval=True)))))
"""
LOSSES_HOOK = """
import json
import os
from pathlib import Path

from mmengine.hooks import Hook
from mmpretrain.registry import HOOKS


@HOOKS.register_module(force=True)
class LossesHook(Hook):
    def before_train(self, runner):
        self.steps = []

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        birds = [sample.img_path for sample in data_batch['data_samples']]
        self.steps.append((outputs['loss'].item(), birds))

    def after_train(self, runner):
        file = Path(runner.work_dir) / f'losses_{os.environ.get("RANK", 0)}.json'
        file.write_text(json.dumps(self.steps))
"""


@pytest.fixture(params=['', "dict(type='LossDifferencesHook')"], ids=['derivative', 'differences'])
def config(request, tmp_path, monkeypatch):
    """A config of the bird classifier and a folder of twelve birds beside it."""
    for folder in (TOOLS / 'data', tmp_path):
        monkeypatch.syspath_prepend(folder)
    import make_cub_like

    options = '--species 3 --train 4 --test 1 --size 144 --detail 0.05'
    make_cub_like.main([str(tmp_path / 'birds'), *options.split()])
    (tmp_path / 'losses_hook.py').write_text(LOSSES_HOOK)
    config = tmp_path / 'config.py'
    config.write_text(
        CONFIG.format(configs=TOOLS.parent / 'configs', folder=tmp_path, hook=request.param)
    )
    return config


def result(work_dir, processes):
    """Losses (processes, 3), the birds of each process and step, and the weights at the end."""
    files = [work_dir / f'losses_{rank}.json' for rank in range(processes)]
    steps = [json.loads(file.read_text()) for file in files]
    losses = torch.tensor([[loss for loss, _ in each] for each in steps])
    birds = [[set(seen) for _, seen in each] for each in steps]
    weights = _load_checkpoint(str(work_dir / 'iter_3.pth'), map_location='cpu')['state_dict']
    return losses, birds, weights


@pytest.mark.skipif(not torch.distributed.is_available(), reason='torch without distributed')
def test_two_processes_give_the_losses_of_one(config, load_tool):
    folder = config.parent
    load_tool('train').main([str(config), '--work-dir', str(folder / 'one')])
    run_script(
        'dist_train.sh', config, 2, '--work-dir', folder / 'two',
        '--cfg-options', 'train_dataloader.batch_size=2', PYTHONPATH=f'{TOOLS.parent}:{folder}',
    )  # fmt: skip
    (alone,), (batches,), weights = result(folder / 'one', 1)
    halves, (first, second), weights_of_two = result(folder / 'two', 2)
    torch.testing.assert_close(halves.mean(0), alone, rtol=1e-4, atol=1e-5)
    for batch, half, other in zip(batches, first, second, strict=True):
        assert len(half) == len(other) == 2 and half | other == batch  # each has birds of its own
    theta = 'backbone.transformer.loc_net.regression.bias'
    moved, moved_of_two = weights[theta], weights_of_two[theta]
    assert (moved != 0).all()
    torch.testing.assert_close(moved_of_two, moved, rtol=0.05, atol=1e-5)
