"""SVHNCNN: the paper's network for SVHN (section 4.2), without its classifiers."""

from collections import OrderedDict
from collections.abc import Sequence

import torch
from mmengine.model import BaseModule
from mmpretrain.registry import MODELS
from torch import Tensor, nn

from mmstn.checks import as_size, flag, number_in, positive_int

from ..layers import FullyConnected, forward_zeros, norm_layer

CONV_CHANNELS = (48, 64, 128, 160, 192, 192, 192, 192)
POOLED = (1, 3, 5, 7)  # these convolutions are followed by a max-pooling by 2
FC_CHANNELS = (3072, 3072, 3072)


@MODELS.register_module()
class SVHNCNN(BaseModule):
    """Eight convolutions 5x5 and three fully connected layers.

    48 - max2 - 64 - 128 - max2 - 160 - 192 - max2 - 192 - 192 - max2 - 192 - fc 3072 three times,
    with a ReLU each and dropout on every layer but the first.

    Its children are ``conv1`` to ``conv8`` and ``fc1`` to ``fc3``, so that
    :class:`~mmstn.models.STNBackbone` makes the paper's ST-CNN Single with ``transformer=...`` and
    Multi with ``insert={'conv1': ..., 'conv2': ..., 'conv3': ..., 'conv4': ...}``. A pooling
    belongs to the convolution before it: what ``conv2`` is called with is pooled already, and
    so is what a transformer before it reads.

    Attributes:
        out_channels (int): Size of the descriptor, for the head's ``in_channels``.

    Args:
        in_size: The image's size, (H, W), or a number for a square.
        in_channels: Its channels.
        width: A factor for the channels of every layer, which are rounded.
        dropout: Probability of dropping a unit of any layer but the first.
        norm_cfg: Normalisation after each convolution; None for none, as in the paper.
        fc_norm_cfg: Normalisation after each fully connected layer, likewise.
        channels_last: Whether maps lie in memory with their channels innermost, which convolves
            the same numbers quicker on a CPU, the more so the narrower the network.
        init_cfg: mmengine's initialisation.

    Raises:
        ValueError: If an argument is out of range or the image too small for four poolings.
    """

    def __init__(
        self,
        in_size: int | Sequence[int] = 64,
        in_channels: int = 3,
        width: float = 1,
        dropout: float = 0.5,
        norm_cfg: dict | None = None,
        fc_norm_cfg: dict | None = None,
        channels_last: bool = False,
        init_cfg: dict | list | None = dict(type='Kaiming', layer=['Conv2d', 'Linear']),
    ) -> None:
        super().__init__(init_cfg)
        number_in('width', width, '(0, inf)')
        number_in('dropout', dropout, '[0, 1)')
        self.in_size = as_size('in_size', in_size)
        convs = OrderedDict()
        channels = positive_int('in_channels', in_channels)
        for number, full_width in enumerate(CONV_CHANNELS, start=1):
            out_channels = scale_width(full_width, width)
            layers: list[nn.Module] = [nn.Conv2d(channels, out_channels, 5, padding=2)]
            if norm_cfg is not None:
                layers.append(norm_layer('norm_cfg', norm_cfg, out_channels))
            layers.append(nn.ReLU(inplace=True))
            if number in POOLED:
                layers.append(nn.MaxPool2d(2))
            if number > 1:
                layers.append(nn.Dropout(dropout))
            convs[f'conv{number}'] = nn.Sequential(*layers)
            channels = out_channels
        num_features = forward_zeros(nn.Sequential(convs), in_channels, self.in_size).numel()

        if fc_norm_cfg is not None:
            norm_layer('fc_norm_cfg', fc_norm_cfg, 1)  # so that a wrong one is named
        fcs = OrderedDict()
        for number, full_width in enumerate(FC_CHANNELS, start=1):
            out_features = scale_width(full_width, width)
            fc = FullyConnected(num_features, [out_features], fc_norm_cfg)
            fcs[f'fc{number}'] = nn.Sequential(*fc, nn.Dropout(dropout))
            num_features = out_features
        self.out_channels = num_features
        self.conv_names, self.fc_names = tuple(convs), tuple(fcs)
        for name, layer in (convs | fcs).items():
            self.add_module(name, layer)
        if flag('channels_last', channels_last):  # a convolution takes the layout of its weights
            self.to(memory_format=torch.channels_last)

    def forward(self, x: Tensor) -> tuple[Tensor]:
        """Images (N, C, H, W) -> one descriptor each, a tuple of (N, F).

        Raises:
            ValueError: If the images have another size than ``in_size``.
        """
        if tuple(x.shape[2:]) != self.in_size:
            raise ValueError(f'images must be of in_size={self.in_size}, got {tuple(x.shape)}')
        for name in self.conv_names:
            x = getattr(self, name)(x)
        x = x.flatten(1)
        for name in self.fc_names:
            x = getattr(self, name)(x)
        return (x,)


def scale_width(channels: int, width: float) -> int:
    """The channels of a layer of a narrower or wider network, at least 1."""
    return max(1, round(channels * width))
