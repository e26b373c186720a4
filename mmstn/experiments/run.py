"""One training with one seed: its folder, its two commands, how far it is."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shlex
import sys
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from mmengine.config import Config, DictAction

TOOLS = Path(os.path.relpath(Path(__file__).parents[2] / 'tools'))
# CheckpointHook deletes old checkpoints before it writes the new one, so a run that keeps only one
# would have none if it were killed in between.
KEEP_TWO = {'default_hooks.checkpoint.max_keep_ckpts': '2'}


class Run:
    """A run lives in a folder of its own, and everything about it is read from there.

    That is how it is resumed after a kill: ``result.json`` appears, complete, when training and
    test are over, and until then ``tools/train.py --resume`` goes on from the last checkpoint.

    Args:
        name: For messages, such as ``cnn/rts, seed 0``.
        config: The config file.
        folder: The work folder.
        seed: The run's seed.
        options: Settings of ``--cfg-options``, by key.
        after: A run that must be done before, whose checkpoint this one starts from.
        checkpoint_option: The setting that takes that checkpoint's path.
    """

    def __init__(
        self,
        name: str,
        config: Path,
        folder: Path,
        seed: int,
        options: Mapping[str, str] | None = None,
        after: Run | None = None,
        checkpoint_option: str | None = None,
    ) -> None:
        self.name = name
        self.config = config
        self.folder = folder
        self.seed = seed
        self.after = after
        self._options = {'randomness.seed': str(seed), **KEEP_TWO, **(options or {})}
        self._checkpoint_option = checkpoint_option
        self._lock: int | None = None

    @property
    def result(self) -> dict[str, Any] | None:
        """``metrics``, ``seconds`` and the commands of a run that is done, else None."""
        try:
            return json.loads((self.folder / 'result.json').read_text())
        except FileNotFoundError:
            return None

    @property
    def ready(self) -> bool:
        """Whether nothing has to be done before."""
        return self.after is None or self.after.result is not None

    @property
    def checkpoint(self) -> Path:
        """The last checkpoint.

        Raises:
            FileNotFoundError: If there is none.
        """
        return Path((self.folder / 'last_checkpoint').read_text().strip())

    def train_command(self) -> list[str]:
        """The command that trains, from the start or from where it was stopped."""
        options = ['--work-dir', str(self.folder), '--resume', *self._cfg_options()]
        return [sys.executable, str(TOOLS / 'train.py'), str(self.config), *options]

    def test_command(self, out: Path) -> list[str]:
        """The command that tests the last checkpoint."""
        options = ['--work-dir', str(self.folder / 'test'), '--out', str(out)]
        options += ['--out-item', 'metrics', *self._cfg_options()]
        return [
            sys.executable, str(TOOLS / 'test.py'), str(self.config), str(self.checkpoint),
            *options,
        ]  # fmt: skip

    def finish(self, metrics: Path, seconds: float, commands: Sequence[Sequence[str]]) -> None:
        """Writes ``result.json`` from the file that the test has left, in one step."""
        result = dict(
            metrics=json.loads(metrics.read_text()),
            seconds=round(seconds, 1),
            commands=[_readable(command) for command in commands],
        )
        partial = self.folder / 'result.json.partial'
        partial.write_text(json.dumps(result, indent=2))
        partial.replace(self.folder / 'result.json')
        metrics.unlink()

    def lock(self) -> bool:
        """Takes the folder for this process and those that inherit :attr:`lock_file`.

        Two tools can so work on one table, and a training that outlives a killed tool is not
        started a second time.

        Returns:
            Whether it was free.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        file = os.open(self.folder / 'lock', os.O_RDWR | os.O_CREAT)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(file)
            return False
        self._lock = file
        return True

    @property
    def lock_file(self) -> int:
        """The descriptor that keeps the folder locked as long as a process has it open."""
        if self._lock is None:
            raise RuntimeError(f'the folder of {self.name} is not locked')
        return self._lock

    def unlock(self) -> None:
        """Gives the folder back."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def check_folder(self) -> None:
        """Makes sure that what is in the folder was made with the same settings.

        Raises:
            ValueError: If it was not: checkpoints and results of two settings must not mix.
        """
        text = json.dumps(self._cfg.to_dict(), sort_keys=True, default=str)
        now = dict(config=str(self.config), settings=hashlib.sha256(text.encode()).hexdigest())
        file = self.folder / 'run.json'
        if not file.exists():
            self.folder.mkdir(parents=True, exist_ok=True)
            file.write_text(json.dumps(now))
        elif json.loads(file.read_text())['settings'] != now['settings']:
            raise ValueError(
                f'{self.folder} holds a run of other settings than {self.config} with '
                f'{self._options} has now: take another --work-dir, or delete the folder'
            )

    def progress(self) -> float:
        """How much of the training is done, 0 to 1, as of its last line in the log."""
        entry = next(training_log(self.folder), None)
        return 0.0 if entry is None else self._fraction(entry)

    def _fraction(self, entry: Mapping[str, Any]) -> float:
        train_cfg = self._cfg.train_cfg
        if train_cfg.get('max_iters'):
            return min(1.0, entry['step'] / int(train_cfg['max_iters']))
        return min(1.0, (entry['epoch'] - 1) / int(train_cfg['max_epochs']))

    @cached_property
    def _cfg(self) -> Config:
        cfg = Config.fromfile(self.config, import_custom_modules=False)
        cfg.merge_from_dict({key: _value(text) for key, text in self._options.items()})
        return cfg

    def _cfg_options(self) -> list[str]:
        options = dict(self._options)
        if self.after is not None and self._checkpoint_option is not None:
            options[self._checkpoint_option] = str(self.after.checkpoint)
        return ['--cfg-options', *(f'{key}={value}' for key, value in options.items())]


def training_log(folder: Path) -> Iterator[dict[str, Any]]:
    """What the trainings in a work folder have logged, the last line first."""
    for log in sorted(folder.glob('*/vis_data/scalars.json'), reverse=True):
        for line in reversed(log.read_text().splitlines()):
            try:
                entry = json.loads(line)
            except json.JSONDecodeError:  # the line that a kill has cut off
                continue
            if 'loss' in entry:
                yield entry


def _value(text: str) -> Any:
    """What the command line's ``--cfg-options`` makes of a setting's text."""
    return DictAction._parse_iterable(text)


def _readable(command: Sequence[str]) -> str:
    """A command as one would type it here."""
    text = shlex.join(['python', *command[1:]])
    return text.replace(f'{os.getcwd()}{os.sep}', '')
