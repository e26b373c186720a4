"""Windows: the outline of what a spatial transformer samples, and its drawing."""

from collections.abc import Callable, Sequence

import cv2
import numpy as np
import torch
from torch import Tensor

from mmstn.checks import instance_of, positive_int, whole_number
from mmstn.grid_generators import BaseGridGenerator
from mmstn.ops.grids import to_pixels

# One for each of K parallel transformers (RGB), told apart on photographs and on black digits, by
# eyes that see no red or no green too (Okabe and Ito's palette, a little lighter).
COLORS = (
    (255, 159, 28),
    (64, 176, 255),
    (0, 200, 140),
    (255, 110, 199),
    (250, 230, 60),
    (150, 120, 255),
    (255, 90, 70),
    (170, 220, 220),
)
_FINER = 4  # lines are drawn on a canvas so many times finer, then averaged down
_BITS = 4  # after the point of OpenCV's fixed-point coordinates
_FAR = 1e5  # pixels; a projective outline may come from infinity, OpenCV's integers do not go there


@torch.no_grad()
def window_outlines(
    grid_generator: BaseGridGenerator, theta: Tensor, points_per_side: int = 33
) -> Tensor:
    """The image of the output's border under T_theta, for any family of transforms.

    Args:
        grid_generator: What makes a grid of ``theta``.
        theta: (*, P).
        points_per_side: How finely the border is followed, at least 2; a spline bends it.

    Returns:
        Closed outlines, (*, M, 2) with M = 4 (points_per_side - 1): normalised points (x, y) of the
        input, clockwise on the output from its upper left corner, which is the first point.

    Raises:
        ValueError: If the family is not one of maps with two dimensions, or ``points_per_side`` is
            too small.
    """
    whole_number('points_per_side', points_per_side, 2)
    instance_of('grid_generator', grid_generator, BaseGridGenerator, 'a grid generator')
    if grid_generator.ndim != 2:
        raise ValueError(f'grid_generator must have 2 dimensions, got {grid_generator.ndim}')
    # With aligned corners the border of a regular grid is exactly that of [-1, 1] x [-1, 1].
    grid = grid_generator(theta, (points_per_side, points_per_side), align_corners=True)
    top, right = grid[..., 0, :-1, :], grid[..., :-1, -1, :]
    bottom, left = grid[..., -1, 1:, :].flip(-2), grid[..., 1:, 0, :].flip(-2)
    return torch.cat([top, right, bottom, left], dim=-2)


def outlines_in_pixels(
    outlines: Tensor, size: tuple[int, int], align_corners: bool = False
) -> np.ndarray:
    """Normalised points in pixels of a map, where the centres of pixels are whole numbers.

    Args:
        outlines: (*, 2), normalised, (x, y).
        size: The map's (H, W).
        align_corners: The convention of the transformer that the points belong to.

    Returns:
        (*, 2), float64, (x, y).
    """
    x, y = outlines.double().cpu().unbind(-1)
    height, width = size
    points = [to_pixels(x, width, align_corners), to_pixels(y, height, align_corners)]
    return torch.stack(points, dim=-1).numpy()


def draw_windows(
    image: np.ndarray, outlines: np.ndarray, thickness: int = 2, first_color: int = 0
) -> np.ndarray:
    """Draws windows on an image; a dot marks the corner that becomes the output's upper left.

    Args:
        image: (H, W, 3), uint8, RGB.
        outlines: K outlines, (K, M, 2), in pixels of ``image``; parts outside are not seen. One
            with a point that is not finite is left out.
        thickness: Of the line, in pixels.
        first_color: Which of :data:`COLORS` the first window takes.

    Returns:
        A new image of the same shape.

    Raises:
        ValueError: If ``image`` or ``outlines`` has another shape or type.
    """
    instance_of('image', image, np.ndarray, 'an array')
    instance_of('outlines', outlines, np.ndarray, 'an array')
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8:
        raise ValueError(f'image must be (H, W, 3) in uint8, got {image.shape} in {image.dtype}')
    if outlines.ndim != 3 or outlines.shape[2] != 2:
        raise ValueError(f'outlines must be (K, M, 2), got {outlines.shape}')
    positive_int('thickness', thickness)
    whole_number('first_color', first_color)
    image = image.copy()
    shown = [
        (outline, COLORS[(first_color + index) % len(COLORS)])
        for index, outline in enumerate(outlines)
        if np.isfinite(outline).all()
    ]
    for outline, color in shown:
        line = [_fine(outline)[:, None]]
        _paint(image, color, cv2.polylines, line, True, 255, thickness * _FINER, shift=_BITS)
    for outline, color in shown:  # after all lines, which must not hide them
        center = tuple(_fine(outline[0]).tolist())
        radius = round(1.8 * thickness * _FINER * 2**_BITS)
        _paint(image, color, cv2.circle, center, radius, 255, cv2.FILLED, shift=_BITS)
    return image


def _fine(points: np.ndarray) -> np.ndarray:
    """Pixels as OpenCV takes them: fixed-point integers, on a canvas that is finer."""
    points = (points.clip(-_FAR, _FAR) + 0.5) * _FINER - 0.5
    return np.round(points * 2**_BITS).astype(np.int32)


def _paint(image: np.ndarray, color: Sequence[int], draw: Callable, *args, **kwargs) -> None:
    """Covers ``image`` with ``color`` where ``draw`` draws on a finer canvas.

    OpenCV's own smoothing leaves a bead at every point of an outline.
    """
    height, width = image.shape[:2]
    canvas = np.zeros((height * _FINER, width * _FINER), np.uint8)
    draw(canvas, *args, **kwargs)
    cover = cv2.resize(canvas, (width, height), interpolation=cv2.INTER_AREA)[..., None] / 255
    image[...] = np.round(image * (1 - cover) + np.array(color) * cover).astype(np.uint8)
