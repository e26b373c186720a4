"""tools/reproduce.py through real trainings: kill, resume, failures, two tools at once."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from mmstn.experiments import Run
from mmstn.experiments.scheduler import _seconds_left, find_slots, run_all
from mmstn.experiments.table import Needs

ROOT = Path(__file__).parents[2]
TOOL = ROOT / 'tools' / 'reproduce.py'
CONFIG = """
experiment_name = 'reproduce'
custom_imports = dict(imports=['mmstn'], allow_failed_imports=False)
default_scope = 'mmpretrain'
model = dict(
    type='ImageClassifier',
    backbone=dict(type='MNISTFC', in_size=28, channels=(8,)),
    head=dict(type='LinearClsHead', num_classes=10, in_channels=8),
    data_preprocessor=dict(mean=[0], std=[255], num_classes=10))
train_dataloader = dict(
    batch_size=10,
    num_workers=0,
    sampler=dict(type='InfiniteSampler', shuffle=True),
    collate_fn=dict(type='default_collate'),
    dataset=dict(type='MNIST5k', split='train', pipeline=[dict(type='PackInputs')]))
test_dataloader = dict(
    batch_size=100,
    num_workers=0,
    sampler=dict(type='DefaultSampler', shuffle=False),
    collate_fn=dict(type='default_collate'),
    dataset=dict(type='MNIST5k', split='test', indices=200, pipeline=[dict(type='PackInputs')]))
test_evaluator = dict(type='Accuracy', topk=(1,))
test_cfg = dict()
train_cfg = dict(type='IterBasedTrainLoop', max_iters=ITERATIONS)
optim_wrapper = dict(optimizer=dict(type='SGD', lr=0.01))
default_hooks = dict(
    logger=dict(type='LoggerHook', interval=10),
    checkpoint=dict(type='CheckpointHook', by_epoch=False, interval=50, max_keep_ckpts=1))
log_processor = dict(by_epoch=False)
vis_backends = [dict(type='LocalVisBackend')]
visualizer = dict(type='UniversalVisualizer', vis_backends=vis_backends)
load_from = None
resume = False
randomness = dict(seed=0)
"""
TABLE = """
title: Digits
measure: test error in %
metric: accuracy/top1
complement: true
rows: {plain: Plain, broken: Broken}
columns: {a: A}
paper: {plain: {a: 1}}
versions: {v: {title: tiny, config: '{row}_{column}.py'}}
"""


@pytest.fixture
def table(tmp_path):
    (tmp_path / 'plain_a.py').write_text(CONFIG.replace('ITERATIONS', '1000'))
    (tmp_path / 'broken_a.py').write_text(
        CONFIG.replace('ITERATIONS', '1').replace('in_channels=8', 'in_channels=7')
    )
    (tmp_path / 'experiment.yml').write_text(TABLE)
    return tmp_path


def start(table, *arguments):
    """The tool in a process group of its own, so that all of it can be killed."""
    command = [sys.executable, str(TOOL), str(table / 'experiment.yml')]
    command += ['--work-dir', str(table / 'runs'), *arguments]
    environment = os.environ | {
        'CUDA_VISIBLE_DEVICES': '-1',
        'OMP_NUM_THREADS': '1',
        'PYTHONPATH': str(ROOT),
    }
    return subprocess.Popen(
        command, start_new_session=True, env=environment, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip


def steps(folder):
    """Iterations in the logs of a run, one list for each start."""
    logs = sorted(folder.glob('2*/vis_data/scalars.json'))
    entries = [[json.loads(line) for line in log.read_text().splitlines()] for log in logs]
    return [[entry['step'] for entry in log if 'loss' in entry] for log in entries]


def test_goes_on_after_a_kill_and_reports(table):
    folder = table / 'runs/plain/a/seed3'
    arguments = ['--cells', 'plain/*', '--seeds', '3', '--jobs', '1']
    tool = start(table, *arguments)
    try:
        deadline = time.monotonic() + 300
        while not (folder / 'last_checkpoint').exists():
            assert tool.poll() is None, tool.stdout.read()
            assert time.monotonic() < deadline
            time.sleep(0.05)
    finally:
        os.killpg(tool.pid, signal.SIGKILL)  # as a power cut would do it: nobody can clean up
        tool.communicate()
    assert not (folder / 'result.json').exists()

    saved = int((folder / 'last_checkpoint').read_text().rsplit('_', 1)[1].removesuffix('.pth'))
    assert saved < 1000
    tool = start(table, *arguments)
    output, _ = tool.communicate(timeout=300)
    assert tool.returncode == 0, output
    assert 'done: plain/a, seed 3' in output
    _, second = steps(folder)
    assert second[0] == saved + 10  # from the checkpoint on, not from the start
    assert second[-1] == 1000
    result = json.loads((folder / 'result.json').read_text())
    assert 'randomness.seed=3' in result['commands'][0]
    assert 'iter_1000.pth' in result['commands'][1]
    error = 100 - result['metrics']['accuracy/top1']
    assert f'| Plain | {error:.2f} / 1 |' in (table / 'runs/v.md').read_text()


def test_says_what_failed(table):
    tool = start(table, '--cells', 'broken/*')
    output, _ = tool.communicate(timeout=300)
    assert tool.returncode == 1
    assert 'FAILED: broken/a, seed 0' in output
    assert 'mat1 and mat2 shapes cannot be multiplied' in output  # the end of its own output
    assert '**Not run yet.**' in (table / 'runs/v.md').read_text()


class FakeRun(Run):
    """A run whose training and test are shell commands."""

    training = 'true'

    def train_command(self):
        return ['sh', '-c', f'date +%s.%N > {self.folder}/begin; {self.training}']

    def test_command(self, out):
        return ['sh', '-c', f'date +%s.%N > {self.folder}/end; echo {{}} > {out}']

    def time(self, name):
        return float((self.folder / name).read_text())


@pytest.fixture
def fake(table):
    def fake(name, training='true', after=None):
        run = FakeRun(name, table / 'plain_a.py', table / name, 0, after=after)
        run.training = training
        return run

    return fake


def test_side_by_side(fake):
    # Each waits until the other has begun: one after the other would never end.
    runs = [fake(name, f'while [ ! -f ../{other}/begin ]; do sleep 0.05; done')
            for name, other in (('a', 'b'), ('b', 'a'))]  # fmt: skip
    for run in runs:
        run.training = run.training.replace('..', str(run.folder.parent))
    assert run_all(runs, [None, None]) == []
    assert all(run.result is not None for run in runs)


def test_one_place_means_one_after_the_other(fake):
    runs = [fake('a'), fake('b')]
    assert run_all(runs, [None]) == []
    assert runs[1].time('begin') >= runs[0].time('end')


def test_what_a_run_starts_from_comes_first_and_its_failure_is_not_waited_for(fake):
    first = fake('first')
    second = fake('second', after=first)
    assert run_all([second], [None, None]) == []
    assert second.time('begin') >= first.time('end')

    broken = fake('broken', 'exit 3')
    other, lost = fake('other'), fake('lost', after=broken)
    assert run_all([lost, other], [None]) == [broken, lost]
    assert other.result is not None
    assert not (lost.folder / 'begin').exists()


def test_a_run_of_another_tool_is_waited_for(fake):
    run, elsewhere = fake('a', 'exit 1'), fake('a')
    assert elsewhere.lock()
    # A process that outlives the tool that has started it keeps the folder, and finishes the run.
    code = f'sleep 1; echo \'{{"seconds": 1, "metrics": {{}}}}\' > {run.folder}/result.json'
    child = subprocess.Popen(['sh', '-c', code], pass_fds=[elsewhere.lock_file])
    elsewhere.unlock()
    assert run_all([run], [None]) == []
    assert child.wait() == 0
    assert not (run.folder / 'begin').exists()


def test_a_run_that_is_done_is_not_run_again(fake):
    run = fake('a')
    assert run_all([run], [None]) == []
    begin = run.time('begin')
    assert run_all([run], [None]) == []
    assert run.time('begin') == begin


def test_settings_must_not_change_within_a_folder(table):
    def run(**options):
        return Run('a', table / 'plain_a.py', table / 'a', 0, options)

    run().check_folder()
    run().check_folder()
    with pytest.raises(ValueError, match='holds a run of other settings'):
        run(**{'optim_wrapper.optimizer.lr': '0.1'}).check_folder()
    text = (table / 'plain_a.py').read_text()
    (table / 'plain_a.py').write_text(text.replace('channels=(8,)', 'channels=(9,)'))
    with pytest.raises(ValueError, match='holds a run of other settings'):
        run().check_folder()


def test_an_interrupt_ends_the_processes(fake):
    run = fake('a', 'exec sleep 600')

    def interrupt(line):
        if line.startswith('start'):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_all([run], [None], interrupt)
    assert run.lock()  # nobody has it any more
    run.unlock()


def test_time_left(fake, monkeypatch):
    done, running, waiting = fake('done'), fake('running'), fake('waiting')
    for run, progress in ((done, 1.0), (running, 0.25), (waiting, 0.0)):
        monkeypatch.setattr(run, 'progress', lambda progress=progress: progress)
    done.folder.mkdir()
    (done.folder / 'result.json').write_text('{"seconds": 100}')
    job = SimpleNamespace(run=running, seconds=lambda: 200.0)
    runs = [done, running, waiting]
    # 3/4 of 200 s, and a run as long as the mean of the two others, in two places.
    assert _seconds_left(runs, [job], [waiting], 2) == pytest.approx((150 + 150) / 2)
    assert _seconds_left(runs, [job], [waiting], 9) == pytest.approx(150)  # a run is not split
    assert _seconds_left([waiting], [], [waiting], 1) is None


def test_slots(monkeypatch):
    from mmstn.experiments import scheduler

    monkeypatch.setattr(scheduler.torch.cuda, 'is_available', lambda: False)
    monkeypatch.setattr(scheduler.os, 'cpu_count', lambda: 8)
    monkeypatch.setattr(scheduler, '_free_memory', lambda: 10.5)
    assert find_slots(Needs(cpus=2, memory=1)) == [None] * 4
    assert find_slots(Needs(cpus=1, memory=4)) == [None] * 2
    assert find_slots(Needs(cpus=16, memory=99)) == [None]
    assert find_slots(Needs(), jobs=3) == [None] * 3
    with pytest.raises(ValueError, match='jobs must be >= 1, got 0'):
        find_slots(Needs(), jobs=0)

    monkeypatch.setattr(scheduler.torch.cuda, 'is_available', lambda: True)
    monkeypatch.setattr(scheduler.torch.cuda, 'device_count', lambda: 2)
    monkeypatch.setattr(scheduler.torch.cuda, 'mem_get_info', lambda gpu: ([20, 5][gpu] * 2**30, 0))
    monkeypatch.delenv('CUDA_VISIBLE_DEVICES', raising=False)
    needs = Needs(cpus=1, memory=1, gpu_memory=5)
    assert find_slots(needs) == ['0', '1', '0', '0', '0']
    assert find_slots(Needs(cpus=4, memory=1, gpu_memory=5)) == ['0', '1']
    assert find_slots(needs, jobs=3) == ['0', '1', '0']
    monkeypatch.setenv('CUDA_VISIBLE_DEVICES', '6,7')
    assert find_slots(needs, jobs=2) == ['6', '7']
