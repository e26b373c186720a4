"""ConvLocNet: a convolutional localisation net."""

from collections.abc import Sequence

import numpy as np
from mmcv.cnn import ConvModule, build_activation_layer
from mmpretrain.registry import MODELS
from torch import Tensor, nn
from torch.nn import functional as F

from mmstn.checks import as_size, positive_int, sizes, whole_number

from ..layers import FullyConnected, forward_zeros, named_layer, norm_layer
from .base import BaseLocNet, check_input


@MODELS.register_module()
class ConvLocNet(BaseLocNet):
    """Convolutions, each with an optional max-pooling, then fully connected layers.

    The defaults are the net before the paper's MNIST CNN: the map averaged down by 2, conv
    5x5x20, max-pool 2, conv 5x5x20, FC 20 (the down-scaling and these sizes are from second-hand
    accounts). With ``in_size`` the last map is flattened, as in the paper; without it an adaptive
    average pooling to ``pool_size`` comes first, and maps of any size can follow.

    Args:
        in_channels: C, the channels of the map.
        num_params: P; set by :class:`~mmstn.models.SpatialTransformer` from its grid generator.
        num_transformers: K, or None for one transformer and no axis K.
        in_size: The map's size, (H, W), or a number for a square; None for any size.
        channels: Output channels of the convolutions.
        kernel_sizes: Their kernel sizes, one for all or one each.
        strides: Their strides, likewise.
        paddings: Their zero paddings, likewise. None is for none, as in the paper, unless a map is
            too small for that: then it is for half of each kernel.
        pool_sizes: The max-pooling after each of them, likewise; 1 for none.
        fc_channels: Sizes of the fully connected layers.
        downsample: By how much the map is first averaged down; 1 for not at all.
        pool_size: What the last map is pooled to if ``in_size`` is None. A larger one keeps more of
            where things are.
        ndim: 2 for maps, 3 for volumes (N, C, D, H, W).
        norm_cfg: Normalisation after each convolution; None for none, as in the paper.
        act_cfg: Activation after each convolution; None for none.
        feature_norm_cfg: A normalisation in place of the ReLU of the last fully connected layer;
            None for that ReLU, as in the paper. ``dict(type='BN1d', affine=False)`` leaves the mean
            of theta over the images of a batch to the bias of the regression alone, so that a lower
            learning rate for that bias keeps windows from going astray all together.
        init_cfg: mmengine's initialisation of the hidden layers.

    Raises:
        TypeError: If an argument has the wrong type.
        ValueError: If an argument is out of range, ``in_size`` is too small for the layers, or
            ``feature_norm_cfg`` is given without a fully connected layer; in ``forward``, if the
            map has another size than ``in_size``, or without it is too small for the layers.
    """

    def __init__(
        self,
        in_channels: int,
        num_params: int,
        num_transformers: int | None = None,
        in_size: int | Sequence[int] | None = None,
        channels: Sequence[int] = (20, 20),
        kernel_sizes: int | Sequence[int] = 5,
        strides: int | Sequence[int] = 1,
        paddings: int | Sequence[int] | None = None,
        pool_sizes: int | Sequence[int] = (2, 1),
        fc_channels: Sequence[int] = (20,),
        downsample: int = 2,
        pool_size: int = 4,
        ndim: int = 2,
        norm_cfg: dict | None = None,
        act_cfg: dict | None = dict(type='ReLU'),
        feature_norm_cfg: dict | None = None,
        init_cfg: dict | list | None = None,
    ) -> None:
        super().__init__(num_params, num_transformers, init_cfg)
        positive_int('in_channels', in_channels)
        channels = sizes('channels', channels)
        if not channels:
            raise ValueError('channels must name at least one convolution, got none')
        positive_int('downsample', downsample)
        positive_int('pool_size', pool_size)
        if whole_number('ndim', ndim) not in (2, 3):
            raise ValueError(f'ndim must be 2 or 3, got {ndim!r}')
        if feature_norm_cfg is not None and not fc_channels:
            raise ValueError('feature_norm_cfg needs a layer in fc_channels, got none')
        self.in_channels = in_channels
        self.in_size = None if in_size is None else as_size('in_size', in_size, ndim)
        depth = len(channels)
        average_pool = {2: nn.AvgPool2d, 3: nn.AvgPool3d}[ndim]
        max_pool = {2: nn.MaxPool2d, 3: nn.MaxPool3d}[ndim]
        adaptive_pool = {2: nn.AdaptiveAvgPool2d, 3: nn.AdaptiveAvgPool3d}[ndim]
        kernel_sizes = as_size('kernel_sizes', kernel_sizes, depth)
        strides = as_size('strides', strides, depth)
        pool_sizes = as_size('pool_sizes', pool_sizes, depth)
        given = paddings is not None
        paddings = as_size('paddings', 0 if paddings is None else paddings, depth, low=0)
        layers: list[nn.Module] = [average_pool(downsample)] if downsample > 1 else []
        channels_in = in_channels
        for channels_out, kernel_size, stride, padding, pool in zip(
            channels, kernel_sizes, strides, paddings, pool_sizes, strict=True
        ):
            layers.append(
                _conv(
                    channels_in,
                    channels_out,
                    kernel_size,
                    stride,
                    padding,
                    conv_cfg=dict(type=f'Conv{ndim}d'),
                    norm_cfg=norm_cfg,
                    act_cfg=act_cfg,
                )
            )
            if pool > 1:
                layers.append(max_pool(pool))
            channels_in = channels_out
        if in_size is None:
            layers.append(adaptive_pool(pool_size))

        def smallest(extra: Sequence[int]) -> int:
            """The smallest side of a map that leaves one pixel after all layers."""
            side = 1
            for kernel_size, stride, padding, pool in reversed(
                list(zip(kernel_sizes, strides, np.add(paddings, extra), pool_sizes, strict=True))
            ):
                side = max(1, (side * pool - 1) * stride + kernel_size - 2 * int(padding))
            return side * downsample

        halves = [0] * depth if given else [kernel_size // 2 for kernel_size in kernel_sizes]
        self.conv = _Convolutions(layers, halves, smallest([0] * depth), smallest(halves))
        if in_size is None:
            num_features = channels_in * pool_size**ndim
        else:
            num_features = forward_zeros(self.conv, in_channels, self.in_size).shape[1]
        self.fc = FullyConnected(num_features, fc_channels, name='fc_channels')
        if feature_norm_cfg is not None:
            self.fc[-1] = norm_layer('feature_norm_cfg', feature_norm_cfg, self.fc.out_features)
        self.build_regression(self.fc.out_features)

    def features(self, x: Tensor) -> Tensor:
        """U (N, C, [D,] H, W) -> (N, fc_channels[-1])."""
        check_input(self, x, self.in_channels, self.in_size)
        return self.fc(self.conv(x))


class _Convolutions(nn.Sequential):
    """Convolutions and poolings, which are padded for maps that are too small for them.

    Args:
        layers: They.
        halves: How much each convolution is padded then, besides its own padding.
        unpadded: The smallest side of a map that fits without.
        smallest: The smallest that fits with it.
    """

    def __init__(
        self, layers: Sequence[nn.Module], halves: Sequence[int], unpadded: int, smallest: int
    ) -> None:
        super().__init__(*layers, nn.Flatten())
        self.halves, self.unpadded, self.smallest = tuple(halves), unpadded, smallest

    def forward(self, x: Tensor) -> Tensor:
        """U (N, C, [D,] H, W) -> (N, features)."""
        size = tuple(x.shape[2:])
        if min(size) < self.smallest:
            raise ValueError(
                f'in_size must be at least {self.smallest} for kernel_sizes, strides, paddings, '
                f'pool_sizes and downsample of ConvLocNet, got a map of size {size}'
            )
        halves = iter(self.halves if min(size) < self.unpadded else [0] * len(self.halves))
        for layer in self:
            half = next(halves) if isinstance(layer, ConvModule) else 0
            if half:
                x = F.pad(x, (half,) * 2 * len(size))
            x = layer(x)
        return x


def _conv(*args, norm_cfg: dict | None, act_cfg: dict | None, **kwargs) -> ConvModule:
    """A convolution; an error in a config names the argument."""
    if norm_cfg is not None:
        norm_layer('norm_cfg', norm_cfg, args[1])
    if act_cfg is not None:
        named_layer('act_cfg', act_cfg, build_activation_layer)
    return ConvModule(*args, norm_cfg=norm_cfg, act_cfg=act_cfg, **kwargs)
