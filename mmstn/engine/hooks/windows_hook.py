"""Tells metrics where parallel transformers have looked."""

from __future__ import annotations

from typing import Any

import torch
from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from mmengine.runner import Runner
from mmpretrain.registry import HOOKS
from torch import Tensor, nn

from mmstn.models import SpatialTransformer
from mmstn.visualization.windows import outlines_in_pixels, window_outlines


@HOOKS.register_module()
class WindowsHook(Hook):
    """Adds the windows of a spatial transformer to the predictions, in validation and testing.

    Each ``DataSample`` gets ``windows`` and ``start_windows``, the outlines, (K, M, 2), of what the
    K transformers sample from this image, and of what they sampled before they had learnt anything.
    They are in pixels of the network's input, where 0 is its left or upper edge.

    Args:
        transformer: Name of the transformer in the model, which must read the image itself; None
            for the model's first one.

    Raises:
        ValueError: When a run starts, if the model has no such transformer.
    """

    def __init__(self, transformer: str | None = None) -> None:
        self.name = transformer
        self._handles: list[Any] = []

    def before_val(self, runner: Runner) -> None:
        """Starts to listen."""
        model = runner.model.module if is_model_wrapper(runner.model) else runner.model
        found = {n: m for n, m in model.named_modules() if isinstance(m, SpatialTransformer)}
        name = next(iter(found), None) if self.name is None else self.name
        if name not in found:
            raise ValueError(
                f'transformer must name a spatial transformer of the model ({list(found)}), '
                f'got {self.name!r}'
            )
        transformer = found[name]
        calls: list[tuple[Tensor, torch.Size]] = []

        def keep(loc_net: nn.Module, args: tuple, theta: Tensor) -> None:
            calls[:] = [(theta.detach(), args[0].shape[2:])]

        def attach(_: nn.Module, args: tuple, output: Any) -> None:
            if isinstance(output, list):  # predictions: other modes give tensors or losses
                self._attach(transformer, *calls.pop(), output)

        self._handles = [
            transformer.loc_net.register_forward_hook(keep),
            model.register_forward_hook(attach),
        ]

    def after_val(self, runner: Runner) -> None:
        """Stops to listen."""
        for handle in self._handles:
            handle.remove()
        self._handles = []

    before_test = before_val
    after_test = after_val

    @staticmethod
    def _attach(
        transformer: SpatialTransformer, theta: Tensor, size: tuple[int, int], samples: list
    ) -> None:
        start = transformer.loc_net.regression.start
        start = start.view(-1, transformer.grid_generator.num_params)
        theta = theta.view(len(theta), *start.shape)
        windows, start_windows = (
            window_outlines(transformer.grid_generator, x) for x in (theta, start)
        )
        for sample, window in zip(samples, windows, strict=True):
            for name, outlines in dict(windows=window, start_windows=start_windows).items():
                pixels = outlines_in_pixels(outlines, size, transformer.align_corners)
                sample.set_field(torch.from_numpy(pixels + 0.5), name)
