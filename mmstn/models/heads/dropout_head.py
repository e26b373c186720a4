"""DropoutLinearClsHead: a linear classifier after dropout."""

from mmpretrain.models.heads import LinearClsHead
from mmpretrain.registry import MODELS
from torch import Tensor, nn

from mmstn.checks import number_in, positive_int
from mmstn.registry import build_argument


@MODELS.register_module()
class DropoutLinearClsHead(LinearClsHead):
    """mmpretrain's ``LinearClsHead`` with dropout before it, as in the paper's CUB models.

    Args:
        num_classes: Number of classes.
        in_channels: Size of the descriptor.
        dropout: The probability that a number is dropped.
        loss: Config of the loss.
        **kwargs: Further options of ``LinearClsHead``.

    Raises:
        TypeError: If an argument has the wrong type.
        ValueError: If a number is out of range.
    """

    def __init__(
        self,
        num_classes: int,
        in_channels: int,
        dropout: float = 0.5,
        loss: dict | nn.Module = dict(type='mmpretrain.CrossEntropyLoss'),
        **kwargs,
    ) -> None:
        positive_int('num_classes', num_classes)
        positive_int('in_channels', in_channels)
        number_in('dropout', dropout, '[0, 1)')
        loss = build_argument('loss', loss, MODELS, nn.Module, 'a loss')
        super().__init__(num_classes, in_channels, loss=loss, **kwargs)
        self.dropout = nn.Dropout(dropout)

    def pre_logits(self, feats: tuple[Tensor, ...]) -> Tensor:
        """The last descriptor, (N, in_channels), with dropout in training."""
        return self.dropout(super().pre_logits(feats))
