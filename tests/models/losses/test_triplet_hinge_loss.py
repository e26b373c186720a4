"""The co-localisation loss against the paper's double sum, written out."""

import pytest
import torch

from mmstn.models import TripletHingeLoss


def double_sum(found, random, margin):
    total, pairs = 0.0, 0
    for n in range(len(found)):
        for m in range(len(found)):
            if n != m:
                between = ((found[n] - found[m]) ** 2).sum()
                to_random = ((found[n] - random[n]) ** 2).sum()
                total = total + max(torch.zeros(()).double(), between - to_random + margin)
                pairs += 1
    return total, pairs


@pytest.fixture
def descriptions():
    generator = torch.Generator().manual_seed(0)
    found = torch.randn(5, 7, generator=generator, dtype=torch.float64)
    random = torch.randn(5, 7, generator=generator, dtype=torch.float64)
    return found.requires_grad_(), random


@pytest.mark.parametrize('margin', [0.0, 1.0, 4.0])
def test_is_the_papers_sum(descriptions, margin):
    found, random = descriptions
    expected, pairs = double_sum(found, random, margin)
    total = TripletHingeLoss(margin, 'sum')(found, random)
    torch.testing.assert_close(total, expected)
    mean = TripletHingeLoss(margin, loss_weight=3)(found, random)
    torch.testing.assert_close(mean, 3 * expected / pairs)
    assert 0 < expected  # some pairs are active
    (gradient,) = torch.autograd.grad(total, found)
    (expected_gradient,) = torch.autograd.grad(expected, found)
    torch.testing.assert_close(gradient, expected_gradient)


def test_crops_that_are_alike_and_unlike_random_ones_cost_nothing():
    found = torch.ones(3, 4)
    assert TripletHingeLoss(margin=1)(found, found + 1) == 0  # 0 - 4 + 1 < 0
    assert TripletHingeLoss(margin=1)(found, found) == 1  # nowhere better than at random


def test_large_descriptions_in_half_precision():
    found = torch.tensor(
        [[100.0, 0], [0, 100]], dtype=torch.float16
    )  # 20,000 apart, fp16 overflows
    loss = TripletHingeLoss(margin=1)
    assert loss(found.repeat(1, 8), torch.zeros(2, 16, dtype=torch.float16)) == 80_001
    with torch.autocast('cpu', torch.bfloat16):
        assert loss(found.float(), torch.zeros(2, 2)) == 10_001


def test_says_what_is_wrong():
    with pytest.raises(ValueError, match="reduction.*got 'max'"):
        TripletHingeLoss(reduction='max')
    with pytest.raises(ValueError, match='margin.*got -1'):
        TripletHingeLoss(margin=-1)
    for shapes in (((1, 3), (1, 3)), ((2, 3), (2, 4)), ((2, 3, 1), (2, 3, 1))):
        with pytest.raises(ValueError, match='N >= 2'):
            TripletHingeLoss()(*(torch.zeros(shape) for shape in shapes))
