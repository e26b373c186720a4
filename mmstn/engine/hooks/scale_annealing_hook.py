"""ScaleAnnealingHook: shrinks the windows of an attention transformer step by step."""

from mmengine.hooks import Hook
from mmengine.runner import Runner
from mmpretrain.registry import HOOKS
from torch import nn

from mmstn.checks import instance_of, number_in, positive_int
from mmstn.models import AttentionGridGenerator
from mmstn.models.listening import find_transformer


@HOOKS.register_module()
class ScaleAnnealingHook(Hook):
    """Shrinks the windows of an attention transformer step by step, then lets theta have its scale.

    Where nothing but what the windows show tells them where to go, they must show the object from
    the start: windows as large as the image or larger do. During the first ``num_iters``
    iterations the scale falls from ``start`` to ``end``, by the same factor at each step; theta's
    translation alone is learnt. Afterwards theta's scale counts, which should start at ``end``
    (``init`` of the transformer). A validation in between sees the windows as they are held.

    Args:
        num_iters: How many iterations are annealed.
        start: The scale at the first one; 1 is the whole image.
        end: The scale at the last one.
        transformer: Name of the transformer in the model.

    Raises:
        ValueError: If a number is not positive; when the training starts, if the model has no such
            transformer or its scale is fixed.
        TypeError: If an option is of the wrong type; when the training starts, if it has no
            ``AttentionGridGenerator``.
    """

    def __init__(
        self, num_iters: int, start: float, end: float, transformer: str = 'transformer'
    ) -> None:
        self.num_iters = positive_int('num_iters', num_iters)
        self.start = number_in('start', start, '(0, inf)')
        self.end = number_in('end', end, '(0, inf)')
        self.name = instance_of('transformer', transformer, str, 'the name of a module')

    def scale(self, iteration: int) -> float | None:
        """The scale to hold at an iteration, counted from 0; None when theta has it."""
        if iteration >= self.num_iters:
            return None
        progress = iteration / max(self.num_iters - 1, 1)
        return self.start * (self.end / self.start) ** progress

    def before_train(self, runner: Runner) -> None:
        """Sets the scale for a validation before the first iteration, too."""
        self._generator(runner.model).hold_scale(self.scale(runner.iter))

    def before_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: dict | None = None
    ) -> None:
        """Sets the scale of this iteration."""
        self._generator(runner.model).hold_scale(self.scale(runner.iter))

    def _generator(self, model: nn.Module) -> AttentionGridGenerator:
        generator = find_transformer(model, self.name).grid_generator
        if not isinstance(generator, AttentionGridGenerator):
            raise TypeError(
                f'the grid generator of {self.name} must be an AttentionGridGenerator, '
                f'got {type(generator).__name__}'
            )
        return generator
