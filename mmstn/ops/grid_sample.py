"""Sampling a feature map at the points of a dense grid: V = sample(U, T(G))."""

from __future__ import annotations

from torch import Tensor

from . import backend
from .checks import check_float, check_leading, check_map, check_mode
from .kernels import SamplingKernel


def grid_sample(
    input: Tensor,
    grid: Tensor,
    mode: str | SamplingKernel = 'bilinear',
    padding_mode: str = 'zeros',
    align_corners: bool = False,
) -> Tensor:
    """Samples ``input`` at the points of ``grid``, K grids per image without a copy of the image.

    Without the axis K it is a drop-in for :func:`torch.nn.functional.grid_sample`.

    Convention:
        Points are (x, y) or (x, y, z), normalised: -1 and 1 are the outer edges of the map, or the
        centres of its border pixels with ``align_corners=True``. Padding extends the map, and the
        sampling kernel is applied to the extended map. A point with a coordinate that is NaN
        samples NaN whatever the padding, so that a broken theta is seen; none of its gradient
        reaches the map. Infinite and huge coordinates lie outside, a million half-widths away, and
        have a gradient of zero. Coordinates are computed in float32 (float64 if an argument is),
        also under autocast.

    Args:
        input: The feature map U, (N, C, H, W) or (N, C, D, H, W).
        grid: The points, (N, K, H', W', 2) or (N, H', W', 2); (N, K, D', H', W', 3) or
            (N, D', H', W', 3) for volumes.
        mode: The sampling kernel: ``'nearest'`` (the paper's floor(x + 0.5), where PyTorch rounds
            half to even), ``'bilinear'`` (trilinear for volumes), ``'bicubic'``, or a
            :class:`~mmstn.ops.SamplingKernel`.
        padding_mode: What lies outside the map: ``'zeros'``, ``'border'`` or ``'reflection'``.
        align_corners: See the convention above.

    Returns:
        The samples V, (N, K, C, H', W') or (N, C, H', W'), of the type of ``input``; for volumes
        with D' in front of H'.

    Raises:
        TypeError: If ``input`` or ``grid`` is not a floating-point tensor.
        ValueError: If shapes do not fit each other or an option is unknown.
    """
    ndim = check_map('input', input)
    check_float('grid', grid)
    check_mode(mode, padding_mode, align_corners=align_corners)
    if grid.shape[-1:] != (ndim,):
        raise ValueError(
            f'grid must end in {ndim} coordinates for an input of shape {tuple(input.shape)}, '
            f'got shape {tuple(grid.shape)}'
        )
    if check_leading('grid', grid, input, trailing=ndim + 1):
        return backend.grid_sample(input, grid, mode, padding_mode, align_corners)
    samples = backend.grid_sample(input, grid.unsqueeze(1), mode, padding_mode, align_corners)
    return samples.squeeze(1)
