"""A convolutional localisation net."""

from __future__ import annotations

from collections.abc import Sequence

from mmcv.cnn import ConvModule, build_norm_layer
from mmpretrain.registry import MODELS
from torch import Tensor, nn

from mmstn.checks import as_size

from ..layers import FullyConnected, forward_zeros
from .base import BaseLocNet, check_input


@MODELS.register_module()
class ConvLocNet(BaseLocNet):
    """Convolutions, each with an optional max-pooling, then fully connected layers.

    The defaults are the net in front of the paper's MNIST CNN: the map averaged down by 2, conv
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
        paddings: Their zero paddings, likewise.
        pool_sizes: The max-pooling behind each of them, likewise; 1 for none.
        fc_channels: Sizes of the fully connected layers.
        downsample: By how much the map is first averaged down; 1 for not at all.
        pool_size: What the last map is pooled to if ``in_size`` is None. A larger one keeps more of
            where things are.
        ndim: 2 for maps, 3 for volumes (N, C, D, H, W).
        norm_cfg: Normalisation behind each convolution; None for none, as in the paper.
        act_cfg: Activation behind each convolution.
        feature_norm_cfg: A normalisation in place of the ReLU of the last fully connected layer;
            None for that ReLU, as in the paper. ``dict(type='BN1d', affine=False)`` leaves the mean
            of theta over the images of a batch to the bias of the regression alone, so that a lower
            learning rate for that bias keeps windows from going astray all together.
        init_cfg: mmengine's initialisation of the hidden layers.

    Raises:
        ValueError: If an argument is out of range, ``in_size`` is too small for the layers, or
            ``feature_norm_cfg`` is given without a fully connected layer; in ``forward``, if the
            map has another size than ``in_size``.
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
        paddings: int | Sequence[int] = 0,
        pool_sizes: int | Sequence[int] = (2, 1),
        fc_channels: Sequence[int] = (20,),
        downsample: int = 2,
        pool_size: int = 4,
        ndim: int = 2,
        norm_cfg: dict | None = None,
        act_cfg: dict | None = dict(type='ReLU'),  # noqa: B006, never changed
        feature_norm_cfg: dict | None = None,
        init_cfg: dict | list | None = None,
    ) -> None:
        super().__init__(num_params, num_transformers, init_cfg)
        if not channels:
            raise ValueError('channels must name at least one convolution, got none')
        if ndim not in (2, 3):
            raise ValueError(f'ndim must be 2 or 3, got {ndim!r}')
        if feature_norm_cfg is not None and not fc_channels:
            raise ValueError('feature_norm_cfg needs a layer in fc_channels, got none')
        self.in_channels = in_channels
        self.in_size = None if in_size is None else as_size('in_size', in_size, ndim)
        depth = len(channels)
        average_pool = {2: nn.AvgPool2d, 3: nn.AvgPool3d}[ndim]
        max_pool = {2: nn.MaxPool2d, 3: nn.MaxPool3d}[ndim]
        adaptive_pool = {2: nn.AdaptiveAvgPool2d, 3: nn.AdaptiveAvgPool3d}[ndim]

        layers = [average_pool(downsample)] if downsample > 1 else []
        channels_in = in_channels
        for channels_out, kernel_size, stride, padding, pool in zip(
            channels,
            as_size('kernel_sizes', kernel_sizes, depth),
            as_size('strides', strides, depth),
            (paddings,) * depth if isinstance(paddings, int) else paddings,
            as_size('pool_sizes', pool_sizes, depth),
            strict=True,
        ):
            layers.append(
                ConvModule(
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
        self.conv = nn.Sequential(*layers, nn.Flatten())
        if in_size is None:
            num_features = channels_in * pool_size**ndim
        else:
            num_features = forward_zeros(self.conv, in_channels, self.in_size).shape[1]
        self.fc = FullyConnected(num_features, fc_channels)
        if feature_norm_cfg is not None:
            self.fc[-1] = build_norm_layer(feature_norm_cfg, self.fc.out_features)[1]
        self.build_regression(self.fc.out_features)

    def features(self, x: Tensor) -> Tensor:
        """U (N, C, [D,] H, W) -> (N, fc_channels[-1])."""
        check_input(self, x, self.in_channels, self.in_size)
        return self.fc(self.conv(x))
