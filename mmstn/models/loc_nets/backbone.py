"""BackboneLocNet: a localisation net around any registered backbone."""

from collections.abc import Sequence

import torch
from mmpretrain.registry import MODELS
from torch import Tensor, nn
from torch.nn import functional as F

from mmstn.checks import as_size, number_in, positive_int
from mmstn.ops import affine_grid_sample
from mmstn.registry import build_argument

from ..layers import FullyConnected, forward_zeros
from .base import BaseLocNet, check_input


@MODELS.register_module()
class BackboneLocNet(BaseLocNet):
    """A registered backbone, an optional 1x1 reduction, then fully connected layers.

    The paper's CUB net (section 4.3) is Inception without its classifier and its last pooling, a
    1x1 convolution to 128 channels, FC 128 and theta for all transformers at once; for 448 px
    images its input is always scaled down by 2. Pretrained weights come through the backbone's own
    ``init_cfg``.

    Args:
        backbone: Config of a registered backbone, or a module. Its last output counts: a feature
            map (N, C', h, w), or a vector (N, C') for which there is nothing to reduce or to pool.
        in_size: The size of the image, (H, W), or a number for a square; before the down-scaling.
        num_params: P; set by :class:`~mmstn.models.SpatialTransformer` from its grid generator.
        num_transformers: K, or None for one transformer and no axis K.
        in_channels: Channels of the image.
        reduction_channels: Output channels of the 1x1 convolution; None for none.
        fc_channels: Sizes of the fully connected layers.
        downsample: By how much the image is first scaled down (bilinear with anti-aliasing).
        pool_size: The size that the backbone's map is averaged to, so that images of any size fit.
            None keeps the map as it is, as in the paper, for images of ``in_size`` only.
        init_cfg: mmengine's initialisation of the other layers.

    Raises:
        TypeError: If an argument has the wrong type.
        ValueError: If an argument is out of range or the backbone gives neither a map nor a
            vector; in ``forward``, if ``pool_size`` is None and the image has another size.
    """

    def __init__(
        self,
        backbone: dict | nn.Module,
        in_size: int | Sequence[int],
        num_params: int,
        num_transformers: int | None = None,
        in_channels: int = 3,
        reduction_channels: int | None = 128,
        fc_channels: Sequence[int] = (128,),
        downsample: float = 1,
        pool_size: int | None = None,
        init_cfg: dict | list | None = None,
    ) -> None:
        super().__init__(num_params, num_transformers, init_cfg)
        self.in_channels = positive_int('in_channels', in_channels)
        self.in_size = as_size('in_size', in_size)
        self.downsample = number_in('downsample', downsample, f'[1, {min(self.in_size)}]')
        if reduction_channels is not None:
            positive_int('reduction_channels', reduction_channels)
        if pool_size is not None:
            positive_int('pool_size', pool_size)
        self.backbone = build_argument('backbone', backbone, MODELS, nn.Module, 'a module')

        size = [_scaled_down(s, downsample) for s in self.in_size]
        output = last_output(forward_zeros(self.backbone, in_channels, size))
        if output.dim() not in (2, 4):
            raise ValueError(
                f'backbone must give a map (N, C, h, w) or a vector (N, C), '
                f'got shape {tuple(output.shape)}'
            )
        channels, is_map = output.shape[1], output.dim() == 4
        layers = []
        if is_map and reduction_channels is not None:
            layers += [nn.Conv2d(channels, reduction_channels, 1), nn.ReLU(inplace=True)]
            channels = reduction_channels
        if is_map and pool_size is not None:
            layers.append(nn.AdaptiveAvgPool2d(pool_size))
        self.any_size = pool_size is not None
        self.reduction = nn.Sequential(*layers, nn.Flatten())
        area = (pool_size**2 if pool_size else output[0, 0].numel()) if is_map else 1
        self.fc = FullyConnected(channels * area, fc_channels, name='fc_channels')
        self.build_regression(self.fc.out_features)

    def features(self, x: Tensor) -> Tensor:
        """U (N, C, H, W) -> (N, fc_channels[-1])."""
        check_input(self, x, self.in_channels, None if self.any_size else self.in_size)
        if self.downsample != 1:
            x = self._smaller(x)
        return self.fc(self.reduction(last_output(self.backbone(x))))

    def _smaller(self, x: Tensor) -> Tensor:
        """``x`` scaled down, with a filter."""
        size = [_scaled_down(s, self.downsample) for s in x.shape[2:]]
        if torch.onnx.is_in_onnx_export() and torch.jit.is_tracing():
            # The TorchScript exporter knows no filter. Ours is the same for whole factors.
            identity = torch.eye(2, 3, dtype=x.dtype, device=x.device).expand(x.shape[0], -1, -1)
            return affine_grid_sample(x, identity, size, antialias=self.downsample)
        return F.interpolate(x, size, mode='bilinear', antialias=True)


def last_output(outputs: Tensor | tuple | list) -> Tensor:
    """The last of what a backbone gives: its deepest stage, or the logits of InceptionV3."""
    return outputs[-1] if isinstance(outputs, (tuple, list)) else outputs


def _scaled_down(size: int | Tensor, factor: float) -> int | Tensor:
    """``size / factor``, rounded; where ``torch.jit.trace`` follows sizes they are tensors."""
    scaled = size / factor
    return scaled.round().long() if isinstance(scaled, Tensor) else round(scaled)
