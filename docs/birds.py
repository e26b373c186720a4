"""Draws configs/cub/birds.png: test birds with the windows before training and after it.

configs/cub/README.md has the command. Each folder of a run gives two rows.
"""

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

from mmstn.visualization import ImageStyle, draw_input, record_transformers

COLUMNS, TILE, GAP = 8, 120, 4


def main(runs: list[Path]) -> None:
    init_default_scope('mmpretrain')
    rows = [row for run in runs for row in draw_rows(run)]
    sheet = np.concatenate([np.concatenate(row, axis=1) for row in rows])
    file = Path(__file__).parents[1] / 'configs/cub/birds.png'
    # 128 colours, or the noise of the pictures would make a large file.
    Image.fromarray(sheet).quantize(128).save(file, optimize=True)


def draw_rows(run: Path) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Some test images with the windows where they start, and the same where they end."""
    config = Config.fromfile(next(run.glob('*.py')))
    model = get_model(config, pretrained=(run / 'last_checkpoint').read_text()).eval()
    dataset = DATASETS.build(config.test_dataloader.dataset)
    places = np.linspace(0, len(dataset), COLUMNS, endpoint=False).astype(int) + 5
    batch = pseudo_collate([dataset[int(place)] for place in places])
    with torch.no_grad(), record_transformers(model) as records:
        model.test_step(batch)
    style = ImageStyle.of(model.data_preprocessor)
    start = model.backbone.transformer.start
    before, after = [], []
    for record in map(records[0].sample, range(COLUMNS)):
        tiles = start[None]
        for row, theta in ((before, tiles), (after, record.theta)):
            tile = draw_input(replace(record, theta=theta), style, TILE)
            row.append(np.pad(tile, ((0, GAP), (0, GAP), (0, 0)), constant_values=255))
    return before, after


if __name__ == '__main__':
    main([Path(run) for run in sys.argv[1:]])
