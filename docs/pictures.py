"""Draws the pictures of these pages, one function each: python docs/pictures.py NAME [RUN ...].

A RUN is the work folder of a training.

antialias   docs/images/antialias.png: a zone plate turned by 17 degrees and scaled down by 4
demo        docs/images/demo.png: digits at chosen angles; of the ST-CNN that `make demo` trained,
            work_dirs/demo/st-cnn-affine_1xb64-1500_mnist5k-r
coloc       docs/images/coloc.png: windows that converge on digits; of
            work_dirs/reproduce/mnist_coloc/5k/digit2/tc/seed0
birds       configs/cub/birds.png: test birds with the windows before training and after it; of
            work_dirs/reproduce/cub/birds/{2x,4x}-st-small/192/seed0, two rows each

configs/svhn/README.md and configs/mnist_3d/README.md tell which tools draw theirs.
"""

import math
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from mmengine.registry import init_default_scope
from mmpretrain import get_model
from mmpretrain.registry import DATASETS
from PIL import Image
from torch import nn

from mmstn.datasets.mnist5k import load_digits, test_digits
from mmstn.ops import affine_grid_sample
from mmstn.visualization import (
    ImageStyle,
    SheetSample,
    draw_input,
    draw_sheet,
    record_transformers,
)

ROOT = Path(__file__).parents[1]
IMAGES = ROOT / 'docs/images'


def antialias() -> None:
    import matplotlib

    matplotlib.use('Agg')
    from matplotlib import pyplot as plt

    size, scale = 256, 4
    r = torch.arange(size) - (size - 1) / 2
    plate = torch.cos(math.pi * (r[:, None] ** 2 + r**2) / size)[None, None]
    out = (size // scale, size // scale)
    panels = {
        'a zone plate': plate,
        f'turned, 1 / {scale}: bilinear': affine_grid_sample(plate, turn(17), out),
        'antialias=True': affine_grid_sample(plate, turn(17), out, antialias=True),
    }
    figure, axes = plt.subplots(1, len(panels), figsize=(12, 4.2), layout='constrained')
    for axis, (title, image) in zip(axes, panels.items(), strict=True):
        axis.imshow(image[0, 0], cmap='gray', vmin=-1, vmax=1, interpolation='nearest')
        axis.set_title(title)
        axis.set_axis_off()
    figure.savefig(IMAGES / 'antialias.png', dpi=80)


def demo(run: Path) -> None:
    _, model = load(run)
    digits, labels = load_digits()
    held_out = test_digits(labels)
    digits, labels = digits[held_out], labels[held_out]
    columns = []
    for label in (2, 4, 7):
        digit = torch.tensor(digits[labels == label][1])[None, None].float() / 255
        for angle in (-80, -40, 0, 40, 80):
            turned = affine_grid_sample(digit, turn(angle), (28, 28))
            with torch.no_grad(), record_transformers(model) as records:
                guess = int(model(turned).argmax())
            columns.append(SheetSample(records, str(angle), guess == label))
    Image.fromarray(draw_sheet(columns)).save(IMAGES / 'demo.png', optimize=True)


def coloc(run: Path) -> None:
    steps, width, height = (100, 150, 200, 400), 1180, 180
    strip = Image.new('RGB', (width, height * len(steps)))
    for row, step in enumerate(steps):
        (file,) = run.glob(f'*/vis_data/vis_image/val_transformers_{step}.png')
        windows = Image.open(file).convert('RGB').crop((0, 0, width, height))
        strip.paste(windows, (0, height * row))
    strip = strip.quantize(64, dither=Image.Dither.NONE)
    strip.save(IMAGES / 'coloc.png', optimize=True)


def birds(*runs: Path) -> None:
    columns, tile_size, gap = 8, 120, 4
    rows = []
    for run in runs:
        config, model = load(run)
        dataset = DATASETS.build(config.test_dataloader.dataset)
        places = np.linspace(0, len(dataset), columns, endpoint=False).astype(int) + 5
        batch = pseudo_collate([dataset[int(place)] for place in places])
        with torch.no_grad(), record_transformers(model) as records:
            model.test_step(batch)
        samples = [records[0].sample(column) for column in range(columns)]
        before = [
            replace(sample, theta=model.backbone.transformer.start[None]) for sample in samples
        ]
        for row in (before, samples):
            tiles = [draw_input(x, ImageStyle.of(model.data_preprocessor), tile_size) for x in row]
            edges = ((0, gap), (0, gap), (0, 0))
            rows.append(np.hstack([np.pad(tile, edges, constant_values=255) for tile in tiles]))
    # 128 colours, or the noise of the pictures would make a large file.
    sheet = Image.fromarray(np.vstack(rows)).quantize(128)
    sheet.save(ROOT / 'configs/cub/birds.png', optimize=True)


def turn(degrees: float) -> torch.Tensor:
    a = math.radians(degrees)
    return torch.tensor([[[math.cos(a), -math.sin(a), 0.0], [math.sin(a), math.cos(a), 0.0]]])


def load(run: Path) -> tuple[Config, nn.Module]:
    """The config of a run, and its model as it was saved last."""
    init_default_scope('mmpretrain')
    config = Config.fromfile(next(run.glob('*.py')))
    checkpoint = run / Path((run / 'last_checkpoint').read_text().strip()).name
    return config, get_model(config, pretrained=str(checkpoint)).eval()


if __name__ == '__main__':
    pictures = dict(antialias=antialias, demo=demo, coloc=coloc, birds=birds)
    if len(sys.argv) < 2 or sys.argv[1] not in pictures:
        sys.exit(__doc__)
    pictures[sys.argv[1]](*map(Path, sys.argv[2:]))
