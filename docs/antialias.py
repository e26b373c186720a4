"""Draws docs/images/antialias.png: a zone plate turned by 17 degrees and scaled down by 4."""

import math
from pathlib import Path

import matplotlib

matplotlib.use('Agg')
import matplotlib.pyplot as plt
import torch

from mmstn.ops import affine_grid_sample

SIZE, SCALE, DEGREES = 256, 4, 17


def main() -> None:
    r = torch.arange(SIZE) - (SIZE - 1) / 2
    plate = torch.cos(math.pi * (r[:, None] ** 2 + r**2) / SIZE)[None, None]
    a = math.radians(DEGREES)
    matrix = torch.tensor([[[math.cos(a), -math.sin(a), 0.0], [math.sin(a), math.cos(a), 0.0]]])
    out = (SIZE // SCALE, SIZE // SCALE)
    panels = {
        'a zone plate': plate,
        f'turned, 1 / {SCALE}: bilinear': affine_grid_sample(plate, matrix, out),
        'antialias=True': affine_grid_sample(plate, matrix, out, antialias=True),
    }
    figure, axes = plt.subplots(1, len(panels), figsize=(12, 4.2), layout='constrained')
    for axis, (title, image) in zip(axes, panels.items(), strict=True):
        axis.imshow(image[0, 0], cmap='gray', vmin=-1, vmax=1, interpolation='nearest')
        axis.set_title(title)
        axis.set_axis_off()
    figure.savefig(Path(__file__).parent / 'images/antialias.png', dpi=80)


if __name__ == '__main__':
    main()
