"""Trains the model of a config: python tools/train.py configs/mnist/<name>.py."""

import argparse

from command_line import (
    add_common_arguments,
    build_runner,
    load_config,
    set_dataloader_defaults,
)
from mmengine.config import Config
from mmengine.device import get_device

AMP_DEVICES = ('cuda', 'npu', 'mlu', 'musa')  # those that mmengine's AmpOptimWrapper trains on


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description='Train a model')
    parser.add_argument('config', help='config file')
    add_common_arguments(parser)
    parser.add_argument(
        '--resume',
        nargs='?',
        const='auto',
        metavar='CHECKPOINT',
        help='go on from this checkpoint or, without a name, from the newest whole one in the work '
        'folder',
    )
    parser.add_argument('--no-validate', action='store_true', help='do not validate while training')
    parser.add_argument(
        '--auto-scale-lr',
        action='store_true',
        help="scale the learning rate by the actual batch size over the config's base_batch_size",
    )
    parser.add_argument(
        '--no-persistent-workers',
        action='store_true',
        help='do not keep the workers of the data loaders between epochs',
    )
    args = parser.parse_args(argv)
    if args.amp and get_device() not in AMP_DEVICES:
        parser.error(
            f'--amp needs one of the devices {", ".join(AMP_DEVICES)}, for which mmengine '
            f'implements it, but this machine offers {get_device()}; train without --amp here'
        )
    return args


def merge_args(cfg: Config, args: argparse.Namespace) -> None:
    """Writes the command line's options into the config."""
    if args.no_validate:
        cfg.val_cfg = cfg.val_dataloader = cfg.val_evaluator = None

    if args.amp:
        cfg.optim_wrapper.type = 'AmpOptimWrapper'
        cfg.optim_wrapper.setdefault('loss_scale', 'dynamic')

    if args.resume not in (None, 'auto'):
        cfg.resume = True
        cfg.load_from = args.resume

    if args.auto_scale_lr:
        if 'base_batch_size' not in cfg.get('auto_scale_lr', {}):
            raise ValueError(
                '--auto-scale-lr needs auto_scale_lr=dict(base_batch_size=...) in the config'
            )
        cfg.auto_scale_lr.enable = True

    for field in ('train_dataloader', 'val_dataloader', 'test_dataloader'):
        set_dataloader_defaults(cfg, field, args)


def main(argv: list[str] | None = None) -> None:
    args = parse_args(argv)
    cfg = load_config(args)
    merge_args(cfg, args)
    build_runner(cfg, args).train()


if __name__ == '__main__':
    main()
