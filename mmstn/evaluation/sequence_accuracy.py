"""SequenceAccuracy: the share of numbers that are read right as a whole."""

from collections.abc import Sequence

import torch
from mmpretrain.registry import METRICS
from torch import Tensor

from mmstn.checks import flag, whole_number
from mmstn.number_string import NULL

from .base import CheckedMetric


@METRICS.register_module()
class SequenceAccuracy(CheckedMetric):
    """The share of numbers of which every place is right, in percent (section 4.2 of the paper).

    - ``accuracy``, and ``error``, its complement, which is what the paper reports;
    - ``place_accuracy``: the share of single places that are right, 'no digit' among them;
    - with ``details``, ``length_n``: the accuracy among numbers of n digits, and ``digit_d``: how
      many of the digits d are read right. What does not occur is left out.

    A label longer than a prediction (see the option ``too_long`` of :class:`~mmstn.datasets.SVHN`)
    counts as wrong; its places that were predicted count for themselves.

    Args:
        null: The class that means 'no digit here'.
        details: Whether to report by length and by digit.
        collect_device: ``'cpu'`` or ``'gpu'``, where results of several processes are gathered.
        prefix: What stands before the names, with a slash; ``'sequence'`` by default.

    Raises:
        TypeError: If an option is of the wrong type.
        ValueError: If ``null`` is negative or ``collect_device`` unknown.
    """

    default_prefix = 'sequence'

    def __init__(
        self,
        null: int = NULL,
        details: bool = True,
        collect_device: str = 'cpu',
        prefix: str | None = None,
    ) -> None:
        super().__init__(collect_device=collect_device, prefix=prefix)
        self.null = whole_number('null', null)
        self.details = flag('details', details)

    def process(self, data_batch: dict | None, data_samples: Sequence[dict]) -> None:
        """Keeps the labels of a batch.

        Args:
            data_batch: Not used.
            data_samples: With ``pred_label`` and ``gt_label``, each (L,).
        """
        for sample in data_samples:
            self.results.append((sample['pred_label'].cpu(), sample['gt_label'].cpu()))

    def compute_metrics(self, results: list[tuple[Tensor, Tensor]]) -> dict[str, float]:
        """The figures described in the class."""
        numbers, lengths, places, digits = [], [], [], []
        for pred, label in results:
            shared = min(len(pred), len(label))
            right = pred[:shared] == label[:shared]
            numbers.append(len(pred) == len(label) and bool(right.all()))
            lengths.append(int((label != self.null).sum()))
            places.append(right)
            digits.append(label[:shared])
        numbers, lengths = torch.tensor(numbers), torch.tensor(lengths)
        places, digits = torch.cat(places), torch.cat(digits)

        metrics = dict(accuracy=_percent(numbers), place_accuracy=_percent(places))
        metrics['error'] = 100 - metrics['accuracy']
        if self.details:
            for length in lengths.unique().tolist():
                metrics[f'length_{length}'] = _percent(numbers[lengths == length])
            for digit in digits[digits != self.null].unique().tolist():
                metrics[f'digit_{digit}'] = _percent(places[digits == digit])
        return metrics


def _percent(right: Tensor) -> float:
    return 100 * right.double().mean().item()
