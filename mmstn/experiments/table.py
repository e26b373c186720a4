"""An experiment's table as a data file: its cells, their configs, and the paper's figures."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, NamedTuple

import mmengine

FIGURE = re.compile(r'(\d+(?:\.\d+)?)(?: to (\d+(?:\.\d+)?))?( \[2nd\])?')


class Cell(NamedTuple):
    """A place in the table, written ``row/column`` on the command line."""

    row: str
    column: str

    def __str__(self) -> str:
        return f'{self.row}/{self.column}'


@dataclass(frozen=True)
class Figure:
    """A figure of the paper, or the range that it gives.

    Attributes:
        low: The figure.
        high: The upper end of a range, else the same.
        second_hand: Whether it is from an account of the paper rather than from its own text.
        text: How the table writes it.
    """

    low: float
    high: float
    second_hand: bool = False
    text: str = field(default='', compare=False)

    @classmethod
    def parse(cls, text: str | float) -> Figure:
        """Reads ``5.9``, ``'5.9 [2nd]'`` or ``'75 to 93'``."""
        match = FIGURE.fullmatch(str(text))
        if match is None:
            raise ValueError(
                f"a figure of the paper must be like 5.9, '5.9 [2nd]' or '75 to 93', got {text!r}"
            )
        low, high, mark = match.groups()
        return cls(float(low), float(high or low), mark is not None, str(text))

    @property
    def middle(self) -> float:
        """The figure as one number."""
        return (self.low + self.high) / 2

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True)
class Needs:
    """What one run takes, which tells how many fit side by side.

    Attributes:
        cpus: Processor cores.
        memory: Main memory in GiB.
        gpu_memory: Memory of the GPU in GiB, where there is one.
    """

    cpus: int = 1
    memory: float = 2
    gpu_memory: float = 4


@dataclass(frozen=True)
class Experiment:
    """One version of a table of the paper.

    The file (YAML) stands next to the configs. Its keys: ``title``; ``measure``, what the figures
    are; ``metric``, the name under which ``tools/test.py`` reports it; ``complement``, whether the
    figure is 100 minus that; ``higher_is_better``; ``rows`` and ``columns``, names by key;
    ``paper``, figures by row and column; ``twins``, for each row with an ST the one without;
    ``details``, titles by name of further metrics, for a second table; ``step_times``, whether to
    tell what a training step takes, which means little where the machine had changing other work;
    and ``versions``, of which the first is the default. A version has a ``title``; ``config``, the
    file's name with ``{row}`` and ``{column}`` in it (a cell exists where that file does);
    ``needs``; and ``prepare`` for cells that start from a trained network: a ``config`` to train
    first, and the ``option`` of the cells' configs that takes the checkpoint's path.
    """

    name: str
    version: str
    file: Path
    title: str
    measure: str
    metric: str
    rows: Mapping[str, str]
    columns: Mapping[str, str]
    configs: Mapping[Cell, Path]
    complement: bool = False
    higher_is_better: bool = False
    paper: Mapping[Cell, Figure] = field(default_factory=dict)
    twins: Mapping[str, str] = field(default_factory=dict)
    details: Mapping[str, str] = field(default_factory=dict)
    step_times: bool = False
    needs: Needs = field(default_factory=Needs)
    prepare: tuple[Path, str] | None = None

    @classmethod
    def load(cls, file: str | Path, version: str | None = None) -> Experiment:
        """Reads a table.

        Args:
            file: The YAML file.
            version: Which of its versions; None for the first.

        Raises:
            ValueError: If a key is missing, unknown or contradicts another, or no config exists.
        """
        file = Path(file)
        content = mmengine.load(file)
        required = {'title', 'measure', 'metric', 'rows', 'columns', 'versions'}
        optional = {'paper', 'twins', 'details', 'step_times', 'complement', 'higher_is_better'}
        _check_keys(str(file), content, required, optional)
        versions = content.pop('versions')
        version = next(iter(versions)) if version is None else version
        if version not in versions:
            raise ValueError(
                f'version must be one of {", ".join(versions)} of {file}, got {version!r}'
            )
        chosen = versions[version]
        _check_keys(f'{file}: {version}', chosen, {'title', 'config'}, {'needs', 'prepare'})

        rows, columns = content['rows'], content['columns']
        _check_known(file, 'twins', [*content.get('twins', {}), *content.get('twins', {}).values()],
                     rows)  # fmt: skip
        _check_known(file, 'paper', content.get('paper', {}), rows)
        paper = {}
        for row, figures in content.pop('paper', {}).items():
            _check_known(file, f'paper.{row}', figures, columns)
            for column, figure in figures.items():
                paper[Cell(row, column)] = Figure.parse(figure)

        cells = [Cell(row, column) for row in rows for column in columns]
        paths = {cell: file.parent / chosen['config'].format(**cell._asdict()) for cell in cells}
        configs = {cell: path for cell, path in paths.items() if path.is_file()}
        if not configs:
            raise ValueError(f'config of {file}: {version} names no file: {paths[cells[0]]}, ...')
        prepare = None
        if 'prepare' in chosen:
            _check_keys(f'{file}: prepare', chosen['prepare'], {'config', 'option'}, set())
            prepare = file.parent / chosen['prepare']['config'], chosen['prepare']['option']
        name = file.parent.name
        content['title'] = f'{content["title"]}: {chosen["title"]}'
        needs = Needs(**chosen.get('needs', {}))
        return cls(
            name=name, version=version, file=file, configs=configs, paper=paper, needs=needs,
            prepare=prepare, **content,
        )  # fmt: skip

    def select(self, patterns: Sequence[str] = ('*',)) -> list[Cell]:
        """The cells that match any of ``patterns``, such as ``cnn/rts`` or ``st-*/r``.

        Raises:
            ValueError: If a pattern matches none.
        """
        chosen = set()
        for pattern in patterns:
            found = {cell for cell in self.configs if fnmatchcase(str(cell), pattern)}
            if not found:
                cells = ', '.join(map(str, self.configs))
                raise ValueError(f'cells must match one of {cells}, got {pattern!r}')
            chosen |= found
        return [cell for cell in self.configs if cell in chosen]

    def figure(self, metrics: Mapping[str, Any]) -> float:
        """The table's figure from what ``tools/test.py`` reports.

        Raises:
            ValueError: If the metric is not among them.
        """
        if self.metric not in metrics:
            raise ValueError(
                f'metric of {self.file} must be one of {", ".join(metrics)}, got {self.metric!r}'
            )
        value = float(metrics[self.metric])
        return 100 - value if self.complement else value


def _check_keys(where: str, content: Any, required: set[str], optional: set[str]) -> None:
    """Raises a ValueError unless ``content`` is a mapping with these keys."""
    if not isinstance(content, Mapping):
        raise ValueError(f'{where} must be a mapping, got {type(content).__name__}')
    missing, unknown = required - set(content), set(content) - required - optional
    if missing or unknown:
        raise ValueError(
            f'{where} must have {sorted(required)} and may have {sorted(optional)}; '
            f'missing {sorted(missing)}, unknown {sorted(unknown)}'
        )


def _check_known(file: Path, key: str, names: Sequence[str], known: Mapping[str, str]) -> None:
    """Raises a ValueError if one of ``names`` is not a key of the table."""
    for name in names:
        if name not in known:
            raise ValueError(f'{key} of {file} must name {", ".join(known)}, got {name!r}')
