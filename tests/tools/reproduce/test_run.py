"""tools/reproduce.py through real trainings: kill, resume, failures, two tools at once."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from reproduce import Run, run_all

ROOT = Path(__file__).parents[3]
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
rows:
  plain: Plain
  broken: Broken
  wide: {title: Wide, of: plain, options: {optim_wrapper.optimizer.lr: 0.02}}
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


def test_a_cluster_does_the_run_of_a_dead_worker_again(table, monkeypatch):
    reason = 'Dask is not installed (the extra [cluster])'
    distributed = pytest.importorskip('distributed', reason=reason)
    psutil = pytest.importorskip('psutil', reason=reason)  # Dask's own

    def find_trainings(cluster):
        """Folders of runs that train, each with its worker's process."""
        workers = [psutil.Process(nanny.pid) for nanny in cluster.workers.values() if nanny.pid]
        for worker in workers:
            for child in worker.children():
                command = child.cmdline()
                if '--resume' in command:
                    yield Path(command[command.index('--work-dir') + 1]), worker

    for name, value in dict(CUDA_VISIBLE_DEVICES='-1', OMP_NUM_THREADS='1').items():
        monkeypatch.setenv(name, value)
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, resources=dict(slot=1), dashboard_address=None
    ) as cluster:
        seeds = (0, 1)
        options = ['--cells', 'plain/*', '--dask', cluster.scheduler_address]
        tool = start(table, *options, '--seeds', *map(str, seeds))
        try:
            deadline = time.monotonic() + 300
            trained = []
            while not trained:
                assert tool.poll() is None, tool.stdout.read()
                assert time.monotonic() < deadline
                time.sleep(0.05)
                trainings = find_trainings(cluster)
                trained = [x for x in trainings if (x[0] / 'last_checkpoint').exists()]
            (folder, worker), *_ = trained
            for process in [worker, *worker.children(recursive=True)]:  # as if it lost its power
                process.kill()
            saved = (folder / 'last_checkpoint').read_text()
            output, _ = tool.communicate(timeout=300)
        finally:
            tool.kill()
    assert tool.returncode == 0, output
    saved = int(saved.rsplit('_', 1)[1].removesuffix('.pth'))
    assert saved < 1000
    first, second = steps(folder)
    assert second[0] == saved + 10  # from the checkpoint on, not from the start
    assert second[-1] == 1000
    results = [table / f'runs/plain/a/seed{seed}/result.json' for seed in seeds]
    metrics = [json.loads(file.read_text())['metrics'] for file in results]
    mean = 100 - sum(each['accuracy/top1'] for each in metrics) / 2
    assert f'| Plain | {mean:.2f} ± ' in (table / 'runs/v.md').read_text()


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


def do_all(runs, jobs=1, report=print):
    with ThreadPoolExecutor(jobs) as executor:
        return run_all(runs, executor, report)


def test_side_by_side(fake):
    # Each waits until the other has begun: one after the other would never end.
    runs = [fake(name, f'while [ ! -f ../{other}/begin ]; do sleep 0.05; done')
            for name, other in (('a', 'b'), ('b', 'a'))]  # fmt: skip
    for run in runs:
        run.training = run.training.replace('..', str(run.folder.parent))
    assert do_all(runs, 2) == []
    assert all(run.result is not None for run in runs)


def test_one_place_means_one_after_the_other(fake):
    runs = [fake('a'), fake('b')]
    assert do_all(runs) == []
    assert runs[1].time('begin') >= runs[0].time('end')


def test_what_a_run_starts_from_comes_first_and_its_failure_is_not_waited_for(fake):
    first = fake('first')
    second = fake('second', after=first)
    assert do_all([second], 2) == []
    assert second.time('begin') >= first.time('end')

    broken = fake('broken', 'exit 3')
    other, lost = fake('other'), fake('lost', after=broken)
    lines = []
    assert do_all([lost, other], report=lines.append) == [broken, lost]
    assert any('FAILED: broken: ended with exit code 3' in line for line in lines)
    assert other.result is not None
    assert not (lost.folder / 'begin').exists()


def test_a_killed_child_is_reported_with_its_signal(fake):
    lines = []
    run = fake('a', 'kill -9 $$')
    assert do_all([run], report=lines.append) == [run]
    assert any('FAILED: a: killed by signal 9 (SIGKILL)' in line for line in lines)


def test_a_run_of_another_tool_is_waited_for(fake):
    run, other = fake('a', 'exit 1'), fake('b')
    with fake('a').lock() as lock:
        # A process that outlives the tool that has started it keeps the folder, and finishes it,
        # here when another run is done: to wait for the first one only would never end.
        result = '{"seconds": 1, "metrics": {}, "commands": []}'
        code = f'until [ -f {other.folder}/result.json ]; do sleep 0.05; done; '
        code += f"echo '{result}' > {run.folder}/result.json"
        child = subprocess.Popen(['sh', '-c', code], pass_fds=[lock])
    assert do_all([run, other]) == []
    assert child.wait() == 0
    assert not (run.folder / 'begin').exists()


def test_a_run_that_is_done_is_not_run_again(fake):
    run = fake('a')
    assert do_all([run]) == []
    begin = run.time('begin')
    assert do_all([run]) == []
    assert run.time('begin') == begin


@pytest.mark.parametrize('name', ['run.json', 'result.json'])
@pytest.mark.parametrize('content', ['', '{"settings": "1', '[]', '{}', '\0', '\x80'])
def test_a_damaged_file_is_named_and_costs_that_run_only(fake, name, content):
    bad, good = fake('bad'), fake('good')
    bad.check_folder()
    (bad.folder / name).write_bytes(content.encode('latin-1'))
    lines = []
    assert do_all([bad, good], report=lines.append) == [bad]
    assert any(f'FAILED: bad: {bad.folder / name} is damaged' in line for line in lines)
    assert good.result is not None
    (bad.folder / name).unlink()  # as the message advises
    assert do_all([bad]) == []


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


def test_a_folder_made_from_a_file_is_that_of_the_row_that_has_replaced_it(table):
    """Settings count, not the names of files: what was run before stays done."""
    (table / 'wide_a.py').write_text(
        "_base_ = './plain_a.py'\noptim_wrapper = dict(optimizer=dict(lr=0.02))\n"
    )
    Run('a', table / 'wide_a.py', table / 'a', 0).check_folder()
    (table / 'wide_a.py').unlink()
    options = {'optim_wrapper.optimizer.lr': '0.02'}
    Run('a', table / 'plain_a.py', table / 'a', 0, options).check_folder()


def test_a_folder_made_under_the_old_name_of_a_class_still_counts(table):
    text = (table / 'plain_a.py').read_text()
    for name in ('STVisualizationHook', 'STNVisualizationHook'):
        (table / 'plain_a.py').write_text(f"{text}custom_hooks = [dict(type='{name}')]\n")
        Run('a', table / 'plain_a.py', table / 'a', 0).check_folder()


def test_an_interrupt_ends_the_processes(fake):
    run, waiting = fake('a', 'exec sleep 600'), fake('b')

    def interrupt(line):
        if line.startswith('done'):
            while not (run.folder / 'begin').exists():
                time.sleep(0.05)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        do_all([fake('first'), run, waiting], report=interrupt)
    with run.lock() as lock:
        assert lock is not None  # nobody has it any more
    assert not (waiting.folder / 'begin').exists()


def test_gpus_in_turn(load_tool, monkeypatch):
    tool = load_tool('reproduce')

    def gpus(*arguments):
        """The GPU of each thread, all of which are busy at once."""
        args = tool.parse_args(['mnist', *arguments])
        with tool.make_executor(args) as executor:
            together = threading.Barrier(executor._max_workers, timeout=60)

            def job():
                together.wait()
                return threading.current_thread().gpu

            jobs = [executor.submit(job) for _ in range(executor._max_workers)]
            return sorted(job.result() for job in jobs)

    monkeypatch.setenv('OMP_NUM_THREADS', '1')
    monkeypatch.setattr(tool.torch.cuda, 'device_count', lambda: 2)
    monkeypatch.delenv('CUDA_VISIBLE_DEVICES', raising=False)
    assert gpus() == ['0', '1']
    assert gpus('--jobs', '3') == ['0', '0', '1']
    monkeypatch.setenv('CUDA_VISIBLE_DEVICES', '6,7')
    assert gpus('--jobs', '2') == ['6', '7']


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (
            ['--cells', 'plain/b'],
            "cells must match one of plain/a, broken/a, wide/a, got 'plain/b'",
        ),
        (['--seeds', '-1'], '--seeds must be from 0 to 2**32 - 1, got -1'),
        (['--version', 'w'], 'version must be one of v of'),
        (['--jobs', '0'], '--jobs must be 1 or more, got 0'),
        (['--cfg-options', 'a'], '--cfg-options must be KEY=VALUE, got a'),
    ],
)
def test_wrong_arguments_end_in_a_line(table, load_tool, capsys, arguments, message):
    with pytest.raises(SystemExit) as caught:
        load_tool('reproduce').main([str(table / 'experiment.yml'), *arguments])
    assert message in f'{caught.value}{capsys.readouterr().err}'


def test_an_unknown_table(load_tool):
    with pytest.raises(SystemExit, match='must be one of .*mnist, mnist_3d.* got mnis'):
        load_tool('reproduce').main(['mnis'])


def test_list(table, load_tool, capsys):
    runs = table / 'runs'
    (runs / 'plain/a/seed0').mkdir(parents=True)
    (runs / 'plain/a/seed0/result.json').write_text('')
    load_tool('reproduce').main([str(table / 'experiment.yml'), '--work-dir', str(runs), '--list'])
    lines = capsys.readouterr().out.splitlines()
    assert f'{runs}/plain/a/seed0/result.json is damaged' in lines[0]
    assert lines[-1].startswith('  0%  wide/a, seed 0')
    assert lines[-1].endswith('plain_a.py optim_wrapper.optimizer.lr=0.02')
