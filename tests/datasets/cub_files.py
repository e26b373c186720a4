"""A small set in CUB's layout, written by hand."""

import cv2
import numpy as np

from mmstn.datasets.cub import PARTS

LEFT_EYE, RIGHT_EYE, BEAK = (PARTS.index(name) for name in ('left eye', 'right eye', 'beak'))


def make_cub(root):
    """Two species, two images each, 120 x 80 pixels; the second image of each is for testing."""
    names = [f'00{s}.Bird_{s}/Bird_{s}_{i}.png' for s in (1, 2) for i in (1, 2)]
    for index, name in enumerate(names):
        (root / 'images' / name).parent.mkdir(parents=True, exist_ok=True)
        image = np.full((80, 120, 3), 50 * index, np.uint8)
        image[10:20, 30:40] = (0, 0, 255)  # around the beak, which is at (35, 15)
        cv2.imwrite(str(root / 'images' / name), image)
    files = {
        'images.txt': [f'{i} {name}' for i, name in enumerate(names, 1)],
        'classes.txt': ['1 001.Bird_1', '2 002.Bird_2'],
        'image_class_labels.txt': ['1 1', '2 1', '3 2', '4 2'],
        'train_test_split.txt': ['1 1', '2 0', '3 1', '4 0'],
        'bounding_boxes.txt': [f'{i} 20.0 10.0 50.0 40.0' for i in (1, 2, 3, 4)],
        'parts/parts.txt': [f'{i} {name}' for i, name in enumerate(PARTS, 1)],
        'parts/part_locs.txt': [
            f'{i} {p + 1} ' + ('0.0 0.0 0' if p == LEFT_EYE else f'{33.0 + p * 2} 15.0 1')
            for i in (1, 2, 3, 4)
            for p in range(15)
        ],
    }
    (root / 'parts').mkdir()
    for name, lines in files.items():
        (root / name).write_text('\n'.join(lines) + '\n')
    return root
