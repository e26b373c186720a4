"""The paper's sampler as it is printed: a double sum over all pixels, written to be read.

Every fast path is tested against it. Its cost grows with the product of input and output pixels.
"""

from __future__ import annotations

import torch
from torch import Tensor

from .checks import check_mode
from .coordinates import pad_index, to_pixels
from .kernels import BICUBIC, BILINEAR, SamplingKernel


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
    """
    check_mode(mode, padding_mode)
    finite = grid.isfinite().all(dim=-1)
    grid = torch.where(finite[..., None], grid, 0)
    x = to_pixels(grid[..., 0], input.shape[-1], align_corners)  # (N, K, H', W')
    y = to_pixels(grid[..., 1], input.shape[-2], align_corners)

    m, u_m = _extended_axis(x, input.shape[-1], padding_mode, align_corners)
    n, u_n = _extended_axis(y, input.shape[-2], padding_mode, align_corners)
    extended = input[:, :, u_n][..., u_m]  # U_nm, one row per n and one column per m
    k_x = _weights(x, m, mode) * finite[..., None]
    k_y = _weights(y, n, mode)
    return torch.einsum('bcnm,bkhwm,bkhwn->bkchw', extended, k_x, k_y)


def _extended_axis(
    coordinate: Tensor, size: int, padding_mode: str, align_corners: bool
) -> tuple[Tensor, Tensor]:
    """The pixels m that the sum runs over, and which pixel of the map each of them shows."""
    if padding_mode == 'zeros':  # pixels outside add nothing: the paper's sum over the map itself
        m = torch.arange(size)
        return m, m
    reach = int(coordinate.detach().abs().max()) if coordinate.numel() else 0
    margin = reach + 3  # the widest kernel that is built in reaches two pixels
    m = torch.arange(-margin, size + margin)
    return m, pad_index(m, size, padding_mode, align_corners)


def _weights(coordinate: Tensor, pixels: Tensor, mode: str | SamplingKernel) -> Tensor:
    """k(x_s - m) for all points and pixels, (*, pixels)."""
    if mode == 'nearest':  # delta(floor(x_s + 0.5) - m), equation (4)
        return (torch.floor(coordinate + 0.5)[..., None] == pixels).to(coordinate.dtype)
    kernel = {'bilinear': BILINEAR, 'bicubic': BICUBIC}.get(mode, mode)
    return kernel(coordinate[..., None] - pixels)
