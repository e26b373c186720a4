"""Runs a table of the paper: python tools/reproduce.py mnist --cells 'cnn/*' --seeds 0 1 2.

reproduce/README.md tells of clusters, and what the keys of a table are.
"""

import argparse
import itertools
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import reproduce.run
import torch
from reproduce import Experiment, Run, run_all, write_report

CONFIGS = Path(os.path.relpath(Path(__file__).resolve().parents[1] / 'configs'))
KNOWN = ', '.join(sorted(file.parent.name for file in CONFIGS.glob('*/experiment.yml')))


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description='Train and test the cells of a table, and set the results beside the '
        "paper's. Started again, it goes on where it was stopped."
    )
    parser.add_argument(
        'experiment', help=f'a table ({KNOWN}), or the YAML file of one of your own'
    )
    parser.add_argument('--version', help='which version of it (default: its first)')
    parser.add_argument(
        '--cells',
        nargs='+',
        default=['*'],
        metavar='ROW/COLUMN',
        help="which cells, with wild cards: 'cnn/rts' 'st-*/r' (default: all)",
    )
    parser.add_argument(
        '--seeds', type=int, nargs='+', default=[0], help='which seeds (default: 0)'
    )
    parser.add_argument(
        '--jobs', type=int, help='how many runs side by side (default: one a GPU, or one)'
    )
    parser.add_argument(
        '--dask', metavar='ADDRESS', help='the scheduler of a cluster, whose workers run all'
    )
    parser.add_argument(
        '--work-dir',
        type=Path,
        help='folder for the runs (default: work_dirs/reproduce/EXPERIMENT/VERSION)',
    )
    parser.add_argument('--out', type=Path, help='folder for the report (default: the work folder)')
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        default=[],
        metavar='KEY=VALUE',
        help='settings for all runs, as of tools/train.py; give them a --work-dir of their own',
    )
    parser.add_argument(
        '--list', action='store_true', help='list the runs and whether they are done'
    )
    parser.add_argument(
        '--report', action='store_true', help='write the report of what is done, and run nothing'
    )
    args = parser.parse_args(argv)
    for option in args.cfg_options:
        if '=' not in option:
            parser.error(f'--cfg-options must be KEY=VALUE, got {option}')
    for seed in args.seeds:
        if not 0 <= seed < 2**32:
            parser.error(f'--seeds must be from 0 to 2**32 - 1, got {seed}')
    if args.jobs is not None and args.jobs < 1:
        parser.error(f'--jobs must be 1 or more, got {args.jobs}')
    args.seeds = list(dict.fromkeys(args.seeds))
    return args


def make_runs(experiment: Experiment, args: argparse.Namespace) -> list[Run]:
    """The runs of every chosen cell."""
    options = dict(option.split('=', maxsplit=1) for option in args.cfg_options)
    before, option = {}, None
    if experiment.prepare is not None:
        config, option = experiment.prepare
        for seed in args.seeds:  # the options are for the table's own runs
            folder = args.work_dir / 'prepare' / f'seed{seed}'
            before[seed] = Run(f'{config.stem}, seed {seed}', config.resolve(), folder, seed)
    return [
        Run(
            name=f'{cell}, seed {seed}',
            config=experiment.configs[cell].resolve(),
            folder=experiment.folder(args.work_dir, cell) / f'seed{seed}',
            seed=seed,
            options={**experiment.options.get(cell, {}), **options},
            after=before.get(seed),
            checkpoint_option=option,
        )
        for cell in experiment.select(args.cells)
        for seed in args.seeds
    ]


@contextmanager
def make_executor(args: argparse.Namespace) -> Iterator[Executor]:
    """The executor of the runs: threads here, each with a GPU if there is one, or Dask."""
    if args.dask is None:
        count = torch.cuda.device_count()
        visible = os.environ.get('CUDA_VISIBLE_DEVICES')
        gpus = visible.split(',')[:count] if visible else [str(gpu) for gpu in range(count)]
        turns = itertools.cycle(gpus or [None])
        jobs = args.jobs or count or 1
        os.environ.setdefault('OMP_NUM_THREADS', str(max(1, (os.cpu_count() or 1) // jobs)))

        def take_gpu() -> None:
            threading.current_thread().gpu = next(turns)

        with ThreadPoolExecutor(jobs, initializer=take_gpu) as executor:
            yield executor
        return
    try:
        import cloudpickle
        from distributed import Client
    except ImportError as error:
        sys.exit(f"--dask needs Dask: pip install 'mmstn[cluster]' ({error})")
    cloudpickle.register_pickle_by_value(reproduce.run)  # the workers need not find this folder
    try:
        client = Client(args.dask)
    except (OSError, ValueError) as error:
        sys.exit(f'--dask must be the address of a scheduler that runs, got {args.dask}: {error}')
    with client:
        print_now('run by workers that were started with --resources slot=1')
        # A worker that dies has its runs done again by another, from their last checkpoints.
        yield client.get_executor(resources={'slot': 1}, pure=False)


def main(argv: list[str] | None = None) -> int:
    args = parse_args(argv)
    file = Path(args.experiment)
    if file.suffix not in ('.yml', '.yaml'):
        file = CONFIGS / args.experiment / 'experiment.yml'
    if not file.is_file():
        sys.exit(
            f'reproduce.py: experiment must be one of {KNOWN} or a file, got {args.experiment}'
        )
    try:
        experiment = Experiment.load(file, args.version)
        if args.work_dir is None:
            args.work_dir = Path('work_dirs', 'reproduce', experiment.name, experiment.version)
        args.work_dir = args.work_dir.resolve()  # mmengine stores paths of checkpoints
        runs = make_runs(experiment, args)
    except ValueError as error:
        sys.exit(f'reproduce.py: {error}')
    out = args.out or args.work_dir

    if args.list:
        for each in runs:
            options = (f'{key}={value}' for key, value in each.options.items())
            print(state(each), each.name, os.path.relpath(each.config), *options)
        return 0
    failed = []
    if not args.report:
        # A batch system ends jobs with SIGTERM: stop the runs too, they go on another time.
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
        with make_executor(args) as executor:
            failed = run_all(
                runs, executor, print_now, lambda: write_report(experiment, args.work_dir, out)
            )
    write_report(experiment, args.work_dir, out)
    print(f'report: {out / experiment.version}.md')
    if failed:
        print(f'failed: {"; ".join(each.name for each in failed)} (tried again at the next start)')
    return 1 if failed else 0


def state(each: Run) -> str:
    """How far a run is, for the list."""
    try:
        return 'done ' if each.result else f'{each.progress():4.0%} '
    except ValueError as error:
        return f'{error}\n     '


def print_now(line: str) -> None:
    """Prints without delay, also into a file or a pipe."""
    print(time.strftime('%H:%M:%S'), line, flush=True)


if __name__ == '__main__':
    sys.exit(main())
