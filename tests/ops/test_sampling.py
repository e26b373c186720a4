"""The sampling functions against the paper's double sum, PyTorch's own ops and values by hand."""

import itertools
import math
from fractions import Fraction

import pytest
import torch
import torch.nn.functional as F
from torch.autograd import gradcheck

from mmstn.ops import (
    SamplingKernel,
    affine_grid_sample,
    grid_sample,
    matrix_grid,
    reference_grid_sample,
    regular_grid,
    use_backend,
)

MODES = ('nearest', 'bilinear', 'bicubic')
PADDINGS = ('zeros', 'border', 'reflection')
OPTIONS = list(itertools.product(MODES, PADDINGS, (False, True)))
LANCZOS = SamplingKernel(lambda d: torch.sinc(d) * torch.sinc(d / 3), support=3)
NARROW = SamplingKernel(lambda d: (1 - 2 * d.abs()).sqrt(), support=0.5)
BACKENDS = ('auto', 'torch')


def random_case(size=(5, 7), num_transformers=3, reach=2.5, seed=0):
    generator = torch.Generator().manual_seed(seed)
    image = torch.randn(2, 3, *size, dtype=torch.float64, generator=generator)
    shape = (2, num_transformers, 4, 6, 2)
    grid = (torch.rand(shape, dtype=torch.float64, generator=generator) * 2 - 1) * reach
    return image, grid


@pytest.mark.parametrize(('mode', 'padding_mode', 'align_corners'), OPTIONS)
@pytest.mark.parametrize('size', [(5, 7), (1, 1), (1, 4), (8, 3)])
def test_reference_is_what_pytorch_computes(size, mode, padding_mode, align_corners):
    image, grid = random_case(size)  # random points meet no tie, where 'nearest' would differ
    ours = reference_grid_sample(image, grid, mode, padding_mode, align_corners)
    for k in range(grid.shape[1]):
        theirs = F.grid_sample(image, grid[:, k], mode, padding_mode, align_corners)
        torch.testing.assert_close(ours[:, k], theirs, rtol=0, atol=1e-11)


@pytest.mark.parametrize(('mode', 'padding_mode', 'align_corners'), OPTIONS)
@pytest.mark.parametrize('size', [(5, 7), (1, 1), (1, 4), (8, 3)])
def test_grid_sample_is_the_double_sum(size, mode, padding_mode, align_corners):
    image, grid = random_case(size)
    expected = reference_grid_sample(image, grid, mode, padding_mode, align_corners)
    for dtype, tolerance in ((torch.float64, 1e-11), (torch.float32, 2e-5)):
        actual = grid_sample(image.to(dtype), grid.to(dtype), mode, padding_mode, align_corners)
        assert actual.dtype == dtype
        torch.testing.assert_close(actual.double(), expected, rtol=0, atol=tolerance)


@pytest.mark.parametrize('padding_mode', PADDINGS)
def test_users_kernel_is_the_double_sum(padding_mode):
    image, grid = random_case(reach=1.5)
    expected = reference_grid_sample(image, grid, LANCZOS, padding_mode)
    actual = grid_sample(image, grid, LANCZOS, padding_mode)
    torch.testing.assert_close(actual, expected, rtol=0, atol=1e-11)


def test_trilinear_is_what_pytorch_computes():
    generator = torch.Generator().manual_seed(0)
    volume = torch.randn(2, 3, 4, 5, 6, dtype=torch.float64, generator=generator)
    grid = torch.rand(2, 2, 3, 4, 2, 3, dtype=torch.float64, generator=generator) * 3 - 1.5
    trilinear = SamplingKernel(lambda d: 1 - d.abs(), support=1)
    for padding_mode, align_corners in itertools.product(PADDINGS, (False, True)):
        options = (padding_mode, align_corners)
        actual = grid_sample(volume, grid, 'bilinear', *options)
        by_taps = grid_sample(volume, grid, trilinear, *options)
        for k in range(2):
            theirs = F.grid_sample(volume, grid[:, k], 'bilinear', *options)
            torch.testing.assert_close(actual[:, k], theirs, rtol=0, atol=1e-11)
        torch.testing.assert_close(by_taps, actual, rtol=0, atol=1e-11)


def test_values_by_hand():
    image = torch.tensor([[[[1.0, 2.0], [3.0, 4.0]]]])  # centres at -0.5 and 0.5 in x and in y

    def at(x, y, mode='bilinear', padding_mode='zeros'):
        return grid_sample(
            image, torch.tensor([[[[float(x), float(y)]]]]), mode, padding_mode
        ).item()

    assert at(0, 0) == 2.5
    assert at(-0.5, -0.5) == 1
    assert at(-1, -0.5) == 0.5  # half a pixel outside: half of it is padding
    assert at(-1, -0.5, padding_mode='border') == 1
    assert at(2, 0.5, padding_mode='reflection') == 3.5  # 2 mirrors to 0 about the outer edge 1
    assert at(0, -0.5, 'nearest') == 2  # x = 0.5 px: floor(0.5 + 0.5) = 1, as in the paper
    assert at(0, 0.5, 'nearest') == 4


def test_nearest_follows_the_paper_where_pytorch_rounds_half_to_even():
    image = torch.arange(4.0).reshape(1, 1, 1, 4)
    x = (2 * torch.tensor([0.5, 1.5, 2.5]) + 1) / 4 - 1  # exactly between two pixels
    grid = torch.stack([x, torch.zeros(3)], dim=-1).reshape(1, 1, 3, 2)
    assert grid_sample(image, grid, 'nearest').flatten().tolist() == [1, 2, 3]
    assert F.grid_sample(image, grid, 'nearest', align_corners=False).flatten().tolist() == [
        0,
        2,
        2,
    ]


@pytest.mark.parametrize(('mode', 'padding_mode', 'align_corners'), OPTIONS)
@pytest.mark.parametrize('projective', [False, True])
def test_affine_grid_sample_is_grid_sample_of_the_grid(
    projective, mode, padding_mode, align_corners
):
    image, _ = random_case()
    generator = torch.Generator().manual_seed(1)
    matrix = torch.eye(3).double() + 0.3 * torch.randn(
        2, 3, 3, 3, dtype=torch.float64, generator=generator
    )
    matrix = matrix if projective else matrix[..., :2, :]
    out_size = (4, 6)
    points = regular_grid(out_size, align_corners, torch.float64)
    homogeneous = torch.cat([points, torch.ones(4, 6, 1, dtype=torch.float64)], dim=-1)
    grid = torch.einsum('nkij,hwj->nkhwi', matrix, homogeneous)
    grid = grid[..., :2] / grid[..., 2:] if projective else grid
    expected = reference_grid_sample(image, grid, mode, padding_mode, align_corners)
    options = (mode, padding_mode, align_corners)
    actual = affine_grid_sample(image, matrix, out_size, *options)
    torch.testing.assert_close(actual, expected, rtol=0, atol=1e-10)
    single = affine_grid_sample(image, matrix[:, 1], out_size, *options)
    torch.testing.assert_close(single, expected[:, 1], rtol=0, atol=1e-10)


@pytest.mark.parametrize('align_corners', [False, True])
@pytest.mark.parametrize('size', [(1, 1), (1, 5), (3, 4), (5, 3, 4)])
def test_matrix_grid_is_pytorchs_affine_grid(size, align_corners):
    ndim = len(size)
    generator = torch.Generator().manual_seed(0)
    matrix = torch.randn(2, ndim, ndim + 1, dtype=torch.float64, generator=generator)
    expected = F.affine_grid(matrix, [2, 1, *size], align_corners)
    torch.testing.assert_close(
        matrix_grid(matrix, size, align_corners), expected, rtol=0, atol=1e-12
    )
    square = torch.cat([matrix, torch.eye(ndim + 1)[-1:].double().expand(2, 1, -1)], dim=1)
    torch.testing.assert_close(
        matrix_grid(square, size, align_corners), expected, rtol=0, atol=1e-12
    )


def test_identity_matrix_gives_the_regular_grid_to_the_last_bit():
    for size, align_corners in itertools.product([(7, 5), (1, 3), (224, 223)], (False, True)):
        grid = matrix_grid(torch.eye(3), size, align_corners)
        assert torch.equal(grid, regular_grid(size, align_corners))


@pytest.mark.parametrize(('mode', 'padding_mode', 'align_corners'), OPTIONS)
def test_gradients_by_finite_differences(mode, padding_mode, align_corners):
    image, grid = random_case(size=(4, 5), num_transformers=2, reach=1.4)
    size = torch.tensor([5.0, 4.0], dtype=torch.float64)
    scale = (size - 1) / 2 if align_corners else size / 2
    pixels = grid * scale
    # Away from pixel centres and edges, where the kernels have kinks or jumps.
    grid = (torch.floor(pixels * 2) / 2 + 0.25) / scale
    image, grid = image[:1, :2].requires_grad_(), grid[:1, :, :2, :3].requires_grad_()
    assert gradcheck(
        lambda u, g: grid_sample(u, g, mode, padding_mode, align_corners), (image, grid), atol=1e-6
    )


NAN, INF = math.nan, math.inf


@pytest.mark.parametrize('backend', BACKENDS)
@pytest.mark.parametrize('mode', [*MODES, LANCZOS], ids=[*MODES, 'lanczos'])
@pytest.mark.parametrize('padding_mode', PADDINGS)
@pytest.mark.parametrize('align_corners', [False, True])
@pytest.mark.parametrize('size', [(5, 7), (1, 4), (1, 1), (3, 1, 4)])
def test_a_point_that_is_not_a_number_samples_none(
    backend, mode, padding_mode, align_corners, size
):
    generator = torch.Generator().manual_seed(0)
    image = torch.randn(2, 3, *size, dtype=torch.float64, generator=generator).requires_grad_()
    shape = (2, 2, *(2,) * (len(size) - 1), 5, len(size))
    grid = torch.rand(shape, dtype=torch.float64, generator=generator) * 2 - 1
    grid[0, 0, ..., 0, :] = NAN
    grid[1, 1, ..., 3, 1] = NAN  # the other coordinates stay what they are
    grid[1, 1, ..., 4, 0] = NAN
    grid[1, 1, ..., 4, 1] = INF
    unknown = grid.isnan().any(-1)
    clean = grid.nan_to_num(0.3, posinf=0.3).requires_grad_()
    grid.requires_grad_()
    options = (mode, padding_mode, align_corners)
    with use_backend(backend):
        samples = grid_sample(image, grid, *options)
        others = grid_sample(image, clean, *options)
        gradient = torch.randn(samples.shape, dtype=torch.float64, generator=generator)
        actual = torch.autograd.grad(samples, (image, grid), gradient)
        gradient = gradient * ~unknown[:, :, None]
        expected = torch.autograd.grad(others, (image, clean), gradient)
    assert torch.equal(samples.isnan(), unknown[:, :, None].expand_as(samples))
    torch.testing.assert_close(samples.nan_to_num(0), others * ~unknown[:, :, None])
    torch.testing.assert_close(actual[0], expected[0])  # nothing reaches the map
    torch.testing.assert_close(actual[1][~unknown], expected[1][~unknown])
    lost = actual[1][unknown]
    assert lost.eq(0).all() if mode == 'nearest' else lost.isnan().all()


@pytest.mark.parametrize('backend', BACKENDS)
@pytest.mark.parametrize('mode', MODES)
@pytest.mark.parametrize(('rows', 'entry'), [(2, (0, 2)), (2, (1, 0)), (3, (0, 1)), (3, (2, 0))])
def test_a_broken_theta_is_seen(backend, mode, rows, entry):
    image = torch.rand(1, 2, 6, 6, requires_grad=True)
    matrix = torch.eye(3)[None, :rows].clone()
    matrix[(0, *entry)] = NAN
    matrix.requires_grad_()
    with use_backend(backend):
        samples = affine_grid_sample(image, matrix, (4, 4), mode, 'border')
        samples.sum().backward()
    assert samples.isnan().all() and image.grad.eq(0).all()
    assert matrix.grad.eq(0).all() if mode == 'nearest' else matrix.grad.isnan().any()


@pytest.mark.parametrize('backend', BACKENDS)
@pytest.mark.parametrize('fill', [INF, NAN])
def test_nearest_moves_nothing_whatever_the_pixels(backend, fill):
    image = torch.full((1, 2, 4, 4), fill)
    grid = torch.zeros(1, 3, 3, 2, requires_grad=True)
    with use_backend(backend):
        (gradient,) = torch.autograd.grad(grid_sample(image, grid, 'nearest').sum(), grid)
    assert gradient.eq(0).all()


@pytest.mark.parametrize('backend', BACKENDS)
@pytest.mark.parametrize('mode', MODES)
@pytest.mark.parametrize('infinity', [INF, -INF])
def test_infinite_entries_of_a_homography_move_nothing(backend, mode, infinity):
    image = torch.rand(1, 2, 6, 6)
    for row, column in itertools.product((0, 1), (0, 1, 2)):
        matrix = torch.tensor([[[1, 0, 0.1], [0, 1, 0.2], [0.1, 0.2, 1]]]).double()
        matrix[0, row, column] = infinity
        matrix.requires_grad_()
        with use_backend(backend):  # with even sizes there is no 0 * inf, which is not a number
            samples = affine_grid_sample(image, matrix, (4, 4), mode)
        (gradient,) = torch.autograd.grad(samples.sum(), matrix)
        assert samples.eq(0).all() and gradient.eq(0).all()


@pytest.mark.parametrize('backend', BACKENDS)
@pytest.mark.parametrize('mode', [*MODES, LANCZOS], ids=[*MODES, 'lanczos'])
@pytest.mark.parametrize('align_corners', [False, True])
@pytest.mark.parametrize('huge', [INF, -INF, 3e38, -3e38])
def test_infinite_and_huge_points_lie_outside(backend, mode, align_corners, huge):
    image = torch.rand(1, 1, 4, 5, dtype=torch.float64, requires_grad=True)
    grid = torch.tensor([[[[huge, 0.1], [0.1, huge]]]]).double().requires_grad_()
    outside = math.copysign(3, huge)  # where the border is the same all over
    with use_backend(backend):
        for padding_mode in PADDINGS:
            samples = grid_sample(image, grid, mode, padding_mode, align_corners).flatten()
            assert samples.isfinite().all()
            if padding_mode == 'zeros':
                assert samples.eq(0).all()
            if padding_mode == 'border' and mode != LANCZOS:  # whose weights do not sum to one
                near = torch.tensor([[[[outside, 0.1], [0.1, outside]]]]).double()
                expected = grid_sample(image, near, mode, padding_mode, align_corners)
                torch.testing.assert_close(samples, expected.flatten())
            d_image, d_grid = torch.autograd.grad(samples.sum(), (image, grid))
            assert d_image.isfinite().all()
            assert d_grid[0, 0, 0, 0] == 0 and d_grid[0, 0, 1, 1] == 0


@pytest.mark.parametrize(('mode', 'padding_mode', 'align_corners'), OPTIONS)
def test_huge_coordinates_are_safe(mode, padding_mode, align_corners):
    image, grid = random_case()
    samples = grid_sample(image.float(), grid.float() * 1e38, mode, padding_mode, align_corners)
    assert samples.isfinite().all()
    if padding_mode == 'zeros':
        assert samples.eq(0).all()


@pytest.mark.parametrize('mode', [*MODES, LANCZOS], ids=[*MODES, 'lanczos'])
def test_pixels_that_are_not_finite_stay_where_they_are(mode):
    image = torch.ones(1, 1, 6, 6)
    image[..., 0, :] = float('inf')
    image[..., 5, :] = float('nan')
    outside = torch.tensor([[[[0.0, -5.0], [0.0, 5.0], [9.0, 0.1]]]])
    assert grid_sample(image, outside, mode).eq(0).all()


@pytest.mark.parametrize('backend', BACKENDS)
@pytest.mark.parametrize(
    'mode', ['nearest', 'bilinear', NARROW], ids=['nearest', 'bilinear', 'own']
)
@pytest.mark.parametrize('padding_mode', PADDINGS)
def test_derivatives_know_nothing_of_pixels_that_no_point_touches(backend, mode, padding_mode):
    image = torch.randn(1, 1, 12, 12, dtype=torch.float64)
    image[..., [0, -1], :] = INF
    image[..., [0, -1]] = NAN
    grid = torch.rand(1, 1, 3, 3, 2, dtype=torch.float64) * 0.6 - 0.3
    if padding_mode == 'zeros':
        grid[0, 0, 0] = torch.tensor([[5.0, 0.1], [0.1, -1.7], [1e30, -1.7]])
    image.requires_grad_()
    grid.requires_grad_()
    with use_backend(backend):
        samples = grid_sample(image, grid, mode, padding_mode)
        first = torch.autograd.grad(samples.square().sum(), (image, grid), create_graph=True)
        second = torch.autograd.grad(
            sum(tensor.square().sum() for tensor in first), (image, grid), create_graph=True
        )
        third = torch.autograd.grad(sum(tensor.square().sum() for tensor in second), (image, grid))
    assert all(tensor.isfinite().all() for tensor in (samples, *first, *second, *third))


@pytest.mark.parametrize('backend', BACKENDS)
@pytest.mark.parametrize('dtype', [torch.float32, torch.float64])
@pytest.mark.parametrize('align_corners', [False, True])
@pytest.mark.parametrize('source', ['matrix', 'grid', 'affine_grid'])
def test_nearest_takes_the_exact_pixel_at_every_size(backend, dtype, align_corners, source):
    """Of a regular grid many points lie between two pixels, where a rounding error could decide."""
    sizes = (1, 2, 3, 5, 7, 10, 15, 16, 28, 31, 64, 96, 100, 112, 224, 448, 1000)
    matrix = torch.eye(2, 3, dtype=dtype)[None]
    for size, count in itertools.product(sizes, sizes):
        exact = [exact_pixel(j, count, size, align_corners) for j in range(count)]
        ramp = torch.arange(size, dtype=dtype).expand(1, 1, 1, size)
        with use_backend(backend):
            options = ('nearest', 'border', align_corners)
            if source == 'matrix':
                samples = affine_grid_sample(ramp, matrix, (1, count), *options)
            elif source == 'grid':
                grid = matrix_grid(matrix, (1, count), align_corners)
                samples = grid_sample(ramp, grid, *options)
            else:
                grid = F.affine_grid(matrix, [1, 1, 1, count], align_corners=align_corners)
                samples = grid_sample(ramp, grid, *options)
        assert samples.flatten().tolist() == exact, (size, count)


def exact_pixel(j, count, size, align_corners):
    """floor(x + 0.5) for the pixel coordinate x of point j, as the fraction that it is."""
    if align_corners:
        x = Fraction(j * (size - 1), count - 1) if count > 1 else Fraction(size - 1, 2)
    else:
        x = Fraction(size * (2 * j + 1), 2 * count) - Fraction(1, 2)
    return min(math.floor(x + Fraction(1, 2)), size - 1)


def test_horizon_of_a_projective_map_keeps_gradients_finite():
    image = torch.rand(1, 1, 5, 5)
    matrix = torch.eye(3)[None].clone()
    matrix[0, 2] = torch.tensor([1.0, 0.0, 0.0])  # w = x: zero in the middle column
    matrix.requires_grad_()
    samples = affine_grid_sample(image, matrix, (5, 5), align_corners=True)
    samples.sum().backward()
    assert samples.isfinite().all() and matrix.grad.isfinite().all()
    assert (
        samples[0, 0, [0, 1, 3, 4], 2].eq(0).all()
    )  # at y = 0 the point is 0 / 0, held at the centre


@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16])
def test_half_precision_keeps_float32_coordinates(dtype):
    image = torch.rand(1, 2, 64, 64, generator=torch.Generator().manual_seed(0)).to(dtype)
    matrix = torch.tensor([[[0.9, 0.2, 0.013], [-0.2, 0.9, -0.017]]])
    expected = affine_grid_sample(image.double(), matrix.double(), (64, 64))
    actual = affine_grid_sample(image, matrix, (64, 64))
    assert actual.dtype == dtype
    # One rounding of the result, values are at most 1; rounded coordinates would be off by far
    # more.
    torch.testing.assert_close(actual.double(), expected, rtol=0, atol=torch.finfo(dtype).eps)


def test_autocast_follows_pytorch():
    image, grid = torch.rand(1, 2, 8, 8), torch.rand(1, 4, 4, 2)
    with torch.autocast('cpu', dtype=torch.bfloat16):
        ours = grid_sample(image.bfloat16(), grid)
        theirs = F.grid_sample(image.bfloat16(), grid, align_corners=False)
        warped = affine_grid_sample(image, torch.eye(3)[None, :2], (8, 8))
    assert ours.dtype == theirs.dtype == torch.float32
    torch.testing.assert_close(ours, theirs)
    torch.testing.assert_close(warped, image, rtol=0, atol=2e-6)


@pytest.mark.parametrize(('batch', 'num_transformers'), [(0, 2), (2, 0)])
@pytest.mark.parametrize('mode', MODES)
def test_empty(batch, num_transformers, mode):
    image = torch.rand(batch, 3, 4, 4, requires_grad=True)
    grid = torch.rand(batch, num_transformers, 2, 5, 2)
    samples = grid_sample(image, grid, mode)
    assert samples.shape == (batch, num_transformers, 3, 2, 5)
    samples.sum().backward()


BAD_CALLS = {
    'integer input': (
        dict(input=torch.ones(1, 1, 4, 4, dtype=torch.uint8)),
        TypeError,
        'input.*uint8',
    ),
    'input is no map': (dict(input=torch.ones(4, 4)), ValueError, r'input.*\(4, 4\)'),
    'no pixels': (dict(input=torch.ones(1, 1, 0, 4)), ValueError, 'input.*at least one pixel'),
    'grid is no tensor': (dict(grid=[[0.0, 0.0]]), TypeError, 'grid.*list'),
    'three coordinates': (dict(grid=torch.ones(1, 2, 2, 3)), ValueError, 'grid.*2 coordinates'),
    'other batch': (dict(grid=torch.ones(3, 2, 2, 2)), ValueError, 'grid.*N = 1'),
    'too many axes': (dict(grid=torch.ones(1, 1, 1, 2, 2, 2)), ValueError, 'grid'),
    'mode': (dict(mode='linear'), ValueError, 'mode.*linear'),
    'padding': (dict(padding_mode='wrap'), ValueError, 'padding_mode.*wrap'),
}


@pytest.mark.parametrize(('change', 'error', 'message'), BAD_CALLS.values(), ids=BAD_CALLS)
def test_grid_sample_names_what_is_wrong(change, error, message):
    arguments = dict(input=torch.ones(1, 1, 4, 4), grid=torch.zeros(1, 2, 2, 2)) | change
    with pytest.raises(error, match=message):
        grid_sample(**arguments)


BAD_WARPS = {
    'matrix': (dict(matrix=torch.ones(1, 3, 4)), ValueError, r'matrix.*\(1, 3, 4\)'),
    'integer matrix': (
        dict(matrix=torch.ones(1, 2, 3, dtype=torch.long)),
        TypeError,
        'matrix.*int64',
    ),
    'zero size': (dict(out_size=(0, 4)), ValueError, r'out_size.*\(0, 4\)'),
    'size is a number': (dict(out_size=4), TypeError, 'out_size.*int'),
    'fractions': (dict(out_size=(4.0, 4.0)), TypeError, 'out_size.*4.0'),
    'volume': (dict(out_size=(4, 4, 4)), ValueError, 'out_size.*2 numbers'),
}


@pytest.mark.parametrize(('change', 'error', 'message'), BAD_WARPS.values(), ids=BAD_WARPS)
def test_affine_grid_sample_names_what_is_wrong(change, error, message):
    arguments = (
        dict(input=torch.ones(1, 1, 4, 4), matrix=torch.eye(3)[None], out_size=(4, 4)) | change
    )
    with pytest.raises(error, match=message):
        affine_grid_sample(**arguments)


@pytest.mark.parametrize(
    ('function', 'support'), [('triangle', 1), (torch.abs, 0), (torch.abs, float('inf'))]
)
def test_sampling_kernel_names_what_is_wrong(function, support):
    with pytest.raises((TypeError, ValueError), match='function|support'):
        SamplingKernel(function, support)


def test_parallel_transformers_do_not_copy_the_image():
    image = torch.rand(1, 8, 64, 64)
    grid = torch.rand(1, 16, 2, 2, 2)
    with torch.profiler.profile(profile_memory=True) as profile:
        grid_sample(image, grid)
    allocated = sum(
        event.self_cpu_memory_usage for event in profile.events() if event.self_cpu_memory_usage > 0
    )
    assert allocated < image.numel() * image.element_size()
