"""The benchmarks run, and what they report is what was measured."""

import importlib.util
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.ops.sampling_cases import needs_op

ROOT = Path(__file__).parents[1]


def run(script, *arguments):
    result = subprocess.run(
        [sys.executable, f'benchmarks/{script}', *map(str, arguments)],
        cwd=ROOT,
        env={**os.environ, 'PYTHONPATH': str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stderr[-2000:]
    return result.stdout


def timing():
    spec = importlib.util.spec_from_file_location('timing', ROOT / 'benchmarks/timing.py')
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@needs_op
def test_sampler(tmp_path):
    out = run('sampler.py', '--quick', '--output', tmp_path / 'sampler')
    text = (tmp_path / 'sampler.md').read_text()
    assert text.strip() in out
    rows = [line.split(' | ') for line in text.splitlines() if line.startswith('| ')]
    assert len(rows) == 1 + 4 * 3  # a head, then four cases with three passes each
    assert all(len(row) == len(rows[0]) and float(row[2]) > 0 for row in rows[1:])
    assert (tmp_path / 'sampler.png').read_bytes().startswith(b'\x89PNG')


@needs_op
def test_sampler_refuses_cases_that_are_not_there():
    with pytest.raises(AssertionError, match='no such cases'):
        run('sampler.py', '--cases', 'z')


def test_train_step(tmp_path):
    file = tmp_path / 'step.md'
    arguments = ['--small', '--batch-size', 2, '--seconds', 0.1, '--cpu-time']
    run('train_step.py', *arguments, '--output', file)
    rows = [line for line in file.read_text().splitlines() if line.startswith('| ')]
    assert len(rows) == 1 + 5
    assert 'without STs' in rows[1] and rows[1].endswith('1.000 (1.000, 1.000) | 1.000 |')


def test_ratio_is_that_of_pairs():
    slower, faster = [2.0, 6.0, 40.0, 8.0, 10.0], [1.0, 2.0, 10.0, 2.0, 2.0]  # 2, 3, 4, 4, 5
    median, low, high = timing().ratio(slower, faster)
    assert (median, low, high) == (4.0, 2.5, 4.5)


def test_functions_take_turns():
    order = []
    times = timing().interleaved(
        {name: lambda name=name: (order.append(name), time.sleep(0.01)) for name in 'ab'},
        seconds=0,
        least_rounds=3,
    )
    assert ''.join(order[-6:]) == 'ababab'
    assert all(len(t) == 3 and min(t) >= 0.01 for t in times.values())


def test_own_time_leaves_waiting_out():
    waits = {'a': lambda: time.sleep(0.02)}
    times = timing().interleaved(waits, seconds=0, least_rounds=3, clock=time.process_time)
    assert max(times['a']) < 0.01
