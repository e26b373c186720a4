"""The paper's sampler as it is printed: a double sum over all pixels, written to be read.

Every fast path is tested against it. Its cost grows with the product of input and output pixels.
"""

import math

import torch
from torch import Tensor

from .checks import check_float, check_mode
from .grids import pad_index, to_pixels
from .kernels import BICUBIC, BILINEAR, SamplingKernel
from .torch_backend import FARTHEST


def reference_grid_sample(
    input: Tensor,
    grid: Tensor,
    mode: str | SamplingKernel = 'bilinear',
    padding_mode: str = 'zeros',
    align_corners: bool = False,
) -> Tensor:
    """V_i^c = sum_n sum_m U_nm^c k(x_s - m) k(y_s - n), equation (3) of the paper.

    Args:
        input: The feature map U, (N, C, H, W).
        grid: The points (x_s, y_s), normalised, (N, K, H', W', 2).
        mode: As in :func:`~mmstn.ops.grid_sample`.
        padding_mode: As there. The sums run over the map extended by padding.
        align_corners: As there.

    Returns:
        The samples V, (N, K, C, H', W').

    Raises:
        TypeError: If ``input`` or ``grid`` is not a floating-point tensor.
        ValueError: If it has another shape or an option is unknown.
    """
    check_mode(mode, padding_mode, align_corners=align_corners)
    for name, tensor, dimensions in (('input', input, 4), ('grid', grid, 5)):
        check_float(name, tensor)
        if tensor.dim() != dimensions or len(tensor) != len(input):
            raise ValueError(
                f'{name} must have {dimensions} dimensions and the batch size of input, '
                f'got shape {tuple(tensor.shape)}'
            )
    if grid.shape[-1] != 2:
        raise ValueError(f'grid must end in 2 coordinates, got shape {tuple(grid.shape)}')
    grid = grid.clamp(-FARTHEST, FARTHEST)  # leaves what is not a number as it is
    x = to_pixels(grid[..., 0], input.shape[-1], align_corners)  # (N, K, H', W')
    y = to_pixels(grid[..., 1], input.shape[-2], align_corners)
    # A point that is not a number has neither a sample nor, but for 'nearest', a derivative.
    nowhere = (x * y).square()
    if mode == 'nearest':
        nowhere = nowhere.detach()

    reach = 2 if isinstance(mode, str) else math.ceil(mode.support)  # of the kernel, in pixels
    options = (reach + 1, padding_mode, align_corners)
    x, m, u_m = _extended_axis(x.nan_to_num(), input.shape[-1], *options)
    y, n, u_n = _extended_axis(y.nan_to_num(), input.shape[-2], *options)
    extended = input[:, :, u_n][..., u_m]  # U_nm, one row per n and one column per m
    k_x, k_y = _weights(x, m, mode), _weights(y, n, mode)
    sums = torch.einsum('bcnm,bkhwm,bkhwn->bkchw', extended, k_x, k_y)
    nowhere = nowhere[:, :, None]
    return torch.where(nowhere.isnan(), nowhere, sums)


def _extended_axis(
    coordinate: Tensor, size: int, reach: int, padding_mode: str, align_corners: bool
) -> tuple[Tensor, Tensor, Tensor]:
    """The points, the pixels m that the sum runs over, and which pixel of the map each m shows.

    What padding shows goes on without an end. Points are brought near the map first: to where the
    extended map is the same.
    """
    if padding_mode == 'zeros':  # pixels outside add nothing: the paper's sum over the map itself
        m = torch.arange(size)
        return coordinate, m, m
    if padding_mode == 'border':
        coordinate = coordinate.clamp(-reach, size - 1 + reach)
    else:
        coordinate = coordinate.remainder(2 * max(size - 1, 1) if align_corners else 2 * size)
    m = torch.arange(-2 * reach, 2 * size + 2 * reach)
    return coordinate, m, pad_index(m, size, padding_mode, align_corners)


def _weights(coordinate: Tensor, pixels: Tensor, mode: str | SamplingKernel) -> Tensor:
    """k(x_s - m) for all points and pixels, (*, pixels)."""
    if mode == 'nearest':  # delta(floor(x_s + 0.5) - m), equation (4)
        return (torch.floor(coordinate + 0.5)[..., None] == pixels).to(coordinate.dtype)
    kernel = {'bilinear': BILINEAR, 'bicubic': BICUBIC}[mode] if isinstance(mode, str) else mode
    return kernel(coordinate[..., None] - pixels)
