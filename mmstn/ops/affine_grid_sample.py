"""Sampling a feature map through matrices: V = sample(U, A_theta G), without making a grid."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from . import backend
from .checks import check_leading, check_map, check_matrix, check_mode, check_size
from .kernels import SamplingKernel


def affine_grid_sample(
    input: Tensor,
    matrix: Tensor,
    out_size: Sequence[int],
    mode: str | SamplingKernel = 'bilinear',
    padding_mode: str = 'zeros',
    align_corners: bool = False,
) -> Tensor:
    """Warps ``input`` by affine or projective maps, K per image without a copy of the image.

    It equals ``grid_sample(input, matrix_grid(matrix, out_size, align_corners), ...)``, and the
    convention is that of :func:`~mmstn.ops.grid_sample`.

    Args:
        input: The feature map U, (N, C, H, W) or (N, C, D, H, W).
        matrix: Maps from normalised output to normalised input coordinates, (N, K, 2, 3) or
            (N, K, 3, 3), or either without K; (3, 4) and (4, 4) for volumes.
        out_size: (H', W') or (D', H', W').
        mode: The sampling kernel, see :func:`~mmstn.ops.grid_sample`.
        padding_mode: ``'zeros'``, ``'border'`` or ``'reflection'``.
        align_corners: Of the regular grid of output points and of the sampling alike.

    Returns:
        The samples V, (N, K, C, H', W') or (N, C, H', W'), of the type of ``input``; for volumes
        with D' in front of H'.

    Raises:
        TypeError: If ``input`` or ``matrix`` is not a floating-point tensor.
        ValueError: If shapes do not fit each other or an option is unknown.
    """
    ndim = check_map('input', input)
    out_size = check_size('out_size', out_size)
    if len(out_size) != ndim:
        raise ValueError(
            f'out_size must have {ndim} numbers for input {tuple(input.shape)}, got {out_size}'
        )
    check_matrix(matrix, ndim)
    check_mode(mode, padding_mode)
    options = (out_size, mode, padding_mode, align_corners)
    if check_leading('matrix', matrix, input, trailing=2):
        return backend.affine_grid_sample(input, matrix, *options)
    return backend.affine_grid_sample(input, matrix[:, None], *options)[:, 0]
