"""DepthProjection: turns volumes into images for a backbone of images."""

from mmengine.model import BaseModule
from mmpretrain.registry import MODELS
from torch import Tensor, nn

from mmstn.checks import instance_of, one_of
from mmstn.registry import build_argument

PROJECTIONS = {
    'mean': lambda x: x.mean(dim=2),
    'sum': lambda x: x.sum(dim=2),
    'max': lambda x: x.amax(dim=2),
}


@MODELS.register_module()
class DepthProjection(BaseModule):
    """Flattens volumes along depth and describes the images by a backbone (appendix A.3).

    After a transformer of volumes (``STNBackbone(transformer=..., backbone=dict(type=
    'DepthProjection', ...))``) it is the transformer that chooses along which direction is
    projected.

    Args:
        backbone: Config of a backbone for images.
        mode: ``'mean'``, ``'sum'`` or ``'max'`` over depth.
        init_cfg: mmengine's initialisation.

    Raises:
        TypeError: If ``backbone`` is no config.
        ValueError: If ``mode`` is unknown; in ``forward``, if the input is no batch of volumes.
    """

    def __init__(
        self, backbone: dict, mode: str = 'mean', init_cfg: dict | list | None = None
    ) -> None:
        super().__init__(init_cfg)
        instance_of('backbone', backbone, dict, 'a config (dict)')
        self.mode = one_of('mode', mode, PROJECTIONS)
        self.backbone = build_argument('backbone', backbone, MODELS, nn.Module, 'a module')

    def project(self, x: Tensor) -> Tensor:
        """Volumes (N, C, D, H, W) -> images (N, C, H, W)."""
        if x.dim() != 5:
            raise ValueError(f'input must be (N, C, D, H, W), got shape {tuple(x.shape)}')
        return PROJECTIONS[self.mode](x)

    def forward(self, x: Tensor) -> Tensor | tuple[Tensor, ...]:
        """What the backbone makes of the projections."""
        return self.backbone(self.project(x))
