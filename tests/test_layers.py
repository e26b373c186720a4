"""Arrows point one way: a room of the package imports only rooms below it."""

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / 'mmstn'
LAYERS = [
    {'ops'},
    {'grid_generators'},
    {'models', 'datasets', 'evaluation'},
    {'visualization'},
    {'engine'},
    {'apis'},
]
# No room but the package itself needs the metrics.
NEVER = {'evaluation'}


def imported(path):
    """Full names of what a file imports of mmstn, by the file's own ``import`` statements."""
    package = ('mmstn', *path.relative_to(PACKAGE).parts[:-1])
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else ()
            module = '.'.join((*base, *filter(None, [node.module])))
            yield from (f'{module}.{alias.name}' for alias in node.names)


@pytest.mark.parametrize('layer', range(len(LAYERS)), ids=lambda i: '-'.join(sorted(LAYERS[i])))
def test_nothing_is_imported_from_above(layer):
    below = set().union(*LAYERS[:layer]) - NEVER
    every = set().union(*LAYERS)
    assert every == {path.name for path in PACKAGE.iterdir() if (path / '__init__.py').is_file()}
    for room in LAYERS[layer]:
        for path in (PACKAGE / room).rglob('*.py'):
            for name in imported(path):
                parts = name.split('.')
                if parts[0] != 'mmstn' or len(parts) < 2 or parts[1] not in every:
                    continue
                assert parts[1] in below | {room}, f'{path} imports {name}'
