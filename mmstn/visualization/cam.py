"""Lays maps of a layer, such as class activation maps, back onto the image."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mmstn.checks import instance_of, one_of, sequence
from mmstn.models import STNBackbone

from .recording import TransformerRecord


@torch.no_grad()
def lay_back(
    maps: Tensor, layer: str, model: nn.Module, records: Sequence[TransformerRecord]
) -> Tensor:
    """Lays maps of a layer back through the transformers before it.

    What a stream of an :class:`~mmstn.models.STNBackbone` sees is a window of the image, so that
    its maps lie in the frame of that window, and not in that of the image. Of several windows on
    one place the largest value counts.

    Args:
        maps: Made of what ``layer`` gave, not negative, (B, h, w): of N images, or of their K views
            one after the other, (N * K, h, w), where views share a stream.
        layer: The layer's name in ``model``.
        model: What the layer belongs to.
        records: What the transformers did until the layer was called, from
            :func:`record_transformers`.

    Returns:
        Maps in the frame of what the first transformer before the layer read, of its size, (N, H,
        W); ``maps`` themselves for a layer after none.
    """
    instance_of('model', model, nn.Module, 'a module')
    instance_of('maps', maps, Tensor, 'a tensor')
    if maps.dim() != 3 or not maps.is_floating_point():
        raise ValueError(
            f'maps must be (B, h, w), floating-point, got {maps.dtype} {tuple(maps.shape)}'
        )
    modules = dict(model.named_modules())
    one_of('layer', layer, modules)
    for record in sequence('records', records, 'TransformerRecords'):
        instance_of('records', record, TransformerRecord, 'TransformerRecords')
    names = [name for name, module in modules.items() if isinstance(module, STNBackbone)]
    for name in sorted(names, key=len, reverse=True):  # the innermost first
        prefix = f'{name}.streams.' if name else 'streams.'
        if not layer.startswith(prefix):
            continue
        backbone = modules[name]
        stream = int(layer[len(prefix) :].split('.')[0])
        inserted = backbone.inserted(stream)
        for record in reversed(records):
            if record.transformer in inserted:
                maps = _through(record, maps)
        for record in records:
            if record.transformer is backbone.transformer:
                maps = _through_front(backbone, stream, record, maps)
    return maps


def _through(record: TransformerRecord, maps: Tensor) -> Tensor:
    """Maps in the frame of the output of one transformer, in that of its input."""
    transformer = record.transformer
    maps = maps[:, None].to(record.input)
    if transformer.num_transformers is None:
        return transformer.unwarp(maps, record.theta, record.input.shape[2:])[:, 0]
    # The views were concatenated along channels: they share one map.
    views = maps[:, None].expand(-1, transformer.num_transformers, -1, -1, -1)
    return transformer.unwarp(views, record.theta, record.input.shape[2:])[:, :, 0].amax(1)


def _through_front(
    backbone: STNBackbone, stream: int, record: TransformerRecord, maps: Tensor
) -> Tensor:
    """Maps of one stream, or of the stream that all views share, in the frame of the image."""
    in_size = record.input.shape[2:]
    maps = maps.to(record.input).unflatten(0, (len(record), -1))  # (N, views, h, w)
    theta = record.theta.unflatten(0, (len(record), -1)).flatten(1, -2)  # (N, K, P)
    first = stream if len(backbone.streams) > 1 else 0
    theta = theta[:, first : first + maps.shape[1]]
    windows, whole = maps[:, : theta.shape[1]], maps[:, theta.shape[1] :]
    laid = []
    if windows.shape[1]:
        laid.append(record.transformer.unwarp(windows[:, :, None], theta, in_size)[:, :, 0])
    if whole.shape[1]:  # the last view if there is a global one
        laid.append(F.interpolate(whole, in_size, mode='bilinear'))
    return torch.cat(laid, dim=1).amax(1)
