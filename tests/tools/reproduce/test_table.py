"""Tables as data files: what they say, and what is wrong with a bad one."""

import copy
import csv
import functools
import shlex
from pathlib import Path

import mmengine
import pytest
import yaml
from mmengine.config import Config
from reproduce import Cell, Experiment, Figure

ROOT = Path(__file__).parents[3]
RESULTS = sorted((ROOT / 'configs').glob('*/results/*.csv'))
TABLES = sorted((ROOT / 'configs').glob('*/experiment.yml'))
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
        short=dict(title='few', config='{row}_{column}.py'),
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
    assert table.paper == {
        Cell('plain', 'a'): Figure('4.0', 4),
        Cell('plain', 'b'): Figure('5.5 [2nd]', 5.5),
        Cell('st', 'a'): Figure('2 to 3', 2.5),
    }
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
        (lambda t: t['versions']['short'].update(config='{x}'), 'config of .*names no file.*{x}'),
        (
            lambda t: t['versions']['short'].update(config=1),
            'config in versions.short.*text, got 1',
        ),
        (lambda t: t['versions'].update(short=None), 'short in versions.*mapping, got None'),
        (lambda t: t.update(versions={}), 'versions of .* must not be empty'),
        (lambda t: t.update(rows=['plain']), r"rows in .*mapping, got \['plain'\]"),
        (lambda t: t.update(complement='yes'), "complement in .*true or false, got 'yes'"),
        (lambda t: t['columns'].update({64: '64 px'}), 'got 64: put it in quotes'),
        (lambda t: t['twins'].update(st=['plain']), "st in twins.*text, got \\['plain'\\]"),
        (lambda t: t['paper'].update(st=3), r'paper.st of .*mapping, got 3'),
        (lambda t: t['paper']['st'].update(a=[3]), r'a in paper.st of .*got \[3\]'),
        (lambda t: t['rows'].update(st=dict(of='plain')), r"rows.st of .*missing \['title'\]"),
        (lambda t: t['rows'].update(st=dict(title='', of='x')), "rows.st.of.*plain, got 'x'"),
        (lambda t: t['rows'].update(st=dict(title='', columns=['c'])), "st.columns.*got 'c'"),
        (lambda t: t['rows'].update(st=dict(title='', options={'x': 1})), 'options of rows.st'),
        (
            lambda t: t['rows'].update(st=dict(title='', of='plain', options={'x': [1]})),
            r'options of rows.st.*got x: \[1\]',
        ),
    ],
)
def test_says_what_is_wrong(load, change, message):
    with pytest.raises(ValueError, match=message):
        load(change)


def test_unknown_version(load):
    with pytest.raises(ValueError, match="version must be one of short, long.*got 'tiny'"):
        load(version='tiny')


@pytest.mark.parametrize('text', ['', 'title: [', '- a', 'caf\xe9', '\0'])
def test_wrong_yaml_names_the_file(tmp_path, text):
    file = tmp_path / 'experiment.yml'
    file.write_bytes(text.encode('latin-1'))
    with pytest.raises(ValueError, match=str(file)):
        Experiment.load(file)


def test_a_table_makes_no_objects(tmp_path):
    touched = tmp_path / 'touched'
    file = tmp_path / 'experiment.yml'
    file.write_text(f'title: !!python/object/apply:pathlib.Path.touch [{touched}]')
    with pytest.raises(ValueError, match='could not determine a constructor'):
        Experiment.load(file)
    assert not touched.exists()


def test_a_row_that_is_another_with_options(load, tmp_path):
    def change(table):
        table['rows']['new'] = dict(title='New', of='st', options={'model.type': 'X', 'lr': 0.1})
        table['rows']['less'] = dict(title='Less', of='st', columns=['b'])

    (tmp_path / 'new_b.py').touch()
    table = load(change)
    assert table.rows['new'] == 'New'
    assert table.select(['new/*', 'less/*']) == [
        Cell('new', 'a'), Cell('new', 'b'), Cell('less', 'b')
    ]  # fmt: skip
    assert table.configs[Cell('new', 'a')] == tmp_path / 'st_a.py'
    assert table.options[Cell('new', 'a')] == {'model.type': 'X', 'lr': '0.1'}
    assert table.configs[Cell('new', 'b')] == tmp_path / 'new_b.py'  # its own file comes first
    assert Cell('new', 'b') not in table.options


def test_a_row_that_was_called_something_else(load, tmp_path):
    table = load(lambda table: table['rows'].update(st=dict(title='With an ST', was='old')))
    cell, other = Cell('st', 'a'), Cell('plain', 'a')
    assert table.rows['st'] == 'With an ST'
    assert table.folder(tmp_path, cell) == tmp_path / 'st/a'
    (tmp_path / 'old/a').mkdir(parents=True)
    assert table.folder(tmp_path, cell) == tmp_path / 'old/a'
    assert table.folder(tmp_path, other) == tmp_path / 'plain/a'
    (tmp_path / 'st/a').mkdir(parents=True)
    assert table.folder(tmp_path, cell) == tmp_path / 'st/a'


def versions_of(file):
    """A table of the project in all its versions."""
    return [Experiment.load(file, version) for version in mmengine.load(file)['versions']]


@pytest.mark.parametrize('file', TABLES, ids=lambda file: file.parent.name)
def test_every_table_of_the_project_has_configs_for_the_papers_cells(file):
    tables = versions_of(file)
    for table in tables:
        if table.version == 'full' or len(tables) == 1:
            assert set(table.paper) <= set(table.configs)


def test_examples_are_what_their_rows_say():
    file = ROOT / 'configs/mnist/experiment.yml'
    table = Experiment.load(file)
    for row in ('st-cnn-projective', 'st-cnn-tps'):
        config = Config.fromfile(table.configs[Cell('st-cnn-affine', 'r')])
        config.merge_from_dict(yaml.safe_load(file.read_text())['rows'][row]['options'])
        example = table.configs[Cell(row, 'r')]
        assert row in example.name
        assert Config.fromfile(example).to_dict() == config.to_dict()


@pytest.mark.parametrize('file', RESULTS, ids=lambda file: file.parts[-3])
def test_commands_of_the_results_work(file):
    """They name the configs and options of their cells, and settings that these configs have."""
    table = Experiment.load(file.parents[1] / 'experiment.yml', file.stem)
    read = functools.cache(Config.fromfile)
    with open(file, newline='') as stream:
        for line in csv.DictReader(stream):
            cell = Cell(line['row'], line['column'])
            for command in (shlex.split(line['train']), shlex.split(line['test'])):
                assert (ROOT / command[1]).is_file()
                assert ROOT / command[2] == table.configs[cell]
                given = dict(x.split('=', 1) for x in command[command.index('--cfg-options') + 1 :])
                assert table.options.get(cell, {}).items() <= given.items()
                expected = {'randomness.seed', 'default_hooks.checkpoint.max_keep_ckpts'}
                expected |= {table.prepare[1]} if table.prepare else set()
                assert given.keys() - table.options.get(cell, {}).keys() == expected
            config = read(table.configs[cell])
            for key in given:
                part = config
                for name in key.split('.'):
                    assert name in part, key
                    part = part[name]
