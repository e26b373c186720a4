"""Options, config and Runner of the tools that run a model."""

import argparse
import os
import os.path as osp
import sys
import tempfile
from difflib import get_close_matches
from pathlib import Path

from mmengine.config import Config, DictAction
from mmengine.device import get_device
from mmengine.registry import RUNNERS
from mmengine.runner import Runner

from mmstn.engine.checkpoint_files import newest_checkpoint
from mmstn.engine.checkpoint_loading import refuse_code
from mmstn.engine.cpu_distributed import init_cpu_distributed


def add_common_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the options that every tool of OpenMMLab understands."""
    parser.add_argument('--work-dir', help='folder for logs, results and checkpoints')
    parser.add_argument(
        '--trust',
        action='store_true',
        help='read checkpoints that hold more than weights, and could run any code',
    )
    parser.add_argument('--amp', action='store_true', help='automatic mixed precision')
    parser.add_argument(
        '--no-pin-memory', action='store_true', help='do not pin the memory of the data loaders'
    )
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action=DictAction,
        metavar='KEY=VALUE',
        help='settings that override those of the config: key=value, nested as a.b=value, lists '
        'as key="[a,b]" or key=a,b (quoted, without white space)',
    )
    parser.add_argument(
        '--launcher',
        choices=['none', 'pytorch', 'slurm', 'mpi'],
        default='none',
        help='what has started the processes of a distributed run',
    )
    # Given by torch.distributed.launch; mmengine reads the environment variable.
    parser.add_argument('--local_rank', '--local-rank', type=int, default=0, help=argparse.SUPPRESS)


def load_config(args: argparse.Namespace) -> Config:
    """Reads ``args.config``, and gives it a launcher and a work folder.

    The folder is the one asked for, or the config's own, or ``work_dirs/<name of the config>``.

    Raises:
        RuntimeError: If ``--launcher pytorch`` is asked for in a process that nothing launched.
    """
    os.environ.setdefault('LOCAL_RANK', str(args.local_rank))
    if args.launcher == 'pytorch' and 'RANK' not in os.environ:
        raise RuntimeError(
            '--launcher pytorch expects a process started by `python -m torch.distributed.run` '
            '(tools/dist_train.sh, tools/dist_test.sh); leave it away for a single process'
        )
    check_file(args.config, '.py', 'config')
    cfg = Config.fromfile(args.config)
    cfg.launcher = args.launcher
    if args.work_dir is not None:
        cfg.work_dir = args.work_dir
    elif cfg.get('work_dir') is None:
        cfg.work_dir = osp.join('./work_dirs', osp.splitext(osp.basename(args.config))[0])
    return cfg


def set_dataloader_defaults(cfg: Config, field: str, args: argparse.Namespace) -> None:
    """Completes the data loader ``cfg[field]``, where there is one, as mmpretrain's tools do.

    Memory is pinned where there is a device to copy it to, and workers live on where there are
    any; what the config says comes first, and an option of the command line before both.
    """
    loader = cfg.get(field)
    if loader is None:
        return
    loader.setdefault('pin_memory', get_device() != 'cpu')
    loader.setdefault('persistent_workers', loader.get('num_workers', 0) > 0)
    loader.setdefault('collate_fn', dict(type='default_collate'))
    if args.no_pin_memory:
        loader.pin_memory = False
    if getattr(args, 'no_persistent_workers', False):
        loader.persistent_workers = False


def check_file(path: str, suffix: str, what: str) -> None:
    """Ends the tool where there is no such file, with the names that may be meant."""
    if osp.isfile(path):
        return
    folder = Path(path).parent
    while not folder.is_dir():
        folder = folder.parent
    similar = {found.name: str(found) for found in sorted(folder.rglob(f'*{suffix}'))}
    close = get_close_matches(osp.basename(path), similar, n=3, cutoff=0.6)
    if close:
        meant = ' or '.join(similar[name] for name in close)
        sys.exit(f'There is no {what} {path}. Is it {meant}?')
    sys.exit(f'There is no {what} {path}: see {folder}/')


def check_writable(folder: str) -> None:
    """Makes the work folder, or ends the tool with what to do."""
    try:
        os.makedirs(folder, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        sys.exit(
            f'The work folder {folder} cannot be written to ({error.strerror}). '
            'Name another one with --work-dir, or make room'
        )


def choose_checkpoint(cfg: Config) -> None:
    """Lets a run go on from the newest whole checkpoint of its folder.

    Where there is none the run starts as it did the first time, from the config's ``load_from``.
    """
    hook = cfg.get('default_hooks', {}).get('checkpoint', {})
    path = newest_checkpoint(cfg.work_dir, hook.get('out_dir'), hook.get('filename_tmpl'))
    cfg.resume = path is not None
    if path is not None:
        cfg.load_from = path


def build_runner(cfg: Config, args: argparse.Namespace) -> Runner:
    """Builds the Runner, after the last word of ``--cfg-options``."""
    if args.cfg_options is not None:
        cfg.merge_from_dict(args.cfg_options)
    for path in (getattr(args, 'checkpoint', None), getattr(args, 'resume', None)):
        if path not in (None, 'auto') and '://' not in path:
            check_file(path, '.pth', 'checkpoint')
    check_writable(cfg.work_dir)
    if not args.trust:
        refuse_code()
    if getattr(args, 'resume', None) == 'auto':
        choose_checkpoint(cfg)
    init_cpu_distributed(cfg)
    return RUNNERS.build(cfg) if 'runner_type' in cfg else Runner.from_cfg(cfg)
