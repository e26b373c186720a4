"""Predictions that say where the model has looked, for metrics about it."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from typing import Any

from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from mmengine.runner import Runner
from mmpretrain.registry import HOOKS
from mmpretrain.structures import DataSample
from torch import nn

from mmstn.visualization import TransformerRecord, record_transformers, window_outlines


@HOOKS.register_module()
class WindowsHook(Hook):
    """Adds to each prediction, while validating and testing, the windows of a transformer.

    ``windows`` of a sample are closed outlines (K, M, 2) of what K parallel transformers have
    sampled (K = 1 for a single one): normalised points (x, y) of the map that they have read, in
    the transformer's convention. Metrics find them among the predictions, and so does who dumps
    those into a file.

    Args:
        transformer: Name of the :class:`~mmstn.models.SpatialTransformer` in the model, such as
            ``'backbone.transformer'``; None for the one that is called first.

    Raises:
        ValueError: In use, if the model has no such transformer.
    """

    def __init__(self, transformer: str | None = None) -> None:
        self.transformer = transformer
        self._hooks = ExitStack()

    def before_val_epoch(self, runner: Runner) -> None:
        """Begins to listen."""
        self._begin(runner)

    def before_test_epoch(self, runner: Runner) -> None:
        """Begins to listen."""
        self._begin(runner)

    def after_val_epoch(self, runner: Runner, metrics: dict | None = None) -> None:
        """Lets go of the model."""
        self._hooks.close()

    def after_test_epoch(self, runner: Runner, metrics: dict | None = None) -> None:
        """Lets go of the model."""
        self._hooks.close()

    def _begin(self, runner: Runner) -> None:
        self._hooks.close()  # in case that the loop before has failed
        model = runner.model.module if is_model_wrapper(runner.model) else runner.model
        recording = ExitStack()

        def before(model: nn.Module, args: tuple) -> None:
            recording.close()
            self._records = recording.enter_context(record_transformers(model))

        def after(model: nn.Module, args: tuple, outputs: Any) -> None:
            recording.close()
            self._add_windows(outputs)

        for handle in (
            model.register_forward_pre_hook(before),
            model.register_forward_hook(after),
        ):
            self._hooks.callback(handle.remove)
        self._hooks.callback(recording.close)

    def _add_windows(self, samples: Sequence[DataSample]) -> None:
        record = self._find_record()
        theta = record.theta
        if record.transformer.num_transformers is None:
            theta = theta[:, None]
        outlines = window_outlines(record.transformer.grid_generator, theta)
        for sample, windows in zip(samples, outlines, strict=True):
            sample.set_field(windows, 'windows')

    def _find_record(self) -> TransformerRecord:
        for record in self._records:
            if self.transformer in (None, record.name):
                return record
        names = [record.name for record in self._records]
        raise ValueError(
            f'transformer must name one that the model calls, of {names}, got {self.transformer!r}'
        )
