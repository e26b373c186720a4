"""The compiled op against float64 autograd of plain PyTorch operations."""

import itertools
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.autograd import gradcheck

from mmstn.ops import (
    affine_grid_sample,
    grid_sample,
    matrix_grid,
    reference_grid_sample,
    use_backend,
)
from tests.ops.sampling_cases import (
    MODES,
    PADDINGS,
    SOURCES,
    deterministic_algorithms,
    needs_op,
    off_lattice,
    points_of,
    random_map,
    seeded,
    truth,
)

# (C, H, W, H', W', K): prime sizes, single pixels and lines, every width of channel block, maps so
# large beside the output that they are sampled in place.
SHAPES = [
    (1, 7, 5, 6, 9, 2),
    (3, 8, 8, 17, 33, 1),
    (5, 1, 1, 3, 4, 2),
    (16, 13, 17, 11, 19, 2),
    (37, 5, 9, 5, 9, 1),
    (4, 64, 80, 3, 5, 2),
    (20, 1, 6, 7, 3, 1),
    (2, 6, 1, 20, 20, 1),
    (1, 40, 50, 3, 3, 3),
]
OPTIONS = list(itertools.product(MODES, PADDINGS, (False, True)))
LAYOUTS = ('contiguous', 'channels_last', 'strided')


def laid_out(image, layout):
    if layout == 'channels_last':
        return image.contiguous(memory_format=torch.channels_last)
    if layout == 'strided':  # every second pixel of a transposed map
        wide = image.new_empty(*image.shape[:2], image.shape[3], 2 * image.shape[2])
        wide[..., ::2] = image.transpose(2, 3)
        return wide[..., ::2].transpose(2, 3)
    return image


def sample(image, map, out_size, *options):
    if map.dim() == 5:
        return grid_sample(image, map, *options)
    return affine_grid_sample(image, map, out_size, *options)


def check(shape, source, options, dtype, layout, seed=0, spread=0.4, deterministic=False):
    c, h, w, out_h, out_w, k = shape
    generator = seeded(seed)
    out_size = (out_h, out_w)
    map_dtype = torch.float64 if dtype == torch.float64 else torch.float32
    map = random_map(source, 2, k, out_size, generator, spread).to(map_dtype)
    image = torch.randn(2, c, h, w, dtype=torch.float64, generator=generator).to(dtype)
    safe = off_lattice(map.double(), (h, w), out_size, options[2])
    gradient = (safe * torch.randn(2, k, c, out_h, out_w, generator=generator)).to(dtype)
    expected = truth(image, map, out_size, options, gradient)

    image = laid_out(image, layout).requires_grad_()
    map.requires_grad_()
    with use_backend('native'), deterministic_algorithms(deterministic):
        samples = sample(image, map, out_size, *options)
        assert 'mmstn' in samples.grad_fn.name()  # the op, not PyTorch
        both = torch.autograd.grad(samples, (image, map), gradient, retain_graph=True)
        only_image = torch.autograd.grad(
            sample(image, map.detach(), out_size, *options), image, gradient
        )
        only_map = torch.autograd.grad(
            sample(image.detach(), map, out_size, *options), map, gradient
        )
    assert samples.dtype == dtype

    coarse = {torch.float16: 2e-3, torch.bfloat16: 1.6e-2}.get(dtype)
    fine = 1e-10 if dtype == torch.float64 else 1e-4
    for name, actual, wanted, tolerance in [
        ('V', samples * safe, expected[0] * safe, coarse or fine),
        ('dU', both[0], expected[1], coarse or fine),
        ('dU alone', only_image[0], expected[1], coarse or fine),
        ('dmap', both[1], expected[2], fine),
        ('dmap alone', only_map[0], expected[2], fine),
    ]:
        error = (actual.double() - wanted).abs().max() / (1 + wanted.abs().max())
        assert error < tolerance, f'{name} is off by {error:.1e}'


@pytest.mark.parametrize('options', OPTIONS, ids=str)
@pytest.mark.parametrize('source', SOURCES)
def test_every_option_of_all_kernels(kernels, source, options):
    for seed, shape in enumerate(SHAPES):
        for dtype in (torch.float32, torch.float64):
            check(shape, source, options, dtype, LAYOUTS[seed % 3], seed)


@pytest.mark.parametrize('dtype', [torch.float32, torch.float64, torch.float16, torch.bfloat16])
@pytest.mark.parametrize('layout', LAYOUTS)
def test_every_type_and_layout(kernels, dtype, layout):
    for seed, shape in enumerate(SHAPES):
        check(shape, SOURCES[seed % 3], ('bilinear', PADDINGS[seed % 3], True), dtype, layout, seed)


# Where a window is: in the middle, at the edges, across them, and all over the map.
WINDOWS = [(0.05, 0.1, -0.2), (0.1, -0.93, 0.9), (0.07, 1.0, -1.0), (0.1, 0.3, 0.98), (0.9, 0, 0)]


@pytest.mark.parametrize('dtype', [torch.float32, torch.float64, torch.bfloat16])
@pytest.mark.parametrize('layout', LAYOUTS)
@pytest.mark.parametrize('mode', MODES)
def test_windows_of_large_maps(kernels, mode, layout, dtype):
    """Many points in a small region, and a few that lie far apart: each has its own way."""
    for seed, (channels, out_size) in enumerate(
        itertools.product((1, 3, 20), ((3, 2), (1, 7), (20, 24)))
    ):
        generator = seeded(seed)
        size = (70, 90) if seed % 2 else (151, 8)
        options = (mode, PADDINGS[seed % 3], bool(seed % 2))
        matrix = 0.3 * torch.randn(1, 5, 2, 3, dtype=torch.float64, generator=generator)
        matrix = matrix + torch.eye(2, 3, dtype=torch.float64)
        for k, (scale, x, y) in enumerate(WINDOWS):
            matrix[:, k] *= scale
            matrix[:, k, :, 2] = torch.tensor([x, y])
        map = matrix.to(torch.float64 if dtype == torch.float64 else torch.float32)
        if seed % 4 == 3:
            map = matrix_grid(map, out_size, options[2])
        image = torch.randn(1, channels, *size, generator=generator).to(dtype)
        safe = off_lattice(map.double(), size, out_size, options[2])
        gradient = (safe * torch.randn(1, 5, channels, *out_size, generator=generator)).to(dtype)
        for ks in (slice(0, 1), slice(2, 3), slice(0, 5)):
            arguments = (map[:, ks], gradient[:, ks])
            expected = truth(image, arguments[0], out_size, options, arguments[1])
            u = laid_out(image, layout).requires_grad_()
            m = arguments[0].clone().requires_grad_()
            samples = sample(u, m, out_size, *options)
            both = torch.autograd.grad(samples, (u, m), arguments[1])
            (alone,) = torch.autograd.grad(
                sample(u.detach(), m, out_size, *options), m, arguments[1]
            )
            coarse = 1.6e-2 if dtype == torch.bfloat16 else 2e-4
            for actual, wanted, tolerance in (
                (samples * safe[:, ks], expected[0] * safe[:, ks], coarse),
                (both[0], expected[1], coarse),
                (both[1], expected[2], 2e-4),
                (alone, expected[2], 2e-4),
            ):
                error = (actual.double() - wanted).abs().max() / (1 + wanted.abs().max())
                assert error < tolerance, (channels, out_size, options, ks)


@contextmanager
def memory_limit(more):
    """No more memory than the process has now, and so many bytes."""
    resource = pytest.importorskip('resource')
    pages = int(Path('/proc/self/statm').read_text().split()[0])
    before = resource.getrlimit(resource.RLIMIT_AS)
    limit = pages * resource.getpagesize() + more
    resource.setrlimit(resource.RLIMIT_AS, (limit, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)


@pytest.mark.skipif(not Path('/proc/self/statm').exists(), reason='needs Linux')
@pytest.mark.parametrize('mode', MODES)
def test_a_window_takes_memory_for_itself_alone(cpu_path, mode):
    """Of a map of 2 * 10^9 pixels; its memory is one row that all rows share."""
    row = torch.randn(46000, generator=seeded(0))
    matrix = torch.tensor([[[[1e-3, 0, 0.3], [0, 1e-3, -0.2]], [[1.0, 0.1, 0], [0, 1, 0]]]])
    matrix.requires_grad_()
    for channels in (1, 3):
        image = row.expand(1, channels, 46000, 46000)
        with memory_limit(2**28):
            samples = affine_grid_sample(image, matrix, (40, 50), mode)
            (gradient,) = torch.autograd.grad(samples.sum(), matrix)
        # All rows are alike, and so y does not matter.
        level = matrix.detach() * torch.tensor([[1.0], [0.0]])
        with use_backend('torch'):
            expected = affine_grid_sample(row.expand(1, channels, 4, 46000), level, (40, 50), mode)
        near = (samples - expected).abs() < 0.1  # a coordinate of 46000 is rounded to 0.004 pixels
        assert near.double().mean() > 0.97 and gradient.isfinite().all()


@pytest.mark.parametrize('mode', MODES)
def test_deterministic_gradients(kernels, mode):
    """On a GPU they have kernels of their own."""
    for seed, shape in enumerate(SHAPES):
        options = (mode, PADDINGS[seed % 3], False)
        check(shape, SOURCES[seed % 3], options, torch.float32, LAYOUTS[seed % 3], seed, 0.4, True)


@needs_op
@settings(max_examples=60, deadline=None)
@given(
    shape=st.tuples(st.integers(1, 40), *[st.integers(1, 12) for _ in range(4)], st.integers(1, 3)),
    source=st.sampled_from(SOURCES),
    options=st.sampled_from(OPTIONS),
    layout=st.sampled_from(LAYOUTS),
    seed=st.integers(0, 1000),
    spread=st.sampled_from([0.1, 1.0, 5.0]),
)
def test_any_problem(shape, source, options, layout, seed, spread):
    check(
        shape, source, options, torch.float64, layout, seed, spread if source == 'affine' else 0.3
    )


@needs_op
@pytest.mark.parametrize('options', OPTIONS, ids=str)
def test_the_papers_double_sum(options):
    generator = seeded(3)
    image = torch.randn(2, 3, 5, 7, dtype=torch.float64, generator=generator)
    matrix = random_map('projective', 2, 3, (4, 6), generator, spread=0.25)
    expected = reference_grid_sample(image, points_of(matrix, (4, 6), options[2]), *options)
    actual = affine_grid_sample(image, matrix, (4, 6), *options)
    torch.testing.assert_close(actual, expected, rtol=0, atol=1e-10)


SPECIAL = {
    'identity': [[1, 0, 0], [0, 1, 0]],
    'quarter turn': [[0, -1, 0], [1, 0, 0]],
    'half turn': [[-1, 0, 0], [0, -1, 0]],
    'flip': [[-1, 0, 0], [0, 1, 0]],
}


@pytest.mark.parametrize('align_corners', [False, True])
@pytest.mark.parametrize('mode', MODES)
@pytest.mark.parametrize('name', SPECIAL)
def test_turns_and_flips_are_exact(kernels, name, mode, align_corners):
    image = torch.randn(2, 5, 56, 56)
    matrix = torch.tensor(SPECIAL[name], dtype=torch.float32).expand(2, 1, 2, 3)
    expected = {
        'identity': image,
        'quarter turn': image.rot90(1, (2, 3)),
        'half turn': image.rot90(2, (2, 3)),
        'flip': image.flip(3),
    }[name]
    for m in (matrix, F.pad(matrix, (0, 0, 0, 1)) + torch.eye(3) * torch.tensor([0.0, 0, 1])):
        actual = affine_grid_sample(image, m, (56, 56), mode, align_corners=align_corners)
        assert torch.equal(actual[:, 0], expected)


def test_coordinates_are_exact_to_rounding(kernels):
    """A ramp shows coordinates themselves: 448 pixels, within a few roundings of float64."""
    size = 448
    ramp = torch.arange(size, dtype=torch.float32).expand(1, 1, size, size)
    matrix = torch.tensor([[[[0.71, -0.23, 0.05], [0.19, 0.66, -0.04]]]])
    exact = (points_of(matrix.double(), (size, size), False)[..., 0] + 1) * size / 2 - 0.5
    actual = affine_grid_sample(ramp, matrix, (size, size))[:, :, 0]
    assert (actual - exact).abs().max() < 1e-4  # float32 has steps of 3e-5 at 448


@pytest.mark.parametrize('scale', [0.05, 8.0, 1e4, 0.0])
@pytest.mark.parametrize('channels', [1, 3, 24])
def test_strong_zoom_far_outside_and_singular(kernels, scale, channels):
    image = torch.randn(2, channels, 30, 41)
    generator = seeded(1)
    matrix = random_map('affine', 2, 2, (25, 31), generator).float() * scale
    matrix[1, 1, :, 2] += 3  # out of the map
    # Coordinates are as large as the zoom, and so is their rounding.
    margin, tolerance = (0.1, 0.5) if scale > 100 else (2e-3, 1e-3)
    for padding_mode in PADDINGS:
        options = ('bilinear', padding_mode, False)
        safe = off_lattice(matrix.double(), (30, 41), (25, 31), False, margin)
        actual = affine_grid_sample(image, matrix, (25, 31), *options)
        expected = truth(image, matrix, (25, 31), options, actual)[0]
        assert ((actual - expected) * safe).abs().max() < tolerance


@pytest.mark.parametrize('channels', [1, 3, 20])
@pytest.mark.parametrize('mode', MODES)
def test_windows_beside_the_map_touch_nothing(kernels, mode, channels):
    image = torch.randn(1, channels, 17, 40, requires_grad=True)
    for x, y in itertools.product([-30, -2, 0, 2, 30], repeat=2):
        if x == y == 0:
            continue
        matrix = torch.tensor([[[[0.3, 0, x], [0, 0.3, y]]]], requires_grad=True)
        samples = affine_grid_sample(image, matrix, (5, 6), mode)
        gradients = torch.autograd.grad(samples.sum(), (image, matrix))
        assert not any(tensor.any() for tensor in (samples, *gradients))


def same(actual, expected, at=None, tolerance=1e-5):
    """Whether tensors agree, in their places ``at``."""
    if at is not None:
        actual, expected = actual[at], expected[at]
    torch.testing.assert_close(actual, expected, rtol=tolerance, atol=tolerance)


NAN_SHAPES = [(1, 6, 7), (3, 6, 7), (20, 6, 7), (3, 40, 50), (1, 1, 5), (2, 5, 1), (4, 1, 1)]
FAR = 2.0**20


@pytest.mark.parametrize('align_corners', [False, True])
@pytest.mark.parametrize('padding_mode', PADDINGS)
@pytest.mark.parametrize('mode', MODES)
def test_points_that_are_no_numbers_have_no_sample(kernels, mode, padding_mode, align_corners):
    """A NaN coordinate gives NaN, and nothing of it reaches the map or other points."""
    options = (mode, padding_mode, align_corners)
    for seed, shape in enumerate(NAN_SHAPES):
        dtype = (torch.float32, torch.float64)[seed % 2]
        generator = seeded(seed)
        image = torch.randn(2, *shape, dtype=dtype, generator=generator)
        image = laid_out(image, LAYOUTS[seed % 3]).requires_grad_()
        clean = torch.rand(2, 2, 5, 7, 2, dtype=dtype, generator=generator) * 2.4 - 1.2
        grid = clean.clone()
        grid[0, 0, 0, 0] = torch.nan
        grid[0, 1, 2, 3, 0] = torch.nan
        grid[1, 0, 4, 6, 1] = torch.nan
        grid[1, 1, 4, 5:, 1] = torch.nan
        grid[1, 1, 4, 5, 0] = torch.inf
        missing = grid.isnan().any(-1)
        clean.requires_grad_()
        grid.requires_grad_()

        samples = grid_sample(image, grid, *options)
        expected = grid_sample(image, clean, *options)
        gradient = torch.randn(samples.shape, dtype=dtype, generator=generator)
        d_image, d_grid = torch.autograd.grad(samples, (image, grid), gradient)
        shown = ~missing[:, :, None].expand_as(samples)
        wanted = torch.autograd.grad(expected, (image, clean), gradient * shown)
        same(samples, expected, shown)
        assert samples[~shown].isnan().all()
        same(d_image, wanted[0])
        same(d_grid, wanted[1], ~missing)
        lost = d_grid[missing]
        assert lost.eq(0).all() if mode == 'nearest' else lost.isnan().all()


@pytest.mark.parametrize('align_corners', [False, True])
@pytest.mark.parametrize('padding_mode', PADDINGS)
@pytest.mark.parametrize('mode', MODES)
def test_infinite_and_huge_points_are_far_away(kernels, mode, padding_mode, align_corners):
    options = (mode, padding_mode, align_corners)
    for seed, shape in enumerate(NAN_SHAPES):
        generator = seeded(seed)
        image = torch.randn(1, *shape, generator=generator)
        image = laid_out(image, LAYOUTS[seed % 3]).requires_grad_()
        far = [torch.inf, -torch.inf, 3e38, -3e38, 2**21]
        points = [(x, 0.3) for x in far] + [(0.3, y) for y in far] + [(far[0], far[1])]
        grid = torch.tensor(points).reshape(1, 1, 1, -1, 2).requires_grad_()
        samples = grid_sample(image, grid, *options)
        assert samples.isfinite().all()
        held = grid.detach().double().clamp(-FAR, FAR)
        expected = reference_grid_sample(image.detach().double().cpu(), held.cpu(), *options)
        if padding_mode != 'reflection':  # whose pixel is lost in rounding
            same(samples.detach().cpu().double(), expected)
        d_image, d_grid = torch.autograd.grad(samples.sum(), (image, grid))
        assert d_image.isfinite().all()
        assert torch.equal(d_grid[0, 0, 0, :5, 0], torch.zeros(5))
        assert torch.equal(d_grid[0, 0, 0, 5:10, 1], torch.zeros(5))
        exact = grid_sample(image.detach().double(), grid.detach().double(), *options)
        same(exact.cpu(), expected)  # with all reflections, which float64 can tell apart


@pytest.mark.parametrize('mode', MODES)
@pytest.mark.parametrize('rows', [2, 3])
def test_a_matrix_that_is_no_number_shows_nothing(kernels, mode, rows):
    """One NaN in theta is seen in all of its window, and in no other window or image."""
    for channels, (r, c) in itertools.product((1, 3, 20), itertools.product(range(rows), range(3))):
        image = torch.randn(2, channels, 6, 7, requires_grad=True)
        matrix = random_map('projective', 2, 2, (4, 5), seeded(0), 0.1)[:, :, :rows].float()
        clean = matrix.clone().requires_grad_()
        matrix[1, 0, r, c] = torch.nan
        matrix.requires_grad_()
        samples = affine_grid_sample(image, matrix, (4, 5), mode)
        assert samples[1, 0].isnan().all()
        others = torch.tensor([[True, True], [False, True]])
        expected = affine_grid_sample(image, clean, (4, 5), mode)
        same(samples, expected, others)
        d_image, d_matrix = torch.autograd.grad(samples.sum(), (image, matrix))
        wanted = torch.autograd.grad(expected[others].sum(), (image, clean))
        same(d_image, wanted[0])
        same(d_matrix, wanted[1], others, 1e-4)
        assert d_matrix[1, 0].eq(0).all() if mode == 'nearest' else d_matrix[1, 0, :2].isnan().all()


@pytest.mark.parametrize('fill', [torch.inf, torch.nan])
@pytest.mark.parametrize('channels', [1, 3, 20])
@pytest.mark.parametrize('mode', MODES)
def test_pixels_that_are_no_numbers_stay_where_they_are(kernels, mode, channels, fill):
    """Points outside the map touch no pixel, and must not be told what is on its border."""
    image = torch.full((1, channels, 9, 9), fill)
    outside = torch.tensor([[-1.9, 0.0], [1.9, 0.3], [0.2, -2.2], [0.0, 40.0], [1e30, -1e30]])
    grid = outside.view(1, 1, 1, 5, 2).requires_grad_()
    samples = grid_sample(image, grid, mode)
    assert torch.equal(samples, torch.zeros_like(samples))
    (gradient,) = torch.autograd.grad(samples.sum(), grid)
    assert torch.equal(gradient, torch.zeros_like(gradient))


@pytest.mark.parametrize('padding_mode', PADDINGS)
@pytest.mark.parametrize('value', [1e10, 1e30, 3e38, torch.inf])
def test_huge_matrices_are_safe(kernels, padding_mode, value):
    for size, rows in itertools.product(((7, 8), (1, 8), (7, 1)), (2, 3)):
        image = torch.randn(1, 3, *size, requires_grad=True)
        for r, c in itertools.product(range(rows), range(3)):
            matrix = torch.eye(3)[:rows].repeat(1, 1, 1, 1)
            matrix[0, 0, r, c] = value
            matrix.requires_grad_()
            for mode, align_corners in itertools.product(MODES, (False, True)):
                samples = affine_grid_sample(
                    image, matrix, (5, 6), mode, padding_mode, align_corners
                )
                (gradient,) = torch.autograd.grad(samples.sum(), image)
                assert gradient.isfinite().all()
                # Infinity times a coordinate of zero, or through infinity, is not a number.
                missing = points_of(matrix, (5, 6), align_corners).isnan().any(-1)
                assert torch.equal(samples.isnan().all(2), missing)
                assert torch.equal(samples.isnan().any(2), missing)


FACTORS = [1e-6, 1e-30, -1, -1e6, 3e30, 0.1, 2.0**-100]


@pytest.mark.parametrize('factor', FACTORS)
@pytest.mark.parametrize('dtype', [torch.float32, torch.float64])
def test_homographies_of_any_scale(kernels, dtype, factor):
    """A homography is defined up to a factor; the gradient is divided by it."""
    for shape in SHAPES[:6]:
        c, h, w, out_h, out_w, k = shape
        out_size = (out_h, out_w)
        matrix = random_map('projective', 2, k, out_size, seeded(5), 0.3)
        image = torch.randn(2, c, h, w, dtype=torch.float64, generator=seeded(6))
        safe = off_lattice(matrix, (h, w), out_size, False)
        gradient = safe * torch.randn(2, k, c, out_h, out_w, dtype=torch.float64)
        options = ('bilinear', 'zeros', False)
        expected = truth(image, matrix, out_size, options, gradient)
        scaled = (matrix * factor).to(dtype).requires_grad_()
        samples = affine_grid_sample(image.to(dtype), scaled, out_size)
        (d_matrix,) = torch.autograd.grad(samples, scaled, gradient.to(dtype))
        tolerance = 1e-10 if dtype == torch.float64 else 1e-3
        same(samples.double() * safe, expected[0] * safe, None, tolerance)
        # As far as float32 can say: what is not near the horizon.
        wanted = expected[2]
        error = (d_matrix.double() * factor - wanted).abs().max() / (1 + wanted.abs().max())
        assert error < tolerance


@pytest.mark.parametrize('factor', FACTORS)
@pytest.mark.parametrize('align_corners', [False, True])
@pytest.mark.parametrize('name', SPECIAL)
def test_turns_and_flips_of_any_scale_are_exact(kernels, name, align_corners, factor):
    image = torch.randn(1, 5, 56, 56)
    matrix = torch.eye(3)
    matrix[:2] = torch.tensor(SPECIAL[name], dtype=torch.float32)
    options = dict(out_size=(56, 56), align_corners=align_corners)
    expected = affine_grid_sample(image, matrix[None], **options)
    assert torch.equal(affine_grid_sample(image, factor * matrix[None], **options), expected)


@pytest.mark.parametrize('factor', FACTORS)
def test_matrix_grid_of_any_scale(factor):
    matrix = random_map('projective', 3, 2, (5, 6), seeded(1), 0.3)
    x, y = torch.meshgrid(
        (torch.arange(6.0).double() * 2 + 1) / 6 - 1,
        (torch.arange(5.0).double() * 2 + 1) / 5 - 1,
        indexing='xy',
    )
    plane = torch.einsum('nkij,jhw->nkhwi', matrix, torch.stack([x, y, torch.ones_like(x)]))
    same(matrix_grid(factor * matrix, (5, 6)), plane[..., :2] / plane[..., 2:], None, 1e-9)
    scaled = (factor * matrix[:1, :1]).requires_grad_()
    step = abs(factor) * 1e-6
    assert gradcheck(lambda m: matrix_grid(m, (2, 2)) * factor, scaled, eps=step, atol=1e-4)
    identity = torch.eye(3) * factor
    assert torch.equal(matrix_grid(identity, (5, 6)), matrix_grid(torch.eye(3), (5, 6)))


@needs_op
@pytest.mark.parametrize('factor', [1e-6, -1, 1e6])
def test_gradients_of_scaled_homographies_by_finite_differences(factor):
    image = torch.randn(1, 2, 7, 8, dtype=torch.float64, generator=seeded(2))
    matrix = random_map('projective', 1, 2, (3, 4), seeded(3), 0.2)
    scaled = (matrix * factor).requires_grad_()
    step = abs(factor) * 1e-6
    assert gradcheck(
        lambda m: affine_grid_sample(image, m, (3, 4)) * factor, scaled, eps=step, atol=1e-4
    )


def test_points_near_the_horizon_are_far_away_at_any_scale(kernels):
    """w = x is zero in the middle column."""
    image = torch.rand(1, 3, 5, 5)
    matrix = torch.eye(3)
    matrix[2] = torch.tensor([1.0, 0.0, 0.0])
    expected = affine_grid_sample(image, matrix[None], (5, 5), align_corners=True)
    assert expected.isfinite().all()
    assert expected[0, :, [0, 1, 3, 4], 2].eq(0).all()  # at y = 0 the point is 0 / 0
    for factor in (1e-6, 2.0**-60, 1e6):
        scaled = (factor * matrix[None]).requires_grad_()
        samples = affine_grid_sample(image, scaled, (5, 5), align_corners=True)
        same(samples, expected)
        (gradient,) = torch.autograd.grad(samples.sum(), scaled)
        assert gradient.isfinite().all()


@pytest.mark.parametrize('source', SOURCES)
@pytest.mark.parametrize('channels', [1, 3, 40])
def test_threads_change_no_bit(cpu_path, source, channels):
    before = torch.get_num_threads()
    for n, k in ((1, 2), (3, 1)):
        generator = seeded(2)
        image = torch.randn(n, channels, 90, 100, generator=generator).requires_grad_()
        map = random_map(source, n, k, (110, 120), generator).float().requires_grad_()
        results = []
        try:
            for threads in (1, 2, 3, 2):
                torch.set_num_threads(threads)
                samples = sample(image, map, (110, 120))
                gradients = torch.autograd.grad(samples.square().sum(), (image, map))
                (alone,) = torch.autograd.grad(
                    sample(image.detach(), map, (110, 120)).square().sum(), map
                )
                results.append((samples, *gradients, alone))
        finally:
            torch.set_num_threads(before)
        for other in results[1:]:
            assert all(torch.equal(a, b) for a, b in zip(results[0], other, strict=True))


@needs_op
def test_empty_batch_and_no_transformers():
    for n, k in ((0, 2), (2, 0)):
        image = torch.randn(n, 3, 5, 6, requires_grad=True)
        matrix = torch.randn(n, k, 2, 3, requires_grad=True)
        samples = affine_grid_sample(image, matrix, (4, 7))
        assert samples.shape == (n, k, 3, 4, 7)
        gradients = torch.autograd.grad(samples.sum(), (image, matrix))
        assert [g.shape for g in gradients] == [image.shape, matrix.shape]
        assert not gradients[0].any()
    assert affine_grid_sample(torch.randn(2, 0, 5, 6), torch.randn(2, 2, 3), (4, 7)).shape[1] == 0


@needs_op
def test_maps_of_one_image_may_be_expanded():
    image = torch.randn(3, 4, 9, 8)
    grid = (torch.rand(1, 1, 6, 5, 2) * 2 - 1).expand(3, 2, -1, -1, -1)
    expected = F.grid_sample(image, grid[:, 0].contiguous(), align_corners=False)
    for k in range(2):
        torch.testing.assert_close(grid_sample(image, grid)[:, k], expected)


@needs_op
def test_gradients_of_any_layout():
    image = torch.randn(2, 3, 9, 8, requires_grad=True)
    matrix = random_map('affine', 2, 2, (5, 6), seeded(4)).float()
    matrix.requires_grad_()
    samples = affine_grid_sample(image, matrix, (5, 6))
    gradient = torch.randn(2, 2, 3, 5, 6)
    expected = torch.autograd.grad(samples, (image, matrix), gradient, retain_graph=True)
    turned = gradient.transpose(3, 4).contiguous().transpose(3, 4)
    channels_last = gradient.movedim(2, -1).contiguous().movedim(-1, 2)
    for other in (turned, channels_last):
        actual = torch.autograd.grad(samples, (image, matrix), other, retain_graph=True)
        torch.testing.assert_close(actual, expected, rtol=1e-5, atol=1e-5)
    ones = torch.autograd.grad(samples.sum(), (image, matrix), retain_graph=True)
    full = torch.autograd.grad(samples, (image, matrix), torch.ones_like(samples))
    torch.testing.assert_close(ones, full, rtol=1e-5, atol=1e-5)


@needs_op
def test_channels_innermost_stays_so():
    image = torch.randn(2, 8, 5, 6).contiguous(memory_format=torch.channels_last)
    samples = affine_grid_sample(image, torch.eye(2, 3).expand(2, 2, 3), (4, 4))
    assert samples.is_contiguous(memory_format=torch.channels_last)


# The stride of an axis of size 1 means nothing: PyTorch leaves there whatever a view came from, and
# calls the tensor contiguous.
ODD = 12345


def odd_strides(tensor):
    """Values as they are, strides of axes of size 1 that point far out of memory."""
    strides = [
        ODD if size == 1 else stride
        for size, stride in zip(tensor.shape, tensor.contiguous().stride(), strict=True)
    ]
    return tensor.contiguous().as_strided(tensor.shape, strides)


def reversed_memory(tensor):
    """The first axis innermost."""
    axes = tuple(reversed(range(tensor.dim())))
    return tensor.permute(axes).contiguous().permute(axes)


def turned_memory(tensor):
    """A view of another shape in memory, as ``samples.permute(...)`` hands it to the backward."""
    axes = (0, *range(2, tensor.dim()), 1)
    back = (0, tensor.dim() - 1, *range(1, tensor.dim() - 1))
    return odd_strides(tensor.permute(axes)).permute(back)


def every_second(tensor):
    wide = tensor.new_full((*tensor.shape[:-1], 2 * tensor.shape[-1] + 1), torch.nan)
    wide[..., 1::2] = tensor
    return wide[..., 1::2]


def negated(tensor):
    """A view with PyTorch's negative bit: its memory holds the opposite."""
    return torch._neg_view(-tensor)


VIEWS = [odd_strides, reversed_memory, turned_memory, every_second, negated]


@pytest.mark.parametrize('view', VIEWS, ids=lambda view: view.__name__)
@pytest.mark.parametrize('source', SOURCES)
def test_any_strides_of_any_argument(kernels, source, view):
    for seed, sizes in enumerate(itertools.product((1, 2), (1, 5), (1, 9), (1, 2), (1, 7), (1, 6))):
        n, c, w, k, out_h, out_w = sizes
        h = 1 + seed % 2 * 7
        options = (MODES[seed % 3], PADDINGS[seed // 3 % 3], bool(seed // 9 % 2))
        numbers = (seed % 3, seed // 3 % 3, options[2])
        generator = seeded(seed)
        image = torch.randn(n, c, h, w, generator=generator)
        map = random_map(source, n, k, (out_h, out_w), generator).float()
        safe = off_lattice(map.double(), (h, w), (out_h, out_w), options[2])
        gradient = safe * torch.randn(n, k, c, out_h, out_w, generator=generator)
        expected = truth(image, map, (out_h, out_w), options, gradient)
        for views in ((view, None, None), (None, view, None), (None, None, view), (view,) * 3):
            u, m, g = (
                of(tensor) if of else tensor
                for of, tensor in zip(views, (image, map, gradient), strict=True)
            )
            samples = torch.ops.mmstn.sample(u, m, out_h, out_w, *numbers, torch.float32)
            d_image, d_map = torch.ops.mmstn.sample_backward(g, u, m, *numbers, True, True)
            for actual, wanted in zip((samples * safe, d_image, d_map), expected, strict=True):
                wanted = wanted * safe if wanted.dim() == 5 and wanted is expected[0] else wanted
                error = (actual.double() - wanted).abs().max() / (1 + wanted.abs().max())
                assert error < 1e-4, (sizes, options, [v and v.__name__ for v in views])


@needs_op
def test_a_permuted_output_of_one_column():
    image = torch.randn(2, 3, 9, 8, requires_grad=True)
    matrix = random_map('affine', 2, 1, (7, 1), seeded(4)).float()[:, 0].requires_grad_()
    weight = torch.randn(2, 7, 1, 3)
    samples = affine_grid_sample(image, matrix, (7, 1))
    actual = torch.autograd.grad((samples.permute(0, 2, 3, 1) * weight).sum(), (image, matrix))
    with use_backend('torch'):
        samples = affine_grid_sample(image, matrix, (7, 1))
    expected = torch.autograd.grad((samples.permute(0, 2, 3, 1) * weight).sum(), (image, matrix))
    torch.testing.assert_close(actual, expected, rtol=1e-4, atol=1e-4)


@needs_op
@pytest.mark.parametrize('argument', ['input', 'map', 'gradient'])
def test_expanded_arguments(argument):
    """One number in memory for many elements, along any of the axes."""
    shapes = {'input': (2, 5, 6, 7), 'map': (2, 2, 3, 4, 2), 'gradient': (2, 2, 5, 3, 4)}
    for axes in itertools.product((False, True), repeat=len(shapes[argument])):
        tensors = {name: torch.rand(shape) - 0.5 for name, shape in shapes.items()}
        narrow = tensors[argument]
        for axis in itertools.compress(range(narrow.dim()), axes):
            narrow = narrow.narrow(axis, 0, 1)
        tensors[argument] = narrow.expand(shapes[argument])
        full = {name: tensor.contiguous() for name, tensor in tensors.items()}
        results = [
            (
                torch.ops.mmstn.sample(t['input'], t['map'], 3, 4, 1, 0, False, torch.float32),
                *torch.ops.mmstn.sample_backward(
                    t['gradient'], t['input'], t['map'], 1, 0, False, True, True
                ),
            )
            for t in (tensors, full)
        ]
        torch.testing.assert_close(*results, rtol=1e-5, atol=1e-5)


def emptied(*shape):
    tensor = torch.zeros(shape)
    tensor.untyped_storage().resize_(0)
    return tensor


def cut_short(*shape):
    tensor = torch.zeros(shape)
    tensor.untyped_storage().resize_(tensor.nbytes - 1)
    return tensor


GRID = (2, 3, 4, 5, 2)
BAD_CALLS = {
    'another batch': (dict(warp=torch.zeros(1, 3, 2, 3)), ValueError, 'batch size 2'),
    'a volume': (dict(input=torch.zeros(2, 3, 4, 4, 4)), ValueError, 'input must be'),
    'no pixels': (dict(input=torch.zeros(2, 3, 0, 4)), ValueError, 'input must have pixels'),
    'too many pixels': (
        dict(input=torch.zeros(1).expand(2, 3, 2**20, 2**20)),
        ValueError,
        'more pixels',
    ),
    'no matrix': (dict(warp=torch.zeros(2, 3, 4, 4)), ValueError, 'warp must be'),
    'points of three numbers': (dict(warp=torch.zeros(2, 3, 4, 5, 3)), ValueError, 'warp must be'),
    'whole numbers': (dict(input=torch.zeros(2, 3, 6, 7).int()), TypeError, 'input must be float'),
    'complex': (dict(input=torch.zeros(2, 3, 6, 7) * 1j), TypeError, 'input must be float'),
    'half a map': (dict(warp=torch.zeros(GRID).half()), TypeError, 'warp must be float32'),
    'a coarser map': (dict(input=torch.zeros(2, 3, 6, 7).double()), TypeError, 'float64 as input'),
    'mode': (dict(mode=3), ValueError, 'mode must be 0, 1 or 2, got 3'),
    'negative mode': (dict(mode=-1), ValueError, 'mode'),
    'padding': (dict(padding=2**40), ValueError, 'padding'),
    'input without memory': (dict(input=emptied(2, 3, 6, 7)), ValueError, 'input of.*1008 bytes'),
    'input of less memory': (dict(input=cut_short(2, 3, 6, 7)), ValueError, 'input of.*1007'),
    'map without memory': (dict(warp=emptied(*GRID)), ValueError, 'warp of.*has 0'),
}
BAD_FORWARD = {
    'another size': (dict(out_height=5), ValueError, 'not of 5 x 5'),
    'negative size': (dict(warp=torch.zeros(2, 3, 2, 3), out_width=-1), ValueError, 'got 4 x -1'),
    'samples of whole numbers': (dict(dtype=torch.int64), TypeError, 'dtype must be float'),
}
BAD_BACKWARD = {
    'a larger gradient': (dict(gradient=torch.zeros(2, 3, 3, 40, 50)), ValueError, 'the grid'),
    'a smaller gradient': (dict(gradient=torch.zeros(2, 3, 3, 4, 4)), ValueError, 'the grid'),
    'another K': (dict(gradient=torch.zeros(2, 2, 3, 4, 5)), ValueError, 'gradient must be'),
    'no K': (dict(gradient=torch.zeros(2, 3, 4, 5)), ValueError, 'gradient must be'),
    'a gradient of whole numbers': (
        dict(gradient=torch.zeros(2, 3, 3, 4, 5).long()),
        TypeError,
        'gradient must be float',
    ),
    'a gradient without memory': (
        dict(gradient=emptied(2, 3, 3, 4, 5)),
        ValueError,
        'gradient of.*has 0',
    ),
}


@needs_op
@pytest.mark.parametrize(
    ('change', 'error', 'message'),
    (BAD_CALLS | BAD_FORWARD).values(),
    ids=BAD_CALLS | BAD_FORWARD,
)
def test_the_op_says_what_it_cannot_take(change, error, message):
    arguments = dict(
        input=torch.zeros(2, 3, 6, 7),
        warp=torch.zeros(GRID),
        out_height=4,
        out_width=5,
        mode=1,
        padding=0,
        align_corners=False,
        dtype=torch.float32,
    )
    with pytest.raises(error, match=message):
        torch.ops.mmstn.sample(**arguments | change)


@needs_op
@pytest.mark.parametrize(
    ('change', 'error', 'message'),
    (BAD_CALLS | BAD_BACKWARD).values(),
    ids=BAD_CALLS | BAD_BACKWARD,
)
def test_the_backward_op_says_what_it_cannot_take(change, error, message):
    arguments = dict(
        gradient=torch.zeros(2, 3, 3, 4, 5),
        input=torch.zeros(2, 3, 6, 7),
        warp=torch.zeros(GRID),
        mode=1,
        padding=0,
        align_corners=False,
        wants_input=True,
        wants_warp=True,
    )
    with pytest.raises(error, match=message):
        torch.ops.mmstn.sample_backward(**arguments | change)
