"""Runs that are killed at any moment and resumed end as if nothing had happened, to the last bit.

``MMSTN_KILLS=30 pytest tests/engine/test_kills.py`` kills more runs than the usual six.
"""

import contextlib
import os
import random
import signal
import sys
import time

import pytest
import torch
from mmengine.hooks import Hook
from mmengine.registry import LOOPS
from mmengine.runner import Runner

from mmstn.engine.checkpoint_files import TEMPORARY, AtomicBackend, is_whole
from mmstn.engine.cpu_distributed import init_cpu_distributed
from mmstn.engine.hooks import CheckpointHook
from tests.engine import runs
from tests.tools.scripts import free_port

pytestmark = pytest.mark.skipif(not hasattr(os, 'fork'), reason='needs fork')
KILLS = int(os.environ.get('MMSTN_KILLS', 6))


def assert_same(found, expected):
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        torch.testing.assert_close(found[name], value, rtol=0, atol=0)


def finish(settings):
    """Resumes a run to its end."""
    settings.resume = True
    process = runs.in_a_process(runs.train, settings)
    process.join()
    assert process.exitcode == 0


@pytest.fixture(scope='module')
def undisturbed(tmp_path_factory):
    """The weights at the end, how long it took, and how many calls saving is made of."""
    folder = tmp_path_factory.mktemp('undisturbed')
    start = time.monotonic()
    process = runs.in_a_process(runs.train, runs.config(folder))
    process.join()
    assert process.exitcode == 0
    return runs.weights(folder), time.monotonic() - start


def kill_while_saving(settings, which):
    """Trains, and kills itself in a call of Python or C that is part of writing a checkpoint.

    Args:
        settings: Of the run.
        which: The number of the call.
    """
    calls = 0

    def count(frame, event, argument):
        nonlocal calls
        calls += event in ('call', 'c_call')
        if calls >= which:
            os.kill(os.getpid(), signal.SIGKILL)

    put, save = AtomicBackend.put, CheckpointHook._safely

    def counted_put(*args):
        sys.setprofile(count)
        put(*args)

    @contextlib.contextmanager
    def counted_save(hook):
        with save(hook):
            yield
        sys.setprofile(None)

    AtomicBackend.put, CheckpointHook._safely = counted_put, counted_save
    runs.train(settings)


@pytest.mark.parametrize('number', range(KILLS))
def test_a_killed_run_ends_as_an_undisturbed_one(tmp_path, undisturbed, number):
    """Each is killed up to three times; a third of them while it writes a checkpoint."""
    weights, duration = undisturbed
    draw = random.Random(number)
    settings = runs.config(tmp_path, train_dataloader__num_workers=number % 3)
    for _ in range(draw.randint(1, 3)):
        if number % 3 == 0:
            process = runs.in_a_process(kill_while_saving, settings, draw.randrange(27000))
        else:
            process = runs.in_a_process(runs.train, settings)
            if number % 3 == 1:
                process.join(draw.uniform(0, duration))
            else:  # as soon as there is an unfinished file
                end = time.monotonic() + 10 * duration
                while not list(tmp_path.glob(f'*{TEMPORARY}')) and time.monotonic() < end:
                    if not process.is_alive():
                        break
            process.kill()
        process.join()
        saved = list(tmp_path.glob('iter_*.pth'))
        assert all(map(is_whole, saved))
        settings.resume = True
    finish(settings)
    assert_same(runs.weights(tmp_path), weights)
    assert sorted(path.name for path in tmp_path.glob('*.pth*')) == [
        'best_accuracy_iter_30.pth', 'iter_30.pth'
    ]  # fmt: skip


def train_until(settings, done):
    """Trains, and kills itself when the loop has counted ``done`` iterations.

    A checkpoint and a validation that are due then have been written and not been done.
    """
    loop_type = LOOPS.get(settings.train_cfg.type)
    run_iter = loop_type.run_iter

    def run_and_kill(loop, *args):
        run_iter(loop, *args)
        if loop.iter == done:
            os.kill(os.getpid(), signal.SIGKILL)

    loop_type.run_iter = run_and_kill
    runs.train(settings)


def killed_at(settings, done):
    process = runs.in_a_process(train_until, settings, done)
    process.join()
    assert process.exitcode == -signal.SIGKILL


@pytest.mark.parametrize('done', [20, 30])
def test_the_validation_that_a_kill_prevented_is_made_up_for(tmp_path, done):
    settings = runs.config(tmp_path)
    killed_at(settings, done)
    assert not list(tmp_path.glob(f'best*_{done}.pth'))
    settings.merge_from_dict(dict(resume=True, train_cfg=dict(max_iters=done)))
    finish(settings)
    assert list(tmp_path.glob(f'best*_{done}.pth'))


def test_a_run_without_a_seed_goes_on_with_the_one_it_drew(tmp_path):
    """Its order of samples too, which is drawn from the seed."""
    seen = []

    def train(name, max_iters, resume=False):
        settings = runs.config(
            tmp_path / 'work',
            randomness__seed=None,
            train_cfg__max_iters=max_iters,
            resume=resume,
            experiment_name=name,
        )
        runner = Runner.from_cfg(settings)
        runner.register_hook(Recorder(seen))
        runner.train()
        return runner.seed

    seed = train('first', 10)
    assert train('second', 20, resume=True) == seed
    first, seen[:] = list(seen), []
    train_all = runs.config(tmp_path / 'all', randomness__seed=seed, train_cfg__max_iters=20)
    runner = Runner.from_cfg(train_all)
    runner.register_hook(Recorder(seen))
    runner.train()
    assert_same(dict(enumerate(first)), dict(enumerate(seen)))


class Recorder(Hook):
    """Notes the pictures of every step."""

    def __init__(self, seen):
        self.seen = seen

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        self.seen.append(data_batch['img'])


@pytest.mark.parametrize('num_workers', [0, 2])
def test_epochs_are_resumed_too(tmp_path, num_workers):
    def settings(name):
        return runs.config(
            tmp_path / name,
            train_cfg=dict(_delete_=True, type='EpochBasedTrainLoop', max_epochs=3),
            train_dataloader__sampler__type='DefaultSampler',
            train_dataloader__num_workers=num_workers,
            default_hooks__checkpoint=dict(by_epoch=True, interval=1),
            log_processor=dict(by_epoch=True),
        )

    runs.train(settings('straight'))
    killed_at(settings('resumed'), 7)  # an epoch has five iterations
    finish(settings('resumed'))
    expected = runs.weights(tmp_path / 'straight', 'epoch_3.pth')
    assert_same(runs.weights(tmp_path / 'resumed', 'epoch_3.pth'), expected)


def train_two(settings, rank, port, done=None):
    """One of two processes of a run; killed after ``done`` iterations, if that is given."""
    os.environ |= dict(RANK=str(rank), LOCAL_RANK=str(rank), WORLD_SIZE='2')
    os.environ |= dict(MASTER_ADDR='127.0.0.1', MASTER_PORT=port)
    settings.launcher = 'pytorch'
    init_cpu_distributed(settings)
    runs.train(settings) if done is None else train_until(settings, done)


@pytest.mark.skipif(not torch.distributed.is_available(), reason='torch without distributed')
@pytest.mark.skipif(torch.cuda.is_available(), reason='would train on GPUs')
def test_two_processes_are_resumed_too(tmp_path):
    def start(name, resume=False, done=None):
        settings = runs.config(tmp_path / name, resume=resume, train_dataloader__num_workers=1)
        port = free_port()
        processes = [runs.in_a_process(train_two, settings, rank, port, done) for rank in range(2)]
        for process in processes:
            process.join()
        return [process.exitcode for process in processes]

    assert start('straight') == [0, 0]
    assert start('resumed', done=13) == [-signal.SIGKILL] * 2
    assert start('resumed', resume=True) == [0, 0]
    assert_same(runs.weights(tmp_path / 'resumed'), runs.weights(tmp_path / 'straight'))
