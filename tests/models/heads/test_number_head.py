"""Five classifiers in one head."""

import pytest
import torch
from mmpretrain.models import build_classifier
from mmpretrain.registry import MODELS
from mmpretrain.structures import DataSample
from torch.nn import functional as F

from mmstn.models import NumberHead
from mmstn.number_string import number_string

LABELS = [[1, 9, 3, 7, 10], [0, 10, 10, 10, 10], [5, 5, 5, 5, 5]]


def samples(labels=LABELS):
    return [DataSample().set_gt_label(label) for label in labels]


def test_loss_is_the_sum_over_the_places_and_the_mean_over_numbers():
    torch.manual_seed(0)
    head = MODELS.build(dict(type='NumberHead', in_channels=6)).double()
    torch.nn.init.normal_(head.fc.weight)
    feats = torch.randn(3, 6, dtype=torch.float64)
    logits = head((feats,))
    assert logits.shape == (3, 5, 11)
    # Place p is its own classifier: rows 11 p to 11 p + 10 of the one layer.
    for place in range(5):
        rows = slice(11 * place, 11 * place + 11)
        own = feats @ head.fc.weight[rows].T + head.fc.bias[rows]
        torch.testing.assert_close(logits[:, place], own)
    log_probability = sum(
        F.log_softmax(logits[n, place], dim=0)[label]
        for n, number in enumerate(LABELS)
        for place, label in enumerate(number)
    )
    torch.testing.assert_close(head.loss((feats,), samples())['loss'], -log_probability / 3)


def head_that_says(labels):
    """Logits that favour these labels, whatever comes in."""
    head = NumberHead(in_channels=2, cal_acc=True)
    torch.nn.init.zeros_(head.fc.weight)
    with torch.no_grad():
        head.fc.bias.copy_(4 * F.one_hot(torch.tensor(labels), 11).float().flatten())
    return head


def test_predictions_can_be_read():
    head = head_that_says([1, 9, 3, 7, 10])
    predictions = head.predict((torch.zeros(2, 2),), [None, DataSample(img_path='a.png')])
    assert predictions[1].img_path == 'a.png'
    for prediction in predictions:
        assert prediction.pred_label.tolist() == [1, 9, 3, 7, 10]
        assert prediction.pred_score.shape == (5, 11)
        assert prediction.pred_number == '1937'
        one = torch.tensor([4.0] + 10 * [0.0]).softmax(0)[0].item()
        assert prediction.pred_number_score == pytest.approx(one**5, rel=1e-5)
    assert len(head.predict((torch.zeros(3, 2),))) == 3


def test_accuracy_while_training():
    losses = head_that_says([1, 9, 3, 7, 10]).loss((torch.zeros(3, 2),), samples())
    assert losses['number_accuracy'].item() == pytest.approx(100 / 3)


def test_within_a_classifier():
    """Labels of five places go through mmpretrain's preprocessor, loss and prediction."""
    backbone = dict(type='MNISTFC', in_size=8, in_channels=3, channels=(7,))
    model = build_classifier(
        dict(
            type='ImageClassifier',
            data_preprocessor=dict(mean=[127.5] * 3, std=[127.5] * 3, to_rgb=True),
            backbone=backbone,
            head=dict(type='NumberHead', in_channels=7),
        )
    )
    data = dict(inputs=torch.zeros(3, 3, 8, 8, dtype=torch.uint8), data_samples=samples())
    data = model.data_preprocessor(data, training=True)
    model(**data, mode='loss')['loss'].backward()
    assert model.head.fc.weight.grad.abs().sum() > 0
    assert [p.gt_label.tolist() for p in model(**data, mode='predict')] == LABELS


def test_long_label_in_training_says_what_to_do():
    head = NumberHead(in_channels=2)
    with pytest.raises(ValueError, match=r'5 places, got \[5, 6\].*too_long'):
        head.loss((torch.zeros(2, 2),), samples([LABELS[0], [1, 2, 3, 4, 5, 6]]))


@pytest.mark.parametrize(
    'kwargs', [dict(in_channels=0), dict(num_places=0), dict(num_classes=1)], ids=str
)
def test_bad_sizes(kwargs):
    with pytest.raises(ValueError, match=next(iter(kwargs))):
        NumberHead(**(dict(in_channels=2) | kwargs))


@pytest.mark.parametrize(
    'labels, text',
    [
        ([1, 9, 3, 7, 10], '1937'),
        ([0, 0, 10, 10, 10], '00'),
        ([1, 10, 3, 10, 10], '1_3'),
        ([10, 10, 10, 10, 4], '____4'),
        ([10] * 5, ''),
        (torch.tensor([1, 2, 3, 4, 5]), '12345'),
    ],
)
def test_number_string(labels, text):
    assert number_string(labels) == text
