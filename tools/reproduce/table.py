"""Tables: a data file of cells, their configs and options, and the paper's figures.

What the keys of the file mean: README.md in this folder.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, NamedTuple

import yaml

FIGURE = re.compile(r'(\d+(?:\.\d+)?)(?: to (\d+(?:\.\d+)?))?(?: \[2nd\])?')
REQUIRED = dict(title=str, measure=str, metric=str, rows=dict, columns=dict, versions=dict)
OPTIONAL = dict(paper=dict, twins=dict, details=dict, step_times=bool, complement=bool)


class Cell(NamedTuple):
    """A place in the table, written ``row/column`` on the command line."""

    row: str
    column: str

    def __str__(self) -> str:
        return f'{self.row}/{self.column}'


@dataclass(frozen=True)
class Figure:
    """A figure of the paper as the table writes it, and as one number: the middle of a range."""

    text: str
    middle: float

    @classmethod
    def parse(cls, text: str | float) -> Figure:
        """Reads ``5.9``, ``'5.9 [2nd]'`` (as others quote the paper) or ``'75 to 93'``."""
        match = FIGURE.fullmatch(str(text))
        if match is None:
            raise ValueError(
                f"a figure of the paper must be like 5.9, '5.9 [2nd]' or '75 to 93', got {text!r}"
            )
        low, high = match.groups()
        return cls(str(text), (float(low) + float(high or low)) / 2)

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True)
class Experiment:
    """One version of a table of the paper.

    Attributes:
        rows: Titles by name; so are ``columns``, and ``details`` by name of a metric.
        configs: The config file of each cell that there is.
        options: Settings that a cell adds to its config, as for ``--cfg-options``.
        earlier: What rows were called before, by their names.
        prepare: What to train before any cell, and the option that takes its checkpoint's path.
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
    options: Mapping[Cell, Mapping[str, str]] = field(default_factory=dict)
    complement: bool = False
    paper: Mapping[Cell, Figure] = field(default_factory=dict)
    twins: Mapping[str, str] = field(default_factory=dict)
    details: Mapping[str, str] = field(default_factory=dict)
    step_times: bool = False
    prepare: tuple[Path, str] | None = None
    earlier: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def load(cls, file: str | Path, version: str | None = None) -> Experiment:
        """Reads a table.

        Args:
            file: The YAML file.
            version: Which of its versions; None for the first.

        Raises:
            ValueError: If it is no YAML, a key is missing, unknown, of another type or contradicts
                another, or no config exists. Names the file and the key.
        """
        file = Path(file)
        content = _read(file)
        kinds = dict(rows=(str, dict), columns=str, twins=str, details=str, versions=dict)
        for key, kind in kinds.items():
            _check_all(f'{key} of {file}', content.get(key, {}), kind)
            if key in REQUIRED and not content[key]:
                raise ValueError(f'{key} of {file} must not be empty')
        rows = {name: _row(f'rows.{name} of {file}', row) for name, row in content['rows'].items()}
        columns, twins = content['columns'], content.get('twins', {})
        _check_known(f'twins of {file}', [*twins, *twins.values()], rows)
        for name, row in rows.items():
            of = [row['of']] if 'of' in row else []
            _check_known(f'rows.{name}.of of {file}', of, [x for x in rows if 'of' not in rows[x]])
            _check_known(f'rows.{name}.columns of {file}', row.get('columns', []), columns)
        paper = _figures(file, content.pop('paper', {}), rows, columns)

        versions = content.pop('versions')
        version = next(iter(versions)) if version is None else version
        if version not in versions:
            raise ValueError(
                f'version must be one of {", ".join(versions)} of {file}, got {version!r}'
            )
        chosen, where = versions[version], f'versions.{version} of {file}'
        _check(where, chosen, dict(title=str, config=str), dict(prepare=dict))
        configs, options = _configs(where, file.parent, chosen['config'], rows, columns)
        prepare = None
        if 'prepare' in chosen:
            _check(f'prepare of {where}', chosen['prepare'], dict(config=str, option=str), {})
            prepare = file.parent / chosen['prepare']['config'], chosen['prepare']['option']
            if not prepare[0].is_file():
                raise ValueError(f'prepare.config of {where} names no file: {prepare[0]}')
        content['title'] = f'{content["title"]}: {chosen["title"]}'
        earlier = {name: row['was'] for name, row in rows.items() if 'was' in row}
        content['rows'] = {name: row['title'] for name, row in rows.items()}
        return cls(
            name=file.parent.name, version=version, file=file, configs=configs, options=options,
            paper=paper, prepare=prepare, earlier=earlier, **content,
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

    def folder(self, work_dir: Path, cell: Cell) -> Path:
        """The folder of a cell's runs; under the row's earlier name where only that one exists."""
        folder = work_dir / cell.row / cell.column
        before = work_dir / self.earlier.get(cell.row, cell.row) / cell.column
        return folder if folder.exists() or not before.exists() else before

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


def _read(file: Path) -> dict[str, Any]:
    """The file's mapping. The safe loader makes no objects of Python, whatever the file asks."""
    try:
        content = yaml.safe_load(file.read_bytes())
    except yaml.YAMLError as error:
        raise ValueError(f'{file} is no YAML: {error}') from error
    _check(str(file), content, REQUIRED, OPTIONAL)
    return content


def _row(where: str, row: Any) -> dict[str, Any]:
    """A row as a mapping; a title alone is short for one."""
    if isinstance(row, str):
        return dict(title=row)
    _check(where, row, dict(title=str), dict(of=str, options=dict, columns=list, was=str))
    for key, value in row.get('options', {}).items():
        if 'of' not in row or not isinstance(value, (str, int, float)):
            raise ValueError(
                f'options of {where} must be plain values and go with `of`, got {key}: {value!r}'
            )
    return row


def _configs(
    where: str, folder: Path, template: str, rows: Mapping[str, dict], columns: Iterable[str]
) -> tuple[dict[Cell, Path], dict[Cell, dict[str, str]]]:
    """The config of every cell that there is, and the options that it needs.

    It is the file of the row's own name; where there is none, that of the row it is a variant of.
    """
    configs, options = {}, {}
    for name, row in rows.items():
        for column in row.get('columns', columns):
            for source in filter(None, (name, row.get('of'))):
                path = folder / template.replace('{row}', source).replace('{column}', column)
                if path.is_file():
                    configs[Cell(name, column)] = path
                    if source != name:
                        given = row.get('options', {}).items()
                        options[Cell(name, column)] = {key: str(value) for key, value in given}
                    break
    if not configs:
        raise ValueError(f'config of {where} names no file: {folder / template}')
    return configs, options


def _figures(
    file: Path, paper: Mapping[str, Any], rows: Iterable[str], columns: Iterable[str]
) -> dict[Cell, Figure]:
    _check_known(f'paper of {file}', paper, rows)
    found = {}
    for row, figures in paper.items():
        where = f'paper.{row} of {file}'
        _check_all(where, figures, (int, float, str))
        _check_known(where, figures, columns)
        for column, figure in figures.items():
            try:
                found[Cell(row, column)] = Figure.parse(figure)
            except ValueError as error:
                raise ValueError(f'{column} in {where}: {error}') from error
    return found


def _check(
    where: str, content: Any, required: Mapping[str, Any], optional: Mapping[str, Any]
) -> None:
    """Raises a ValueError unless ``content`` is a mapping with these keys and types of values."""
    if not isinstance(content, Mapping):
        raise ValueError(f'{where} must be a mapping, got {content!r}')
    missing = [key for key in required if key not in content]
    unknown = [key for key in content if key not in required and key not in optional]
    if missing or unknown:
        raise ValueError(
            f'{where} must have {sorted(required)} and may have {sorted(optional)}; '
            f'missing {missing}, unknown {unknown}'
        )
    for key, kind in {**required, **optional}.items():
        if not isinstance(key, str):
            raise ValueError(f'keys in {where} must be texts, got {key!r}: put it in quotes')
        if key in content and not isinstance(content[key], kind):
            raise ValueError(f'{key} in {where} must be a {_name(kind)}, got {content[key]!r}')


def _check_all(where: str, content: Any, kind: Any) -> None:
    """Raises a ValueError unless ``content`` is a mapping of names to values of a type."""
    _check(where, content, {}, dict.fromkeys(content, kind) if isinstance(content, dict) else {})


def _name(kind: Any) -> str:
    kinds = kind if isinstance(kind, tuple) else (kind,)
    words = {str: 'text', dict: 'mapping', list: 'list', bool: 'true or false'}
    return ' or '.join(dict.fromkeys(words.get(each, 'number') for each in kinds))


def _check_known(where: str, names: Iterable[Any], known: Iterable[str]) -> None:
    """Raises a ValueError if one of ``names`` is not among the ``known``."""
    for name in names:
        if name not in list(known):
            raise ValueError(f'{where} must name {", ".join(known)}, got {name!r}')
