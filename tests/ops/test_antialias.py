"""Anti-aliasing against a zone plate, PyTorch's own filter for plain scaling, and differences."""

import math

import pytest
import torch
import torch.nn.functional as F
from torch._subclasses import FakeTensorMode
from torch.autograd import gradcheck

from mmstn.ops import affine_grid_sample
from tests.old_torch import torch_must

IDENTITY = torch.eye(2, 3)[None]


def zone_plate(size):
    """Rings whose frequency grows with the radius r: r / size periods a pixel."""
    r = torch.arange(size) - (size - 1) / 2
    return torch.cos(math.pi * (r[:, None] ** 2 + r**2) / size)[None, None]


def turn(degrees, rows=2):
    a = math.radians(degrees)
    full = torch.tensor([[math.cos(a), -math.sin(a), 0], [math.sin(a), math.cos(a), 0], [0, 0, 1]])
    return full[None, :rows]


@pytest.mark.parametrize('rows', [2, 3])
@pytest.mark.parametrize('degrees', [0, 17, 45])
@pytest.mark.parametrize('scale', [2, 3, 4, 8])
def test_zone_plate(scale, degrees, rows):
    """Rings too fine for the output must vanish: whatever is left of them is aliasing."""
    size, out = 256, 256 // scale
    r = (torch.arange(out) - (out - 1) / 2) * scale
    radius = (r[:, None] ** 2 + r**2).sqrt()
    too_fine = (radius > 1.5 * size / 2 / scale) & (radius < 0.95 * size / 2)
    matrix = turn(degrees, rows)
    plate = zone_plate(size)
    energy = [
        affine_grid_sample(plate, matrix, (out, out), antialias=antialias)[0, 0][too_fine].square()
        for antialias in (False, True)
    ]
    assert energy[0].mean() > 10 * energy[1].mean()


def noise(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def interpolate(image, out_size):
    return F.interpolate(image, size=out_size, mode='bilinear', antialias=True)


@pytest.mark.parametrize('rows', [2, 3])
@pytest.mark.parametrize(('scale_y', 'scale_x'), [(1, 2), (2, 3), (4, 4), (5, 8), (13, 1), (16, 7)])
def test_scaling_by_whole_numbers_is_that_of_interpolate(scale_y, scale_x, rows):
    image = noise(2, 3, 6 * scale_y, 5 * scale_x)
    actual = affine_grid_sample(image, turn(0, rows).expand(2, -1, -1), (6, 5), antialias=True)
    torch.testing.assert_close(actual, interpolate(image, (6, 5)), rtol=0, atol=2e-5)


@pytest.mark.parametrize('scale', [1.1, 1.25, 1.5, 2.2, 2.5, 3.4, 4.5, 7.3, 15.5])
def test_any_scaling_is_nearly_that_of_interpolate(scale):
    """White noise is the worst case. The rim, whose filters reach out, is as good as the rest."""
    size = round(40 * scale)
    image = noise(1, 8, size, size)
    error = affine_grid_sample(image, IDENTITY, (40, 40), antialias=True)
    expected = interpolate(image, (40, 40))
    error = (error - expected).square()
    rim = torch.ones(40, 40, dtype=torch.bool)
    rim[2:-2, 2:-2] = False
    for part in (rim, ~rim):
        assert error[..., part].mean().sqrt() < 0.12 * expected[..., part].std()


@pytest.mark.parametrize('scale', [2, 4])
def test_border_padding_is_scaling_of_a_larger_map(scale):
    image = noise(1, 3, 8 * scale, 7 * scale)
    around = F.pad(image, (2 * scale,) * 4, mode='replicate')
    expected = interpolate(around, (12, 11))[..., 2:-2, 2:-2]
    actual = affine_grid_sample(image, IDENTITY, (8, 7), padding_mode='border', antialias=True)
    torch.testing.assert_close(actual, expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize('rows', [2, 3])
@pytest.mark.parametrize('align_corners', [False, True])
@pytest.mark.parametrize('antialias', [True, 8.0])
@pytest.mark.parametrize(
    ('in_size', 'out_size'), [((64, 64), (8, 8)), ((7, 50), (6, 9)), ((1, 20), (1, 4))]
)
def test_ones_stay_ones_to_the_rim(in_size, out_size, antialias, align_corners, rows):
    for degrees in (0, 180):
        actual = affine_grid_sample(
            torch.ones(1, 2, *in_size),
            turn(degrees, rows),
            out_size,
            align_corners=align_corners,
            antialias=antialias,
        )
        torch.testing.assert_close(actual, torch.ones_like(actual), rtol=0, atol=1e-5)


@pytest.mark.parametrize('rows', [2, 3])
@pytest.mark.parametrize('degrees', [0, 90])
def test_a_window_that_leaves_the_map_fades_within_an_output_pixel(degrees, rows):
    """By hand: an output pixel is as white as the part of it that lies inside the map."""
    matrix = turn(degrees, 3)
    move = torch.tensor([[1, 0, 2.25 * 2 / 8], [0, 1, 0], [0, 0, 1]])  # by 2.25 output pixels
    actual = affine_grid_sample(
        torch.ones(1, 1, 64, 64), (move @ matrix)[:, :rows], (8, 8), antialias=True
    )[0, 0]
    row = torch.tensor([1, 1, 1, 1, 1, 0.75, 0, 0])
    expected = row.expand(8, 8) if degrees == 0 else row.flip(0)[:, None].expand(8, 8)
    torch.testing.assert_close(actual, expected, rtol=0, atol=1e-5)
    corners = affine_grid_sample(
        torch.ones(1, 1, 64, 64), (move @ matrix)[:, :rows], (8, 8), antialias=True,
        align_corners=True,
    )[0, 0]  # fmt: skip
    # The centre of column 6, at 5 / 7 + 0.5625, is so far outside, in output pixels of 9 pixels.
    outside = (5 / 7 + 0.5625 - 1) * 31.5 / 9
    row = torch.tensor([1, 1, 1, 1, 1, 1, 1 - outside, 0])
    expected = row.expand(8, 8) if degrees == 0 else row.flip(0)[:, None].expand(8, 8)
    torch.testing.assert_close(corners, expected, rtol=0, atol=1e-5)


def test_a_window_outside_is_black():
    matrix = IDENTITY + torch.tensor([[0, 0, 4.0], [0, 0, 0]])
    actual = affine_grid_sample(torch.ones(1, 1, 64, 64), matrix, (8, 8), antialias=True)
    assert actual.count_nonzero() == 0


@pytest.mark.parametrize('rows', [2, 3])
def test_no_filter_where_nothing_shrinks(rows):
    image = torch.randn(2, 3, 9, 10)
    matrix = turn(30, rows).expand(2, rows, 3) * torch.tensor([0.5, 0.5, 1.0])
    plain = affine_grid_sample(image, matrix, (20, 21))
    assert torch.equal(affine_grid_sample(image, matrix, (20, 21), antialias=True), plain)


def test_each_image_has_the_filter_of_its_own_map():
    image = torch.randn(3, 2, 64, 64)
    scales = torch.tensor([0.2, 1.0, 0.5])
    matrix = IDENTITY * torch.stack([scales, scales, torch.ones(3)], -1)[:, None]
    together = affine_grid_sample(image, matrix, (16, 16), antialias=True)
    for n in range(3):
        alone = affine_grid_sample(image[n : n + 1], matrix[n : n + 1], (16, 16), antialias=True)
        torch.testing.assert_close(together[n : n + 1], alone)


def test_a_constant_stays_one_under_any_map():
    image = torch.full((1, 1, 40, 40), 3.0)
    projective = torch.tensor([[1.5, 0.3, 0.1], [-0.4, 1.7, 0.0], [0.2, -0.3, 1.0]])[None, None]
    for matrix in (projective, projective[..., :2, :]):
        actual = affine_grid_sample(image, matrix, (9, 8), padding_mode='border', antialias=True)
        torch.testing.assert_close(actual, torch.full_like(actual, 3.0))


@pytest.mark.parametrize('rows', [2, 3])
def test_differentiable_in_map_and_image(rows):
    """By finite differences, for which no point may lie on a line of pixel centres."""
    generator = torch.Generator().manual_seed(5)
    image = torch.randn(1, 1, 6, 5, dtype=torch.float64, generator=generator)
    matrix = turn(20, 3).double()[None] + 0.05 * torch.randn(
        1, 1, 3, 3, dtype=torch.float64, generator=generator
    )
    arguments = (image.requires_grad_(), matrix[..., :rows, :].clone().requires_grad_())
    assert gradcheck(lambda u, m: affine_grid_sample(u, m, (2, 2), antialias=True), arguments)


def scaled(scales, rows):
    """Windows of these scales, turned, one an image; projective ones with a vanishing point."""
    matrix = turn(20, 3) @ torch.diag_embed(torch.stack([scales, 0.8 * scales, scales / scales], 1))
    if rows == 3:
        matrix[:, 2, 0] = 0.1
    return matrix[:, None, :rows]


class Warp(torch.nn.Module):
    def __init__(self, padding_mode, antialias):
        super().__init__()
        self.options = dict(padding_mode=padding_mode, antialias=antialias)

    def forward(self, image, matrix):
        return affine_grid_sample(image, matrix, (9, 8), **self.options)


def traced(warp, arguments):
    return torch.jit.trace(warp, arguments)


def exported(warp, arguments):
    torch_must('export graphs for any batch size')
    shapes = tuple({0: torch.export.Dim('batch')} for _ in arguments)
    return torch.export.export(warp, arguments, dynamic_shapes=shapes).module()


def compiled(warp, arguments):
    torch_must('compile all of it into one graph')
    torch.compiler.reset()
    return torch.compile(warp, fullgraph=True, dynamic=True, backend='aot_eager')


def mapped(warp, arguments):
    return torch.vmap(lambda image, matrix: warp(image[None], matrix[None])[0])


@pytest.mark.parametrize('rows', [2, 3])
@pytest.mark.parametrize(
    ('graph', 'padding_mode', 'antialias'),
    [
        (traced, 'zeros', True),
        (traced, 'border', 4),
        (mapped, 'zeros', True),
        (mapped, 'border', 4),
        (exported, 'zeros', True),
        (compiled, 'zeros', 4),
    ],
)
def test_a_graph_serves_other_scales(graph, padding_mode, antialias, rows):
    """Made with a map that shrinks nothing, for others that shrink by up to 4."""
    warp = Warp(padding_mode, antialias)
    arguments = noise(2, 3, 30, 28), scaled(torch.tensor([0.25, 0.2]), rows)
    graph = graph(warp, arguments)
    torch.testing.assert_close(graph(*arguments), warp(*arguments), rtol=0, atol=1e-5)
    image, matrix = noise(3, 3, 30, 28, seed=1), scaled(torch.tensor([0.3, 0.5, 0.8]), rows)
    expected = Warp(padding_mode, True)(image, matrix)
    torch.testing.assert_close(graph(image, matrix), expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize('rows', [2, 3])
def test_shapes_without_numbers(rows):
    image, matrix = noise(2, 3, 30, 28), scaled(torch.tensor([0.3, 0.9]), rows)
    shape = (2, 1, 3, 9, 8)
    assert Warp('zeros', True)(image.to('meta'), matrix.to('meta')).shape == shape
    with FakeTensorMode() as mode:
        fake = Warp('zeros', True)(mode.from_tensor(image), mode.from_tensor(matrix))
    assert fake.shape == shape


@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16])
def test_half_precision(dtype):
    image, matrix = noise(1, 3, 30, 28).to(dtype), scaled(torch.tensor([0.9]), 2)
    actual = Warp('zeros', True)(image, matrix)
    assert actual.dtype == dtype
    expected = Warp('zeros', True)(image.double(), matrix.double())
    torch.testing.assert_close(actual.double(), expected, rtol=0, atol=torch.finfo(dtype).eps)


@pytest.mark.parametrize('antialias', [0.5, 1, -2, 65, math.nan, 'x', [2], None])
def test_what_is_no_scale_is_refused(antialias):
    with pytest.raises((TypeError, ValueError), match='antialias'):
        affine_grid_sample(torch.zeros(1, 1, 8, 8), IDENTITY, (2, 2), antialias=antialias)


def test_empty_and_unsuitable():
    empty = affine_grid_sample(
        torch.randn(0, 3, 8, 8), torch.randn(0, 2, 2, 3), (2, 2), antialias=True
    )
    assert empty.shape == (0, 2, 3, 2, 2)
    with pytest.raises(ValueError, match='antialias needs'):
        affine_grid_sample(torch.randn(1, 1, 8, 8), IDENTITY, (2, 2), 'bicubic', antialias=True)
    with pytest.raises(ValueError, match='antialias needs'):
        affine_grid_sample(
            torch.randn(1, 1, 4, 4, 4), torch.eye(3, 4)[None], (2, 2, 2), antialias=True
        )
