"""Runs several views of an image through one backbone or several, and fuses their outputs."""

from collections.abc import Callable, Sequence
from typing import TypeAlias

import torch
from torch import Tensor, nn

Output: TypeAlias = Tensor | tuple | list | None

# From the outputs of K streams, (N, K, ...), and the axis of their channels there.
FUSIONS: dict[str, Callable[[Tensor, int], Tensor]] = {
    'concat': lambda x, channels: x.movedim(1, channels - 1).flatten(channels - 1, channels),
    'mean': lambda x, channels: x.mean(dim=1),
    'max': lambda x, channels: x.amax(dim=1),
}


def fuse(streams: Sequence[nn.Module], views: Tensor, fusion: str) -> Output:
    """Describes views and fuses the descriptions.

    Args:
        streams: One backbone for all views, which then go through it as one batch, or one for each.
        views: K views of each image, (N, K, C, H, W).
        fusion: A key of ``FUSIONS``.

    Returns:
        What a backbone returns for one view, a tensor or a tuple of them, fused over the views.
        Maps (N, C', h, w) and vectors (N, C') are concatenated along their second axis, tokens (N,
        L, C') along their last one. None, which InceptionV3 gives in place of its auxiliary output
        in evaluation, stays None.
    """
    if views.shape[1] == 1:
        return streams[0](views[:, 0])
    if len(streams) == 1:
        outputs = streams[0](views.flatten(0, 1))
        return _map(lambda x: _fuse(x.reshape(*views.shape[:2], *x.shape[1:]), fusion), outputs)
    outputs = [stream(view) for stream, view in zip(streams, views.unbind(1), strict=True)]
    return _map(lambda *xs: _fuse(torch.stack(xs, dim=1), fusion), *outputs)


def _fuse(x: Tensor, fusion: str) -> Tensor:
    """(N, K, ...) -> (N, ...)."""
    return FUSIONS[fusion](x, 3 if x.dim() == 4 else 2)


def _map(function: Callable[..., Tensor], *outputs: Output) -> Output:
    """``function`` of tensors that stand in the same place of nested tuples."""
    if outputs[0] is None:
        return None
    if isinstance(outputs[0], (tuple, list)):
        return tuple(_map(function, *items) for items in zip(*outputs, strict=True))
    return function(*outputs)
