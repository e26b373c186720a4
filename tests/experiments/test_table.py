"""Tables as data files: what they say, and what is wrong with a bad one."""

import copy
from pathlib import Path

import mmengine
import pytest
import yaml

from mmstn.experiments import Cell, Experiment, Figure

CONFIGS = Path(__file__).parents[2] / 'configs'
TABLE = dict(
    title='Shapes',
    measure='test error in %',
    metric='accuracy/top1',
    complement=True,
    rows=dict(plain='Plain', st='With an ST'),
    columns=dict(a='A', b='B'),
    paper=dict(plain=dict(a=4.0, b='5.5 [2nd]'), st=dict(a='2 to 3')),
    twins=dict(st='plain'),
    versions=dict(
        short=dict(title='few', config='{row}_{column}.py', needs=dict(cpus=3, memory=0.5)),
        long=dict(title='many', config='{row}_{column}_long.py'),
    ),
)


@pytest.fixture
def load(tmp_path):
    """Loads a changed table, with configs for all cells of ``short`` but plain/b."""
    for name in ('plain_a', 'st_a', 'st_b', 'plain_a_long'):
        (tmp_path / f'{name}.py').touch()

    def load(change=lambda table: None, version=None):
        table = copy.deepcopy(TABLE)
        change(table)
        (tmp_path / 'experiment.yml').write_text(yaml.dump(table, sort_keys=False))
        return Experiment.load(tmp_path / 'experiment.yml', version)

    return load


def test_reads_cells_figures_and_versions(load, tmp_path):
    table = load()
    assert table.version == 'short'
    assert table.title == 'Shapes: few'
    assert list(table.configs) == [Cell('plain', 'a'), Cell('st', 'a'), Cell('st', 'b')]
    assert table.configs[Cell('st', 'b')] == tmp_path / 'st_b.py'
    assert (table.needs.cpus, table.needs.memory) == (3, 0.5)
    assert table.paper == {
        Cell('plain', 'a'): Figure(4, 4),
        Cell('plain', 'b'): Figure(5.5, 5.5, second_hand=True),
        Cell('st', 'a'): Figure(2, 3),
    }
    assert [str(figure) for figure in table.paper.values()] == ['4.0', '5.5 [2nd]', '2 to 3']
    assert list(load(version='long').configs) == [Cell('plain', 'a')]


def test_figure_is_the_metric_or_its_complement(load):
    assert load().figure({'accuracy/top1': 97.5}) == 2.5
    assert load(lambda table: table.pop('complement')).figure({'accuracy/top1': 97.5}) == 97.5
    with pytest.raises(ValueError, match='metric.*loss.*accuracy/top1'):
        load().figure({'loss': 1})


def test_selects_cells_by_wild_cards(load):
    assert load().select(['st/*', '*/a']) == [Cell('plain', 'a'), Cell('st', 'a'), Cell('st', 'b')]
    assert load().select(['plain/a']) == [Cell('plain', 'a')]
    with pytest.raises(ValueError, match="cells must match one of plain/a.*got 'plain/b'"):
        load().select(['plain/b'])


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (lambda t: t.pop('metric'), "missing \\['metric'\\]"),
        (lambda t: t.update(colour=1), "unknown \\['colour'\\]"),
        (lambda t: t['versions']['short'].pop('config'), "missing \\['config'\\]"),
        (lambda t: t['paper'].update(cnn={}), "paper.*plain, st, got 'cnn'"),
        (lambda t: t['paper']['st'].update(c=1), "paper.st.*a, b, got 'c'"),
        (lambda t: t['paper']['st'].update(a='about 2'), "'5.9 \\[2nd\\]'.*got 'about 2'"),
        (lambda t: t['twins'].update(st='cnn'), "twins.*got 'cnn'"),
        (lambda t: t['versions']['short'].update(config='x'), 'names no file'),
    ],
)
def test_says_what_is_wrong(load, change, message):
    with pytest.raises(ValueError, match=message):
        load(change)


def test_unknown_version(load):
    with pytest.raises(ValueError, match="version must be one of short, long.*got 'tiny'"):
        load(version='tiny')


@pytest.mark.parametrize('file', sorted(CONFIGS.glob('*/experiment.yml')), ids=str)
def test_every_table_of_the_project_has_configs_for_the_papers_cells(file):
    for version in mmengine.load(file)['versions']:
        table = Experiment.load(file, version)
        if version == 'full' or len(mmengine.load(file)['versions']) == 1:
            assert set(table.paper) <= set(table.configs)
