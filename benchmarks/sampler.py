"""How fast the sampler is beside everything else that could do its work.

    python benchmarks/sampler.py --output sampler          # sampler.md and sampler.png
    python benchmarks/sampler.py --cases a b --compile     # some cases; torch.compile too
    python benchmarks/sampler.py --sweep 0 --shapes 200    # random problems; the worst ones last
    python benchmarks/sampler.py --device cuda --dtype bfloat16

All who sample take turns, so that whatever else the machine does meets them all alike;
a ratio is the median over the rounds, with quartiles. What is compared is first seen to compute the
same. "bound" is the time of a copy that moves as many bytes as the work must, in percent of ours.
"""

import argparse
import datetime
import functools
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import sampler_cases as cases
import torch
from peak_memory import peak_memory
from sampler_cases import Case, Problem
from timing import interleaved, ratio
from torch import Tensor

from mmstn.ops import native

PASSES = ('forward', 'forward + backward', 'backward to theta')
EAGER = {'repeated': cases.repeated, 'looped': cases.looped}


@dataclass(frozen=True)
class Row:
    """One case and pass: milliseconds, and ratios to ours as (median, lower, upper quartile)."""

    case: str
    pass_: str
    milliseconds: float
    better: str  # which of the two eager ones is the better one
    ratios: dict[str, tuple[float, float, float]]


def run_pass(pass_: str, sample: Callable[[Problem], Tensor], problem: Problem) -> Callable:
    """What is timed: one pass of a sampler over a problem."""
    if pass_ == 'forward':

        def forward() -> tuple[Tensor, ...]:
            with torch.no_grad():
                return (sample(problem),)

        return forward
    leaf = replace(problem, map=problem.map.detach().requires_grad_())
    if pass_ == 'forward + backward':
        leaf = replace(leaf, image=problem.image.detach().requires_grad_())

        def both() -> tuple[Tensor, ...]:
            samples = sample(leaf)
            gradients = torch.autograd.grad(samples, (leaf.image, leaf.map), leaf.gradient)
            return samples, *gradients

        return both
    samples = sample(leaf)
    return functools.partial(
        torch.autograd.grad, samples, (leaf.map,), leaf.gradient, retain_graph=True
    )


def copy_of(problem: Problem, pass_: str) -> Callable:
    """A copy of as many bytes as a pass must read and write."""
    samples, image = problem.gradient.numel(), problem.image.numel()
    read = problem.touched * problem.image.shape[1]
    elements = {
        'forward': read + samples,
        'forward + backward': read + samples + read + samples + image,
        'backward to theta': read + samples,
    }[pass_]
    source = torch.zeros(elements // 2 + 1, dtype=problem.image.dtype, device=problem.image.device)
    target = torch.empty_like(source)
    return functools.partial(target.copy_, source)


def on_path(path: str, function: Callable) -> Callable:
    """The same on another of the CPU's paths."""

    def run() -> object:
        before = native.MODULE.cpu_path()
        native.MODULE.set_cpu_path(path)
        try:
            return function()
        finally:
            native.MODULE.set_cpu_path(before)

    return run


def on_threads(count: int, function: Callable) -> Callable:
    """The same with another number of threads."""

    def run() -> object:
        torch.set_num_threads(count)
        return function()

    return run


class Measurement:
    """Who takes part, and for how long each is timed."""

    def __init__(self, args: argparse.Namespace) -> None:
        self.args = args
        self.rivals = {**EAGER, 'mmcv': cases.mmcvs(), 'kornia': cases.kornias()}
        self.rivals = {name: rival for name, rival in self.rivals.items() if rival}
        self.other_paths = []
        if args.device == 'cpu':
            best = native.MODULE.cpu_path()
            self.other_paths = [path for path in args.paths if path != best]

    def rows(self, case: Case) -> list[Row]:
        problem = cases.make_problem(case, self.args.device, getattr(torch, self.args.dtype))
        wanted = dict(self.rivals)
        if self.args.compile and case in cases.MAIN:
            torch.compiler.reset()
            wanted['compiled'] = torch.compile(cases.repeated, dynamic=False)
        if case not in cases.MAIN:  # the slow ones show what they can in the main cases
            wanted = {name: wanted[name] for name in EAGER}
        problems = dict.fromkeys(wanted, problem)
        if 'kornia' in wanted:
            problems['kornia'] = replace(problem, map=cases.to_pixel_matrix(problem))
        self._compare(wanted, problems, problem)
        return [self._row(problem, pass_, wanted, problems) for pass_ in PASSES]

    def _compare(self, wanted: dict, problems: dict, problem: Problem) -> None:
        """Raises unless all compute the same: no one is fast by doing something else."""
        expected = cases.ours(problem).double()
        tolerance = 1e-2 if problem.image.dtype == torch.float32 else 0.3  # images are N(0, 1)
        # Where coordinates are rounded to 1e-7 of the map, neighbouring pixels are another image.
        tolerance *= max(1, max(problem.image.shape[2:]) / 256)
        for name, rival in wanted.items():
            wrong = (rival(problems[name]).double() - expected).abs() > tolerance
            if wrong.double().mean() > (0.01 if problem.case.mode == 'nearest' else 0):
                raise RuntimeError(f'{name} computes something else in case {problem.case.name}')

    def _row(self, problem: Problem, pass_: str, wanted: dict, problems: dict) -> Row:
        our = run_pass(pass_, cases.ours, problem)
        functions = {'ours': our, 'bound': copy_of(problem, pass_)}
        for path in self.other_paths:
            functions[path] = on_path(path, our)
        for name, rival in wanted.items():
            functions[name] = run_pass(pass_, rival, problems[name])
        times = interleaved(functions, self.args.seconds, clock=self.args.clock)
        medians = {name: statistics.median(t) for name, t in times.items()}
        better = min(EAGER, key=lambda name: medians[name])
        ratios = {'eager': ratio(times[better], times['ours'])}
        for path in self.other_paths:
            ratios[path] = ratio(times[better], times[path])
        for name in set(wanted) - set(EAGER):
            ratios[name] = ratio(times[name], times['ours'])
        ratios['bound'] = tuple(100 * r for r in ratio(times['bound'], times['ours']))
        if self.args.device == 'cpu' and self.args.threads > 1 and self.args.sweep is None:
            many = self.args.threads
            turns = {'one': on_threads(1, our), 'many': on_threads(many, our)}
            threads = interleaved(turns, self.args.seconds / 2)
            torch.set_num_threads(1)
            ratios[f'{many} threads'] = ratio(threads['one'], threads['many'])
        return Row(problem.case.name, pass_, 1e3 * medians['ours'], better, ratios)


def temporary_memory(device: str, threads: int) -> str:
    """A sentence on the memory of case d, forward + backward."""
    problem = cases.make_problem(cases.D, device, torch.float32)
    both = PASSES[1]
    megabytes = {}
    for count in {1, threads}:
        torch.set_num_threads(count)
        run = run_pass(both, cases.ours, problem)
        megabytes[f'ours ({count} threads)'] = peak_memory(run, device) / 1e6
    torch.set_num_threads(1)
    for name, rival in EAGER.items():
        megabytes[name] = peak_memory(run_pass(both, rival, problem), device) / 1e6
    shown = ', '.join(f'{name} {value:.1f} MB' for name, value in sorted(megabytes.items()))
    return f'Memory beyond the results at the peak of case d, {both}: {shown}.'


def table(rows: list[Row]) -> str:
    """Markdown."""
    names = list(dict.fromkeys(name for row in rows for name in row.ratios))
    heads = {'eager': 'times PyTorch', 'bound': '% of the bound'}
    lines = ['| case | pass | ours, ms | ' + ' | '.join(heads.get(n, n) for n in names) + ' |']
    lines.append('|---|---|' + '--:|' * (1 + len(names)))
    for row in rows:
        cells = []
        for name in names:
            median, low, high = row.ratios.get(name, (float('nan'),) * 3)
            text = f'{median:.0f}' if name == 'bound' else f'{median:.2f} ({low:.2f}, {high:.2f})'
            cells.append(text if median == median else '')
        cells = [row.case, row.pass_, f'{row.milliseconds:.3f}', *cells]
        lines.append('| ' + ' | '.join(cells) + ' |')
    return '\n'.join(lines)


def plot(rows: list[Row], file: Path) -> None:
    """Bars: how many times as long PyTorch takes."""
    import matplotlib

    matplotlib.use('Agg')
    import matplotlib.pyplot as plt

    names = list(dict.fromkeys(row.case for row in rows))
    figure, axes = plt.subplots(
        1, 3, figsize=(12, 1.5 + 0.25 * len(names)), sharey=True, layout='constrained'
    )
    for axis, pass_ in zip(axes, PASSES, strict=True):
        found = {row.case: row.ratios for row in rows if row.pass_ == pass_}
        medians, low, high = zip(*(found[name]['eager'] for name in names), strict=True)
        spread = [
            [m - q for m, q in zip(medians, low, strict=True)],
            [q - m for m, q in zip(medians, high, strict=True)],
        ]
        axis.barh(names, medians, xerr=spread, color='tab:blue', label='the best path', alpha=0.8)
        if 'avx2' in found[names[0]]:
            axis.plot([found[n]['avx2'][0] for n in names], names, 'k|', ms=9, label='AVX2')
        axis.axvline(1, color='tab:red', label="PyTorch's sampler")
        axis.set_title(pass_)
        axis.set_xlabel('times faster')
    axes[0].invert_yaxis()
    axes[0].margins(y=0.01)
    figure.legend(*axes[0].get_legend_handles_labels(), loc='outside upper center', ncols=3)
    figure.savefig(file, dpi=90)
    plt.close(figure)


def worst(rows: list[Row], count: int = 5) -> str:
    """Where PyTorch comes closest in each mode and pass, and how often it is ahead."""
    lines = []
    for pass_ in PASSES:
        found = sorted((row for row in rows if row.pass_ == pass_), key=lambda r: r.ratios['eager'])
        ratios = [row.ratios['eager'][0] for row in found]
        behind = sum(row.ratios['eager'][2] < 1 for row in found)
        lines.append(
            f'{pass_}: {statistics.median(ratios):.2f} times PyTorch in the median, at least '
            f'{min(ratios):.2f}; slower (upper quartile below 1) in {behind} of {len(found)}'
        )
        lines += [
            '  {:.2f} ({:.2f}, {:.2f})'.format(*row.ratios['eager'])
            + f' {row.milliseconds:.3f} ms  {row.case}'
            for row in found[:count]
        ]
    return '\n'.join(lines)


def machine(device: str) -> str:
    """What the figures were measured on."""
    name = torch.cuda.get_device_name() if device == 'cuda' else platform.processor()
    if device == 'cpu' and Path('/proc/cpuinfo').is_file():
        lines = Path('/proc/cpuinfo').read_text().splitlines()
        name = next(line.split(': ')[1] for line in lines if line.startswith('model name'))
    command = ['git', '-C', str(Path(__file__).parent), 'describe', '--always', '--dirty']
    commit = subprocess.run(command, capture_output=True, text=True).stdout.strip() or 'unknown'
    path = f' ({native.MODULE.cpu_path()})' if device == 'cpu' else ''
    today = datetime.date.today().isoformat()
    return f'{today}, {name}{path}, torch {torch.__version__}, commit {commit}'


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('--cases', nargs='+', help='names; all by default')
    parser.add_argument('--sweep', type=int, metavar='SEED', help='random problems instead')
    parser.add_argument('--shapes', type=int, default=100, help='how many of them')
    parser.add_argument(
        '--cpu-time', action='store_true', help="the process's own, where others are at work"
    )
    parser.add_argument('--seconds', type=float, default=1.0, help='of each row')
    parser.add_argument('--threads', type=int, default=2, help='to compare one thread with')
    parser.add_argument('--paths', nargs='*', default=['avx2'], help="other paths of the CPU's")
    parser.add_argument('--compile', action='store_true', help='torch.compile too, cases a to e')
    parser.add_argument('--device', default='cpu', choices=['cpu', 'cuda'])
    parser.add_argument('--dtype', default='float32', help='of the image')
    parser.add_argument('--output', type=Path, help='writes OUTPUT.md and OUTPUT.png')
    parser.add_argument('--quick', action='store_true', help='only to see that everything runs')
    args = parser.parse_args()
    if native.MODULE is None:
        sys.exit(native.WHY_MISSING)
    args.clock = time.process_time if args.cpu_time else time.perf_counter
    every = [*cases.MAIN, *cases.OTHERS, *cases.GRIDS]
    if args.quick:
        args.seconds = 0.01
        every = [replace(cases.A, shape=(2, 1, 60, 60)), *cases.TINY, *cases.sweep(0, 1)]
    elif args.sweep is not None:
        args.paths = []
        every = cases.sweep(args.sweep, args.shapes)
    if args.cases:
        unknown = set(args.cases) - {case.name for case in every}
        if unknown:
            sys.exit(f'no such cases: {unknown}; there are {[case.name for case in every]}')
        every = [case for case in every if case.name in args.cases]
    torch.set_num_threads(1)
    measurement = Measurement(args)
    rows = []
    for case in every:
        for row in measurement.rows(case):
            rows.append(row)
            print(table([row]).splitlines()[-1], flush=True)
    text = f'{machine(args.device)}\n\n{table(rows)}\n'
    if args.sweep is not None:
        text = f'{machine(args.device)}\n\n{worst(rows)}\n'
    elif not args.quick:
        text += f'\n{temporary_memory(args.device, args.threads)}\n'
    print(f'\n{text}')
    if args.output:
        args.output.with_suffix('.md').write_text(text)
        plot(rows, args.output.with_suffix('.png'))


if __name__ == '__main__':
    main()
