"""NumberHead: reads a number off one descriptor, with a classifier for each of its places."""

import torch
from mmpretrain.models.heads import ClsHead
from mmpretrain.registry import MODELS
from mmpretrain.structures import DataSample
from torch import Tensor, nn
from torch.nn import functional as F

from mmstn.checks import flag, positive_int, whole_number
from mmstn.number_string import number_string
from mmstn.registry import build_argument


@MODELS.register_module()
class NumberHead(ClsHead):
    """Independent softmax classifiers, one a place, as for SVHN in section 4.2 of the paper.

    Each has the digits and, last, 'no digit here'. The loss is the negative logarithm of the
    probability of the whole number, the sum over the places of their cross entropies.

    Predictions have ``pred_label`` (L,), ``pred_score`` (L, ``num_classes``), and for people
    ``pred_number``, such as ``'1937'``, with the probability ``pred_number_score`` of all its
    places together.

    Args:
        in_channels: Size of the descriptor.
        num_places: L, how many digits the longest number has.
        num_classes: The ten digits and 'no digit'.
        loss: Config of the loss of one place.
        cal_acc: Whether to log the share of numbers read right while training, in percent.
        init_cfg: mmengine's initialisation.

    Raises:
        TypeError: If an argument has the wrong type.
        ValueError: If a number is out of range; in ``loss``, if a label has not ``num_places``.
    """

    def __init__(
        self,
        in_channels: int,
        num_places: int = 5,
        num_classes: int = 11,
        loss: dict | nn.Module = dict(type='mmpretrain.CrossEntropyLoss'),
        cal_acc: bool = False,
        init_cfg: dict | list | None = dict(type='Normal', layer='Linear', std=0.01),
    ) -> None:
        loss = build_argument('loss', loss, MODELS, nn.Module, 'a loss')
        super().__init__(loss=loss, cal_acc=cal_acc, init_cfg=init_cfg)
        flag('cal_acc', cal_acc)
        positive_int('in_channels', in_channels)
        positive_int('num_places', num_places)
        whole_number('num_classes', num_classes, 2)
        self.num_places = num_places
        self.num_classes = num_classes
        self.fc = nn.Linear(in_channels, num_places * num_classes)

    def forward(self, feats: tuple[Tensor, ...]) -> Tensor:
        """Descriptors, the last of ``feats``, (N, C) -> logits (N, L, ``num_classes``)."""
        scores = self.fc(self.pre_logits(feats))
        return scores.reshape(scores.shape[0], self.num_places, self.num_classes)

    def _get_loss(self, cls_score: Tensor, data_samples: list[DataSample], **kwargs) -> dict:
        lengths = {len(sample.gt_label) for sample in data_samples}
        if lengths != {self.num_places}:
            raise ValueError(
                f'gt_label must have {self.num_places} places, got {sorted(lengths)}: leave longer '
                "numbers out of the training (too_long='skip')"
            )
        target = torch.stack([sample.gt_label for sample in data_samples])
        # Summed over the places, as the average is taken over the numbers.
        losses = dict(
            loss=self.loss_module(
                cls_score.flatten(0, 1), target.flatten(), avg_factor=len(target), **kwargs
            )
        )
        if self.cal_acc:
            right = (cls_score.argmax(-1) == target).all(-1)
            losses['number_accuracy'] = 100 * right.float().mean()
        return losses

    def _get_predictions(
        self, cls_score: Tensor, data_samples: list[DataSample | None] | None
    ) -> list[DataSample]:
        scores = F.softmax(cls_score, dim=-1)
        best, labels = scores.max(dim=-1)
        samples = []
        for i, sample in enumerate(data_samples or [None] * len(scores)):
            sample = DataSample() if sample is None else sample
            sample.set_pred_label(labels[i].detach())
            sample.set_field(scores[i], 'pred_score', dtype=Tensor)
            sample.set_field(number_string(labels[i], self.num_classes - 1), 'pred_number')
            sample.set_field(best[i].prod().item(), 'pred_number_score')
            samples.append(sample)
        return samples
