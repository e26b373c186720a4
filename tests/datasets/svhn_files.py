"""A small SVHN with the oddities of the real one, made anew for each test."""

import os

import cv2
import numpy as np

from mmstn.datasets.digit_struct import FILE_NAME, write_digit_struct

# Digits from left to right: (left, top, width, height, digit). Images are 60 wide and 40 high.
NUMBERS = {
    '1.png': [(20, 10, 8, 16, 1), (29, 11, 8, 16, 9)],
    '2.png': [(25, 8, 10, 20, 0)],  # one digit, and it is the 0
    '3.png': [(6 + 8 * i, 12, 7, 14, i + 1) for i in range(6)],  # six digits
    '4.png': [(-4, -3, 20, 30, 7), (17, 5, 60, 50, 3)],  # outside of the image on all sides
    '5.png': [(5 + 9 * i, 10, 8, 16, 5) for i in range(5)],
    '6.png': [(20, 10, 8, 16, 2), (29, 11, 8, 16, 4), (38, 11, 8, 16, 6)],
}


def image(name):
    """The pixels of an image: noise that follows from its name."""
    rng = np.random.default_rng(int(name.split('.')[0]))
    return rng.integers(0, 256, size=(40, 60, 3), dtype=np.uint8)


def make_folder(root, folder, numbers=NUMBERS):
    """One unpacked archive: PNGs and their annotations."""
    path = os.path.join(root, folder)
    os.makedirs(path)
    for name in numbers:
        assert cv2.imwrite(os.path.join(path, name), image(name))
    write_digit_struct(os.path.join(path, FILE_NAME), list(numbers), list(numbers.values()))
    return path
