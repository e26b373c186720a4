"""A fully connected localisation net."""

from __future__ import annotations

import math
from collections.abc import Sequence

from mmpretrain.registry import MODELS
from torch import Tensor

from ..layers import FullyConnected, as_size
from .base import BaseLocNet, check_input


@MODELS.register_module()
class FCLocNet(BaseLocNet):
    """Fully connected layers on the flattened map, as in front of the paper's fully connected nets.

    Two hidden layers of 32 units by default (sections 4.1 and A.1 of the paper; the SVHN networks
    have the same in front of each convolution).

    Args:
        in_channels: C, the channels of the map.
        in_size: Its size, (H, W), or a number for a square; (D, H, W) for volumes.
        num_params: P; set by :class:`~mmstn.models.SpatialTransformer` from its grid generator.
        num_transformers: K, or None for one transformer and no axis K.
        fc_channels: Sizes of the hidden layers.
        start: theta at the start, see :class:`BaseLocNet`.
        init_cfg: mmengine's initialisation of the hidden layers.

    Raises:
        ValueError: If an argument is out of range; in ``forward``, if the map has another size.
    """

    def __init__(
        self,
        in_channels: int,
        in_size: int | Sequence[int],
        num_params: int,
        num_transformers: int | None = None,
        fc_channels: Sequence[int] = (32, 32),
        start: Tensor | Sequence | None = None,
        init_cfg: dict | list | None = None,
    ) -> None:
        super().__init__(num_params, num_transformers, start, init_cfg)
        self.in_channels = in_channels
        ndim = 2 if isinstance(in_size, int) else len(in_size)
        self.in_size = as_size('in_size', in_size, ndim)
        self.fc = FullyConnected(in_channels * math.prod(self.in_size), fc_channels)
        self.build_regression(self.fc.out_features)

    def features(self, x: Tensor) -> Tensor:
        """U (N, C, [D,] H, W) -> (N, fc_channels[-1])."""
        check_input(self, x, self.in_channels, self.in_size)
        return self.fc(x.flatten(1))
