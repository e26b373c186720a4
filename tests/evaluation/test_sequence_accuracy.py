"""Figures counted by hand."""

import pytest
import torch
from mmengine.evaluator import Evaluator
from mmpretrain.registry import METRICS
from mmpretrain.structures import DataSample

# (predicted, true): what is right is counted in the test below.
NUMBERS = [
    ([1, 9, 10, 10, 10], [1, 9, 10, 10, 10]),  # right
    ([1, 4, 10, 10, 10], [1, 9, 10, 10, 10]),  # one digit wrong: 4 of 5 places
    ([1, 9, 9, 10, 10], [1, 9, 10, 10, 10]),  # one digit too many: 4 of 5
    ([0, 10, 10, 10, 10], [0, 10, 10, 10, 10]),  # right
    ([5, 5, 5, 5, 10], [5, 5, 5, 5, 5]),  # the last digit missed: 4 of 5
    ([1, 10, 9, 10, 10], [1, 9, 10, 10, 10]),  # the right digits in wrong places: 3 of 5
    ([1, 2, 3, 4, 5], [1, 2, 3, 4, 5, 6]),  # too long to be right: 5 of 5
]


def evaluate(numbers, **kwargs):
    evaluator = Evaluator([METRICS.build(dict(type='SequenceAccuracy', **kwargs))])
    for start in range(0, len(numbers), 2):  # in batches
        evaluator.process(
            [
                DataSample().set_pred_label(pred).set_gt_label(label)
                for pred, label in numbers[start : start + 2]
            ]
        )
    return evaluator.evaluate(len(numbers))


def test_counted_by_hand():
    metrics = evaluate(NUMBERS)
    expected = {
        'accuracy': 2 / 7,
        'error': 5 / 7,
        'place_accuracy': (5 + 4 + 4 + 5 + 4 + 3 + 5) / 35,
        'length_1': 1,
        'length_2': 1 / 4,
        'length_5': 0,
        'length_6': 0,
        'digit_0': 1,
        'digit_1': 1,
        'digit_2': 1,
        'digit_3': 1,
        'digit_4': 1,
        'digit_5': 5 / 6,
        'digit_9': 2 / 4,
    }
    assert metrics.keys() == {f'sequence/{name}' for name in expected}
    for name, share in expected.items():
        assert metrics[f'sequence/{name}'] == pytest.approx(100 * share), name


def test_without_details():
    metrics = evaluate(NUMBERS[:1], details=False, prefix='svhn')
    assert metrics == {'svhn/accuracy': 100, 'svhn/error': 0, 'svhn/place_accuracy': 100}


def test_all_five_right_on_random_labels():
    """Right if all five are right, computed for all numbers at once."""
    torch.manual_seed(0)
    labels = torch.randint(0, 11, (400, 5))
    preds = torch.where(torch.rand(400, 5) < 0.85, labels, torch.randint(0, 11, (400, 5)))
    metrics = evaluate(list(zip(preds, labels, strict=True)))
    right = (preds == labels).all(1).double().mean().item()
    assert 0.2 < right < 0.8
    assert metrics['sequence/error'] == pytest.approx(100 - 100 * right)
