"""Descriptions of images by what a trained network's layers make of them."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from mmengine.model import BaseModule
from mmpretrain.registry import MODELS
from torch import Tensor, nn

from mmstn.registry import build_part


@MODELS.register_module()
class ActivationEncoder(BaseModule):
    """e() of the paper's co-localisation: activations of a frozen network, concatenated.

    The network stays as it was trained: no gradients for its parameters, never in training mode.
    Gradients reach the images.

    Args:
        classifier: Config of a classifier, whose ``init_cfg`` loads its weights.
        layers: Names of the modules whose outputs are taken.
        normalize: Whether each layer's activations are scaled to length 1, so that layers of many
            large activations do not outweigh the others and distances have a known scale.
        init_cfg: mmengine's initialisation.

    Raises:
        ValueError: If ``layers`` is empty or names a module that does not exist.
    """

    def __init__(
        self,
        classifier: dict,
        layers: Sequence[str],
        normalize: bool = False,
        init_cfg: dict | list | None = None,
    ) -> None:
        super().__init__(init_cfg)
        self.classifier = build_part(MODELS, classifier)
        modules = dict(self.classifier.named_modules())
        unknown = [name for name in layers if name not in modules]
        if not layers or unknown:
            raise ValueError(
                f'layers must name modules of {type(self.classifier).__name__} '
                f'({", ".join(name for name in modules if name)}), got {list(layers)}'
            )
        self.layers = tuple(layers)
        self.normalize = normalize
        self._activations: dict[str, Tensor] = {}
        for name in self.layers:
            modules[name].register_forward_hook(self._keep(name))
        self.classifier.requires_grad_(False)
        self.classifier.eval()

    def _keep(self, name: str):
        def keep(module: nn.Module, args: tuple, output: Tensor) -> None:
            self._activations[name] = output

        return keep

    def train(self, mode: bool = True) -> ActivationEncoder:
        """Stays in evaluation mode."""
        return super().train(False)

    def forward(self, x: Tensor) -> Tensor:
        """Images (N, C, H, W) -> descriptions (N, F)."""
        self._activations.clear()
        self.classifier(x, mode='tensor')
        parts = [self._activations[name].flatten(1) for name in self.layers]
        self._activations.clear()
        if self.normalize:
            parts = [nn.functional.normalize(part, dim=1) for part in parts]
        return torch.cat(parts, dim=1)
