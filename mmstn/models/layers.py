"""Small layers that several models share."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from mmcv.cnn import build_norm_layer
from torch import Tensor, nn

from mmstn.checks import instance_of, sizes


class FullyConnected(nn.Sequential):
    """Linear layers with a ReLU each.

    Args:
        in_features: Size of the input.
        channels: Sizes of the layers.
        norm_cfg: Normalisation of vectors between each layer and its ReLU, such as
            ``dict(type='BN1d')``; None for none.
        name: What ``channels`` is called where it comes from, for messages.

    Raises:
        TypeError: If ``channels`` holds what is no whole number.
        ValueError: If it holds a number below 1, or ``norm_cfg`` describes no normalisation.
    """

    def __init__(
        self,
        in_features: int,
        channels: Sequence[int],
        norm_cfg: dict | None = None,
        name: str = 'channels',
    ) -> None:
        layers: list[nn.Module] = []
        for out_features in sizes(name, channels):
            layers.append(nn.Linear(in_features, out_features))
            if norm_cfg is not None:
                layers.append(norm_layer('norm_cfg', norm_cfg, out_features))
            layers.append(nn.ReLU(inplace=True))
            in_features = out_features
        super().__init__(*layers)
        self.out_features = in_features


def norm_layer(name: str, cfg: dict, channels: int) -> nn.Module:
    """A normalisation from its config, see :func:`named_layer`."""
    return named_layer(name, cfg, build_norm_layer, channels)[1]


def named_layer(name: str, cfg: dict, build: Callable, *args: Any) -> Any:
    """What mmcv's ``build`` makes of ``cfg``; its own complaints name no argument.

    Raises:
        TypeError: If ``cfg`` is no config.
        ValueError: If it describes no such layer.
    """
    instance_of(name, cfg, dict, 'a config (dict) or None')
    try:
        return build(cfg, *args)
    except (AssertionError, KeyError, TypeError, ValueError) as error:
        raise ValueError(f'{name} must describe a layer, got {cfg!r}: {error}') from error


@torch.no_grad()
def forward_zeros(module: nn.Module, in_channels: int, in_size: Sequence[int]) -> Tensor | tuple:
    """What ``module`` makes of one black image: sizes without a formula for each kind of layer.

    It runs in evaluation mode, so that no running statistics change.

    Raises:
        ValueError: If a map of this size does not fit through the layers.
    """
    training = module.training
    module.eval()
    try:
        return module(torch.zeros(1, in_channels, *in_size))
    except RuntimeError as error:
        raise ValueError(
            f'a map of in_channels={in_channels}, in_size={tuple(in_size)} does not fit through '
            f'the layers: {error}'
        ) from error
    finally:
        module.train(training)
