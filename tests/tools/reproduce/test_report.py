"""The report against numbers worked out by hand."""

import csv
import json
from dataclasses import replace

import pytest
from reproduce import Cell, Experiment, Figure, write_report
from reproduce.report import twin_ratios


@pytest.fixture
def table(tmp_path):
    rows = dict(plain='Plain', st='With an ST')
    columns = dict(a='A', b='B')
    configs = {Cell(row, column): tmp_path / 'x.py' for row in rows for column in columns}
    return Experiment(
        name='shapes', version='short', file=tmp_path / 'experiment.yml', title='Shapes: few',
        measure='error in %', metric='accuracy/top1', complement=True, rows=rows, columns=columns,
        configs=configs, twins=dict(st='plain'),
        paper={Cell('plain', 'a'): Figure.parse(4), Cell('st', 'a'): Figure.parse('3 [2nd]')},
    )  # fmt: skip


def write_result(work_dir, row, column, seed, accuracy, **details):
    folder = work_dir / row / column / f'seed{seed}'
    folder.mkdir(parents=True)
    metrics = {'accuracy/top1': accuracy, **details}
    result = dict(metrics=metrics, seconds=9.5, commands=['train it', 'test'])
    (folder / 'result.json').write_text(json.dumps(result))


def test_nothing_run_yet(table, tmp_path):
    write_report(table, tmp_path / 'none', tmp_path / 'out')
    text = (tmp_path / 'out/short.md').read_text()
    assert '**Not run yet.**' in text
    assert '| Plain | — / 4 | — / — |' in text
    assert '| With an ST | — / 3 [2nd] | — / — |' in text
    assert sorted(file.name for file in (tmp_path / 'out').iterdir()) == ['short.md']


def test_mean_spread_ratio_and_every_seed(table, tmp_path):
    for seed, accuracy in enumerate([90, 92, 94]):  # errors 10, 8, 6: mean 8, deviation 2
        write_result(tmp_path, 'plain', 'a', seed, accuracy)
    write_result(tmp_path, 'st', 'a', 0, 96)  # 4 / 8 = 0.5 of the plain twin
    write_result(tmp_path, 'st', 'b', 10, 99)
    write_report(table, tmp_path, tmp_path)
    text = (tmp_path / 'short.md').read_text()
    assert '| Plain | 8.00 ± 2.00 (3) / 4 | — / — |' in text
    assert '| With an ST | 4.00 / 3 [2nd] | 1.00 / — |' in text
    assert '| With an ST over Plain | 0.50 / 0.75 |  | 0.50 / 0.75 |' in text
    assert 'Not run' not in text
    with open(tmp_path / 'short.csv', newline='') as stream:
        lines = list(csv.DictReader(stream))
    assert [(x['row'], x['column'], x['seed'], x['ours'], x['paper']) for x in lines] == [
        ('plain', 'a', '0', '10.0000', '4'),
        ('plain', 'a', '1', '8.0000', '4'),
        ('plain', 'a', '2', '6.0000', '4'),
        ('st', 'a', '0', '4.0000', '3 [2nd]'),
        ('st', 'b', '10', '1.0000', ''),
    ]
    assert lines[0]['train'] == 'train it'
    assert (tmp_path / 'short.png').read_bytes()[:4] == b'\x89PNG'


def test_a_table_of_which_the_paper_has_no_figures(table, tmp_path):
    for row, accuracies in dict(plain=(92, 90), st=(96, 98)).items():
        for column, accuracy in zip('ab', accuracies, strict=True):
            write_result(tmp_path, row, column, 0, accuracy)
    write_report(replace(table, paper={}), tmp_path, tmp_path)
    text = (tmp_path / 'short.md').read_text()
    assert '| Plain | 8.00 | 10.00 |' in text
    assert '| With an ST over Plain | 0.50 | 0.20 | 0.35 |' in text
    assert "paper's" not in text


def test_details_of_the_cells_that_have_them(table, tmp_path):
    table = replace(table, details=dict(moved='moved by, px', seen='seen, %'))
    write_result(tmp_path, 'plain', 'a', 0, 90)
    for seed, moved in enumerate([1, 2, 3]):  # mean 2, deviation 1
        write_result(tmp_path, 'st', 'b', seed, 90, moved=moved)
    write_report(table, tmp_path, tmp_path)
    text = (tmp_path / 'short.md').read_text()
    assert '|  | moved by, px | seen, % |\n| --- | --- | --- |\n' in text
    assert '| With an ST, B | 2.00 ± 1.00 (3) |  |' in text
    assert '| Plain, A |' not in text
    with open(tmp_path / 'short.csv', newline='') as stream:
        assert [line['moved'] for line in csv.DictReader(stream)] == ['', '1', '2', '3']


def test_time_of_a_training_step(table, tmp_path):
    write_result(tmp_path, 'plain', 'a', 0, 90)
    for seed, times in enumerate([[0.2, 0.3, 9.0], [0.5]]):  # medians 300 and 500 ms
        write_result(tmp_path, 'st', 'b', seed, 90)
        log = tmp_path / f'st/b/seed{seed}/20260101_000000/vis_data/scalars.json'
        log.parent.mkdir(parents=True)
        lines = [json.dumps(dict(loss=1.0, time=time)) for time in times]
        log.write_text('\n'.join([*lines, json.dumps({'accuracy/top1': 90, 'time': 77}), '{"lo']))
    write_report(table, tmp_path, tmp_path)
    assert 'training step' not in (tmp_path / 'short.md').read_text()
    write_report(replace(table, step_times=True), tmp_path, tmp_path)
    assert '| With an ST |  | 400 |' in (tmp_path / 'short.md').read_text()
    with open(tmp_path / 'short.csv', newline='') as stream:
        assert [line['step_ms'] for line in csv.DictReader(stream)] == ['', '300.0', '500.0']


@pytest.mark.parametrize(
    'damaged',
    ['', '{"metrics": {"accu', '[]', '{}', '{"metrics": {}, "seconds": 1, "commands": []}'],
)
def test_a_damaged_result_is_named_and_costs_no_other(table, tmp_path, damaged, capsys):
    for seed, accuracy in enumerate([90, 92, 94]):
        write_result(tmp_path, 'plain', 'a', seed, accuracy)
    file = tmp_path / 'plain/a/seed2/result.json'
    file.write_text(damaged)
    (tmp_path / 'plain/a/seed1-copy').mkdir()
    (tmp_path / 'plain/a/seed1-copy/result.json').write_text('not of this table')
    write_report(table, tmp_path, tmp_path)
    assert '| Plain | 9.00 ± 1.41 (2) / 4 |' in (tmp_path / 'short.md').read_text()
    assert f'left out of the report: {file}' in capsys.readouterr().out


def test_ratio_needs_both_twins(table):
    figures = {Cell('st', 'a'): 2.0, Cell('plain', 'a'): 8.0, Cell('st', 'b'): 1.0}
    assert twin_ratios(table, figures) == {Cell('st', 'a'): 0.25}
