"""The distortions against pixels and maps that were made another way."""

import cv2
import numpy as np
import pytest
import torch
from scipy.ndimage import map_coordinates

from mmstn.datasets import (
    RandomProjective,
    RandomRotation,
    RandomSimilarity,
    RandomTPS,
    RandomTranslation,
)
from mmstn.datasets.transforms.projective import CORNERS, homography_theta, is_convex
from mmstn.datasets.transforms.warp import similarity_theta


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def random_image(rng, *shape):
    return rng.integers(0, 256, shape, dtype=np.uint8)


def sample_at(image, points):
    """Bilinear samples with zero padding at pixel points (H', W', 2) in (x, y), in float64."""
    coordinates = [points[..., 1], points[..., 0]]
    return map_coordinates(image.astype(float), coordinates, order=1, mode='grid-constant')


def pixel_grid(height, width):
    return np.stack(np.meshgrid(np.arange(width), np.arange(height)), axis=-1).astype(float)


def assert_same_image(image, truth):
    """Equal but for the rounding to whole grey levels."""
    assert image.dtype == np.uint8 and image.shape == truth.shape
    np.testing.assert_allclose(image, truth, atol=0.502)


class TestSimilarity:
    @pytest.mark.parametrize('size', [28, 9])
    def test_quarter_turns_are_those_of_numpy(self, rng, size):
        image = random_image(rng, size, size)
        for turns in (1, 2, 3):
            theta = similarity_theta(1, turns * np.pi / 2, (0, 0), image.shape, image.shape)
            turned = RandomRotation().warp(image, theta, image.shape)
            np.testing.assert_array_equal(turned, np.rot90(image, -turns))  # clockwise

    def test_quarter_turn_of_an_oblong_image(self, rng):
        image = random_image(rng, 12, 20)
        theta = similarity_theta(1, np.pi / 2, (0, 0), (12, 20), (20, 12))
        turned = RandomRotation().warp(image, theta, (20, 12))
        np.testing.assert_array_equal(turned, np.rot90(image, -1))

    def test_pixels_come_from_where_the_formula_says(self, rng):
        image = random_image(rng, 20, 28)
        scale, angle, shift = 1.3, 0.7, (3.5, -6.25)
        theta = similarity_theta(scale, angle, shift, image.shape, (42, 36))
        # The result's pixel, about its centre, without shift, rotation and scale, in this order.
        points = pixel_grid(42, 36) - (17.5, 20.5) - shift
        cos, sin = np.cos(angle), np.sin(angle)
        points = points @ np.array([[cos, sin], [-sin, cos]]).T / scale + (13.5, 9.5)
        warped = RandomSimilarity().warp(image, theta, (42, 36))
        assert_same_image(warped, sample_at(image, points))

    def test_parameters_fill_their_ranges(self, rng):
        transform = RandomSimilarity()
        thetas = [transform.draw_theta(rng, (28, 28), (42, 42)) for _ in range(4000)]
        matrices = np.array(thetas).reshape(-1, 2, 3)
        to_pixels = np.linalg.inv(matrices[:, :, :2])  # normalised input -> normalised output
        scale = np.sqrt(np.linalg.det(to_pixels)) * 42 / 28
        angle = np.rad2deg(np.arctan2(to_pixels[:, 1, 0], to_pixels[:, 0, 0]))
        centre = -(to_pixels @ matrices[:, :, 2:])[..., 0] * 21  # of the digit, in pixels
        assert 0.7 <= scale.min() < 0.71 and 1.19 < scale.max() <= 1.2
        assert abs(scale.mean() - 0.95) < 0.01
        assert -45 <= angle.min() < -44 and 44 < angle.max() <= 45 and abs(angle.mean()) < 1.5
        place = centre / ((42 - 28 * scale[:, None]) / 2)  # uniform in [-1, 1]
        assert np.abs(place).max() <= 1 + 1e-9 and np.abs(place).max() > 0.99
        assert np.abs(place.mean(axis=0)).max() < 0.03
        np.testing.assert_allclose(place.std(axis=0), 1 / np.sqrt(3), atol=0.02)

    def test_the_whole_digit_stays_in_the_image(self, rng):
        # A disc as wide as MNIST's box of 20 pixels, so that its turning does not matter.
        y, x = np.mgrid[:28, :28] - 13.5
        disc = (255 * (x**2 + y**2 < 100)).astype(np.uint8)
        transform = RandomSimilarity()
        for _ in range(50):
            theta = transform.draw_theta(rng, (28, 28), (42, 42))
            scale_squared = (42 / 28) ** 2 / np.linalg.det(theta.reshape(2, 3)[:, :2])
            area = transform.warp(disc, theta, (42, 42)).sum() / 255
            assert area == pytest.approx(scale_squared * (disc > 0).sum(), rel=0.04)

    def test_rotation_keeps_size_and_place(self, rng):
        transform = RandomRotation()
        thetas = [transform.draw_theta(rng, (28, 28), (28, 28)) for _ in range(2000)]
        matrices = np.array(thetas).reshape(-1, 2, 3)
        np.testing.assert_allclose(np.linalg.det(matrices[:, :, :2]), 1)
        np.testing.assert_array_equal(matrices[:, :, 2], 0)
        angle = np.rad2deg(np.arctan2(matrices[:, 0, 1], matrices[:, 0, 0]))
        assert -90 <= angle.min() < -89 and 89 < angle.max() <= 90

    def test_an_image_larger_than_the_result_is_centred(self, rng):
        theta = RandomSimilarity(scale=(2, 2)).draw_theta(rng, (28, 28), (42, 42))
        np.testing.assert_array_equal(theta[[2, 5]], 0)


class TestProjective:
    def moved_corners(self, rng):
        """Corners in pixels, whose centres are the integers: before and after."""
        corners = RandomProjective().draw_corners(rng, (20, 28))
        return [(c * (14, 10) + (13.5, 9.5)).astype(np.float32) for c in (CORNERS, corners)] + [
            corners
        ]

    @pytest.mark.parametrize('options', [dict(std=1e200), dict(std=0, scale=(1e-200, 1e-200))])
    def test_numbers_without_end_end(self, rng, options):
        with pytest.raises(ValueError, match='std must leave the image convex'):
            RandomProjective(**options).draw_corners(rng, (20, 28))

    def test_matrix_is_that_of_opencv(self, rng):
        for _ in range(20):
            before, after, corners = self.moved_corners(rng)
            to_input = cv2.getPerspectiveTransform(after, before)
            points = rng.uniform((0, 0), (27, 19), (1, 50, 2))
            w = cv2.convertPointsToHomogeneous(points)[:, 0] @ to_input[2]
            points = points[:, w > 0.2 * w.max()]  # far from the horizon, where numbers explode
            truth = cv2.perspectiveTransform(points, to_input)[0]

            theta = homography_theta(corners)
            matrix = np.append(theta, 1).reshape(3, 3)
            normalised = (points[0] - (13.5, 9.5)) / (14, 10)
            x, y, w = matrix @ np.column_stack([normalised, np.ones(len(normalised))]).T
            ours = np.column_stack([x / w, y / w]) * (14, 10) + (13.5, 9.5)
            np.testing.assert_allclose(ours, truth, atol=1e-3)

    def test_pixels_come_from_where_opencv_says(self, rng):
        image = random_image(rng, 20, 28)
        before, after, corners = self.moved_corners(rng)
        to_input = cv2.getPerspectiveTransform(after, before)
        points = cv2.perspectiveTransform(pixel_grid(20, 28), to_input)
        warped = RandomProjective().warp(image, homography_theta(corners), (20, 28))
        assert_same_image(warped, sample_at(image, points))

    def test_moves_are_normal_about_the_scaled_corners(self, rng):
        transform = RandomProjective(scale=(0.8, 0.8), std=2)  # folds are rare at this size
        corners = np.array([transform.draw_corners(rng, (28, 28)) for _ in range(4000)])
        moves = (corners - 0.8 * CORNERS) * 14
        np.testing.assert_allclose(moves.mean(axis=0), 0, atol=0.12)
        np.testing.assert_allclose(moves.std(axis=0), 2, atol=0.08)

    def test_scale_alone_is_a_similarity(self, rng):
        theta = RandomProjective(scale=(0.75, 0.75), std=0).draw_theta(rng, (28, 28), (28, 28))
        expected = similarity_theta(0.75, 0, (0, 0), (28, 28), (28, 28))
        np.testing.assert_allclose(theta, [*expected, 0, 0], atol=1e-12)

    def test_no_image_folds_over(self, rng):
        transform = RandomProjective(std=12)  # most draws fold
        assert all(is_convex(transform.draw_corners(rng, (28, 28))) for _ in range(200))

    def test_convexity(self):
        assert is_convex(CORNERS)
        dented, crossed = CORNERS.copy(), CORNERS[[0, 2, 1, 3]]
        dented[2] = -0.1
        assert not is_convex(dented) and not is_convex(crossed) and not is_convex(CORNERS[::-1])


class TestTPS:
    def test_points_that_stay_leave_the_image_alone(self, rng):
        image = random_image(rng, 28, 28)
        transform = RandomTPS(scale=(1, 1), std=0)
        np.testing.assert_array_equal(transform.apply(dict(img=image), rng)['img'], image)

    def test_scale_alone_is_a_similarity(self, rng):
        image = random_image(rng, 28, 28)
        bent = RandomTPS(scale=(0.75, 0.75), std=0).apply(dict(img=image), rng)['img']
        theta = similarity_theta(0.75, 0, (0, 0), (28, 28), (28, 28))
        scaled = RandomRotation().warp(image, theta, (28, 28))
        np.testing.assert_allclose(bent.astype(int), scaled, atol=1)  # either way at a half

    def test_moves_are_normal_about_the_scaled_points(self, rng):
        transform = RandomTPS(scale=(0.8, 0.8))
        thetas = [transform.draw_theta(rng, (28, 28), (28, 28)) for _ in range(4000)]
        # The point of the result at c shows the image at (c + move) / scale.
        axis = np.array([-1, -1 / 3, 1 / 3, 1])
        points = np.stack(np.meshgrid(axis, axis), axis=-1).reshape(16, 2)
        moves = (np.array(thetas).reshape(-1, 16, 2) * 0.8 - points) * 14
        np.testing.assert_allclose(moves.mean(axis=0), 0, atol=0.1)
        np.testing.assert_allclose(moves.std(axis=0), 1.5, atol=0.07)

    @pytest.mark.parametrize('size', [(28, 28), (20, 31)])
    def test_grid_is_the_generators(self, size):
        transform = RandomTPS()
        for seed in range(2):  # the second time from what the first one kept
            torch.manual_seed(seed)
            theta = transform.grid_generator.identity_theta()[None] + 0.2 * torch.randn(1, 32)
            truth = transform.grid_generator(theta, size)
            torch.testing.assert_close(transform.grid(theta, size), truth, atol=1e-5, rtol=0)


WARPS = {
    'R': (RandomRotation, {}, (28, 28)),
    'RTS': (RandomSimilarity, {}, (42, 42)),
    'P': (RandomProjective, {}, (28, 28)),
    'E': (RandomTPS, {}, (28, 28)),
    'T': (RandomTranslation, {}, (60, 60)),
}


@pytest.mark.parametrize(('transform', 'options', 'out_size'), WARPS.values(), ids=WARPS)
def test_image_keeps_its_form(rng, transform, options, out_size):
    transform = transform(seed=0, **options)
    grey = random_image(rng, 28, 28)
    results = transform(dict(img=grey, sample_idx=3, gt_label=7))
    assert results['img'].shape == out_size and results['img_shape'] == out_size
    assert results['img'].dtype == np.uint8 and results['gt_label'] == 7

    colour = np.stack([grey, grey // 2, 255 - grey], axis=-1)
    warped = transform(dict(img=colour, sample_idx=3))['img']
    assert warped.shape == (*out_size, 3) and warped.dtype == np.uint8
    np.testing.assert_array_equal(warped[..., 0], results['img'])

    real = transform(dict(img=grey.astype(np.float32), sample_idx=3))['img']
    assert real.dtype == np.float32
    np.testing.assert_array_equal(np.rint(real), results['img'])


BAD = {
    'angle': (RandomRotation, dict(angle=-1), ValueError),
    'scale': (RandomSimilarity, dict(scale=(1.2, 0.7)), ValueError),
    'zero scale': (RandomProjective, dict(scale=(0, 1)), ValueError),
    'one scale': (RandomTPS, dict(scale=(1,)), ValueError),
    'infinite std': (RandomProjective, dict(std=float('inf')), ValueError),
    'infinite angle': (RandomRotation, dict(angle=float('inf')), ValueError),
    'std of corners': (RandomProjective, dict(std=-1), ValueError),
    'std of points': (RandomTPS, dict(std=float('nan')), ValueError),
    'control points': (RandomTPS, dict(num_control_points=(1, 4)), ValueError),
    'size zero': (RandomTranslation, dict(out_size=(0, 60)), ValueError),
    'size 3d': (RandomSimilarity, dict(out_size=(42, 42, 42)), ValueError),
    'size type': (RandomTranslation, dict(out_size=60), TypeError),
    'seed': (RandomRotation, dict(seed=-1), ValueError),
    'seed type': (RandomRotation, dict(seed=0.5), TypeError),
}


@pytest.mark.parametrize(('transform', 'options', 'error'), BAD.values(), ids=BAD)
def test_bad_arguments_are_named(transform, options, error):
    with pytest.raises(error, match=next(iter(options))):
        transform(**options)


def test_an_image_that_does_not_fit():
    with pytest.raises(ValueError, match='out_size'):
        RandomTranslation(out_size=(20, 60))(dict(img=np.zeros((28, 28), np.uint8)))
