"""ParallelLocNet: one localisation net for each of several parallel transformers."""

import torch
from mmengine.model import ModuleList
from mmpretrain.registry import MODELS
from torch import Tensor

from mmstn.checks import instance_of, positive_int
from mmstn.registry import build_argument

from .base import BaseLocNet


@MODELS.register_module()
class ParallelLocNet(BaseLocNet):
    """K localisation nets side by side, where the other nets serve K transformers with one.

    So are the parallel transformers of the paper's MNIST addition (appendix A.1).

    Args:
        loc_net: Config of one of the nets.
        num_params: P; set by :class:`~mmstn.models.SpatialTransformer` from its grid generator.
        num_transformers: K; set by it too.
        init_cfg: mmengine's initialisation.

    Raises:
        TypeError: If ``loc_net`` is not a config or ``num_transformers`` not a whole number.
        ValueError: If ``num_transformers`` is not positive.
    """

    def __init__(
        self,
        loc_net: dict,
        num_params: int,
        num_transformers: int,
        init_cfg: dict | list | None = None,
    ) -> None:
        instance_of('loc_net', loc_net, dict, 'a config (dict)')
        positive_int('num_transformers', num_transformers)  # None will not do here
        super().__init__(num_params, num_transformers, init_cfg)
        config = {**loc_net, 'num_params': num_params}
        self.loc_nets = ModuleList(
            build_argument('loc_net', config, MODELS, BaseLocNet, 'a BaseLocNet')
            for _ in range(num_transformers)
        )

    def forward(self, x: Tensor) -> Tensor:
        """How far the parameters lie from their start: U (N, C, [D,] H, W) -> (N, K, P)."""
        return torch.stack([loc_net(x) for loc_net in self.loc_nets], dim=1)
