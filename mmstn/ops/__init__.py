"""Sampling: the one door to the paper's differentiable image sampling (section 3.3)."""

from .backend import get_backend, info, set_backend, use_backend
from .functional import affine_grid_sample, grid_sample
from .grids import coordinate_dtype, matrix_grid, regular_axis, regular_grid
from .kernels import SamplingKernel
from .reference import reference_grid_sample

__all__ = [
    'SamplingKernel',
    'affine_grid_sample',
    'coordinate_dtype',
    'get_backend',
    'grid_sample',
    'info',
    'matrix_grid',
    'reference_grid_sample',
    'regular_axis',
    'regular_grid',
    'set_backend',
    'use_backend',
]
