"""affine_grid_sample and grid_sample: the sampler through matrices, and at the points of a grid."""

from collections.abc import Sequence

from torch import Tensor

from . import backend
from .antialias import antialiased
from .checks import (
    check_antialias,
    check_float,
    check_leading,
    check_map,
    check_matrix,
    check_mode,
    check_size,
)
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
        with D' before H'.

    Raises:
        TypeError: If ``input`` or ``matrix`` is not a floating-point tensor, or ``antialias`` not
            a number.
        ValueError: If shapes do not fit each other or an option is unknown.

    Example:
        >>> image = torch.rand(1, 3, 224, 224)
        >>> zoom = torch.tensor([[[0.5, 0.0, 0.0], [0.0, 0.5, 0.0]]])  # the middle, twice as large
        >>> affine_grid_sample(image, zoom, (224, 224)).shape
        torch.Size([1, 3, 224, 224])
    """
    ndim = check_map('input', input)
    out_size = check_size('out_size', out_size)
    if len(out_size) != ndim:
        raise ValueError(
            f'out_size must have {ndim} numbers for input {tuple(input.shape)}, got {out_size}'
        )
    check_matrix(matrix, ndim)
    check_mode(mode, padding_mode, align_corners=align_corners)
    has_k = check_leading('matrix', matrix, input, 2)
    if not has_k:
        matrix = matrix.unsqueeze(1)
    if antialias is False:
        samples = backend.sample(input, matrix, out_size, mode, padding_mode, align_corners)
    else:
        check_antialias(antialias)
        if ndim != 2 or mode != 'bilinear':
            raise ValueError(
                "antialias needs a map (N, C, H, W) and mode 'bilinear', "
                f'got {tuple(input.shape)} and {mode!r}'
            )
        scale = None if antialias is True else antialias
        samples = antialiased(input, matrix, out_size, padding_mode, align_corners, scale)
    return samples if has_k else samples.squeeze(1)


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
        with D' before H'.

    Raises:
        TypeError: If ``input`` or ``grid`` is not a floating-point tensor.
        ValueError: If shapes do not fit each other or an option is unknown.

    Example:
        >>> image = torch.rand(1, 3, 224, 224)
        >>> corners = torch.tensor([[[[-1.0, -1.0], [1.0, -1.0]], [[-1.0, 1.0], [1.0, 1.0]]]])
        >>> grid_sample(image, corners, align_corners=True).shape
        torch.Size([1, 3, 2, 2])
    """
    ndim = check_map('input', input)
    check_float('grid', grid)
    check_mode(mode, padding_mode, align_corners=align_corners)
    if grid.shape[-1:] != (ndim,):
        raise ValueError(
            f'grid must end in {ndim} coordinates for an input of shape {tuple(input.shape)}, '
            f'got shape {tuple(grid.shape)}'
        )
    has_k = check_leading('grid', grid, input, ndim + 1)
    if not has_k:
        grid = grid.unsqueeze(1)
    out_size = grid.shape[2:-1]
    samples = backend.sample(input, grid, out_size, mode, padding_mode, align_corners)
    return samples if has_k else samples.squeeze(1)
