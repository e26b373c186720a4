"""A localisation net of its own for each of several parallel transformers."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from mmengine.model import BaseModule, ModuleList
from mmpretrain.registry import MODELS
from torch import Tensor

from mmstn.registry import build_part


@MODELS.register_module()
class ParallelLocNet(BaseModule):
    """K localisation nets side by side, where the other nets serve K transformers with one.

    So are the parallel transformers of the paper's MNIST addition (appendix A.1).

    Args:
        loc_net: Config of one of the nets.
        num_params: P; set by :class:`~mmstn.models.SpatialTransformer` from its grid generator.
        num_transformers: K.
        start: theta at the start, (P,) for all transformers alike or (K, P).
        init_cfg: mmengine's initialisation.

    Raises:
        TypeError: If ``loc_net`` is not a config.
        ValueError: If ``num_transformers`` is not a number >= 1.
    """

    def __init__(
        self,
        loc_net: dict,
        num_params: int,
        num_transformers: int | None,
        start: Tensor | Sequence | None = None,
        init_cfg: dict | list | None = None,
    ) -> None:
        super().__init__(init_cfg)
        if not isinstance(loc_net, dict):
            raise TypeError(f'loc_net must be a config (dict), got {type(loc_net).__name__}')
        if not isinstance(num_transformers, int) or num_transformers < 1:
            raise ValueError(
                f'num_transformers must be a whole number >= 1 for {type(self).__name__}, '
                f'got {num_transformers!r}'
            )
        self.num_params = num_params
        self.num_transformers = num_transformers
        start = torch.zeros(num_params) if start is None else torch.as_tensor(start)
        starts = start.expand(num_transformers, num_params)
        self.loc_nets = ModuleList(
            build_part(MODELS, dict(loc_net, num_params=num_params, start=start))
            for start in starts
        )

    def forward(self, x: Tensor) -> Tensor:
        """The parameters of the transforms: U (N, C, [D,] H, W) -> theta (N, K, P)."""
        return torch.stack([loc_net(x) for loc_net in self.loc_nets], dim=1)
