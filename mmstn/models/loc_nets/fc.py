"""FCLocNet: a fully connected localisation net."""

import math
from collections.abc import Sequence

from mmpretrain.registry import MODELS
from torch import Tensor, nn

from mmstn.checks import as_size, positive_int, whole_number

from ..layers import FullyConnected
from .base import BaseLocNet, check_input


@MODELS.register_module()
class FCLocNet(BaseLocNet):
    """Fully connected layers on the flattened map, as in the paper's STs of fully connected nets.

    Two hidden layers of 32 units by default (sections 4.1 and A.1 of the paper; the SVHN networks
    have the same before each convolution).

    Args:
        in_channels: C, the channels of the map.
        in_size: Its size, (H, W), or a number for a square; (D, H, W) for volumes.
        num_params: P; set by :class:`~mmstn.models.SpatialTransformer` from its grid generator.
        num_transformers: K, or None for one transformer and no axis K.
        fc_channels: Sizes of the hidden layers.
        downsample: By how much the map is first averaged down; 1 for not at all, as in the paper. A
            remainder of its size is left out.
        norm_cfg: Normalisation after each hidden layer, such as ``dict(type='BN1d')``; None for
            none, as in the paper.
        init_cfg: mmengine's initialisation of the hidden layers.

    Raises:
        TypeError: If an argument has the wrong type.
        ValueError: If an argument is out of range; in ``forward``, if the map has another size.
    """

    def __init__(
        self,
        in_channels: int,
        in_size: int | Sequence[int],
        num_params: int,
        num_transformers: int | None = None,
        fc_channels: Sequence[int] = (32, 32),
        downsample: int = 1,
        norm_cfg: dict | None = None,
        init_cfg: dict | list | None = None,
    ) -> None:
        super().__init__(num_params, num_transformers, init_cfg)
        self.in_channels = positive_int('in_channels', in_channels)
        ndim = 3 if isinstance(in_size, Sequence) and len(in_size) == 3 else 2
        self.in_size = as_size('in_size', in_size, ndim)
        whole_number('downsample', downsample, 1, min(self.in_size))
        average_pool = nn.AvgPool2d if ndim == 2 else nn.AvgPool3d
        self.downsample = average_pool(downsample) if downsample > 1 else nn.Identity()
        num_pixels = math.prod(size // downsample for size in self.in_size)
        self.fc = FullyConnected(in_channels * num_pixels, fc_channels, norm_cfg, 'fc_channels')
        self.build_regression(self.fc.out_features)

    def features(self, x: Tensor) -> Tensor:
        """U (N, C, [D,] H, W) -> (N, fc_channels[-1])."""
        check_input(self, x, self.in_channels, self.in_size)
        return self.fc(self.downsample(x).flatten(1))
