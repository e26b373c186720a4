"""Inverts a smooth map by Newton's method, for transforms without a closed form."""

from collections.abc import Callable

import torch
from torch import Tensor

from mmstn.ops import regular_grid

_STARTS = 9  # points a side among which the search begins, a little beyond the output
_REACH = 1.25
_STEPS = 20
_LONGEST_STEP = 1.0  # half the output: a bend must not throw a point far away
_DIFFERENCE = 1e-6
_TOLERANCE = 1e-9  # in normalised coordinates, far below float32 at any size of a map


@torch.no_grad()
def invert(warp: Callable[[Tensor], Tensor], targets: Tensor) -> Tensor:
    """Points that ``warp`` takes to ``targets``.

    Where several points go to one target, as where a spline folds over, it is one of them.

    Args:
        warp: Takes points, (*, 2), to points of the same shape, each for itself.
        targets: (M, 2), in float64.

    Returns:
        (M, 2), in float64; NaN where no point was found.
    """
    starts = _REACH * regular_grid((_STARTS, _STARTS), True, targets.dtype, targets.device)
    starts = starts.flatten(0, 1)
    points = starts[torch.cdist(targets, warp(starts)).argmin(1)]
    found = torch.full_like(targets, torch.nan)
    sought = torch.arange(len(targets), device=targets.device)
    moves = _DIFFERENCE * torch.eye(2).to(points)[:, None]
    for _ in range(_STEPS):
        values, right, below = warp(torch.stack([points, *(points + moves)]))
        error = targets[sought] - values
        done = (error.abs() <= _TOLERANCE).all(1)
        found[sought[done]] = points[done]
        # A difference is as good as the derivative here: it takes nothing from the accuracy.
        (a, c), (b, d) = (((x - values) / _DIFFERENCE).unbind(1) for x in (right, below))
        x, y = error.unbind(1)
        step = torch.stack([d * x - b * y, a * y - c * x], 1) / (a * d - b * c)[:, None]
        step = step * (_LONGEST_STEP / step.norm(dim=1, keepdim=True)).clamp(max=1)
        going = ~done & step.isfinite().all(1)
        points, sought = (points + step)[going], sought[going]
        if not len(sought):
            break
    return found
