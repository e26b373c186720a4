"""InceptionV3Features: mmpretrain's Inception-v3 as a backbone that gives a feature map."""

from mmpretrain.models.backbones import InceptionV3
from mmpretrain.registry import MODELS
from torch import Tensor


@MODELS.register_module()
class InceptionV3Features(InceptionV3):
    """Inception-v3 without its classifier, which mmpretrain's own backbone has inside.

    Parameters keep their names, so that mmpretrain's ImageNet weights load; those of the classifier
    are left over.

    Args:
        init_cfg: mmengine's initialisation.

    Example:
        >>> InceptionV3Features()(torch.rand(1, 3, 299, 299))[0].shape
        torch.Size([1, 2048, 8, 8])
    """

    def __init__(
        self,
        init_cfg: dict | list | None = [
            dict(type='TruncNormal', layer=['Conv2d'], std=0.1),
            dict(type='Constant', layer='BatchNorm2d', val=1),
        ],
    ) -> None:
        super().__init__(aux_logits=False, init_cfg=init_cfg)
        del self.avgpool, self.dropout, self.fc, self.AuxLogits

    def forward(self, x: Tensor) -> tuple[Tensor]:
        """Images (N, 3, H, W), from 75 px on -> the last map, a tuple of (N, 2048, h, w)."""
        for layer in self.children():  # in the order in which mmpretrain makes and calls them
            x = layer(x)
        return (x,)
