"""Every registered family of transforms against formulas in float64 and values by hand."""

import copy
import itertools
import math

import cv2
import pytest
import torch
from mmpretrain.registry import MODELS
from torch._subclasses import FakeTensor, FakeTensorMode
from torch.autograd import gradcheck

from mmstn.models import (
    AffineGridGenerator,
    AttentionGridGenerator,
    BaseGridGenerator,
    MatrixGridGenerator,
    ProjectiveGridGenerator,
    SimilarityGridGenerator,
    TPSGridGenerator,
    TranslationGridGenerator,
)
from mmstn.ops import matrix_grid, regular_grid

FAMILIES = [
    cls
    for cls in MODELS.module_dict.values()
    if isinstance(cls, type) and issubclass(cls, BaseGridGenerator)
]
GENERATORS = [
    *(cls() for cls in FAMILIES),
    AffineGridGenerator(ndim=3),
    AttentionGridGenerator(ndim=3),
    TranslationGridGenerator(ndim=3),
    TPSGridGenerator(num_control_points=(2, 5)),
]
SIZES = {2: [(1, 1), (7, 5), (1, 6), (224, 3)], 3: [(1, 1, 1), (3, 4, 5)]}
every_generator = pytest.mark.parametrize('generator', GENERATORS, ids=repr)


def random_theta(generator, *leading, seed=0, spread=0.2):
    noise = torch.Generator().manual_seed(seed)
    shape = (*leading, generator.num_params)
    return generator.identity_theta().double() + spread * torch.randn(
        shape, dtype=torch.float64, generator=noise
    )


def test_the_registry_holds_the_families():
    assert len(FAMILIES) >= 6


@every_generator
@pytest.mark.parametrize('align_corners', [False, True])
def test_identity_theta_gives_the_regular_grid_to_the_last_bit(generator, align_corners):
    theta = generator.identity_theta()
    assert theta.shape == (generator.num_params,)
    for size in SIZES[generator.ndim]:
        grid = generator(theta.expand(2, 3, -1), size, align_corners)
        expected = regular_grid(size, align_corners).expand(2, 3, *size, generator.ndim)
        assert torch.equal(grid, expected)


@every_generator
@pytest.mark.parametrize('leading', [(), (4,), (2, 3), (2, 1, 3)])
def test_any_leading_dimensions(generator, leading):
    theta = random_theta(generator, *leading)
    size = (3, 4) if generator.ndim == 2 else (2, 3, 4)
    grid = generator(theta, size)
    assert grid.shape == (*leading, *size, generator.ndim)
    rows = theta.reshape(-1, generator.num_params)
    for row, points in zip(rows, grid.reshape(len(rows), *size, generator.ndim), strict=True):
        torch.testing.assert_close(generator(row, size), points, rtol=0, atol=1e-12)


@every_generator
def test_gradients_by_finite_differences(generator):
    theta = random_theta(generator, 2).requires_grad_()
    size = (2, 3) if generator.ndim == 2 else (2, 2, 3)
    assert gradcheck(lambda t: generator(t, size), theta)


@every_generator
def test_half_precision_is_widened(generator):
    theta = random_theta(generator, 2).to(torch.bfloat16)
    size = (4,) * generator.ndim
    with torch.autocast('cpu', dtype=torch.bfloat16):
        grid = generator(theta, size)
    assert grid.dtype == torch.float32
    torch.testing.assert_close(grid.double(), generator(theta.double(), size), rtol=0, atol=1e-5)


@every_generator
def test_shapes_without_numbers(generator):
    """On the meta device, where PyTorch has no autocast, and as fake tensors."""
    size = (4,) * generator.ndim
    theta = random_theta(generator, 2, 3).float()
    with torch.device('meta'):
        grid = copy.deepcopy(generator).to('meta')(torch.empty(theta.shape), size)
        assert grid.is_meta
        assert grid.shape == (2, 3, *size, generator.ndim)
        assert type(generator)().identity_theta().is_meta
    with FakeTensorMode(allow_non_fake_inputs=True) as mode:
        grid = generator(mode.from_tensor(theta), size)
        assert grid.shape == (2, 3, *size, generator.ndim)
        assert type(grid) is FakeTensor
    assert type(generator(theta, size)) is torch.Tensor


@every_generator
def test_theta_of_another_size_or_type_is_refused(generator):
    p = generator.num_params
    with pytest.raises(ValueError, match=rf'theta.*\(\*, {p}\).*\(2, {p + 1}\)'):
        generator(torch.zeros(2, p + 1), (4,) * generator.ndim)
    with pytest.raises(TypeError, match='theta.*int64'):
        generator(torch.zeros(2, p, dtype=torch.long), (4,) * generator.ndim)
    with pytest.raises(ValueError, match='out_size'):
        generator(torch.zeros(2, p), (0,) * generator.ndim)


def test_matrices_by_hand():
    def matrix(generator, *theta):
        return generator.matrix(torch.tensor(theta, dtype=torch.float64)).tolist()

    assert matrix(AffineGridGenerator(), 1, 2, 3, 4, 5, 6) == [[1, 2, 3], [4, 5, 6]]
    assert matrix(AttentionGridGenerator(), 0.5, 0.1, 0.2) == [[0.5, 0, 0.1], [0, 0.5, 0.2]]
    assert matrix(AttentionGridGenerator(scale=0.5), 0.1, 0.2) == [[0.5, 0, 0.1], [0, 0.5, 0.2]]
    assert matrix(TranslationGridGenerator(), 0.1, 0.2) == [[1, 0, 0.1], [0, 1, 0.2]]
    eight = matrix(ProjectiveGridGenerator(), 1, 2, 3, 4, 5, 6, 7, 8)
    assert eight == [[1, 2, 3], [4, 5, 6], [7, 8, 1]]
    volume = matrix(AttentionGridGenerator(ndim=3), 0.5, 1, 2, 3)
    assert volume == [[0.5, 0, 0, 1], [0, 0.5, 0, 2], [0, 0, 0.5, 3]]
    turned = torch.tensor(matrix(SimilarityGridGenerator(), 2, math.pi / 2, 0.1, 0.2))
    expected = torch.tensor([[0.0, -2, 0.1], [2, 0, 0.2]])
    torch.testing.assert_close(turned, expected, rtol=0, atol=1e-6)


def test_a_scale_that_is_held_for_a_while():
    generator = AttentionGridGenerator()
    theta = torch.tensor([0.5, 0.1, 0.2], dtype=torch.float64, requires_grad=True)
    generator.hold_scale(2)
    held = generator.matrix(theta)
    assert held.tolist() == [[2, 0, 0.1], [0, 2, 0.2]]
    (gradient,) = torch.autograd.grad(held.sum(), theta)
    assert gradient.tolist() == [0, 1, 1]
    generator.hold_scale(None)
    assert generator.matrix(theta).tolist() == [[0.5, 0, 0.1], [0, 0.5, 0.2]]
    with pytest.raises(ValueError, match='scale.*got 0'):
        generator.hold_scale(0)
    with pytest.raises(ValueError, match='fixed at 0.5'):
        AttentionGridGenerator(scale=0.5).hold_scale(2)


def affine_matrices():
    noise = torch.Generator().manual_seed(3)
    return torch.eye(2, 3).double() + 0.4 * torch.randn(
        5, 2, 3, dtype=torch.float64, generator=noise
    )


@pytest.mark.parametrize('align_corners', [False, True])
def test_affine_theta_in_a_richer_family_gives_the_same_grid(align_corners):
    matrices = affine_matrices()
    expected = matrix_grid(matrices, (6, 7), align_corners)
    affine = AffineGridGenerator()(matrices.flatten(1), (6, 7), align_corners)
    torch.testing.assert_close(affine, expected, rtol=0, atol=0)
    theta = torch.nn.functional.pad(matrices.flatten(1), (0, 2))
    projective = ProjectiveGridGenerator()(theta, (6, 7), align_corners)
    torch.testing.assert_close(projective, expected, rtol=0, atol=1e-12)
    for counts in [(4, 4), (2, 2), (3, 6)]:
        tps = TPSGridGenerator(counts)
        points = tps.control_points.double()
        moved = points @ matrices[:, :, :2].mT + matrices[:, None, :, 2]
        grid = tps(moved.flatten(1), (6, 7), align_corners)
        torch.testing.assert_close(grid, expected, rtol=0, atol=1e-12)


def test_smaller_families_are_affine_maps():
    scale, angle, x, y = 0.7, 0.4, 0.1, -0.2
    cos, sin = scale * math.cos(angle), scale * math.sin(angle)
    pairs = [
        (SimilarityGridGenerator(), [scale, angle, x, y], [cos, -sin, x, sin, cos, y]),
        (AttentionGridGenerator(), [scale, x, y], [scale, 0, x, 0, scale, y]),
        (AttentionGridGenerator(scale=scale), [x, y], [scale, 0, x, 0, scale, y]),
        (TranslationGridGenerator(), [x, y], [1, 0, x, 0, 1, y]),
    ]
    for generator, theta, affine in pairs:
        expected = AffineGridGenerator()(torch.tensor(affine), (5, 6))
        actual = generator(torch.tensor(theta), (5, 6))
        torch.testing.assert_close(actual, expected, rtol=0, atol=1e-6)


def test_a_similarity_with_the_aspect_turns_pixels_as_opencv_does():
    height, width = 40, 100
    scale, degrees = 0.7, 25
    theta = torch.tensor([scale, math.radians(degrees), 0.0, 0.0], dtype=torch.float64)
    grid = SimilarityGridGenerator(aspect=width / height)(theta, (height, width))
    pixels = ((grid + 1) * torch.tensor([width, height]) - 1) / 2
    center = ((width - 1) / 2, (height - 1) / 2)
    # OpenCV counts angles anti-clockwise, and its matrix goes from pixels to pixels.
    matrix = torch.from_numpy(cv2.getRotationMatrix2D(center, -degrees, scale))
    x, y = torch.meshgrid(torch.arange(width), torch.arange(height), indexing='xy')
    expected = torch.stack([x, y, torch.ones_like(x)], dim=-1).double() @ matrix.T
    torch.testing.assert_close(pixels, expected, rtol=0, atol=1e-9)


@pytest.mark.parametrize('counts', [(4, 4), (2, 2), (3, 5), (8, 8)])
def test_tps_interpolates_its_control_points(counts):
    tps = TPSGridGenerator(counts)
    theta = random_theta(tps, 3, spread=0.3)
    # With align_corners the regular grid of this size is the grid of control points.
    grid = tps(theta, counts, align_corners=True)
    torch.testing.assert_close(grid.flatten(1), theta, rtol=0, atol=1e-12)


def textbook_spline(counts, theta, size, align_corners=False):
    """f(p) = a + A p + sum_i w_i U(|p - c_i|), solved directly for one theta."""
    points = regular_grid(counts, align_corners=True, dtype=torch.float64).reshape(-1, 2)
    n = len(points)

    def radial(p, q):
        squared = ((p[:, None] - q) ** 2).sum(-1)
        return torch.where(squared > 0, squared * torch.log(squared.clamp(min=1e-30)), 0)

    affine = torch.cat([torch.ones(n, 1, dtype=torch.float64), points], dim=1)
    system = torch.zeros(n + 3, n + 3, dtype=torch.float64)
    system[:n, :n], system[:n, n:], system[n:, :n] = radial(points, points), affine, affine.T
    target = torch.cat([theta.reshape(n, 2), torch.zeros(3, 2, dtype=torch.float64)])
    weights = torch.linalg.solve(system, target)
    where = regular_grid(size, align_corners, dtype=torch.float64).reshape(-1, 2)
    ones = torch.ones(len(where), 1, dtype=torch.float64)
    basis = torch.cat([radial(where, points), ones, where], dim=1)
    return (basis @ weights).reshape(*size, 2)


@pytest.mark.parametrize('align_corners', [False, True])
@pytest.mark.parametrize('counts', [(2, 2), (4, 4), (2, 7), (16, 16)])
def test_tps_is_the_textbook_spline(counts, align_corners):
    tps = TPSGridGenerator(counts)
    theta = random_theta(tps)
    expected = textbook_spline(counts, theta, (5, 9), align_corners)
    torch.testing.assert_close(tps(theta, (5, 9), align_corners), expected, rtol=0, atol=1e-11)
    rounded = theta.float()  # which is all that is rounded
    expected = textbook_spline(counts, rounded.double(), (5, 9), align_corners)
    grid = tps(rounded, (5, 9), align_corners)
    torch.testing.assert_close(grid.double(), expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    'moved',
    [
        lambda tps: tps.half(),
        lambda tps: tps.half().double(),
        lambda tps: tps.bfloat16().float(),
        lambda tps: tps.to('cpu', torch.float16),
        lambda tps: tps.to('meta').to_empty(device='cpu'),
        lambda tps: copy.deepcopy(tps).half(),
        lambda tps: torch.nn.Sequential(tps).half()[0],
    ],
)
def test_tps_stays_exact_wherever_it_is_moved(moved):
    theta = random_theta(TPSGridGenerator())
    tps = moved(TPSGridGenerator())
    expected = textbook_spline((4, 4), theta, (5, 9))
    torch.testing.assert_close(tps(theta, (5, 9)), expected, rtol=0, atol=1e-12)
    half = theta.half()
    expected = textbook_spline((4, 4), half.double(), (5, 9))
    torch.testing.assert_close(tps(half, (5, 9)).double(), expected, rtol=0, atol=1e-6)


def test_tps_follows_every_change_of_size_and_type():
    tps = TPSGridGenerator()
    theta = random_theta(tps, 2)
    with torch.inference_mode():
        tps(theta, (5, 9))
    calls = itertools.product([(5, 9), (9, 5), (5, 9)], [False, True], [torch.double, torch.float])
    for size, align_corners, dtype in calls:
        leaf = theta.detach().to(dtype).requires_grad_()
        grid = tps(leaf, size, align_corners)
        expected = TPSGridGenerator()(theta.to(dtype), size, align_corners)
        assert grid.dtype == dtype
        assert torch.equal(grid, expected)
        grid.sum().backward()
        assert leaf.grad.isfinite().all()


def test_tps_does_not_depend_on_align_corners_but_through_the_grid():
    tps = TPSGridGenerator()
    theta = random_theta(tps)
    middle = [tps(theta, (5, 5), align_corners)[2, 2] for align_corners in (False, True)]
    torch.testing.assert_close(*middle, rtol=0, atol=1e-12)  # the middle is (0, 0) in both


@pytest.mark.parametrize(('k', 'ndim'), list(itertools.product([1, 2, 3, 4, 6, 9], [2, 3])))
def test_affine_tiling_covers_the_map_exactly_once(k, ndim):
    generator = AffineGridGenerator(ndim=ndim)
    size = (6,) * ndim
    grid = generator(generator.tiled_theta(k), size)  # K windows, each sampled inside its tile
    assert grid.abs().max() < 1
    low, high = grid.flatten(1, -2).amin(1), grid.flatten(1, -2).amax(1)
    volume = ((high - low) * 6 / 5 / 2).prod(dim=-1)  # of whole pixels, as a part of the map
    assert volume.sum() == pytest.approx(1)
    for a, b in itertools.combinations(range(k), 2):
        overlap = torch.minimum(high[a], high[b]) - torch.maximum(low[a], low[b])
        assert (overlap < 0).any()


def test_tilings_by_hand():
    two = AttentionGridGenerator(scale=0.5).tiled_theta(2)
    assert two.tolist() == [[-0.5, 0], [0.5, 0]]
    four = AttentionGridGenerator(scale=0.5).tiled_theta(4)
    assert four.tolist() == [[-0.5, -0.5], [0.5, -0.5], [-0.5, 0.5], [0.5, 0.5]]
    free = AttentionGridGenerator().tiled_theta(4)
    assert free.tolist() == [[0.5, x, y] for x, y in four.tolist()]
    large = AttentionGridGenerator(scale=0.75).tiled_theta(2)  # moved inwards to the map's edge
    assert large.tolist() == [[-0.25, 0], [0.25, 0]]
    similar = SimilarityGridGenerator().tiled_theta(4)
    assert similar.tolist() == [[0.5, 0, x, y] for x, y in four.tolist()]


@pytest.mark.parametrize('generator', [ProjectiveGridGenerator(), TPSGridGenerator()])
def test_tilings_of_richer_families_are_the_affine_one(generator):
    expected = AffineGridGenerator()(AffineGridGenerator().tiled_theta(6), (4, 5))
    actual = generator(generator.tiled_theta(6), (4, 5))
    torch.testing.assert_close(actual, expected, rtol=0, atol=5e-6)


def test_what_cannot_tile_says_so():
    with pytest.raises(ValueError, match='cannot tile'):
        TranslationGridGenerator().tiled_theta(2)
    with pytest.raises(ValueError, match='num_transformers.*0'):
        AffineGridGenerator().tiled_theta(0)

    class Shift(MatrixGridGenerator):
        num_params = 1

        def identity_theta(self):
            return torch.zeros(1)

        def matrix(self, theta):
            return theta[..., None]

    with pytest.raises(ValueError, match='Shift cannot tile'):
        Shift().tiled_theta(2)


def test_bad_options_are_refused():
    for ndim in (1, 4):
        with pytest.raises(ValueError, match='ndim'):
            AffineGridGenerator(ndim=ndim)
    with pytest.raises(ValueError, match='scale.*-1'):
        AttentionGridGenerator(scale=-1)
    for counts in [(1, 4), (4,), (2.5, 3)]:
        with pytest.raises(ValueError, match='num_control_points'):
            TPSGridGenerator(counts)


@every_generator
def test_buffers_move_and_are_not_saved(generator):
    assert not generator.state_dict()
    if list(generator.buffers()):
        moved = generator.to('meta')
        assert all(buffer.is_meta for buffer in moved.buffers())
        generator.__init__()
