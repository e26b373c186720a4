"""Runs a table of the paper: python tools/reproduce.py mnist --cells 'cnn/*' --seeds 0 1 2."""

import argparse
import os
import signal
import sys
from pathlib import Path

from mmstn.experiments import Experiment, Run, run_all, write_report
from mmstn.experiments.scheduler import find_slots, print_now

CONFIGS = Path(os.path.relpath(Path(__file__).resolve().parents[1] / 'configs'))


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    known = ', '.join(sorted(file.parent.name for file in CONFIGS.glob('*/experiment.yml')))
    parser = argparse.ArgumentParser(
        description='Train and test the cells of a table, and set the results beside the '
        "paper's. Started again, it goes on where it was stopped."
    )
    parser.add_argument(
        'experiment', help=f'a table ({known}), or the YAML file of one of your own'
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
    parser.add_argument('--jobs', type=int, help='how many runs side by side (default: what fits)')
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
    return args


def make_runs(experiment: Experiment, args: argparse.Namespace) -> dict:
    """The runs of every chosen cell."""
    options = dict(option.split('=', maxsplit=1) for option in args.cfg_options)
    before, option = {}, None
    if experiment.prepare is not None:
        config, option = experiment.prepare
        for seed in args.seeds:  # the options are for the table's own runs
            folder = args.work_dir / 'prepare' / f'seed{seed}'
            before[seed] = Run(f'{config.stem}, seed {seed}', config, folder, seed)
    return {
        cell: [
            Run(
                f'{cell}, seed {seed}',
                experiment.configs[cell],
                args.work_dir / cell.row / cell.column / f'seed{seed}',
                seed,
                options,
                before.get(seed),
                option,
            )
            for seed in args.seeds
        ]
        for cell in experiment.select(args.cells)
    }


def main(argv: list[str] | None = None) -> int:
    args = parse_args(argv)
    file = Path(args.experiment)
    if file.suffix not in ('.yml', '.yaml'):
        file = CONFIGS / args.experiment / 'experiment.yml'
    if not file.is_file():
        sys.exit(f'experiment must be one of configs/*/experiment.yml or a file, got {file}')
    experiment = Experiment.load(file, args.version)
    if args.work_dir is None:
        args.work_dir = Path('work_dirs', 'reproduce', experiment.name, experiment.version)
    args.work_dir = args.work_dir.resolve()  # mmengine stores paths of checkpoints
    out = args.out or args.work_dir
    runs = make_runs(experiment, args)
    all_runs = [run for cell_runs in runs.values() for run in cell_runs]

    if args.list:
        for run in all_runs:
            print(f'{"done" if run.result else f"{run.progress():4.0%}"}  {run.name}  {run.config}')
        return 0
    failed = []
    if not args.report:
        # A batch system ends jobs with SIGTERM: stop the runs too, they go on another time.
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
        failed = run_all(
            all_runs,
            find_slots(experiment.needs, args.jobs),
            print_now,
            lambda: write_report(experiment, args.work_dir, out),
        )
    write_report(experiment, args.work_dir, out)
    print(f'report: {out / experiment.version}.md')
    if failed:
        print(f'failed: {"; ".join(run.name for run in failed)} (tried again at the next start)')
    return 1 if failed else 0


if __name__ == '__main__':
    sys.exit(main())
