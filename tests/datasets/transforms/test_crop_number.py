"""The window around a number, computed by hand."""

import numpy as np
import pytest

from mmstn.datasets import CropNumber, RandomCropNumber

# Each pixel holds its own coordinates.
IMAGE = np.stack(np.meshgrid(np.arange(100), np.arange(80)), axis=-1)


def results(*bbox):
    return dict(img=IMAGE, img_shape=IMAGE.shape[:2], bbox=bbox)


def window(cropped):
    """x1, y1, x2, y2 of what is left."""
    (x1, y1), (x2, y2) = cropped['img'][0, 0], cropped['img'][-1, -1]
    return int(x1), int(y1), int(x2) + 1, int(y2) + 1


@pytest.mark.parametrize(
    'bbox, enlarge, expected',
    [
        ((20, 30, 40, 40), 0, (20, 30, 40, 40)),
        ((20, 30, 40, 40), 0.3, (17, 28, 43, 42)),  # 26 x 13, its edges rounded outwards
        ((20, 30, 40, 40), 1, (10, 25, 50, 45)),
        ((20, 30, 40, 40), 9, (0, 0, 100, 80)),  # ends where the image does
        ((-10, 70, 40, 95), 0, (0, 70, 40, 80)),  # the box is clamped ...
        ((-10, 70, 40, 95), 0.5, (0, 67, 50, 80)),  # ... before it is enlarged: 40 x 10
        ((-30, -20, -10, -5), 0, (0, 0, 1, 1)),  # outside altogether
        ((150, 90, 160, 99), 0, (99, 79, 100, 80)),
    ],
)
def test_window(bbox, enlarge, expected):
    cropped = CropNumber(enlarge)(results(*bbox))
    assert window(cropped) == expected
    assert cropped['img_shape'] == cropped['img'].shape[:2]


def test_random_window_holds_all_digits_and_moves():
    transform = RandomCropNumber(enlarge=1, seed=3)
    windows = [
        window(transform(results(20, 30, 40, 40) | dict(sample_idx=index))) for index in range(300)
    ]
    x1, y1, x2, y2 = np.array(windows).T
    # Twice as wide and high as the box; edges between pixels are rounded outwards.
    assert x1.min() == 0 and x1.max() == 19 and x2.min() == 41 and x2.max() == 60
    assert y1.min() == 20 and y1.max() == 29 and y2.min() == 41 and y2.max() == 50
    assert set((x2 - x1).tolist()) == {41} and set((y2 - y1).tolist()) == {21}
    # Uniform: the mean of 300 draws from [0, 20] and [20, 30] lies within four standard errors.
    assert abs(x1.mean() + 0.5 - 10) < 4 * 20 / np.sqrt(12 * 300)
    assert abs(y1.mean() + 0.5 - 25) < 4 * 10 / np.sqrt(12 * 300)


def test_image_without_a_box_is_left_alone():
    assert CropNumber()(dict(img=IMAGE))['img'] is IMAGE
    assert RandomCropNumber()(dict(img=IMAGE, bbox=None))['img'] is IMAGE


@pytest.mark.parametrize('enlarge', [-0.1, float('nan'), float('inf')])
@pytest.mark.parametrize('transform', [CropNumber, RandomCropNumber])
def test_bad_enlargement(transform, enlarge):
    with pytest.raises(ValueError, match='enlarge'):
        transform(enlarge)
