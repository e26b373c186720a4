"""LossDifferencesHook: localisation nets learn from the loss on both sides of each window."""

from collections.abc import Sequence
from functools import partial

from mmengine.hooks import Hook
from mmengine.runner import Runner
from mmpretrain.registry import HOOKS

from mmstn.checks import number_in, strings, whole_number
from mmstn.models.listening import unwrap
from mmstn.models.loss_differences import LossDifferences, check_step


@HOOKS.register_module()
class LossDifferencesHook(Hook):
    """Trains the spatial transformers of any model by :class:`~mmstn.models.LossDifferences`.

    One line in a config, ``custom_hooks = [dict(type='LossDifferencesHook')]``. It goes round the
    model's ``loss`` while training; the model, its checkpoints and inference stay as they are.

    Args:
        step: Deviation of theta at the start, see :class:`~mmstn.models.LossDifferences`.
        end_factor: What ``step`` is multiplied by in the end. A smaller step tells finer
            differences, once a window has found something.
        begin: The iteration at which the step begins to fall, by the same factor each time.
        end: The iteration at which it has fallen; None for the last one.
        derivative: How much of the sampler's own derivative is added.
        transformers: Names of the transformers in the model; None for all.

    Raises:
        TypeError: If an argument has the wrong type.
        ValueError: If one is out of range; when the training starts, if the model has no such
            transformer.
    """

    def __init__(
        self,
        step: float | Sequence[float] = 0.15,
        end_factor: float = 1.0,
        begin: int = 0,
        end: int | None = None,
        derivative: float = 0.0,
        transformers: Sequence[str] | None = None,
    ) -> None:
        self.step = check_step(step)
        self.end_factor = number_in('end_factor', end_factor, '(0, inf)')
        self.begin = whole_number('begin', begin)
        self.end = end if end is None else whole_number('end', end, begin + 1)
        self.derivative = number_in('derivative', derivative, '[0, inf)')
        self.transformers = None if transformers is None else strings('transformers', transformers)

    def before_train(self, runner: Runner) -> None:
        """Wraps the model's loss."""
        model = unwrap(runner.model)
        vars(model).pop('loss', None)  # of a training of the same model that was broken off
        self.differences = LossDifferences(
            model, self.step, self.derivative, self.transformers, runner.seed or 0
        )
        model.loss = partial(self.differences, model.loss)

    def before_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: dict | None = None
    ) -> None:
        """Sets the step of this iteration."""
        end = runner.max_iters if self.end is None else self.end
        progress = min(max((runner.iter - self.begin) / max(end - self.begin, 1), 0), 1)
        factor = self.end_factor**progress
        self.differences.step = (
            [step * factor for step in self.step]
            if isinstance(self.step, tuple)
            else self.step * factor
        )
        self.differences.iteration = runner.iter

    def after_train(self, runner: Runner) -> None:
        """Restores the model's own loss."""
        del unwrap(runner.model).loss
