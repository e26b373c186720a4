"""Draws a small set of birds in the layout of CUB-200-2011, with boxes and parts.

    python tools/data/make_cub_like.py data/birds --species 16

Species differ in details of the head (pattern, beak) and of the body (pattern, wing, tail) only,
and share each of them with others, so that head and body must both be seen up close.
"""

import argparse
import shutil
import sys
import tempfile
from functools import partial
from multiprocessing import Pool
from pathlib import Path

import cv2
import numpy as np
from bird_species import Species, make_species
from draw_birds import draw_bird
from mmengine import ProgressBar

from mmstn.datasets.cub import PARTS


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('out', type=Path, help='the folder to make')
    parser.add_argument('--species', type=int, default=200, help='their number')
    parser.add_argument('--train', type=int, default=30, help='images of each to train on')
    parser.add_argument('--test', type=int, default=30, help='images of each to test on')
    parser.add_argument('--size', type=int, default=512, help='short side of the images, in pixels')
    parser.add_argument(
        '--detail',
        type=float,
        default=0.011,
        help='one period of the pattern of feathers, as a part of --size; larger for networks that '
        'see few pixels',
    )
    parser.add_argument('--seed', type=int, default=0)
    parser.add_argument('--workers', type=int, default=1, help='processes that draw')
    args = parser.parse_args(argv)
    for name in ('train', 'test', 'workers'):
        if getattr(args, name) < 1:
            parser.error(f'--{name} must be at least 1, got {getattr(args, name)}')
    if args.size < 64:
        parser.error(f'--size must be at least 64, got {args.size}')
    if not 0 < args.detail < 0.5:
        parser.error(f'--detail must be above 0 and below 0.5, got {args.detail}')
    if args.out.exists():
        parser.error(f'{args.out} is there already: remove it, or choose another folder')
    try:
        make_species(args.species)
    except ValueError as error:
        parser.error(f'--{error}')
    return args


def draw(
    task: tuple[int, Species, str, int], folder: Path, size: int, detail: float, seed: int
) -> tuple[str, str]:
    """Draws and writes one image. Gives its box and its parts as text."""
    image_id, species, name, number = task
    rng = np.random.default_rng((seed, image_id, number))
    width, height = round(size * rng.uniform(1, 4 / 3)), size
    image, bird = draw_bird(species, width, height, detail, rng)
    path = folder / 'images' / name
    if not cv2.imwrite(str(path), image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 94]):
        raise OSError(f'{path} cannot be written')
    parts = bird.parts()
    for part, (x, y, _) in parts.items():
        if not (0 <= x < width and 0 <= y < height):
            parts[part] = (0.0, 0.0, 0)
    lines = (
        f'{i} {x:.1f} {y:.1f} {seen}'
        for i, (x, y, seen) in enumerate((parts[part] for part in PARTS), 1)
    )
    box = ' '.join(f'{value:.1f}' for value in bird.box())
    return f'{image_id} {box}', '\n'.join(f'{image_id} {line}' for line in lines)


def make(folder: Path, args: argparse.Namespace) -> None:
    """Draws the whole set."""
    species = make_species(args.species)
    (folder / 'parts').mkdir()
    classes = [f'{i:03d}.{kind.name}' for i, kind in enumerate(species, 1)]
    tasks, labels, splits = [], [], []
    for label, (kind, name) in enumerate(zip(species, classes, strict=True), 1):
        (folder / 'images' / name).mkdir(parents=True)
        for number in range(1, args.train + args.test + 1):
            image_id = len(tasks) + 1
            tasks.append((image_id, kind, f'{name}/{kind.name}_{number:04d}.jpg', number))
            labels.append(f'{image_id} {label}')
            splits.append(f'{image_id} {int(number <= args.train)}')

    work = partial(draw, folder=folder, size=args.size, detail=args.detail, seed=args.seed)
    boxes, parts = [], []
    bar = ProgressBar(len(tasks))
    with Pool(args.workers) as pool:
        for box, part in pool.imap(work, tasks, chunksize=4):
            boxes.append(box)
            parts.append(part)
            bar.update()
    sys.stdout.write('\n')

    for name, lines in {
        'images.txt': (f'{image_id} {name}' for image_id, _, name, _ in tasks),
        'classes.txt': (f'{i} {name}' for i, name in enumerate(classes, 1)),
        'image_class_labels.txt': labels,
        'train_test_split.txt': splits,
        'bounding_boxes.txt': boxes,
        'parts/parts.txt': (f'{i} {name}' for i, name in enumerate(PARTS, 1)),
        'parts/part_locs.txt': parts,
    }.items():
        (folder / name).write_text('\n'.join(lines) + '\n')


def main(argv: list[str] | None = None) -> None:
    args = parse_args(argv)
    args.out.absolute().parent.mkdir(parents=True, exist_ok=True)
    # A folder of its own: what was cut off does not look like a data set, and whoever makes the
    # same set at the same time does not write into it.
    folder = Path(tempfile.mkdtemp(prefix=f'.{args.out.name}-', dir=args.out.absolute().parent))
    try:
        make(folder, args)
        folder.chmod(0o755)
        folder.rename(args.out)
    except OSError as error:
        sys.exit(f'{args.out} cannot be made: {error}')
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == '__main__':
    main()
