"""Anti-aliasing against a zone plate, PyTorch's own filter for plain scaling, and differences."""

import math

import pytest
import torch
import torch.nn.functional as F
from torch.autograd import gradcheck

from mmstn.ops import affine_grid_sample

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


@pytest.mark.parametrize('scale', [1.5, 2, 3, 4, 8])
def test_plain_scaling_is_that_of_interpolate(scale):
    generator = torch.Generator().manual_seed(0)
    coarse = torch.randn(1, 3, 64, 64, generator=generator)
    image = F.interpolate(coarse, size=(256, 256), mode='bicubic')
    image = image + 0.3 * torch.randn(image.shape, generator=generator)
    out = (int(256 / scale), int(256 / scale))
    expected = F.interpolate(image, size=out, mode='bilinear', antialias=True)
    actual = affine_grid_sample(image, IDENTITY, out, padding_mode='border', antialias=True)
    inner = (..., slice(2, -2), slice(2, -2))  # at the border the two pad differently
    error = (actual - expected)[inner].square().mean().sqrt()
    assert error < 0.05 * expected[inner].square().mean().sqrt()


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
