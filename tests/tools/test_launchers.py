"""Several processes: really two of them on the CPU, and the shell scripts' command lines."""

import os
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.runner.checkpoint import _load_checkpoint
from mmpretrain.registry import MODELS
from torch.nn import functional as F

from mmstn.engine import cpu_distributed
from mmstn.engine.cpu_distributed import init_cpu_distributed
from tests.tools.scripts import free_port, run_script

TOOLS = Path(__file__).parents[2] / 'tools'


@pytest.fixture(scope='module')
def batch(project):
    """All pictures as the network sees them, in float64, and their labels."""
    paths = sorted((project / 'images').rglob('*.png'))
    pixels = np.stack([cv2.imread(str(path), 0) for path in paths])[:, None].astype(np.float64)
    return torch.tensor((pixels - 127.5) / 127.5), torch.tensor([int(p.parent.name) for p in paths])


def gradients(project, images, labels):
    """The gradient of every parameter at ``start.pth``, by autograd in float64."""
    backbone = MODELS.build(dict(type='mmpretrain.LeNet5', num_classes=3)).double()
    state = torch.load(project / 'start.pth', weights_only=True)['state_dict']
    backbone.load_state_dict({name.removeprefix('backbone.'): t for name, t in state.items()})
    F.cross_entropy(backbone(images)[0], labels).backward()
    return [parameter.grad.float() for parameter in backbone.parameters()]


@pytest.mark.skipif(not torch.distributed.is_available(), reason='torch without distributed')
def test_two_processes_on_the_cpu_have_the_gradients_of_the_whole_batch(project, batch, tmp_path):
    log = run_script(
        'dist_train.sh', project / 'config.py', 2, '--work-dir', tmp_path, '--cfg-options',
        'train_cfg.max_epochs=1', 'train_dataloader.batch_size=6',
    )  # fmt: skip
    assert 'Epoch(train) [1][1/1]' in log  # one step of two halves, six pictures each
    checkpoint = _load_checkpoint(str(tmp_path / 'epoch_1.pth'), map_location='cpu')
    # After the first step the momentum of SGD is the gradient itself.
    states = checkpoint['optimizer']['state']
    found = [states[index]['momentum_buffer'] for index in sorted(states)]
    images, labels = batch
    whole = gradients(project, images, labels)
    assert len(found) == len(whole)
    for gradient, expected in zip(found, whole, strict=True):
        torch.testing.assert_close(gradient, expected, rtol=1e-4, atol=1e-7)
    # It would show if the processes had not averaged: the halves alone differ from the whole.
    half = gradients(project, images[::2], labels[::2])
    assert (half[0] - whole[0]).abs().max() > 1e-2 * whole[0].abs().max()


@pytest.mark.skipif(not torch.distributed.is_available(), reason='torch without distributed')
def test_two_processes_on_the_cpu_test_every_picture_once(project, batch, tmp_path):
    out = tmp_path / 'out.pkl'
    run_script(
        'dist_test.sh', project / 'config.py', project / 'start.pth', 2, '--work-dir', tmp_path,
        '--out', out, '--cfg-options', 'test_dataloader.batch_size=4',
        'test_dataloader.dataset.indices=11',
    )  # fmt: skip
    samples = np.load(out, allow_pickle=True)
    # Eleven pictures are six for each process: the one that fills up is not counted twice.
    assert [int(sample['gt_label']) for sample in samples] == batch[1][:11].tolist()


ENDING = """
import atexit
import os

import torch
from mmengine.config import Config
from mmengine.model import MMDistributedDataParallel


@atexit.register
def threads():
    print([open(f'/proc/self/task/{task}/comm').read() for task in os.listdir('/proc/self/task')])


def main():
    from mmstn.engine.cpu_distributed import init_cpu_distributed

    init_cpu_distributed(Config(dict(launcher='pytorch')))
    model = MMDistributedDataParallel(torch.nn.Linear(3, 3))
    model.itself = [model]  # held by a cycle, as the model of a Runner is
    threads()


main()
"""


@pytest.mark.skipif(not Path('/proc/self/task').exists(), reason='no list of threads')
def test_no_thread_of_gloo_outlives_python():
    one = dict(RANK='0', WORLD_SIZE='1', MASTER_ADDR='127.0.0.1', MASTER_PORT=free_port())
    run = subprocess.run(
        [sys.executable, '-c', ENDING], check=True, capture_output=True, text=True,
        env=os.environ | one | {'CUDA_VISIBLE_DEVICES': '-1'},
    )  # fmt: skip
    before, after = (line for line in run.stdout.splitlines() if line.startswith("['"))
    assert 'pt_gloo' in before
    assert 'pt_gloo' not in after


@pytest.mark.parametrize('launcher', ['slurm', 'mpi'])
def test_other_launchers_need_a_gpu(monkeypatch, launcher):
    monkeypatch.setattr(cpu_distributed, 'get_device', lambda: 'cpu')
    with pytest.raises(ValueError, match=f"'pytorch'.*got '{launcher}'"):
        init_cpu_distributed(Config(dict(launcher=launcher)))


@pytest.mark.parametrize(
    ('launcher', 'device'), [('none', 'cpu'), ('pytorch', 'cuda'), ('slurm', 'cuda')]
)
def test_nothing_changes_with_one_process_or_on_gpus(monkeypatch, launcher, device):
    monkeypatch.setattr(cpu_distributed, 'get_device', lambda: device)
    cfg = Config(dict(launcher=launcher))
    init_cpu_distributed(cfg)
    assert cfg.to_dict() == dict(launcher=launcher)
    assert not torch.distributed.is_initialized()


def test_a_wrapper_of_ones_own_stays(monkeypatch):
    monkeypatch.setattr(cpu_distributed, 'get_device', lambda: 'cpu')
    monkeypatch.setattr(cpu_distributed, 'is_distributed', lambda: True)
    wrapper = dict(type='MMDistributedDataParallel', find_unused_parameters=True)
    cfg = Config(dict(launcher='pytorch', model_wrapper_cfg=wrapper))
    init_cpu_distributed(cfg)
    assert cfg.model_wrapper_cfg == wrapper | dict(device_ids=None)


@pytest.mark.parametrize(
    ('script', 'arguments', 'ending'),
    [
        ('slurm_train.sh', ['part', 'job', 'a.py', 'dir', '--resume', '--cfg-options', 'a="b c"'],
         ['train.py', 'a.py', '--work-dir=dir', '--launcher=slurm', '--resume', '--cfg-options',
          'a="b c"']),
        ('slurm_test.sh', ['part', 'job', 'a.py', 'a.pth', '--out', 'a.pkl'],
         ['test.py', 'a.py', 'a.pth', '--launcher=slurm', '--out', 'a.pkl']),
    ],
)  # fmt: skip
def test_slurm_scripts_hand_everything_to_srun(monkeypatch, tmp_path, script, arguments, ending):
    srun = tmp_path / 'srun'
    srun.write_text('#!/bin/sh\nprintf "%s\\n" "$@"\n')
    srun.chmod(0o755)
    monkeypatch.setenv('PATH', str(tmp_path), prepend=os.pathsep)
    monkeypatch.setenv('SRUN_ARGS', '--nodelist=a --exclusive')
    monkeypatch.setenv('GPUS', '16')
    command = subprocess.run(
        [str(TOOLS / script), *arguments], check=True, capture_output=True, text=True
    ).stdout.splitlines()
    python = command.index('python')
    assert {'--partition=part', '--job-name=job', '--gres=gpu:8', '--ntasks=16'} <= set(command)
    assert command[python - 2 : python] == ['--nodelist=a', '--exclusive']
    assert command[python + 1 :] == ['-u', str(TOOLS / ending[0]), *ending[1:]]


@pytest.mark.parametrize(
    'script', ['dist_train.sh', 'dist_test.sh', 'slurm_train.sh', 'slurm_test.sh']
)
def test_scripts_explain_themselves(script):
    run = subprocess.run([str(TOOLS / script)], capture_output=True, text=True)
    assert run.returncode == 2
    assert run.stderr.startswith('usage: ')
