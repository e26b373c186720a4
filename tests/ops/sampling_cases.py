"""Random sampling problems and their truth: autograd of plain PyTorch operations in float64."""

from contextlib import contextmanager

import pytest
import torch

from mmstn.ops import matrix_grid, native, torch_backend
from mmstn.ops.grids import to_pixels

needs_op = pytest.mark.skipif(native.MODULE is None, reason=native.WHY_MISSING)

MODES = ('nearest', 'bilinear', 'bicubic')
PADDINGS = ('zeros', 'border', 'reflection')
SOURCES = ('affine', 'projective', 'grid')


@contextmanager
def deterministic_algorithms(wanted=True):
    torch.use_deterministic_algorithms(wanted)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(False)


def seeded(seed):
    """Random numbers for new tensors, on the device where those are."""
    return torch.Generator(torch.empty(0).device).manual_seed(seed)


def random_map(source, n, k, out_size, generator, spread=0.4):
    """Matrices, or the grid of projective ones, in float64."""
    matrix = torch.eye(3, dtype=torch.float64) + spread * torch.randn(
        n, k, 3, 3, dtype=torch.float64, generator=generator
    ) * torch.tensor([[1.0], [1.0], [0.3]], dtype=torch.float64)
    if source == 'affine':
        return matrix[..., :2, :]
    return matrix if source == 'projective' else matrix_grid(matrix, out_size)


def points_of(map, out_size, align_corners):
    """The grid (N, K, H', W', 2) of matrices or of a grid."""
    return map if map.dim() == 5 else matrix_grid(map, out_size, align_corners)


def off_lattice(map, size, out_size, align_corners, margin=2e-3):
    """Where a rounding error cannot change the pixels that a point reads, (N, K, 1, H', W').

    There PyTorch's own float32 gradient is far from its float64 one. The lattice is that of pixel
    centres and of their edges, where a reflection turns and 'nearest' jumps.
    """
    grid = points_of(map, out_size, align_corners)
    pixels = [to_pixels(grid[..., a], size[1 - a], align_corners) for a in (0, 1)]
    distance = [(2 * p - (2 * p).round()).abs() / 2 for p in pixels]
    return (torch.minimum(*distance) > margin)[:, :, None]


def truth(input, map, out_size, options, gradient):
    """Samples and gradients in float64: (V, dU, dmap)."""
    input = input.double().detach().requires_grad_()
    map = map.double().detach().requires_grad_()
    grid = points_of(map, out_size, options[2])
    samples = torch_backend.sample(input, grid, out_size, *options)
    return samples, *torch.autograd.grad(samples, (input, map), gradient.double())
