"""ImageStyle: how a map that a network works on becomes a picture."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from mmengine.model import BaseDataPreprocessor
from torch import Tensor

from mmstn.checks import instance_of


@dataclass
class ImageStyle:
    """How the images that a model works on become pictures again.

    Attributes:
        mean: What was subtracted from each channel, on a scale of 0 to 255; None if unknown: images
            are stretched from their darkest to their brightest value then.
        std: What each channel was divided by.
        bgr: Whether the model works on BGR images.
    """

    mean: Sequence[float] | None = None
    std: Sequence[float] | None = None
    bgr: bool = False

    @classmethod
    def of(cls, data_preprocessor: BaseDataPreprocessor, bgr: bool = False) -> ImageStyle:
        """The style of images that come from mmpretrain's or mmengine's data preprocessor."""
        if getattr(data_preprocessor, '_enable_normalize', False):
            mean, std = data_preprocessor.mean, data_preprocessor.std
            return cls(mean.flatten().tolist(), std.flatten().tolist(), bgr)
        return cls(bgr=bgr)


def map_to_image(x: Tensor, style: ImageStyle, reference: Tensor | None = None) -> np.ndarray:
    """A picture of a map.

    One or three channels are an image. Of any other number the mean over the channels is shown in
    false colours, since what it is about is where things are.

    Args:
        x: The map, (C, H, W).
        style: See :class:`ImageStyle`.
        reference: The map whose darkest and brightest values are black and white where ``style``
            knows no mean; ``x`` itself by default.

    Returns:
        (H, W, 3), uint8, RGB.
    """
    instance_of('style', style, ImageStyle, 'an ImageStyle')
    for name, each in dict(x=x, reference=x if reference is None else reference).items():
        if not isinstance(each, Tensor):
            raise TypeError(f'{name} must be a tensor, got {type(each).__name__}')
        if each.dim() != 3 or 0 in each.shape:
            raise ValueError(f'{name} must be (C, H, W), got shape {tuple(each.shape)}')
    x, reference = (m.detach().float().cpu() for m in (x, x if reference is None else reference))
    is_image = len(x) in (1, 3)
    if is_image and style.mean is not None:
        mean, std = (torch.tensor(v).reshape(-1, 1, 1) for v in (style.mean, style.std))
        x = x * std + mean
    else:
        if not is_image:
            x, reference = x.mean(0, keepdim=True), reference.mean(0, keepdim=True)
        low, high = reference.min(), reference.max()
        x = (x - low) / (high - low).clamp(min=torch.finfo(x.dtype).tiny) * 255
    pixels = x.nan_to_num().round().clamp(0, 255).to(torch.uint8).permute(1, 2, 0).numpy()
    if not is_image:
        return cv2.cvtColor(cv2.applyColorMap(pixels, cv2.COLORMAP_VIRIDIS), cv2.COLOR_BGR2RGB)
    if style.bgr:
        pixels = pixels[..., ::-1]
    return np.ascontiguousarray(np.broadcast_to(pixels, (*pixels.shape[:2], 3)))


def fit(image: np.ndarray, size: int) -> np.ndarray:
    """``image``, (H, W, 3), with its longer side at ``size`` pixels or a little less.

    A small image is enlarged by a whole number with its pixels left visible; a large one is
    averaged down.
    """
    height, width = image.shape[:2]
    longer = max(height, width)
    if longer <= size:
        factor = size // longer
        return image.repeat(factor, axis=0).repeat(factor, axis=1)
    new_size = (max(1, round(width * size / longer)), max(1, round(height * size / longer)))
    return cv2.resize(image, new_size, interpolation=cv2.INTER_AREA)
