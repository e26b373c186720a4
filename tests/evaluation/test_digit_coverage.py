"""Which digit a window covers, on images whose answer one can see."""

import pytest
import torch
from mmpretrain.structures import DataSample
from torch.utils.data import Dataset

from mmstn.evaluation import DigitCoverage
from mmstn.evaluation.digit_coverage import covered_shares
from tests import tiny


def box(left, top, right, bottom):
    return torch.tensor([[left, top], [right, top], [right, bottom], [left, bottom]])


LEFT, RIGHT, ALL, OUT = box(0, 0, 5, 10), box(5, 0, 10, 10), box(0, 0, 10, 10), box(12, 12, 20, 20)


@pytest.fixture
def image():
    """10 x 10; the first digit on the left, a quarter of the second one's ink there too."""
    image = torch.zeros(2, 10, 10, dtype=torch.uint8)
    image[0, 2:6, 1:4] = 200
    image[1, 5, 7] = 150
    image[1, 5, 1] = 50
    return image


def test_shares_of_ink(image):
    windows = torch.stack([LEFT, RIGHT, ALL, OUT]).float()
    expected = [[1, 0.25], [0, 0.75], [1, 1], [0, 0]]
    assert covered_shares(image, windows).tolist() == expected
    tilted = torch.tensor([[[0.0, 0], [10, 0], [0, 10]]])  # the upper left half, a triangle
    assert covered_shares(image, tilted).tolist() == [[1, 0.25]]
    assert covered_shares(image, torch.full((1, 4, 2), float('nan'))).tolist() == [[0, 0]]
    assert covered_shares(torch.zeros(1, 4, 4), ALL[None].float()).tolist() == [[0]]


def test_percentages(image):
    metric = DigitCoverage(threshold=0.7)
    pairs = [(LEFT, RIGHT), (RIGHT, LEFT), (ALL, RIGHT), (OUT, LEFT)]
    samples = [dict(windows=torch.stack(pair).float()) for pair in pairs]
    metric.process(dict(inputs=[image] * 4), samples)
    assert metric.evaluate(4) == {
        'coverage/st1_digit1': 50, 'coverage/st1_digit2': 50,
        'coverage/st1_both': 25, 'coverage/st1_neither': 25,
        'coverage/st2_digit1': 50, 'coverage/st2_digit2': 50,
        'coverage/st2_both': 0, 'coverage/st2_neither': 0,
        'coverage/divided': 50,
    }  # fmt: skip


def test_says_what_is_wrong(image):
    with pytest.raises(ValueError, match='threshold.*got 0'):
        DigitCoverage(threshold=0)
    with pytest.raises(ValueError, match='WindowsHook'):
        DigitCoverage().process(dict(inputs=[image]), [{}])


class Dots(Dataset):
    """The first digit is a dot on the left, the second one a dot on the right."""

    metainfo = dict(classes=None)

    def __init__(self, two_forms=False):
        self.two_forms = two_forms

    def __len__(self):
        return 3

    def __getitem__(self, index):
        image = torch.zeros(2, 8, 8)
        image[0, 4, 1] = image[1, 4, 6] = 255
        sample = DataSample(metainfo=dict(img_shape=(8, 8))).set_gt_label(index)
        if self.two_forms:  # for test-time augmentation: as it is, then its mirror image
            return dict(inputs=[image, image.flip(2)], data_samples=[sample, sample.clone()])
        return dict(inputs=image, data_samples=sample)


def make_runner(tmp_path, parallel, tta=False):
    loc_net = dict(type='FCLocNet', in_channels=2, in_size=8, fc_channels=(4,))
    if parallel:
        loc_net = dict(type='ParallelLocNet', loc_net=loc_net)
    transformer = dict(
        loc_net=loc_net, grid_generator=dict(type='AffineGridGenerator'),
        num_transformers=2, init='tile',
    )  # fmt: skip
    model = dict(
        type='ImageClassifier',
        data_preprocessor=dict(mean=[0], std=[255]),
        backbone=dict(
            type='STNBackbone',
            insert=dict(layers=transformer),
            backbone=dict(type='MNISTFC', in_size=8, in_channels=4, channels=(4,)),
        ),
        head=dict(type='LinearClsHead', num_classes=3, in_channels=4),
    )
    return tiny.runner(
        tmp_path,
        dict(type='AverageClsScoreTTA', module=model) if tta else model,
        test_dataloader=tiny.loader(Dots(tta), batch_size=2),
        test_cfg=dict(),
        test_evaluator=[dict(type='DigitCoverage'), dict(type='Accuracy')],
        custom_hooks=[dict(type='WindowsHook', transformer='backbone.before.layers')],
    )


@pytest.mark.parametrize('parallel', [False, True])
@pytest.mark.parametrize('tta', [False, True])
def test_through_a_runner(tmp_path, parallel, tta):
    runner = make_runner(tmp_path, parallel, tta)
    runner.model.init_weights()
    metrics = runner.test()  # the windows are still the halves of the image
    assert metrics['coverage/st1_digit1'] == metrics['coverage/st2_digit2'] == 100
    assert metrics['coverage/st1_digit2'] == metrics['coverage/st2_digit1'] == 0
    assert metrics['coverage/divided'] == 100
    # Nothing listens any more.
    listened = (m for name, m in runner.model.named_modules() if not name.endswith('layers'))
    assert not any(module._forward_hooks for module in listened)
