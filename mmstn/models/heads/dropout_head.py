"""A linear classifier behind dropout."""

from __future__ import annotations

from mmpretrain.models.heads import LinearClsHead
from mmpretrain.registry import MODELS
from torch import Tensor, nn


@MODELS.register_module()
class DropoutLinearClsHead(LinearClsHead):
    """mmpretrain's ``LinearClsHead`` with dropout in front, as in the paper's CUB models.

    Args:
        num_classes: Number of classes.
        in_channels: Size of the descriptor.
        dropout: The probability that a number is dropped.
        **kwargs: Further options of ``LinearClsHead``.
    """

    def __init__(self, num_classes: int, in_channels: int, dropout: float = 0.5, **kwargs) -> None:
        super().__init__(num_classes, in_channels, **kwargs)
        self.dropout = nn.Dropout(dropout)

    def pre_logits(self, feats: tuple[Tensor, ...]) -> Tensor:
        """The last descriptor, (N, in_channels), with dropout in training."""
        return self.dropout(super().pre_logits(feats))
