"""ActivationEncoder: describes images by the activations of a trained network's layers."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import torch
from mmengine.model import BaseModule
from mmpretrain.registry import MODELS
from torch import Tensor, nn

from mmstn.checks import flag, strings
from mmstn.registry import build_argument


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
        TypeError: If an argument is of the wrong type.
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
        layers = strings('layers', layers)
        self.classifier = build_argument('classifier', classifier, MODELS, nn.Module, 'a module')
        modules = dict(self.classifier.named_modules())
        unknown = [name for name in layers if name not in modules]
        if unknown:
            raise ValueError(
                f'layers must name modules of {type(self.classifier).__name__} '
                f'({", ".join(name for name in modules if name)}), got {list(layers)}'
            )
        self.layers = layers
        self.normalize = flag('normalize', normalize)
        self._activations: dict[str, Tensor] = {}
        for name in self.layers:
            # Holding the dict itself, so that a deep copy of the encoder fills the copy's.
            modules[name].register_forward_hook(partial(_keep, self._activations, name))
        self.classifier.requires_grad_(False)
        self.classifier.eval()

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


def _keep(
    activations: dict[str, Tensor], name: str, layer: nn.Module, args: tuple, output: Tensor
) -> None:
    activations[name] = output
