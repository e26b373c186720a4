"""Points, and maps, to the input and back, against OpenCV and against the sampling grid."""

import cv2
import numpy as np
import pytest
import torch
from torch import nn

from mmstn.models import (
    AffineGridGenerator,
    AttentionGridGenerator,
    BaseGridGenerator,
    ProjectiveGridGenerator,
    SimilarityGridGenerator,
    SpatialTransformer,
    TPSGridGenerator,
    TranslationGridGenerator,
)

MATRIX_FAMILIES = [
    AffineGridGenerator(),
    AttentionGridGenerator(),
    AttentionGridGenerator(scale=0.3),
    ProjectiveGridGenerator(),
    SimilarityGridGenerator(),
    TranslationGridGenerator(),
]
FAMILIES = [*MATRIX_FAMILIES, TPSGridGenerator(), TPSGridGenerator((2, 5))]
IN_SIZE, OUT_SIZE = (150, 224), (40, 64)
every_family = pytest.mark.parametrize('generator', FAMILIES, ids=lambda g: type(g).__name__)


def thetas(generator, *shape, spread=0.1):
    """Transforms around the identity, which are invertible."""
    torch.manual_seed(0)
    return generator.identity_theta() + spread * torch.randn(*shape, generator.num_params)


def pixels(points, size, align_corners):
    """Normalised points in pixels, where pixel centres are whole numbers, in float64."""
    size = np.array(size[::-1])
    points = points.double().numpy()
    return (points + 1) / 2 * (size - 1) if align_corners else (points + 1) / 2 * size - 0.5


def pixel_matrix(size, align_corners):
    """From pixels to normalised points, as a homography."""
    corners = torch.tensor([(-1.0, -1), (1, -1), (1, 1), (-1, 1)])
    source = pixels(corners, size, align_corners).astype(np.float32)
    return cv2.getPerspectiveTransform(source, corners.numpy()).astype(np.float64)


@pytest.mark.parametrize('align_corners', [False, True])
@pytest.mark.parametrize('generator', MATRIX_FAMILIES, ids=lambda g: type(g).__name__)
def test_matrices_against_opencv(generator, align_corners):
    theta = thetas(generator, 5)
    points = 2 * torch.rand(5, 50, 2) - 1
    matrix = np.tile(np.eye(3), (5, 1, 1))
    own = generator.matrix(theta.double()).numpy()
    matrix[:, : own.shape[1]] = own
    to_input = np.linalg.inv(pixel_matrix(IN_SIZE, align_corners)) @ (
        matrix @ pixel_matrix(OUT_SIZE, align_corners)
    )
    there = generator.to_input(points, theta)
    for i in range(5):
        source = pixels(points[i], OUT_SIZE, align_corners)
        expected = cv2.perspectiveTransform(source[None], to_input[i])[0]
        found = pixels(there[i], IN_SIZE, align_corners)
        np.testing.assert_allclose(found, expected, atol=1e-4)
        back = pixels(generator.to_output(there, theta)[i], OUT_SIZE, align_corners)
        expected = cv2.perspectiveTransform(found[None], np.linalg.inv(to_input[i]))[0]
        np.testing.assert_allclose(back, expected, atol=1e-4)
        np.testing.assert_allclose(back, source, atol=1e-4)


@every_family
def test_the_points_of_a_grid_are_those_that_are_sampled(generator):
    theta = thetas(generator, 2, 3)
    grid = generator(theta, (5, 7), align_corners=False)
    regular = generator(generator.identity_theta(), (5, 7), align_corners=False)
    if getattr(generator, 'scale', None):  # whose identity is a window in the middle
        regular = regular / generator.scale
    found = generator.to_input(regular.flatten(0, 1).expand(2, 3, -1, -1), theta)
    torch.testing.assert_close(found, grid.flatten(2, 3), atol=1e-6, rtol=0)


@every_family
def test_round_trip(generator):
    theta = thetas(generator, 2, 3)
    points = 2 * torch.rand(2, 3, 100, 2) - 1
    back = generator.to_output(generator.to_input(points, theta), theta)
    assert back.dtype == torch.float32
    moved = pixels(back, OUT_SIZE, False) - pixels(points, OUT_SIZE, False)
    assert np.abs(moved).max() < 1e-4
    exact = generator.to_output(generator.to_input(points.double(), theta), theta)
    torch.testing.assert_close(exact, points.double(), atol=1e-8, rtol=0)


def test_round_trip_of_a_spline_in_a_small_window_and_in_inference_mode():
    generator = TPSGridGenerator()
    theta = generator.tiled_theta(9) + 0.02 * torch.randn(9, generator.num_params)
    points = 2 * torch.rand(9, 200, 2) - 1
    with torch.inference_mode():
        back = generator.to_output(generator.to_input(points, theta), theta)
    assert (back - points).abs().max() < 1e-5


def test_volumes_and_gradients():
    generator = AffineGridGenerator(ndim=3)
    theta = thetas(generator, 4).double().requires_grad_()
    points = (2 * torch.rand(4, 6, 3) - 1).double().requires_grad_()
    torch.testing.assert_close(
        generator.to_output(generator.to_input(points, theta), theta), points
    )
    assert torch.autograd.gradcheck(generator.to_output, (points, theta))


def test_what_has_no_inverse():
    flat = torch.tensor([1.0, 0, 0, 0, 0, 0])
    points = torch.rand(3, 2)
    assert AffineGridGenerator().to_output(points, flat).isnan().all()
    spline = TPSGridGenerator()
    line = (spline.control_points.float() * torch.tensor([1.0, 0])).flatten()
    assert spline.to_output(points, line).isnan().all()


def test_bad_arguments():
    generator = AffineGridGenerator()
    theta = generator.identity_theta()
    with pytest.raises(ValueError, match=r'points must be \(\*, M, 2\).*got shape \(3,\)'):
        generator.to_input(torch.rand(3), theta)
    with pytest.raises(TypeError, match='points'):
        generator.to_output(torch.ones(3, 2, dtype=torch.long), theta)
    with pytest.raises(ValueError, match=r'theta must be \(\*, 6\)'):
        generator.to_output(torch.rand(3, 2), theta[:5])


class Wave(BaseGridGenerator):
    """A family of a user's own."""

    num_params = 1

    def identity_theta(self):
        return torch.zeros(1)

    def forward(self, theta, out_size, align_corners=False):
        raise AssertionError('not needed here')


class InvertibleWave(Wave):
    def to_input(self, points, theta):
        x, y = points.unbind(-1)
        return torch.stack([x + theta * torch.sin(3 * y), y], dim=-1)


def test_families_of_ones_own():
    points, theta = torch.rand(2, 10, 2), torch.tensor([[0.2], [-0.3]])
    with pytest.raises(NotImplementedError, match='Wave gives grids only: define to_input'):
        Wave().to_output(points, theta)
    wave = InvertibleWave()
    there = torch.stack(
        [points[..., 0] + theta * torch.sin(3 * points[..., 1]), points[..., 1]], -1
    )
    torch.testing.assert_close(wave.to_output(there, theta), points, atol=1e-6, rtol=0)


def make_transformer(generator, **options):
    return SpatialTransformer(nn.Identity(), generator, **options)


@pytest.mark.parametrize('mode', ['nearest', 'bilinear'])
@pytest.mark.parametrize('K', [None, 2])
def test_unwarp_lays_a_crop_back_where_it_was(K, mode):
    """A window of 4 x 4 pixels in an image of 8 x 12, to the pixel."""
    transformer = make_transformer(
        AffineGridGenerator(), out_size=(4, 4), num_transformers=K, mode=mode
    )
    # From x = 2 to 6 of 12 and y = 4 to 8 of 8; and from x = 8 to 12, y = 0 to 4.
    theta = torch.tensor([[1 / 3, 0, -1 / 3, 0, 0.5, 0.5], [1 / 3, 0, 2 / 3, 0, 0.5, -0.5]])
    theta = theta if K is None else theta.expand(3, 2, 6)
    image = torch.rand(len(theta), 5, 8, 12)
    samples = transformer.sample(image, theta)
    found = transformer.unwarp(samples, theta, (8, 12))
    expected = torch.zeros(2, len(theta), 5, 8, 12)
    expected[0, ..., 4:, 2:6] = image[..., 4:, 2:6]
    expected[1, ..., :4, 8:] = image[..., :4, 8:]
    expected = expected.transpose(0, 1) if K else expected[[0, 1], [0, 1]]
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize('align_corners', [False, True])
@every_family
def test_unwarp_undoes_sampling(generator, align_corners):
    """A smooth image comes back wherever the window shows it."""
    theta = thetas(generator, 2, spread=0.05)
    theta[1, -1] += 0.2
    transformer = make_transformer(generator, out_size=(120, 150), align_corners=align_corners)
    y, x = torch.meshgrid(torch.arange(60.0), torch.arange(80.0), indexing='ij')
    image = (torch.sin(x / 10) + torch.cos(y / 8)).expand(2, 1, -1, -1)
    samples = transformer.sample(image, theta)
    seen = transformer.unwarp(transformer.sample(torch.ones_like(image), theta), theta, (60, 80))
    found = transformer.unwarp(samples, theta, (60, 80))
    inside = seen > 0.999
    assert 0.05 < inside.float().mean() < 1
    # At the window's border half a pixel of the output is repeated; a pixel's error would be 0.2.
    assert (found - image)[inside].abs().max() < 0.06
    assert not found[seen == 0].any()


def test_unwarp_of_volumes_and_of_a_window_without_area():
    volumes = make_transformer(AffineGridGenerator(ndim=3), out_size=(4, 4, 4))
    theta = torch.tensor([[0.5, 0, 0, 0.5, 0, 0.5, 0, -0.5, 0, 0, 0.5, 0.5]])
    volume = torch.rand(1, 2, 8, 8, 8)
    expected = torch.zeros_like(volume)
    expected[..., 4:, :4, 4:] = volume[..., 4:, :4, 4:]
    found = volumes.unwarp(volumes.sample(volume, theta), theta, (8, 8, 8))
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)
    flat = make_transformer(AffineGridGenerator())
    assert not flat.unwarp(torch.ones(1, 1, 4, 4), torch.zeros(1, 6), (8, 8)).any()
    with pytest.raises(ValueError, match=r'samples must be \(1, C\) and 2 sizes'):
        flat.unwarp(torch.ones(2, 1, 4, 4), torch.zeros(1, 6), (8, 8))
