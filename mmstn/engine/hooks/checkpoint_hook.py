"""CheckpointHook: mmengine's, for runs that may be killed at any moment."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from mmengine import hooks
from mmengine.device import get_device
from mmengine.dist import get_rank, is_main_process
from mmengine.runner import EpochBasedTrainLoop, IterBasedTrainLoop, Runner
from mmpretrain.registry import HOOKS

from mmstn.datasets import DefaultSampler, InfiniteSampler
from mmstn.datasets.transforms.randomness import seed_everything
from mmstn.engine.checkpoint_files import AtomicBackend, newest_checkpoint, remove_unfinished
from mmstn.models.listening import unwrap


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
        self._outdated: list[str] = []

    def before_run(self, runner: Runner) -> None:
        """Chooses the checkpoint to resume from, if none is named."""
        is_atomic = (self.backend_args or {}).get('backend') == 'atomic'
        if is_atomic and runner._resume and runner._load_from is None:
            runner._load_from = newest_checkpoint(runner.work_dir, self.out_dir, self.filename_tmpl)
            runner._resume = runner._load_from is not None

    def before_train(self, runner: Runner) -> None:
        """See mmengine's; ends what a killed run left: files to remove, a validation to do."""
        super().before_train(runner)
        if isinstance(self.file_backend, AtomicBackend) and is_main_process():
            remove_unfinished(self.out_dir)
            in_use = {
                Path(value).name
                for value in runner.message_hub.runtime_info.values()
                if isinstance(value, str)
            }
            for name in set(self._outdated) - in_use:
                Path(self.out_dir, name).unlink(missing_ok=True)
        if runner.iter > 0:
            self.last_ckpt = runner.message_hub.runtime_info.get('last_ckpt')
            self._resume_sampler(runner)
            if validation_is_due(runner):
                runner.val_loop.run()

    def before_train_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None) -> None:
        """Seeds what the step draws, dropout for one, by its number: after a resume as before."""
        seeds = np.random.SeedSequence((runner.seed, get_rank(), runner.iter))
        seed_everything(seeds, get_device())

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Refuses weights that are not finite, and notes which files go once this one is whole.

        Raises:
            FloatingPointError: If a weight is NaN or infinite, or a buffer NaN.
        """
        parameters = dict(unwrap(runner.model).named_parameters())
        for name, value in checkpoint['state_dict'].items():
            # A buffer may be infinite on purpose, as a mask of attention is.
            if value.isnan().any() or (name in parameters and value.isinf().any()):
                raise FloatingPointError(
                    f'{name} is not finite after step {runner.iter + 1}: no checkpoint is written, '
                    'and those that lie there stay. Likely cause: too high a learning rate, or a '
                    'bad number in the data; NonFiniteHook finds the step and the image'
                )
        if isinstance(self.file_backend, AtomicBackend):
            checkpoint['outdated'] = [path.name for path in self.file_backend.to_remove]

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Reads which files were to go, see :meth:`before_save_checkpoint`."""
        self._outdated = checkpoint.get('outdated', []) if runner._resume else []

    def _resume_sampler(self, runner: Runner) -> None:
        """Gives the sampler the seed of the run that goes on, where the config has none."""
        sampler = runner.train_dataloader.sampler
        if isinstance(sampler, DefaultSampler | InfiniteSampler):
            sampler.seed = runner.seed

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


def validation_is_due(runner: Runner) -> bool:
    """Whether the run was killed where its loop validates, perhaps before it had done so.

    mmengine's loops only look after a step of training. A run that was killed after its last
    checkpoint would end at once, without a result.
    """
    loop = runner.train_loop
    if runner.val_loop is None or not isinstance(loop, EpochBasedTrainLoop | IterBasedTrainLoop):
        return False
    by_epoch = isinstance(loop, EpochBasedTrainLoop)
    done, last = (loop.epoch, loop.max_epochs) if by_epoch else (loop.iter, loop.max_iters)
    loop._decide_current_val_interval()
    return done >= loop.val_begin and (done % loop.val_interval == 0 or done == last)
