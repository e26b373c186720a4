"""Draws docs/images/demo.png: digits at chosen angles, with the ST-CNN that `make demo` trained.

python docs/demo.py work_dirs/demo/st-cnn-affine_1xb64-1500_mnist5k-r
"""

import math
import sys
from pathlib import Path

import cv2
import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmengine.runner import load_checkpoint
from mmpretrain.registry import MODELS

from mmstn.datasets.mnist5k import load_digits, test_digits
from mmstn.ops import affine_grid_sample
from mmstn.visualization import SheetSample, draw_sheet, record_transformers

CLASSES, ANGLES = (2, 4, 7), (-80, -40, 0, 40, 80)


def main(run: Path) -> None:
    config = Config.fromfile(next(run.glob('*.py')))
    init_default_scope('mmpretrain')
    model = MODELS.build(config.model).eval()
    load_checkpoint(model, (run / 'last_checkpoint').read_text(), map_location='cpu')

    digits, labels = load_digits()
    held_out = test_digits(labels)
    digits, labels = digits[held_out], labels[held_out]
    columns = []
    for label in CLASSES:
        digit = torch.tensor(digits[labels == label][1])[None, None].float() / 255
        for angle in ANGLES:
            a = math.radians(angle)
            turn = [[math.cos(a), -math.sin(a), 0.0], [math.sin(a), math.cos(a), 0.0]]
            turned = affine_grid_sample(digit, torch.tensor([turn]), (28, 28))
            with torch.no_grad(), record_transformers(model) as records:
                guess = int(model(turned).argmax())
            columns.append(SheetSample(records, str(angle), guess == label))
    sheet = draw_sheet(columns)
    cv2.imwrite(str(Path(__file__).parent / 'images/demo.png'), sheet[..., ::-1])


if __name__ == '__main__':
    main(Path(sys.argv[1]))
