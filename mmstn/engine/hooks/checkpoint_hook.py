"""CheckpointHook: mmengine's, for runs that may be killed at any moment."""

import contextlib
from collections.abc import Iterator
from typing import Any

from mmengine import hooks
from mmengine.dist import is_main_process
from mmengine.runner import Runner
from mmpretrain.registry import HOOKS

from mmstn.engine.checkpoint_files import AtomicBackend, newest_checkpoint, remove_unfinished


@HOOKS.register_module(name='CheckpointHook')
class CheckpointHook(hooks.CheckpointHook):
    """Saves checkpoints such that one whole checkpoint always lies there.

    mmengine's hook deletes the old checkpoint before it writes the new one, and writes in place: a
    kill or a full disk in between leaves nothing to resume from. Here a file appears in one step
    when it is whole, and only then does the old one go. ``resume`` without a checkpoint's name goes
    on from the newest whole one in the folder.

    It takes the place of mmengine's in the scope of mmpretrain, so every config of mmpretrain that
    imports mmstn has it. ``type='mmengine.CheckpointHook'`` is the other one. Checkpoints that go
    elsewhere than to a local folder are written as mmengine writes them.

    Args:
        **kwargs: Those of mmengine's ``CheckpointHook``.
    """

    def __init__(self, **kwargs: Any) -> None:
        is_local = '://' not in str(kwargs.get('out_dir'))
        if is_local and not kwargs.get('file_client_args') and not kwargs.get('backend_args'):
            kwargs['backend_args'] = dict(backend='atomic')
        super().__init__(**kwargs)

    def before_run(self, runner: Runner) -> None:
        """Chooses the checkpoint to resume from, where nobody has named one."""
        is_atomic = (self.backend_args or {}).get('backend') == 'atomic'
        if is_atomic and runner._resume and runner._load_from is None:
            runner._load_from = newest_checkpoint(runner.work_dir, self.out_dir, self.filename_tmpl)
            runner._resume = runner._load_from is not None

    def before_train(self, runner: Runner) -> None:
        """See mmengine's; removes what a killed run began to write."""
        super().before_train(runner)
        if isinstance(self.file_backend, AtomicBackend) and is_main_process():
            remove_unfinished(self.out_dir)

    def _save_checkpoint_with_step(self, runner: Runner, step: int, meta: dict) -> None:
        with self._safely():
            super()._save_checkpoint_with_step(runner, step, meta)

    def _save_best_checkpoint(self, runner: Runner, metrics: dict) -> None:
        with self._safely():
            super()._save_best_checkpoint(runner, metrics)

    @contextlib.contextmanager
    def _safely(self) -> Iterator[None]:
        """Puts off removing old checkpoints until the new ones are whole."""
        if not isinstance(self.file_backend, AtomicBackend):
            yield
            return
        try:
            with self.file_backend.removing_last():
                yield
        except OSError as error:
            raise OSError(
                error.errno,
                f'no checkpoint could be written to {self.out_dir} ({error.strerror or error}). '
                'Those that lie there are whole: make room and go on with --resume',
            ) from error
