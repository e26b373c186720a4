"""Runs: one training and its test with one seed, each in a folder of its own."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shlex
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, Future, wait
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mmengine.config import Config, DictAction

from mmstn.old_names import OLD_NAMES

TOOLS = Path(__file__).resolve().parents[1]
# The one before the last, in case the last cannot be read after a power cut or a full disk.
KEEP_TWO = {'default_hooks.checkpoint.max_keep_ckpts': '2'}


@dataclass(eq=False)
class Run:
    """One training and its test, all of which is read from the run's folder.

    That is how it is resumed after a kill: ``result.json`` appears, complete, when training and
    test are over, and until then ``tools/train.py --resume`` goes on from the last checkpoint.

    Attributes:
        name: For messages, such as ``cnn/rts, seed 0``.
        config: The config file.
        folder: The work folder.
        seed: The run's seed.
        options: Settings of ``--cfg-options``, by key.
        after: A run that must be done before, whose checkpoint this one starts from.
        checkpoint_option: The setting that takes that checkpoint's path.
        cwd: The folder that commands are run in and relative paths of configs start from.
    """

    name: str
    config: Path
    folder: Path
    seed: int
    options: Mapping[str, str] = field(default_factory=dict)
    after: Run | None = None
    checkpoint_option: str | None = None
    cwd: str = field(default_factory=os.getcwd)
    _process: subprocess.Popen | None = field(default=None, init=False)
    _stopped: bool = field(default=False, init=False)

    @property
    def result(self) -> dict[str, Any] | None:
        """``metrics``, ``seconds`` and the commands of a run that is done, else None.

        Raises:
            ValueError: If the file is damaged.
        """
        return read_result(self.folder / 'result.json')

    @property
    def checkpoint(self) -> Path:
        """The last checkpoint, wherever the folder has been moved to.

        Raises:
            ValueError: If there is none.
        """
        file = self.folder / 'last_checkpoint'
        named = self.folder / Path(file.read_text().strip() if file.exists() else '').name
        if not named.is_file():
            raise ValueError(f'{file} names no checkpoint')
        return named

    def train_command(self) -> list[str]:
        """The command that trains, from the start or from where it was stopped."""
        options = ['--work-dir', str(self.folder), '--resume', *self._cfg_options()]
        return [sys.executable, str(TOOLS / 'train.py'), str(self.config), *options]

    def test_command(self, out: Path) -> list[str]:
        """The command that tests the last checkpoint and writes the metrics to ``out``."""
        options = ['--work-dir', str(self.folder / 'test'), '--out', str(out)]
        options += ['--out-item', 'metrics', *self._cfg_options()]
        return [
            sys.executable, str(TOOLS / 'test.py'), str(self.config), str(self.checkpoint),
            *options,
        ]  # fmt: skip

    def check_folder(self) -> None:
        """Makes sure that what is in the folder was made with the same settings.

        Raises:
            ValueError: If it was not, as checkpoints and results of two settings must not mix, or
                if the file that tells is damaged.
        """
        text = json.dumps(self._merged_config().to_dict(), sort_keys=True, default=str)
        now = dict(config=str(self.config), settings=_hash(text))
        file = self.folder / 'run.json'
        if not file.exists():
            self.folder.mkdir(parents=True, exist_ok=True)
            _write_in_one_step(file, now)
        elif _read_json(file, {'settings': str})['settings'] not in (
            now['settings'],
            _hash(_with_old_names(text)),  # of a run that was done under them
        ):
            raise ValueError(
                f'{self.folder} holds a run of other settings than {self.config} with '
                f'{self._all_options()} has now: take another --work-dir, or delete the folder'
            )

    @contextmanager
    def lock(self) -> Iterator[int | None]:
        """Takes the folder for this process and those that inherit the lock.

        Two tools can so work on one table, and a training that outlives a killed tool is not
        started a second time.

        Yields:
            The descriptor that keeps the folder locked as long as any process has it open; None if
            the folder was not free.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        file = os.open(self.folder / 'lock', os.O_RDWR | os.O_CREAT)
        try:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                yield None
            else:
                yield file
        finally:
            os.close(file)

    def call(self, command: Sequence[str], lock: int) -> None:
        """Runs a command to its end; what it prints is added to ``output.txt`` in the folder.

        Raises:
            RuntimeError: If it fails; says with which exit code or signal.
        """
        paths = [str(TOOLS.parent), os.environ.get('PYTHONPATH')]  # also where mmstn is no package
        environment = os.environ | {'PYTHONPATH': os.pathsep.join(filter(None, paths))}
        gpu = getattr(threading.current_thread(), 'gpu', None)
        if gpu is not None:
            environment['CUDA_VISIBLE_DEVICES'] = gpu
        if self._stopped:
            raise RuntimeError('stopped before it began')
        with open(self.folder / 'output.txt', 'ab') as output:
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT,
                cwd=self.cwd, env=environment, pass_fds=[lock],
            )  # fmt: skip
        code = self._process.wait()
        if code < 0:
            known = {number.value: f' ({number.name})' for number in signal.Signals}
            raise RuntimeError(f'killed by signal {-code}{known.get(-code, "")}')
        if code > 0:
            raise RuntimeError(f'ended with exit code {code}')

    def stop(self, kill: bool = False) -> None:
        """Ends the run's process, if this Python has started one, and starts no other.

        It goes on from its last checkpoint another time.
        """
        self._stopped = True
        if self._process is not None:
            (self._process.kill if kill else self._process.terminate)()

    def progress(self) -> float:
        """How much of the training is done, 0 to 1, as of its last line in the log."""
        entry = next(training_log(self.folder), None)
        if entry is None:
            return 0.0
        train_cfg = self._merged_config().train_cfg
        if train_cfg.get('max_iters'):
            return min(1.0, entry['step'] / int(train_cfg['max_iters']))
        return min(1.0, (entry['epoch'] - 1) / int(train_cfg['max_epochs']))

    def _merged_config(self) -> Config:
        cfg = Config.fromfile(self.config, import_custom_modules=False)
        # What the command line's --cfg-options makes of a setting's text.
        parse = DictAction._parse_iterable
        cfg.merge_from_dict({key: parse(text) for key, text in self._all_options().items()})
        return cfg

    def _all_options(self) -> dict[str, str]:
        return {'randomness.seed': str(self.seed), **KEEP_TWO, **self.options}

    def _cfg_options(self) -> list[str]:
        options = self._all_options()
        if self.after is not None and self.checkpoint_option is not None:
            options[self.checkpoint_option] = str(self.after.checkpoint)
        return ['--cfg-options', *(f'{key}={value}' for key, value in options.items())]


def do(run: Run) -> bool:
    """Trains and tests one run, from where it was stopped, and writes its ``result.json``.

    Returns:
        Whether it is done; False if another process is at it.

    Raises:
        RuntimeError: If training or test fails.
        ValueError: If a file of the folder is damaged.
    """
    with run.lock() as lock:
        if lock is None:
            time.sleep(1)  # we are asked again at once if there is nothing else to do
            return False
        if run.result is not None:
            return True
        before = run.progress()
        print(f'{time.strftime("%H:%M:%S")} start: {run.name}, {before:.0%} done', flush=True)
        began = time.monotonic()
        commands = [run.train_command()]
        run.call(commands[0], lock)
        out = run.folder / 'metrics.json'
        commands.append(run.test_command(out))
        run.call(commands[1], lock)
        seconds = time.monotonic() - began
        result = dict(
            metrics=_read_json(out, {}),
            # Of the whole run, as far as the part that was left tells.
            seconds=round(seconds / (1 - before) if before < 1 else seconds, 1),
            commands=[_readable(command, run.cwd) for command in commands],
        )
        _write_in_one_step(run.folder / 'result.json', result)
        out.unlink()
        return True


def run_all(
    runs: Sequence[Run],
    executor: Executor,
    report: Callable[[str], None] = print,
    finished: Callable[[], None] = lambda: None,
) -> list[Run]:
    """Does all runs that are not done yet.

    Args:
        runs: The runs.
        executor: What calls :func:`do`: threads of this process, or other machines.
        report: Takes lines that say how far things are.
        finished: Called whenever a run is done.

    Returns:
        Those that failed, and those that could not begin because what they start from failed.
    """
    # Each after the one that it starts from.
    ordered = list(dict.fromkeys(each for run in runs for each in (run.after, run) if each))
    waiting: list[Run] = []
    failed: list[Run] = []
    futures: dict[Future, Run] = {}

    def fail(run: Run, error: Exception, output: str = '') -> None:
        failed.append(run)
        report(f'FAILED: {run.name}: {error}{output}')

    for run in ordered:
        try:
            run.check_folder()
            if run.result is None:
                waiting.append(run)
        except Exception as error:  # whatever it is, it costs this run only
            fail(run, error)
    done = len(ordered) - len(waiting) - len(failed)
    report(f'{done} of {len(ordered)} runs are done')
    try:
        while waiting or futures:
            for run in list(waiting):
                if run.after in failed:
                    waiting.remove(run)
                    fail(run, RuntimeError(f'it starts from {run.after.name}'))
                elif run.after not in waiting and run.after not in futures.values():
                    waiting.remove(run)
                    # Not `submit(do, run)`: Dask pickles a lambda by value, and with it this
                    # module, which its workers could not import by name.
                    futures[executor.submit(lambda run=run: do(run))] = run
            for future in wait(futures, return_when=FIRST_COMPLETED).done:
                run = futures.pop(future)
                try:
                    if not future.result():
                        waiting.append(run)
                        continue
                except Exception as error:
                    fail(run, error, _last_lines(run))
                else:
                    done += 1
                    report(f'done: {run.name} ({done} of {len(ordered)})')
                    finished()
    finally:
        for future in futures:
            future.cancel()
        for turn in range(200):  # a process has ten seconds to end by itself
            if not wait(futures, timeout=0.1).not_done:
                break
            for run in futures.values():
                run.stop(kill=turn > 100)
    return failed


def read_result(file: Path) -> dict[str, Any] | None:
    """What a ``result.json`` holds; None without the file.

    Raises:
        ValueError: If it is damaged.
    """
    try:
        return _read_json(file, {'metrics': dict, 'seconds': (int, float), 'commands': list})
    except FileNotFoundError:
        return None


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _with_old_names(text: str) -> str:
    for names in OLD_NAMES.values():
        for old, new in names.items():
            text = text.replace(f'"{new}"', f'"{old}"')
    return text


def _read_json(file: Path, required: Mapping[str, Any]) -> dict[str, Any]:
    """A mapping from a file, with keys of these types."""
    try:
        content = json.loads(file.read_bytes())
        if not isinstance(content, dict):
            raise ValueError(f'it holds a {type(content).__name__}')
        for key, kind in required.items():
            if not isinstance(content.get(key), kind):
                raise ValueError(f'{key} is {content.get(key)!r}')
    except ValueError as error:  # also what json and the decoding of text raise
        raise ValueError(f'{file} is damaged ({error}): delete it, or its whole folder') from error
    return content


def _write_in_one_step(file: Path, content: Mapping[str, Any]) -> None:
    """Writes a JSON file that is never seen, or left by a kill, in parts."""
    partial = file.with_name(f'{file.name}.partial')
    with open(partial, 'w', encoding='utf-8') as stream:
        json.dump(content, stream, indent=2)
        stream.flush()
        os.fsync(stream.fileno())
    partial.replace(file)


def training_log(folder: Path) -> Iterator[dict[str, Any]]:
    """What the trainings in a work folder have logged, the last line first."""
    for log in sorted(folder.glob('*/vis_data/scalars.json'), reverse=True):
        for line in reversed(log.read_text(errors='replace').splitlines()):
            try:
                entry = json.loads(line)
            except json.JSONDecodeError:  # a line cut off by a kill
                continue
            if isinstance(entry, dict) and 'loss' in entry:
                yield entry


def _readable(command: Sequence[str], cwd: str) -> str:
    """A command as typed in ``cwd``."""
    return shlex.join(['python', *command[1:]]).replace(f'{cwd}{os.sep}', '')


def _last_lines(run: Run, count: int = 15) -> str:
    file = run.folder / 'output.txt'
    if not file.exists():
        return ''
    lines = file.read_text(errors='replace').splitlines()[-count:]
    return '\n'.join(['', *(f'    {line}' for line in lines), f'    (all of it: {file})'])
