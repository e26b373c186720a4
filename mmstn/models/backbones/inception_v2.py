"""InceptionV2: Inception with batch normalisation (BN-Inception), the backbone for CUB.

Ioffe and Szegedy, *Batch Normalization: Accelerating Deep Network Training by Reducing Internal
Covariate Shift*, https://arxiv.org/abs/1502.03167, the network of its appendix.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from functools import partial

import torch
from mmcv.cnn import ConvModule, build_activation_layer, build_conv_layer
from mmengine.model import BaseModule
from mmpretrain.models.backbones.base_backbone import BaseBackbone
from mmpretrain.registry import MODELS
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils.checkpoint import checkpoint

from mmstn.checks import flag, one_of, positive_int, sizes, whole_number

from ..layers import named_layer, norm_layer

# Channels of: 1x1; 3x3 (reduced, out); double 3x3 (reduced, middle, out); the pool and its
# projection. Blocks without a 1x1 halve the map, and their pool passes the input through.
# None stands for what `pool_channels` of InceptionV2 says.
STAGES: list[dict[str, tuple]] = [
    {
        'inception_3a': (64, (64, 64), (64, 96, 96), ('avg', 32)),
        'inception_3b': (64, (64, 96), (64, 96, 96), ('avg', 64)),
    },
    {
        'inception_3c': (0, (128, 160), (64, 96, 96), ('max', 0)),
        'inception_4a': (224, (64, 96), (96, 128, 128), ('avg', 128)),
        'inception_4b': (192, (96, 128), (96, 128, 128), ('avg', 128)),
        'inception_4c': (160, (128, 160), (128, 160, 160), ('avg', None)),
        'inception_4d': (96, (128, 192), (160, 192, 192), ('avg', None)),
    },
    {
        'inception_4e': (0, (128, 192), (192, 256, 256), ('max', 0)),
        'inception_5a': (352, (192, 320), (160, 224, 224), ('avg', 128)),
        'inception_5b': (352, (192, 320), (192, 224, 224), ('max', 128)),
    },
]


class InceptionBlock(BaseModule):
    """Convolutions of different reach side by side, concatenated.

    Args:
        in_channels: Channels of the map.
        conv1x1: Channels of the 1x1 convolution; 0 for none, in a block that halves the map.
        conv3x3: Channels of the 3x3 branch: reduction, output.
        double3x3: Channels of the double 3x3 branch: reduction, middle, output.
        pool: ``'avg'`` or ``'max'``.
        pool_channels: Channels of the projection after the pool; 0 passes the pool through.
        conv: Makes a convolution with its normalisation and activation.
    """

    def __init__(
        self,
        in_channels: int,
        conv1x1: int,
        conv3x3: Sequence[int],
        double3x3: Sequence[int],
        pool: str,
        pool_channels: int,
        conv: type[ConvModule] | partial,
    ) -> None:
        super().__init__()
        stride = 1 if conv1x1 else 2
        self.conv1x1 = conv(in_channels, conv1x1, 1) if conv1x1 else None
        self.conv3x3 = nn.Sequential(
            conv(in_channels, conv3x3[0], 1),
            conv(conv3x3[0], conv3x3[1], 3, stride=stride, padding=1),
        )
        self.double3x3 = nn.Sequential(
            conv(in_channels, double3x3[0], 1),
            conv(double3x3[0], double3x3[1], 3, padding=1),
            conv(double3x3[1], double3x3[2], 3, stride=stride, padding=1),
        )
        if stride == 2:
            self.pool = _HalvingMaxPool()
        else:
            self.pool = nn.Sequential(
                {'avg': nn.AvgPool2d, 'max': nn.MaxPool2d}[pool](3, stride=1, padding=1),
                conv(in_channels, pool_channels, 1),
            )
        self.out_channels = (
            conv1x1 + conv3x3[-1] + double3x3[-1] + (pool_channels if conv1x1 else in_channels)
        )

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, out_channels, H, W), or half of H and W rounded up."""
        branches = [self.conv3x3(x), self.double3x3(x), self.pool(x)]
        if self.conv1x1 is not None:
            branches.insert(0, self.conv1x1(x))
        return torch.cat(branches, dim=1)


class _HalvingMaxPool(nn.MaxPool2d):
    """Caffe's 3x3 max-pooling by 2, which rounds sizes up, with the size of a padded convolution.

    On maps of even size the two agree. An odd map is extended by a row or column first, whose zeros
    win against no output of a ReLU.
    """

    def __init__(self) -> None:
        super().__init__(3, stride=2, ceil_mode=True)

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(F.pad(x, (0, x.shape[3] % 2, 0, x.shape[2] % 2)))


@MODELS.register_module()
class InceptionV2(BaseBackbone):
    """Inception with batch normalisation, without its classifier.

    The stages end where the map is halved next: 0 is the stem with its two convolutions (192
    channels at stride 4), 1 holds blocks 3a and 3b (320 channels, stride 8), 2 blocks 3c to 4d (576
    or 608 channels, stride 16), 3 blocks 4e to 5b (1024 channels, stride 32: 7x7 for 224 px).

    The public ImageNet weights are of Caffe's network, which expects images in BGR order with mean
    (104, 117, 128) and standard deviation 1; ``tools/model_converters/caffe_to_inception_v2.py``
    turns them into a checkpoint for this class.

    Args:
        in_channels: Channels of the image.
        pool_channels: Channels of the projections after the pools of blocks 4c and 4d: 128 as in
            Caffe's weights, 96 as in the paper.
        out_indices: The stages whose maps are returned. Stages after the last are not built.
        frozen_stages: Stages up to this one are not trained; -1 trains all.
        norm_eval: Whether batch normalisation keeps its running statistics in training.
        with_cp: Whether to keep only the input of each block for the backward pass, and compute the
            rest once more: less memory, more time, the same gradients and running statistics.
        conv_cfg: Config of the convolutions.
        norm_cfg: Config of the normalisation.
        act_cfg: Config of the activation.
        init_cfg: mmengine's initialisation.

    Raises:
        ValueError: If a stage does not exist or ``pool_channels`` is neither 96 nor 128.

    Example:
        >>> InceptionV2()(torch.rand(1, 3, 224, 224))[0].shape
        torch.Size([1, 1024, 7, 7])
    """

    def __init__(
        self,
        in_channels: int = 3,
        pool_channels: int = 128,
        out_indices: Sequence[int] = (3,),
        frozen_stages: int = -1,
        norm_eval: bool = False,
        with_cp: bool = False,
        conv_cfg: dict | None = None,
        norm_cfg: dict | None = dict(type='BN', requires_grad=True),
        act_cfg: dict | None = dict(type='ReLU', inplace=True),
        init_cfg: dict | list | None = [
            dict(type='Kaiming', layer=['Conv2d']),
            dict(type='Constant', val=1, layer=['_BatchNorm', 'GroupNorm']),
        ],
    ) -> None:
        super().__init__(init_cfg)
        num_stages = 1 + len(STAGES)
        positive_int('in_channels', in_channels)
        one_of('pool_channels', pool_channels, (96, 128))
        out_indices = sizes('out_indices', out_indices, low=0)
        if not out_indices or not set(out_indices) <= set(range(num_stages)):
            raise ValueError(f'out_indices must be stages 0 to {num_stages - 1}, got {out_indices}')
        self.out_indices = out_indices
        self.frozen_stages = whole_number('frozen_stages', frozen_stages, -1, max(out_indices))
        self.norm_eval = flag('norm_eval', norm_eval)
        self.with_cp = flag('with_cp', with_cp)
        if conv_cfg is not None:
            named_layer('conv_cfg', conv_cfg, build_conv_layer, 1, 1, 1)
        if norm_cfg is not None:
            norm_layer('norm_cfg', norm_cfg, 64)
        if act_cfg is not None:
            named_layer('act_cfg', act_cfg, build_activation_layer)

        conv = partial(ConvModule, conv_cfg=conv_cfg, norm_cfg=norm_cfg, act_cfg=act_cfg)
        self.stem = nn.Sequential(
            conv(in_channels, 64, 7, stride=2, padding=3),
            nn.MaxPool2d(3, stride=2, ceil_mode=True),
            conv(64, 64, 1),
            conv(64, 192, 3, padding=1),
        )
        self.pool = nn.MaxPool2d(3, stride=2, ceil_mode=True)
        channels = 192
        for index, rows in enumerate(STAGES[: max(out_indices)], start=1):
            stage = nn.Sequential()
            for name, (conv1x1, conv3x3, double3x3, (pool, projection)) in rows.items():
                projection = pool_channels if projection is None else projection
                block = InceptionBlock(
                    channels, conv1x1, conv3x3, double3x3, pool, projection, conv
                )
                stage.add_module(name, block)
                channels = block.out_channels
            self.add_module(f'stage{index}', stage)
        self._freeze()

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """Images (N, C, H, W), of any size from 32 px on -> the maps of ``out_indices``."""
        x = self._run(self.stem, x)
        outputs = [x]
        for index in range(1, max(self.out_indices) + 1):
            if index == 1:
                x = self.pool(x)
            for block in getattr(self, f'stage{index}'):
                x = self._run(block, x)
            outputs.append(x)
        return tuple(outputs[index] for index in self.out_indices)

    def train(self, mode: bool = True) -> InceptionV2:
        """Sets the mode, except for what is frozen."""
        super().train(mode)
        self._freeze()
        if mode and self.norm_eval:
            for module in self.modules():
                if isinstance(module, _BatchNorm):
                    module.eval()
        return self

    def _freeze(self) -> None:
        for index in range(self.frozen_stages + 1):
            stage = self.stem if index == 0 else getattr(self, f'stage{index}')
            stage.eval().requires_grad_(False)

    def _run(self, block: nn.Module, x: Tensor) -> Tensor:
        """``block(x)``, with checkpointing if it is asked for and useful."""
        if not (self.with_cp and torch.is_grad_enabled()):
            return block(x)
        return checkpoint(
            block,
            x,
            use_reentrant=False,
            context_fn=lambda: (nullcontext(), _without_statistics(block)),
        )


@contextmanager
def _without_statistics(block: nn.Module) -> Iterator[None]:
    """Batch normalisation that normalises as in training and keeps no account of it.

    A block that is computed a second time would count its batch twice.
    """
    norms = [m for m in block.modules() if isinstance(m, _BatchNorm)]
    kept = [(norm.momentum, norm.num_batches_tracked) for norm in norms]
    for norm in norms:
        norm.momentum, norm.num_batches_tracked = 0.0, None
    try:
        yield
    finally:
        for norm, (momentum, num_batches) in zip(norms, kept, strict=True):
            norm.momentum, norm.num_batches_tracked = momentum, num_batches
