"""Trains a CNN with and without a spatial transformer on rotated digits and shows the result.

Takes some minutes on two CPU cores: python tools/demo.py
"""

import argparse
import os
import shutil
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import torch
from mmengine.config import Config, DictAction
from mmengine.runner import Runner

from mmstn.datasets.mnist5k import load_digits
from mmstn.visualization import save_animation

CONFIGS = Path(__file__).resolve().parents[1] / 'configs' / 'demo'
MODELS = {
    'CNN': 'cnn_1xb64-1500_mnist5k-r.py',
    'ST-CNN (affine)': 'st-cnn-affine_1xb64-1500_mnist5k-r.py',
}
PICTURE, ANIMATION = 'digits.png', 'digits.gif'


@dataclass
class Result:
    """The figures of one model."""

    name: str
    parameters: int
    error: float
    seconds: float
    log_dir: Path


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        '--work-dir', type=Path, default=Path('work_dirs/demo'), help='folder for all results'
    )
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action=DictAction,
        default={},
        metavar='KEY=VALUE',
        help='settings for both models, such as randomness.seed=1',
    )
    return parser.parse_args(argv)


def train_and_test(name: str, config: str, args: argparse.Namespace) -> Result:
    """Trains one model, as tools/train.py does, and tests it."""
    cfg = Config.fromfile(CONFIGS / config)
    cfg.work_dir = str(args.work_dir / Path(config).stem)
    cfg.merge_from_dict(args.cfg_options)
    # One core for each worker of the loader: sharing costs small networks more than it gains.
    torch.set_num_threads(max(1, (os.cpu_count() or 1) - cfg.train_dataloader.num_workers))
    # Workers that wait for the garbage collector hold up the next model for half a minute.
    for loader in (cfg.train_dataloader, cfg.val_dataloader, cfg.test_dataloader):
        loader.persistent_workers = False
    runner = Runner.from_cfg(cfg)
    start = time.perf_counter()
    runner.train()
    seconds = time.perf_counter() - start
    del runner.train_loop.dataloader_iterator  # its workers would wait too
    accuracy = runner.test()['accuracy/top1']
    parameters = sum(p.numel() for p in runner.model.parameters())
    return Result(name, parameters, 100 - accuracy, seconds, Path(runner.log_dir))


def table(results: list[Result]) -> str:
    """The results as text."""
    rows = [('model', 'parameters', 'test error', 'training time')]
    for r in results:
        minutes, seconds = divmod(round(r.seconds), 60)
        rows.append((r.name, f'{r.parameters:,}', f'{r.error:.2f} %', f'{minutes}:{seconds:02d}'))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [
        '  '.join(
            cell.rjust(width) if i else cell.ljust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    ]
    return '\n'.join([lines[0], '-' * len(lines[0]), *lines[1:]])


def collect_pictures(log_dir: Path, work_dir: Path) -> None:
    """Copies the pictures of a run to where they are easily found."""
    pictures = log_dir / 'vis_data' / 'vis_image'
    (tested,) = pictures.glob('test_transformers_*.png')
    shutil.copy(tested, work_dir / PICTURE)
    steps = sorted(
        pictures.glob('val_transformers_*.png'), key=lambda path: int(path.stem.split('_')[-1])
    )
    save_animation(steps, work_dir / ANIMATION)


def main(argv: list[str] | None = None) -> None:
    args = parse_args(argv)
    try:
        load_digits()
    except ImportError as error:
        sys.exit(f'The demo cannot start: {error}.')
    for picture in (PICTURE, ANIMATION):  # of an earlier run
        (args.work_dir / picture).unlink(missing_ok=True)
    results = [train_and_test(name, config, args) for name, config in MODELS.items()]
    collect_pictures(results[-1].log_dir, args.work_dir)
    print(f'\nReal digits, turned by up to 90 degrees to either side:\n\n{table(results)}\n')
    print('What the transformer looks at (the dot is the upper left corner of its output), and its')
    print('output, which the CNN after it reads:')
    print(f'  after training: {args.work_dir / PICTURE}')
    print(f'  step by step:   {args.work_dir / ANIMATION}')


if __name__ == '__main__':
    main()
