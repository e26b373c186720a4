"""MNISTFC and MNISTCNN: the paper's networks for MNIST (section 4.1), without their classifier."""

from collections.abc import Sequence

import torch
from mmengine.model import BaseModule
from mmpretrain.registry import MODELS
from torch import Tensor, nn

from mmstn.checks import as_size, flag, positive_int, sizes

from ..layers import FullyConnected, forward_zeros


class _DescriptorNet(BaseModule):
    """Layers that end in one descriptor, after an average-pooling of the image.

    The paper pools the larger images (RTS and TC) by 2 after the ST, so that networks with and
    without an ST see the same number of pixels (a second-hand account).

    Args:
        layers: The network.
        in_channels: C, channels of the image.
        in_size: Its size, (H, W), or a number for a square.
        downsample: By how much the image is averaged down first; 1 for not at all.
        init_cfg: mmengine's initialisation.
    """

    def __init__(
        self,
        layers: Sequence[nn.Module],
        in_channels: int,
        in_size: int | Sequence[int],
        downsample: int,
        init_cfg: dict | list | None,
    ) -> None:
        super().__init__(init_cfg)
        pool = nn.AvgPool2d(positive_int('downsample', downsample))
        self.layers = nn.Sequential(pool, *layers, nn.Flatten())
        descriptor = forward_zeros(self.layers, in_channels, as_size('in_size', in_size))
        self.out_channels = descriptor.shape[1]

    def forward(self, x: Tensor) -> tuple[Tensor]:
        """Images (N, C, H, W) -> one descriptor each, a tuple of (N, F)."""
        return (self.layers(x),)


@MODELS.register_module()
class MNISTFC(_DescriptorNet):
    """Fully connected layers, the paper's 'FCN' (which means fully *connected* there).

    Attributes:
        out_channels (int): F, the size of the descriptor, for the head's ``in_channels``.

    Args:
        in_size: The image's size, (H, W), or a number for a square.
        in_channels: Its channels.
        channels: Sizes of the hidden layers; the paper's have 128 to 256 units.
        downsample: By how much the image is averaged down first.
        init_cfg: mmengine's initialisation.

    Raises:
        ValueError: If a size is not a whole number >= 1.
    """

    def __init__(
        self,
        in_size: int | Sequence[int],
        in_channels: int = 1,
        channels: Sequence[int] = (128, 128),
        downsample: int = 1,
        init_cfg: dict | list | None = None,
    ) -> None:
        factor = positive_int('downsample', downsample)
        height, width = (size // factor for size in as_size('in_size', in_size))
        fc = FullyConnected(positive_int('in_channels', in_channels) * height * width, channels)
        super().__init__([nn.Flatten(), fc], in_channels, in_size, downsample, init_cfg)


@MODELS.register_module()
class MNISTCNN(_DescriptorNet):
    """Two convolutions without padding, each with a max-pooling by 2 and a ReLU.

    The paper's order is ReLU, then pooling. The largest of four is the same either way, and a ReLU
    after the pooling has a quarter of the work.

    Attributes:
        out_channels (int): F, the size of the flattened map, for the head's ``in_channels``.

    Args:
        in_size: The image's size, (H, W), or a number for a square.
        in_channels: Its channels.
        channels: Output channels of the convolutions; the paper's have 32 to 64 filters.
        kernel_sizes: Their kernel sizes, one for all or one each.
        downsample: By how much the image is averaged down first.
        channels_last: Whether maps lie in memory with their channels innermost, which convolves
            the same numbers quicker on a CPU.
        init_cfg: mmengine's initialisation.

    Raises:
        ValueError: If a size is not a whole number >= 1, or the image too small for the layers.
    """

    def __init__(
        self,
        in_size: int | Sequence[int],
        in_channels: int = 1,
        channels: Sequence[int] = (32, 64),
        kernel_sizes: int | Sequence[int] = (9, 7),
        downsample: int = 1,
        channels_last: bool = False,
        init_cfg: dict | list | None = None,
    ) -> None:
        layers: list[nn.Module] = []
        width_in = positive_int('in_channels', in_channels)
        channels = sizes('channels', channels)
        kernel_sizes = as_size('kernel_sizes', kernel_sizes, len(channels))
        for width, kernel_size in zip(channels, kernel_sizes, strict=True):
            layers += [
                nn.Conv2d(width_in, width, kernel_size),
                nn.MaxPool2d(2),
                nn.ReLU(inplace=True),
            ]
            width_in = width
        super().__init__(layers, in_channels, in_size, downsample, init_cfg)
        if flag('channels_last', channels_last):  # a convolution takes the layout of its weights
            self.to(memory_format=torch.channels_last)
