import math

import numpy as np
import pytest
import torch

from mmstn.grid_generators import (
    AffineGridGenerator,
    AttentionGridGenerator,
    ProjectiveGridGenerator,
    TPSGridGenerator,
)
from mmstn.visualization import COLORS, draw_windows, window_outlines
from mmstn.visualization.windows import outlines_in_pixels


@pytest.mark.parametrize(
    ('theta', 'corners'),
    [
        ([1.0, 0, 0, 0, 1, 0], [[-1, -1], [1, -1], [1, 1], [-1, 1]]),
        (
            [0.5, 0, 0.25, 0, 0.5, -0.25],
            [[-0.25, -0.75], [0.75, -0.75], [0.75, 0.25], [-0.25, 0.25]],
        ),
        # x_s = -y_t, y_s = x_t: the upper left corner shows what is at the upper right.
        ([0.0, -1, 0, 1, 0, 0], [[1, -1], [1, 1], [-1, 1], [-1, -1]]),
    ],
    ids=['identity', 'translation and scale', '90 degrees'],
)
def test_corners_by_hand(theta, corners):
    actual = window_outlines(AffineGridGenerator(), torch.tensor(theta), points_per_side=2)
    torch.testing.assert_close(actual, torch.tensor(corners, dtype=torch.float32))


def test_projective_corners_by_hand():
    # w = 1 + x / 2 at the corners: 0.5 at the left, 1.5 at the right.
    theta = torch.tensor([1.0, 0, 0, 0, 1, 0, 0.5, 0])
    actual = window_outlines(ProjectiveGridGenerator(), theta, points_per_side=2)
    expected = torch.tensor([[-2, -2], [2 / 3, -2 / 3], [2 / 3, 2 / 3], [-2, 2]])
    torch.testing.assert_close(actual, expected)


def test_several_windows_at_once():
    theta = torch.tensor([[[0.5, 0.5], [0.0, -0.5]], [[0.0, 0.0], [-0.5, 0.5]]])
    outlines = window_outlines(AttentionGridGenerator(scale=0.5), theta, points_per_side=5)
    assert outlines.shape == (2, 2, 16, 2)
    upper_left = torch.tensor([[[0, 0], [-0.5, -1]], [[-0.5, -0.5], [-1, 0]]])
    torch.testing.assert_close(outlines[:, :, 0], upper_left)


def test_the_outline_goes_round_once():
    outline = window_outlines(AffineGridGenerator(), torch.tensor([1.0, 0, 0, 0, 1, 0]), 9)
    steps = (outline.roll(-1, 0) - outline).norm(dim=-1)
    torch.testing.assert_close(steps, torch.full((32,), 0.25))
    assert len(outline.unique(dim=0)) == 32


def test_a_spline_bends_the_outline_through_its_control_points():
    generator = TPSGridGenerator((3, 3))
    theta = generator.identity_theta().reshape(3, 3, 2)
    theta[0, 1] = torch.tensor([0.1, -0.6])  # the middle of the upper side moves down
    outline = window_outlines(generator, theta.flatten(), points_per_side=33)
    torch.testing.assert_close(outline[0], torch.tensor([-1.0, -1.0]), atol=1e-5, rtol=0)
    torch.testing.assert_close(outline[16], torch.tensor([0.1, -0.6]), atol=1e-5, rtol=0)
    assert -1 < outline[8, 1] < -0.6


def test_pixels_by_hand():
    points = torch.tensor([[-1.0, -1.0], [0.0, 0.0], [1.0, 1.0]])
    centers_inside = outlines_in_pixels(points, (4, 8), align_corners=False)
    np.testing.assert_allclose(centers_inside, [[-0.5, -0.5], [3.5, 1.5], [7.5, 3.5]])
    centers_at_ends = outlines_in_pixels(points, (4, 8), align_corners=True)
    np.testing.assert_allclose(centers_at_ends, [[0, 0], [3.5, 1.5], [7, 3]])


def test_volumes_have_no_outline():
    with pytest.raises(ValueError, match='grid_generator must have 2 dimensions, got 3'):
        window_outlines(AffineGridGenerator(ndim=3), torch.zeros(12))


def box(left, top, right, bottom):
    return np.array([[left, top], [right, top], [right, bottom], [left, bottom]], dtype=float)


def test_lines_are_where_they_must_be():
    image = np.full((60, 80, 3), 7, np.uint8)
    drawn = draw_windows(image, box(20, 10, 60, 40)[None], thickness=3)
    assert (image == 7).all(), 'the image itself must not change'
    for x, y in [(40, 10), (60, 25), (40, 40), (20, 25)]:  # the middles of the sides
        assert drawn[y, x].tolist() == list(COLORS[0])
    changed = (drawn != 7).any(-1)
    ys, xs = np.nonzero(changed)
    assert xs.max() <= 62 and ys.max() <= 42  # half the thickness, and what is smoothed
    assert not changed[18:36, 28:56].any(), 'the inside must stay free'


def test_the_dot_marks_the_first_corner():
    image = np.zeros((60, 80, 3), np.uint8)
    corners = box(20, 10, 60, 40)
    for first in range(4):
        drawn = draw_windows(image, np.roll(corners, -first, axis=0)[None], thickness=2)
        around = [drawn[y - 4 : y + 5, x - 4 : x + 5] for x, y in corners.astype(int)]
        covered = [(part == COLORS[0]).all(-1).sum() for part in around]
        assert np.argmax(covered) == first
        assert covered[first] > 1.3 * sorted(covered)[-2]


def test_windows_take_colours_in_turn():
    outlines = np.stack([box(5 + 10 * k, 5, 11 + 10 * k, 50) for k in range(10)])
    drawn = draw_windows(np.zeros((60, 110, 3), np.uint8), outlines, thickness=3, first_color=1)
    for k in range(10):
        assert drawn[50, 8 + 10 * k].tolist() == list(COLORS[(1 + k) % len(COLORS)])


def test_a_window_outside_or_without_end_does_no_harm():
    image = np.zeros((20, 20, 3), np.uint8)
    endless = np.stack([box(2, 2, 9, math.nan), box(2, 2, math.inf, 9)])
    assert (draw_windows(image, endless) == 0).all()
    assert (draw_windows(image, box(100, 100, 200, 200)[None]) == 0).all()
    huge = draw_windows(image, box(-1e9, 10, 1e9, 1e12)[None], thickness=3)
    assert huge[10, 10].tolist() == list(COLORS[0])


@pytest.mark.parametrize(
    ('image', 'outlines', 'message'),
    [
        (np.zeros((5, 5), np.uint8), np.zeros((1, 4, 2)), 'image must be'),
        (np.zeros((5, 5, 3)), np.zeros((1, 4, 2)), 'uint8, got .* in float64'),
        (np.zeros((5, 5, 3), np.uint8), np.zeros((4, 2)), r'outlines must be .*got \(4, 2\)'),
    ],
)
def test_bad_input(image, outlines, message):
    with pytest.raises(ValueError, match=message):
        draw_windows(image, outlines)
