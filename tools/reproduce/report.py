"""Reports our results next to the paper's: Markdown, CSV and a plot."""

import csv
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from .run import read_result, training_log
from .table import Cell, Experiment


@dataclass(frozen=True)
class Measured:
    """Our figures of one cell, one for each seed."""

    values: tuple[float, ...]

    @property
    def mean(self) -> float:
        """Their mean."""
        return statistics.fmean(self.values)

    @property
    def spread(self) -> float | None:
        """Their standard deviation (of a sample), if there are two at least."""
        return statistics.stdev(self.values) if len(self.values) > 1 else None

    def __str__(self) -> str:
        if self.spread is None:
            return f'{self.mean:.2f}'
        return f'{self.mean:.2f} ± {self.spread:.2f} ({len(self.values)})'


def write_report(experiment: Experiment, work_dir: Path, folder: Path) -> None:
    """Writes ``<version>.md`` and, of what was run, ``<version>.csv`` and ``<version>.png``.

    Args:
        experiment: The table.
        work_dir: The folder of its runs, ``row/column/seed*``; all that are done are reported,
            whenever they were run.
        folder: Where to write.
    """
    folder.mkdir(parents=True, exist_ok=True)
    results = {cell: _load_results(experiment, work_dir, cell) for cell in experiment.configs}
    measured = {
        cell: Measured(tuple(experiment.figure(result['metrics']) for result in by_seed.values()))
        for cell, by_seed in results.items()
        if by_seed
    }
    if measured:
        _write_csv(experiment, results, folder / f'{experiment.version}.csv')
    _write_plot(experiment, measured, folder / f'{experiment.version}.png')
    text = _markdown(experiment, measured, results)
    (folder / f'{experiment.version}.md').write_text(text, encoding='utf-8')


def _load_results(experiment: Experiment, work_dir: Path, cell: Cell) -> dict[int, dict]:
    """The results of a cell by seed, with the time of a training step where there is a log.

    A damaged one is left out and named.
    """
    files = experiment.folder(work_dir, cell).glob('seed*/result.json')
    seeds = {file.parent.name.removeprefix('seed'): file for file in files}
    results = {}
    for seed, file in sorted((int(seed), file) for seed, file in seeds.items() if seed.isdigit()):
        try:
            result = read_result(file)
            experiment.figure(result['metrics'])
        except (TypeError, ValueError) as error:
            print(f'left out of the report: {file}: {error}')
            continue
        steps = [entry['time'] for entry in training_log(file.parent)]
        result['step_ms'] = 1000 * statistics.median(steps) if steps else None
        results[seed] = result
    return results


def twin_ratios(experiment: Experiment, figures: Mapping[Cell, float]) -> dict[Cell, float]:
    """Each row with an ST over its plain twin, where both have a figure.

    Args:
        experiment: The table, whose ``twins`` say which row goes with which.
        figures: Figures of cells.
    """
    ratios = {}
    for row, twin in experiment.twins.items():
        for column in experiment.columns:
            cell, plain = Cell(row, column), Cell(twin, column)
            if cell in figures and figures.get(plain):
                ratios[cell] = figures[cell] / figures[plain]
    return ratios


def _markdown(
    experiment: Experiment,
    measured: Mapping[Cell, Measured],
    results: Mapping[Cell, Mapping[int, dict]],
) -> str:
    seeds = sorted({len(cell.values) for cell in measured.values()})
    about = f'{experiment.measure}, of one seed, or mean ± standard deviation (number of seeds).'
    if experiment.paper:
        about = (
            f"{experiment.measure}: ours / the paper's. Ours are of one seed, or mean ± standard "
            'deviation (number of seeds). "[2nd]": the paper\'s figure as others quote it.'
        )
    lines = [f'# {experiment.title}', '', about, '']
    if not measured:
        lines += ['**Not run yet.**', '']
    rows = [row for row in experiment.rows if any(cell.row == row for cell in experiment.configs)]

    def entry(row: str, column: str) -> str:
        cell = Cell(row, column)
        ours = measured.get(cell, '—')
        theirs = experiment.paper.get(cell, '—')
        if ours == theirs == '—' and cell not in experiment.configs:
            return ''
        return f'{ours} / {theirs}' if experiment.paper else str(ours)

    lines += _table(
        ['', *experiment.columns.values()],
        ([experiment.rows[row], *(entry(row, column) for column in experiment.columns)]
         for row in rows),
    )  # fmt: skip
    lines += _twins(experiment, measured)
    lines += _details(experiment, results)
    if experiment.step_times:
        lines += _step_times(experiment, results)
    if measured:
        lines += [f'![The same as a picture]({experiment.version}.png)', '']
    csv_file = f'[{experiment.version}.csv]({experiment.version}.csv)'
    where = f'Every number by seed, with the commands that made it: {csv_file}. All of it:'
    lines += [
        where if measured else 'To run it:',
        '',
        '```bash',
        f'python tools/reproduce.py {experiment.name} --version {experiment.version}'
        + (f' --seeds {" ".join(map(str, range(max(seeds))))}' if seeds else ''),
        '```',
        '',
    ]
    return '\n'.join(lines)


def _twins(experiment: Experiment, measured: Mapping[Cell, Measured]) -> list[str]:
    """The table of ratios, if there are any of ours."""
    ours = twin_ratios(experiment, {cell: value.mean for cell, value in measured.items()})
    theirs = twin_ratios(experiment, {cell: f.middle for cell, f in experiment.paper.items()})
    if not ours:
        return []
    shown = (ours, theirs) if experiment.paper else (ours,)

    def entry(cell: Cell) -> str:
        if cell not in ours and cell not in theirs:
            return ''
        return ' / '.join(f'{r[cell]:.2f}' if cell in r else '—' for r in shown)

    rows = []
    for row, twin in experiment.twins.items():
        cells = [Cell(row, column) for column in experiment.columns]
        both = [cell for cell in cells if all(cell in r for r in shown)]
        means = [f'{statistics.fmean(r[c] for c in both):.2f}' for r in shown if both]
        if any(cell in ours for cell in cells):
            name = f'{experiment.rows[row]} over {experiment.rows[twin]}'
            rows.append([name, *map(entry, cells), ' / '.join(means)])
    title = f'Each model with an ST over its plain twin ({experiment.measure})'
    if experiment.paper:
        title += ", ours / the paper's"
    mean = 'mean where both have one' if experiment.paper else 'mean'
    return [f'{title}:', '', *_table(['', *experiment.columns.values(), mean], rows)]


def _details(experiment: Experiment, results: Mapping[Cell, Mapping[int, dict]]) -> list[str]:
    """The table of further metrics, of the cells that have any."""
    rows = []
    for cell, by_seed in results.items():
        columns = [
            [result['metrics'][name] for result in by_seed.values() if name in result['metrics']]
            for name in experiment.details
        ]
        if any(columns):
            entries = (str(Measured(tuple(values))) if values else '' for values in columns)
            name = [experiment.rows[cell.row]]
            if len(experiment.columns) > 1:
                name.append(experiment.columns[cell.column])
            rows.append([', '.join(name), *entries])
    return _table(['', *experiment.details.values()], rows) if rows else []


def _step_times(experiment: Experiment, results: Mapping[Cell, Mapping[int, dict]]) -> list[str]:
    """The table of the times of training steps, of the cells that have logs."""
    times = {}
    for cell, by_seed in results.items():
        found = [result['step_ms'] for result in by_seed.values() if result['step_ms'] is not None]
        if found:
            times[cell] = f'{statistics.fmean(found):.0f}'
    if not times:
        return []
    rows = [
        [name, *(times.get(Cell(row, column), '') for column in experiment.columns)]
        for row, name in experiment.rows.items()
        if any(cell.row == row for cell in times)
    ]
    title = 'Milliseconds a training step, loading included, as the runs had it side by side'
    return [f'{title}:', '', *_table(['', *experiment.columns.values()], rows)]


def _table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    lines = [header, ['---'] * len(header), *rows]
    return [*(f'| {" | ".join(line)} |' for line in lines), '']


def _write_csv(
    experiment: Experiment, results: Mapping[Cell, Mapping[int, dict]], file: Path
) -> None:
    header = [
        'row',
        'column',
        'seed',
        'measure',
        'ours',
        'paper',
        'seconds',
        'step_ms',
        'train',
        'test',
        *experiment.details,
    ]
    with open(file, 'w', newline='', encoding='utf-8') as stream:
        writer = csv.writer(stream)
        writer.writerow(header)
        for cell, by_seed in results.items():
            for seed, result in by_seed.items():
                ours = f'{experiment.figure(result["metrics"]):.4f}'
                paper = experiment.paper.get(cell, '')
                step = '' if result['step_ms'] is None else f'{result["step_ms"]:.1f}'
                writer.writerow(
                    [*cell, seed, experiment.measure, ours, paper, result['seconds'], step]
                    + result['commands']
                    + [result['metrics'].get(name, '') for name in experiment.details]
                )


def _write_plot(experiment: Experiment, measured: Mapping[Cell, Measured], file: Path) -> None:
    """One group of bars for each column; the paper's figures are black marks."""
    if not measured:
        file.unlink(missing_ok=True)
        return
    import matplotlib

    matplotlib.use('Agg')
    from matplotlib import pyplot as plt

    rows = [row for row in experiment.rows if any(cell.row == row for cell in measured)]
    columns = [key for key in experiment.columns if any(cell.column == key for cell in measured)]
    figure, axes = plt.subplots(figsize=(max(6, 0.3 * len(rows) * len(columns) + 2), 4))
    width = 0.8 / len(rows)
    for index, row in enumerate(rows):
        x = np.arange(len(columns)) - 0.4 + (index + 0.5) * width
        cells = [Cell(row, column) for column in columns]
        ours = [measured[cell].mean if cell in measured else np.nan for cell in cells]
        spread = [measured[cell].spread or 0 if cell in measured else np.nan for cell in cells]
        axes.bar(x, ours, 0.9 * width, yerr=spread, label=experiment.rows[row])
        if not experiment.paper:
            continue
        theirs = [experiment.paper[c].middle if c in experiment.paper else np.nan for c in cells]
        label = "the paper's" if index == len(rows) - 1 else None
        axes.plot(x, theirs, 'k_', markersize=8, label=label)
    axes.set_xticks(np.arange(len(columns)), [experiment.columns[column] for column in columns])
    axes.set_ylabel(experiment.measure)
    axes.set_title(experiment.title)
    axes.legend(fontsize='small', loc='upper left', bbox_to_anchor=(1, 1))
    figure.savefig(file, dpi=100, bbox_inches='tight')
    plt.close(figure)
