"""Sampling a feature map through matrices: V = sample(U, A_theta G), without making a grid."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from . import backend
from .antialias import antialiased
from .checks import check_antialias, check_leading, check_map, check_matrix, check_mode, check_size
from .kernels import SamplingKernel


def affine_grid_sample(
    input: Tensor,
    matrix: Tensor,
    out_size: Sequence[int],
    mode: str | SamplingKernel = 'bilinear',
    padding_mode: str = 'zeros',
    align_corners: bool = False,
    antialias: bool | float = False,
) -> Tensor:
    """Warps ``input`` by affine or projective maps, K per image without a copy of the image.

    It equals ``grid_sample(input, matrix_grid(matrix, out_size, align_corners), ...)``, and the
    convention is that of :func:`~mmstn.ops.grid_sample`. A projective matrix may have any factor,
    negative ones too: it is the same map.

    Args:
        input: The feature map U, (N, C, H, W) or (N, C, D, H, W).
        matrix: Maps from normalised output to normalised input coordinates, (N, K, 2, 3) or
            (N, K, 3, 3), or either without K; (3, 4) and (4, 4) for volumes.
        out_size: (H', W') or (D', H', W').
        mode: The sampling kernel, see :func:`~mmstn.ops.grid_sample`.
        padding_mode: ``'zeros'``, ``'border'`` or ``'reflection'``.
        align_corners: Of the regular grid of output points and of the sampling alike.
        antialias: Whether to average over the footprint of an output pixel where the map shrinks
            the image, as ``F.interpolate(..., antialias=True)`` does for plain scaling. The filter
            follows the Jacobian of each map. It needs two dimensions and ``mode='bilinear'``.
            True takes as many points as each map needs, up to a scaling by 16 (the number grows
            with the square), so where a map does not shrink it costs nothing. A number s > 1 takes
            the points that a scaling by s needs, whatever the maps, and no look at them: a graph
            or file of ``torch.compile``, ``torch.export``, ONNX or ``torch.jit.trace`` serves any
            map that shrinks by up to s, and gives what True gives there. In those, under
            ``torch.vmap`` and on the meta device True means 4.

    Returns:
        The samples V, (N, K, C, H', W') or (N, C, H', W'), of the type of ``input``; for volumes
        with D' in front of H'.

    Raises:
        TypeError: If ``input`` or ``matrix`` is not a floating-point tensor, or ``antialias`` not
            a number.
        ValueError: If shapes do not fit each other or an option is unknown.
    """
    ndim = check_map('input', input)
    out_size = check_size('out_size', out_size)
    if len(out_size) != ndim:
        raise ValueError(
            f'out_size must have {ndim} numbers for input {tuple(input.shape)}, got {out_size}'
        )
    check_matrix(matrix, ndim)
    check_mode(mode, padding_mode, align_corners=align_corners)
    check_antialias(antialias)
    if antialias and (ndim != 2 or mode != 'bilinear'):
        raise ValueError(
            f"antialias needs a map (N, C, H, W) and mode 'bilinear', got {tuple(input.shape)} "
            f'and {mode!r}'
        )
    has_k = check_leading('matrix', matrix, input, trailing=2)
    if not has_k:
        matrix = matrix.unsqueeze(1)
    if antialias:
        scale = None if antialias is True else antialias
        samples = antialiased(input, matrix, out_size, padding_mode, align_corners, scale)
    else:
        samples = backend.affine_grid_sample(
            input, matrix, out_size, mode, padding_mode, align_corners
        )
    return samples if has_k else samples.squeeze(1)
