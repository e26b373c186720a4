"""Tests a checkpoint: python tools/test.py configs/mnist/<name>.py work_dirs/<name>/epoch_1.pth."""

import argparse
from copy import deepcopy
from pathlib import Path

import mmengine
from command_line import (
    add_common_arguments,
    build_runner,
    load_config,
    set_dataloader_defaults,
)
from mmengine.config import Config, ConfigDict
from mmengine.dist import is_main_process
from mmengine.evaluator import DumpResults

OUT_SUFFIXES = {'pred': ('.pkl', '.pickle'), 'metrics': ('.json', '.yaml', '.yml', '.pkl')}


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description='Test a model')
    parser.add_argument('config', help='config file')
    parser.add_argument('checkpoint', help='checkpoint file')
    add_common_arguments(parser)
    parser.add_argument('--out', help='file for the results')
    parser.add_argument(
        '--out-item',
        choices=['metrics', 'pred'],
        help='what --out holds, the metrics or all predictions (default: pred)',
    )
    parser.add_argument('--show', action='store_true', help='show the predictions in a window')
    parser.add_argument('--show-dir', help='folder to save pictures of the predictions in')
    parser.add_argument(
        '--interval', type=int, default=1, help='draw every so many samples (default: 1)'
    )
    parser.add_argument(
        '--wait-time', type=float, default=2, help='seconds that a window stays (default: 2)'
    )
    parser.add_argument(
        '--tta',
        action='store_true',
        help="test-time augmentation: the config's tta_model and tta_pipeline, or the mean score "
        'of each image and its mirror image',
    )
    args = parser.parse_args(argv)
    if args.out is None and args.out_item is not None:
        parser.error('--out-item needs --out, the file to write')
    args.out_item = args.out_item or 'pred'
    if args.out is not None and Path(args.out).suffix not in OUT_SUFFIXES[args.out_item]:
        parser.error(
            f'--out must end in one of {", ".join(OUT_SUFFIXES[args.out_item])} '
            f'for {args.out_item}, got {args.out}'
        )
    return args


def merge_args(cfg: Config, args: argparse.Namespace) -> None:
    """Writes the command line's options into the config."""
    cfg.load_from = args.checkpoint
    if args.amp:
        cfg.test_cfg.fp16 = True
    if args.show or args.show_dir is not None:
        enable_visualization(cfg, args)
    if args.tta:
        enable_tta(cfg)
    set_dataloader_defaults(cfg, 'test_dataloader', args)


def enable_visualization(cfg: Config, args: argparse.Namespace) -> None:
    if 'visualization' not in cfg.get('default_hooks', {}):
        raise ValueError(
            '--show and --show-dir need a VisualizationHook: '
            "default_hooks=dict(visualization=dict(type='VisualizationHook')) in the config"
        )
    cfg.default_hooks.visualization.update(
        enable=True,
        show=args.show,
        wait_time=args.wait_time,
        out_dir=args.show_dir,
        interval=args.interval,
    )


def enable_tta(cfg: Config) -> None:
    dataset = cfg.test_dataloader.dataset
    if 'tta_pipeline' not in cfg:
        *load, pack = deepcopy(dataset.pipeline)
        # The image as it is comes first: windows and pictures of transformers are the first form's.
        flips = [dict(type='RandomFlip', prob=0.0), dict(type='RandomFlip', prob=1.0)]
        cfg.tta_pipeline = [*load, dict(type='TestTimeAug', transforms=[flips, [pack]])]
    dataset.pipeline = cfg.tta_pipeline
    tta_model = cfg.get('tta_model', dict(type='mmpretrain.AverageClsScoreTTA'))
    cfg.model = ConfigDict(**tta_model, module=cfg.model)


def main(argv: list[str] | None = None) -> None:
    args = parse_args(argv)
    cfg = load_config(args)
    merge_args(cfg, args)
    runner = build_runner(cfg, args)
    if args.out and args.out_item == 'pred':
        runner.test_evaluator.metrics.append(DumpResults(out_file_path=args.out))
    metrics = runner.test()
    if args.out and args.out_item == 'metrics' and is_main_process():
        mmengine.dump(metrics, args.out)


if __name__ == '__main__':
    main()
