"""Numbers as text: in the inferencer and in pictures."""

import cv2
import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmpretrain.registry import HOOKS, VISUALIZERS
from mmpretrain.structures import DataSample
from torch.nn import functional as F

from mmstn.apis import NumberInferencer
from mmstn.engine.hooks.stn_visualization_hook import _verdict
from mmstn.number_string import number_string
from mmstn.visualization import NumberVisualizer

CONFIG = 'configs/svhn/st-cnn-multi-small_1xb32-4500_svhn-like-64px.py'


@pytest.fixture
def inferencer(request):
    inferencer = NumberInferencer(Config.fromfile(request.config.rootpath / CONFIG), device='cpu')
    fc = inferencer.model.head.fc
    with torch.no_grad():  # it says 1937 whatever it sees
        fc.weight.zero_()
        fc.bias.copy_(8 * F.one_hot(torch.tensor([1, 9, 3, 7, 10]), 11).float().flatten())
    return inferencer


def test_inferencer_reads_numbers(inferencer, tmp_path):
    image = np.random.default_rng(0).integers(0, 256, (50, 90, 3), dtype=np.uint8)
    cv2.imwrite(str(tmp_path / 'house.png'), image)
    results = inferencer([str(tmp_path / 'house.png'), image], show_dir=str(tmp_path / 'out'))
    one = torch.tensor([8.0] + 10 * [0.0]).softmax(0)[0].item()
    for result in results:
        assert result['pred_number'] == '1937'
        assert result['pred_score'] == pytest.approx(one**5, rel=1e-5)
        assert result['pred_label'].tolist() == [1, 9, 3, 7, 10]
        assert result['pred_scores'].shape == (5, 11)
        assert len(result['transformers']) == 4 and result['picture'].ndim == 3
    assert sorted(path.name for path in (tmp_path / 'out').iterdir()) == ['1.png', 'house.png']
    assert inferencer(image, return_datasamples=True)[0].pred_number == '1937'


def written(visualizer):
    """The text on the picture."""
    return visualizer.ax_save.texts[-1].get_text()


def test_pictures_show_numbers(tmp_path):
    visualizer = VISUALIZERS.build(dict(type='NumberVisualizer', name='numbers'))
    assert isinstance(visualizer, NumberVisualizer)
    visualizer.dataset_meta = dict(classes=tuple('0123456789') + ('none',))
    sample = DataSample().set_gt_label([1, 9, 10, 10, 10]).set_pred_label([1, 4, 10, 10, 10])
    sample.set_field('14', 'pred_number')
    sample.set_field(0.731, 'pred_number_score')
    image = np.zeros((40, 60, 3), dtype=np.uint8)
    out_file = str(tmp_path / 'a.png')
    picture = visualizer.visualize_cls(image, sample, resize=200, out_file=out_file)
    assert written(visualizer) == 'Ground truth: 19\nPrediction: 14, 0.73'
    assert picture.shape == (200, 300, 3) and picture.any()
    np.testing.assert_array_equal(cv2.imread(out_file)[..., ::-1], picture)
    visualizer.visualize_cls(image, sample, draw_gt=False, draw_score=False, out_file=out_file)
    assert written(visualizer) == 'Prediction: 14'


def test_show_dir_writes_numbers_large_enough_to_read(request, tmp_path):
    """What `tools/test.py --show-dir` switches on, on an image of 64 pixels."""
    cfg = Config.fromfile(request.config.rootpath / CONFIG)
    visualizer = VISUALIZERS.build(dict(cfg.visualizer, name='drawings', vis_backends=None))
    hook = HOOKS.build(
        dict(cfg.default_hooks.visualization, enable=True, out_dir=str(tmp_path), interval=1)
    )
    hook._visualizer = visualizer
    sample = DataSample(metainfo=dict(img_path='test/7.png')).set_gt_label([1, 9, 10, 10, 10])
    sample.set_pred_label([1, 9, 10, 10, 10]).set_field('19', 'pred_number')
    sample.set_field(0.5, 'pred_number_score')
    hook.after_test_iter(None, 0, dict(inputs=torch.zeros(1, 3, 64, 64)), [sample])
    assert written(visualizer) == 'Ground truth: 19\nPrediction: 19, 0.50'
    (picture,) = tmp_path.iterdir()
    assert cv2.imread(str(picture)).shape == (256, 256, 3)


@pytest.mark.parametrize(
    'pred, text, right',
    [
        ([1, 9, 10, 10, 10], '19', True),
        ([1, 4, 10, 10, 10], '19\ntaken for 14', False),
        ([1, 10, 9, 10, 10], '19\ntaken for 1_9', False),
    ],
)
def test_titles_while_training(pred, text, right):
    sample = DataSample().set_gt_label([1, 9, 10, 10, 10]).set_pred_label(pred)
    sample.set_field(number_string(pred), 'pred_number')
    assert _verdict(sample, None) == (text, right)


def test_titles_have_spaces_where_names_of_classes_have_none():
    sample = DataSample().set_gt_label(1).set_pred_label(0)
    classes = ['Spotted_Catbird', 'Laysan_Albatross']
    assert _verdict(sample, classes) == ('Laysan Albatross\ntaken for Spotted Catbird', False)
