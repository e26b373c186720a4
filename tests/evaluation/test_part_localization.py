"""PartLocalization against counts by hand, and the hook that gives it the windows."""

import numpy as np
import pytest
import torch
from mmpretrain.registry import METRICS, MODELS
from mmpretrain.structures import DataSample

from mmstn.datasets.cub import HEAD_PARTS, PARTS
from mmstn.engine.hooks import WindowsHook
from mmstn.evaluation import PartLocalization


def square(x, y, side):
    return [(x, y), (x + side, y), (x + side, y + side), (x, y + side)]


def sample(head, body, windows, start, hidden=()):
    """All parts of the head at one place and all others at another, in an image of 80 x 60."""
    points = [(*(head if name in HEAD_PARTS else body), name not in hidden) for name in PARTS]
    return dict(
        gt_keypoints=np.array([points], np.float32),
        windows=torch.tensor([square(*w) for w in windows]).double(),
        start_windows=torch.tensor([square(*w) for w in start]).double(),
        img_shape=(60, 80),
    )


START = [(0, 0, 40), (40, 0, 40)]
SAMPLES = [
    # Window 1 holds the head and window 2 the body; the first tile holds neither, the second both.
    sample((60, 10), (45, 30), [(50, 0, 40), (20, 20, 40)], START),
    # Window 1 holds the body, window 2 nothing; the first tile holds both.
    sample((10, 10), (30, 30), [(20, 0, 40), (40, 0, 40)], START, hidden=('left eye', 'left wing')),
]


def evaluate(samples, **options):
    metric = PartLocalization(**options)
    metric.dataset_meta = dict(parts=PARTS, head_parts=HEAD_PARTS)
    for one in samples:
        metric.process(None, [one])
    return metric.evaluate(len(samples))


def test_shares_overlap_and_way():
    result = evaluate(SAMPLES)
    expected = {
        'st1_head': 50, 'st1_body': 50, 'st2_head': 0, 'st2_body': 50,
        'st1_head_start': 50, 'st1_body_start': 50, 'st2_head_start': 50, 'st2_body_start': 50,
        'head': 50, 'body': 50, 'head_start': 50, 'body_start': 50,
        'st1_beak': 50, 'st1_left_eye': 100, 'st2_tail': 50, 'st2_left_wing': 100,
        'overlap': 100 * np.mean([10 * 20 / (3200 - 200), 20 * 40 / (3200 - 800)]),
        'st1_moved': 100 * np.mean([50, 20]) / 100,
        'st2_moved': 100 * np.mean([np.hypot(20, 20), 0]) / 100,
    }  # fmt: skip
    for name, value in expected.items():
        assert result[f'parts/{name}'] == pytest.approx(value, abs=1e-4), name
    assert len(result) == 2 * (4 + 15 + 1) + 4 + 1
    assert not any('beak' in name for name in evaluate(SAMPLES, per_part=False))


@pytest.mark.parametrize('held, share', [(5, 100), (4, 0)])
def test_a_group_is_held_by_three_quarters_of_what_is_visible(held, share):
    one = sample((10, 10), (70, 50), [(0, 0, 40)], [(0, 0, 40)], hidden=('left eye',))
    visible = [PARTS.index(name) for name in HEAD_PARTS if name != 'left eye']
    for part in visible[held:]:
        one['gt_keypoints'][0, part, :2] = (70, 10)
    assert evaluate([one])['parts/st1_head'] == share
    assert 'parts/overlap' not in evaluate([one])
    assert 'parts/st1_left_eye' not in evaluate([one])


def test_images_without_a_visible_head_do_not_count():
    headless = sample((0, 0), (50, 30), [(50, 0, 40), (20, 20, 40)], START, hidden=HEAD_PARTS)
    assert evaluate([SAMPLES[0], headless])['parts/st1_head'] == 100


def test_bad_use():
    with pytest.raises(ValueError, match='min_fraction must be a number in \\(0, 1\\], got 0'):
        PartLocalization(min_fraction=0)
    for name, remedy in dict(gt_keypoints='algorithm_keys', windows='WindowsHook').items():
        broken = {key: value for key, value in SAMPLES[0].items() if key != name}
        with pytest.raises(ValueError, match=f"must hold '{name}', which needs .*{remedy}"):
            evaluate([broken])
    metric = METRICS.build(dict(type='PartLocalization'))
    with pytest.raises(ValueError, match=r"metainfo must have 'parts' and 'head_parts'.*got \[\]"):
        metric.process(None, SAMPLES)


def test_the_names_come_from_the_data_set():
    """A beast of two parts, one of them its head: nothing here knows birds."""
    metric = PartLocalization()
    metric.dataset_meta = dict(parts=('tail', 'snout'), head_parts=('snout',))
    beast = dict(SAMPLES[0], gt_keypoints=np.array([[(45, 30, 1), (60, 10, 1)]], np.float32))
    metric.process(None, [beast])
    result = metric.evaluate(1)
    assert (result['parts/st1_head'], result['parts/st1_body']) == (100, 0)
    assert (result['parts/st2_snout'], result['parts/st2_tail']) == (0, 100)


class Runner:
    """As much of one as the hook sees."""

    def __init__(self, num_transformers, align_corners):
        transformer = dict(
            loc_net=dict(type='ConvLocNet', in_channels=3),
            grid_generator=dict(type='AttentionGridGenerator', scale=0.5),
            num_transformers=num_transformers,
            out_size=(16, 16),
            align_corners=align_corners,
            init='tile' if num_transformers else (-0.5, 0.0),
        )
        backbone = dict(
            type='STNBackbone',
            backbone=dict(type='LeNet5', num_classes=3),
            transformer=dict(transformer, out_size=(32, 32)),
        )
        self.model = MODELS.build(
            dict(type='ImageClassifier', backbone=backbone, head=dict(type='ClsHead'))
        )


@pytest.mark.parametrize('num_transformers, K', [(2, 2), (None, 1)])
@pytest.mark.parametrize('align_corners', [False, True])
def test_the_hook_gives_windows_in_pixels(num_transformers, K, align_corners, monkeypatch):
    monkeypatch.setattr(
        'mmpretrain.models.backbones.LeNet5.forward',
        lambda self, x: (x.mean((2, 3)),),
    )
    runner = Runner(num_transformers, align_corners)
    regression = runner.model.backbone.transformer.loc_net.regression
    with torch.no_grad():
        regression.bias += 0.1
    hook = WindowsHook()
    samples = [DataSample(metainfo=dict(img_shape=(60, 80))) for _ in range(2)]
    inputs = torch.rand(2, 3, 60, 80)
    runner.model.eval()
    hook.before_val(runner)
    runner.model(inputs, samples, mode='tensor')
    outputs = runner.model(inputs, samples, mode='predict')
    hook.after_val(runner)
    assert not runner.model._forward_hooks
    # Half of the image each; at theta (-0.5, 0) the window covers its left half, x from 0 to 40.
    # With aligned corners -1 and 1 are the centres of the border pixels, 0.5 and 79.5.
    low, width, height = (0.5, 79, 59) if align_corners else (0, 80, 60)
    left, top = low + 0.0 * width, low + 0.25 * height
    expected = square(left, top, 0)
    expected = np.array(expected) + np.array([(0, 0), (1, 0), (1, 1), (0, 1)]) * (
        width / 2, height / 2
    )  # fmt: skip
    for output in outputs:
        for name, shift in dict(start_windows=0, windows=0.05).items():
            windows = output.get(name).numpy()
            assert len(windows) == K
            corners = windows[0][:: windows.shape[1] // 4]
            moved = expected + shift * np.array([width, height])
            np.testing.assert_allclose(corners, moved, atol=1e-4)


def test_the_hook_refuses_an_unknown_transformer():
    runner = Runner(2, False)
    with pytest.raises(ValueError, match=r"\['backbone.transformer'\]\), got 'neck'"):
        WindowsHook('neck').before_val(runner)
