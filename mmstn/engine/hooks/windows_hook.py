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
from mmstn.models.loc_nets.base import ThetaRegression
from mmstn.visualization.windows import outlines_in_pixels, window_outlines


@HOOKS.register_module()
class WindowsHook(Hook):
    """Adds the windows of a spatial transformer to the predictions, in validation and testing.

    Each ``DataSample`` gets ``windows`` and ``start_windows``, the outlines, (K, M, 2), of what the
    K transformers sample from this image, and of what they sampled before they had learnt anything.
    They are in pixels of the network's input, where 0 is its left or upper edge.

    Args:
        transformer: Name of the transformer in the model, which must read the image itself.

    Raises:
        ValueError: When a run starts, if the model has no such transformer.
    """

    def __init__(self, transformer: str = 'backbone.transformer') -> None:
        self.name = transformer
        self._handles: list[Any] = []

    def before_val(self, runner: Runner) -> None:
        """Starts to listen."""
        model = runner.model.module if is_model_wrapper(runner.model) else runner.model
        transformer = dict(model.named_modules()).get(self.name)
        if not isinstance(transformer, SpatialTransformer):
            names = [n for n, m in model.named_modules() if isinstance(m, SpatialTransformer)]
            raise ValueError(
                f'transformer must name a spatial transformer of the model ({names}), '
                f'got {self.name!r}'
            )
        thetas: list[Tensor] = []

        def keep(loc_net: nn.Module, args: tuple, theta: Tensor) -> None:
            thetas[:] = [theta.detach()]

        def attach(_: nn.Module, args: tuple, output: Any) -> None:
            if isinstance(output, list):  # predictions: other modes give tensors or losses
                self._attach(transformer, thetas.pop(), output)

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
    def _attach(transformer: SpatialTransformer, theta: Tensor, samples: list) -> None:
        # One regression for all transformers, or one for each.
        parts = transformer.loc_net.modules()
        starts = [part.start for part in parts if isinstance(part, ThetaRegression)]
        start = torch.cat(starts).view(-1, transformer.grid_generator.num_params)
        theta = theta.view(len(theta), *start.shape)
        windows, start_windows = (
            window_outlines(transformer.grid_generator, x) for x in (theta, start)
        )
        for sample, window in zip(samples, windows, strict=True):
            for name, outlines in dict(windows=window, start_windows=start_windows).items():
                pixels = outlines_in_pixels(
                    outlines, sample.img_shape[:2], transformer.align_corners
                )
                sample.set_field(torch.from_numpy(pixels + 0.5), name)
