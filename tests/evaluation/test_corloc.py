"""Correct localisation, counted by hand."""

import numpy as np
import pytest
import torch

from mmstn.evaluation import CorLoc
from mmstn.evaluation.corloc import box_iou


@pytest.mark.parametrize(
    ('box', 'other', 'iou'),
    [
        ([0, 0, 2, 2], [0, 0, 2, 2], 1),
        ([0, 0, 2, 2], [1, 0, 3, 2], 2 / 6),
        ([0, 0, 4, 4], [1, 1, 3, 3], 4 / 16),
        ([0, 0, 1, 1], [2, 2, 3, 3], 0),
        ([0, 0, 1, 1], [2, 0, 1.5, 1], 0),  # apart in x: negative times positive is no overlap
        ([1, 1, 1, 1], [1, 1, 1, 1], 0),
        ([0, 0, float('nan'), 1], [0, 0, 1, 1], 0),
    ],
)
def test_iou(box, other, iou):
    assert box_iou(np.array(box, float), np.array(other, float)) == pytest.approx(iou)


def test_counts_boxes_that_overlap_by_more_than_half():
    truth = np.array([0, 0, 4, 4], np.float32)
    # 1, 3/4, 1/2 (not more than half), 0
    found = [[0, 0, 4, 4], [0, 0, 4, 3], [0, 0, 4, 2], [5, 5, 6, 6]]
    metric = CorLoc()
    samples = [dict(pred_box=torch.tensor(box).float(), gt_box=truth) for box in found]
    metric.process({}, samples[:3])
    metric.process({}, samples[3:])
    assert metric.evaluate(4) == dict(corloc=50, mean_iou=100 * (1 + 0.75 + 0.5) / 4)
    loose = CorLoc(iou_threshold=0.4)
    loose.process({}, samples)
    assert loose.evaluate(4)['corloc'] == 75
    with pytest.raises(ValueError, match='iou_threshold.*got 1'):
        CorLoc(iou_threshold=1)
