"""WindowsHook: tells metrics where parallel transformers have looked."""

from contextlib import ExitStack
from typing import Any

import torch
from mmengine.hooks import Hook
from mmengine.runner import Runner
from mmpretrain.registry import HOOKS
from torch import Tensor, nn

from mmstn.checks import instance_of
from mmstn.models import SpatialTransformer, listen
from mmstn.models.listening import find_transformer, unwrap
from mmstn.visualization.windows import outlines_in_pixels, window_outlines


@HOOKS.register_module()
class WindowsHook(Hook):
    """Adds the windows of a spatial transformer to the predictions, in validation and testing.

    Each ``DataSample`` gets ``windows`` and ``start_windows``, the outlines, (K, M, 2), of what the
    K transformers sample from this image, and of what they sampled before they had learnt anything.
    They are in pixels of the network's input, where 0 is its left or upper edge.

    Args:
        transformer: Name of the transformer in the model, which must read the image itself.

    With test-time augmentation each image has the windows of its first form.

    Raises:
        TypeError: If ``transformer`` is no string.
        ValueError: When a run starts, if the model has no such transformer.
    """

    def __init__(self, transformer: str = 'backbone.transformer') -> None:
        self.name = instance_of('transformer', transformer, str, 'the name of a module')
        self._ears = ExitStack()

    def before_val(self, runner: Runner) -> None:
        """Listens to the model."""
        self._ears.close()  # in case the validation before failed
        transformer = find_transformer(runner.model, self.name)
        thetas: list[Tensor] = []

        def keep(name: str, _: SpatialTransformer, x: Tensor, theta: Tensor, *others) -> None:
            if name == self.name:
                thetas[:] = [theta.detach()]

        def attach(_: nn.Module, args: tuple, output: Any) -> None:
            if isinstance(output, list):  # predictions: other modes give tensors or losses
                self._attach(transformer, thetas.pop(), output)

        self._ears = listen(runner.model, keep)
        handle = unwrap(runner.model).register_forward_hook(attach)
        self._ears.callback(handle.remove)

    def after_val(self, runner: Runner) -> None:
        """Removes the hooks."""
        self._ears.close()

    before_test = before_val
    after_test = after_val

    @staticmethod
    def _attach(transformer: SpatialTransformer, theta: Tensor, samples: list) -> None:
        start = transformer.start
        if start is None:  # the localisation net gives theta itself, and only it knows where from
            start = transformer.grid_generator.identity_theta().to(theta)
        shape = (-1, transformer.num_transformers or 1, transformer.grid_generator.num_params)
        theta = theta.view(shape)
        windows = window_outlines(transformer.grid_generator, theta)
        start_windows = window_outlines(transformer.grid_generator, start.expand(theta.shape[1:]))
        for sample, window in zip(samples, windows, strict=True):
            for name, outlines in dict(windows=window, start_windows=start_windows).items():
                pixels = outlines_in_pixels(
                    outlines, sample.img_shape[:2], transformer.align_corners
                )
                sample.set_field(torch.from_numpy(pixels + 0.5), name)
