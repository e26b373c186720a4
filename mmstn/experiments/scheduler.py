"""Runs side by side, as many as fit, until all are done."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import torch

from .run import Run
from .table import Needs

POLL_SECONDS = 0.5
REPORT_SECONDS = 30


class Job:
    """The processes of a run: training, then the test of what it has learnt.

    Args:
        run: The run, whose folder is locked.
        gpu: The GPU to use, as ``CUDA_VISIBLE_DEVICES`` names it; None leaves the choice alone.
        threads: Threads for each process, where the environment does not say.
    """

    def __init__(self, run: Run, gpu: str | None, threads: int) -> None:
        self.run = run
        self.gpu = gpu
        self._environment = {'OMP_NUM_THREADS': str(threads), **os.environ}
        # Also where mmstn is not installed.
        paths = [str(Path(__file__).parents[2]), os.environ.get('PYTHONPATH')]
        self._environment['PYTHONPATH'] = os.pathsep.join(filter(None, paths))
        if gpu is not None:
            self._environment['CUDA_VISIBLE_DEVICES'] = gpu
        self._began = time.monotonic()
        self._began_at = run.progress()
        self._metrics = run.folder / 'metrics.json'
        self._commands = [run.train_command()]
        self._process = self._start(self._commands[0])

    def _start(self, command: list[str]) -> subprocess.Popen:
        with open(self.run.folder / 'output.txt', 'ab') as output:
            return subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=self._environment,
                pass_fds=[self.run.lock_file],
            )

    def poll(self) -> bool | None:
        """None as long as there is something to wait for, then whether it went well."""
        code = self._process.poll()
        if code is None:
            return None
        if code == 0 and len(self._commands) == 1:
            self._commands.append(self.run.test_command(self._metrics))
            self._process = self._start(self._commands[1])
            return None
        if code == 0:
            self.run.finish(self._metrics, self.seconds(), self._commands)
        self.run.unlock()
        return code == 0

    def seconds(self) -> float:
        """How long the whole run takes, as far as this job's part of it tells.

        The time so far if it has not come far enough to tell.
        """
        elapsed, done = time.monotonic() - self._began, self.run.progress() - self._began_at
        return elapsed / done if done > 0.01 else elapsed

    def stop(self) -> None:
        """Ends the process; the run goes on from its last checkpoint another time."""
        self._process.terminate()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self.run.unlock()


def run_all(
    runs: Sequence[Run],
    slots: Sequence[str | None],
    report: Callable[[str], None] = print,
    finished: Callable[[], None] = lambda: None,
) -> list[Run]:
    """Does all runs that are not done yet.

    Args:
        runs: The runs.
        slots: Places for a run, each with the GPU that it uses (None where there is none).
        report: Takes lines that say how far things are.
        finished: Called whenever a run is done.

    Returns:
        Those that failed, and those that could not begin because what they start from failed.

    Raises:
        ValueError: If ``slots`` is empty or a folder holds a run of other settings.
    """
    if not slots:
        raise ValueError('slots must hold at least one place for a run, got none')
    runs = _with_preparation(runs)
    for run in runs:
        run.check_folder()
    waiting = [run for run in runs if run.result is None]
    free = list(slots)
    jobs: list[Job] = []
    failed: list[Run] = []
    threads = max(1, (os.cpu_count() or 1) // len(slots))
    report(f'{len(runs) - len(waiting)} of {len(runs)} runs are done, {len(slots)} side by side')
    last_report = time.monotonic()
    try:
        while waiting or jobs:
            for job in list(jobs):
                success = job.poll()
                if success is None:
                    continue
                jobs.remove(job)
                free.append(job.gpu)
                if success:
                    report(f'done: {job.run.name}')
                    finished()
                else:
                    failed.append(job.run)
                    report(f'FAILED: {job.run.name}\n{_last_lines(job.run)}')
            waiting = [run for run in waiting if run.result is None]  # or done by another tool
            lost = [run for run in waiting if run.after in failed]
            failed += lost
            waiting = [run for run in waiting if run not in lost]
            for run in list(waiting):
                if not free:
                    break
                if not run.ready or not run.lock():  # locked: another tool is at it
                    continue
                waiting.remove(run)
                if run.result is not None:  # since we looked
                    run.unlock()
                    continue
                jobs.append(Job(run, free.pop(0), threads))
                report(f'start: {run.name}, {run.progress():.0%} done')
            if time.monotonic() - last_report > REPORT_SECONDS:
                last_report = time.monotonic()
                report(_status(runs, jobs, waiting, len(slots)))
            if waiting or jobs:
                time.sleep(POLL_SECONDS)
    finally:
        for job in jobs:
            job.stop()
    return failed


def find_slots(needs: Needs, jobs: int | None = None) -> list[str | None]:
    """Places for runs on this machine.

    Args:
        needs: What one run takes.
        jobs: How many, whatever they need; None for as many as fit, at least one.

    Returns:
        For each place the GPU, as ``CUDA_VISIBLE_DEVICES`` names it, or None without GPUs.

    Raises:
        ValueError: If ``jobs`` is below 1.
    """
    if jobs is not None and jobs < 1:
        raise ValueError(f'jobs must be >= 1, got {jobs}')
    fits = min((os.cpu_count() or 1) // needs.cpus, int(_free_memory() // needs.memory))
    count = max(1, fits) if jobs is None else jobs
    if not torch.cuda.is_available():
        return [None] * count
    names = os.environ.get('CUDA_VISIBLE_DEVICES', '').split(',')
    gpus = range(torch.cuda.device_count())
    names = names if len(names) >= len(gpus) and names[0] else [str(gpu) for gpu in gpus]
    room = [int(torch.cuda.mem_get_info(gpu)[0] / 2**30 // needs.gpu_memory) for gpu in gpus]
    # One on each GPU, then a second one on each that has room, and so on.
    places: list[str | None] = [
        names[gpu] for turn in range(max(1, *room)) for gpu in gpus if turn < room[gpu]
    ]
    if jobs is None:
        return places[:count] or [names[0]]
    return [names[turn % len(names)] for turn in range(jobs)]


def _free_memory() -> float:
    """Main memory that is free, in GiB; without limit where the system does not tell."""
    try:
        with open('/proc/meminfo') as lines:
            sizes = dict(line.split(':') for line in lines)
        return int(sizes['MemAvailable'].split()[0]) / 2**20
    except (OSError, KeyError):
        return float('inf')


def _with_preparation(runs: Sequence[Run]) -> list[Run]:
    """The runs, each behind the one that it starts from."""
    ordered = []
    for run in runs:
        for needed in (run.after, run):
            if needed is not None and needed not in ordered:
                ordered.append(needed)
    return ordered


def _status(runs: Sequence[Run], jobs: Sequence[Job], waiting: Sequence[Run], slots: int) -> str:
    done = len(runs) - len(jobs) - len(waiting)
    running = ', '.join(f'{job.run.name} {job.run.progress():.0%}' for job in jobs)
    left = _seconds_left(runs, jobs, waiting, slots)
    left = 'time left not known yet' if left is None else f'about {_duration(left)} left'
    return f'{done}/{len(runs)} runs done; running: {running or "elsewhere"}; {left}'


def _seconds_left(
    runs: Sequence[Run], jobs: Sequence[Job], waiting: Sequence[Run], slots: int
) -> float | None:
    """How long until all is done; a run that has not begun takes as long as its like."""
    known = {run: run.result['seconds'] for run in runs if run.result is not None}
    progress = {job.run: job.run.progress() for job in jobs}
    known |= {job.run: job.seconds() for job in jobs if progress[job.run] > 0.01}
    if not known:
        return None

    def expected(run: Run) -> float:
        alike = [known[other] for other in known if other.config == run.config]
        alike = alike or list(known.values())
        return sum(alike) / len(alike)

    rest = [known.get(job.run, expected(job.run)) * (1 - progress[job.run]) for job in jobs]
    rest_of_all = sum(rest) + sum(expected(run) * (1 - run.progress()) for run in waiting)
    return max([rest_of_all / slots, *rest])


def _duration(seconds: float) -> str:
    minutes = round(seconds / 60)
    return f'{minutes // 60} h {minutes % 60} min' if minutes >= 60 else f'{max(minutes, 1)} min'


def _last_lines(run: Run, count: int = 15) -> str:
    file = run.folder / 'output.txt'
    lines = file.read_text(errors='replace').splitlines()[-count:]
    return '\n'.join([*(f'    {line}' for line in lines), f'    (all of it: {file})'])


def print_now(line: str) -> None:
    """Prints without delay, also into a file or a pipe."""
    print(time.strftime('%H:%M:%S'), line)
    sys.stdout.flush()
