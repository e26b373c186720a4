"""The drawn birds: the layout of CUB, and parts and boxes where they are in the picture."""

import os
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from mmstn.datasets import CUBParts
from mmstn.datasets.cub import PARTS

TOOLS = Path(__file__).parents[2] / 'tools/data'


def start(out, *options):
    return subprocess.Popen(
        [sys.executable, str(TOOLS / 'make_cub_like.py'), str(out), *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, 'PYTHONPATH': str(TOOLS.parents[1])},
    )


def finish(process):
    output = process.communicate(timeout=300)
    return subprocess.CompletedProcess(process.args, process.returncode, *output)


def make(out, *options):
    return finish(start(out, *options))


@pytest.fixture(scope='module')
def birds(tmp_path_factory):
    folder = tmp_path_factory.mktemp('birds')
    options = ('--species', '4', '--train', '2', '--test', '1', '--size', '256')
    for name, seed in (('first', '0'), ('again', '0'), ('other', '1')):
        result = make(folder / name, *options, '--seed', seed)
        assert result.returncode == 0, result.stderr
    return folder


def test_the_dataset_reads_it(birds):
    for split, number in dict(train=8, test=4).items():
        dataset = CUBParts(data_root=str(birds / 'first'), split=split)
        assert len(dataset) == number and len(dataset.CLASSES) == 4
        assert [info['gt_label'] for info in dataset] == sorted([0, 1, 2, 3] * (number // 4))
    assert {path.name for path in birds.iterdir()} == {'first', 'again', 'other'}


def test_boxes_and_parts_lie_in_the_image(birds):
    for info in CUBParts(data_root=str(birds / 'first')):
        height, width = cv2.imread(info['img_path']).shape[:2]
        assert height == 256 and 256 <= width <= 342
        (x1, y1, x2, y2), parts = info['gt_bboxes'][0], info['gt_keypoints'][0]
        assert 0 <= x1 < x2 <= width and 0 <= y1 < y2 <= height
        seen = parts[parts[:, 2] > 0]
        assert (seen[:, :2] >= (x1 - 1, y1 - 1)).all() and (seen[:, :2] <= (x2 + 1, y2 + 1)).all()
        visible = {name for name, part in zip(PARTS, parts, strict=True) if part[2]}
        hidden = set(PARTS) - visible
        assert hidden in ({'left eye', 'left wing'}, {'right eye', 'right wing'})
        # Which side is seen: looking to the right, a bird shows its right side.
        x = dict(zip(PARTS, parts[:, 0], strict=True))
        assert (x['beak'] > x['tail']) == ('right eye' in visible)


def test_the_eye_is_where_the_parts_say(birds):
    for info in CUBParts(data_root=str(birds / 'first')):
        image = cv2.imread(info['img_path'])
        eyes = [info['gt_keypoints'][0, PARTS.index(f'{side} eye')] for side in ('left', 'right')]
        x, y, _ = max(eyes, key=lambda eye: eye[2])
        pupil = image[int(y) - 2 : int(y) + 3, int(x) - 2 : int(x) + 3].max(-1)
        assert pupil.min() < 70  # nearly black, but for the light in it


def test_the_seed_decides(birds):
    files = {
        name: sorted(p for p in (birds / name).rglob('*') if p.is_file())
        for name in ('first', 'again', 'other')
    }
    contents = {name: [path.read_bytes() for path in paths] for name, paths in files.items()}
    assert len(contents['first']) == 12 + 7
    assert contents['first'] == contents['again']
    assert contents['first'] != contents['other']


def test_species_share_heads_and_bodies(monkeypatch):
    monkeypatch.syspath_prepend(str(TOOLS))
    from bird_species import BODIES, HEADS, make_species

    for count in (1, 4, 16, 200, len(HEADS) * len(BODIES)):
        species = make_species(count)
        assert len({kind.name for kind in species}) == count
    heads = [(kind.head_pattern, kind.beak) for kind in make_species(16)]
    bodies = [(kind.body_pattern, kind.wing_pattern, kind.tail) for kind in make_species(16)]
    for traits in (heads, bodies):
        assert {traits.count(trait) for trait in traits} == {4}
    for index in (0, 1):  # neither the pattern of the head nor the beak tells the head alone
        assert len({head[index] for head in heads}) == 2


def test_patterns_are_half_dark_half_light(monkeypatch):
    monkeypatch.syspath_prepend(str(TOOLS))
    from bird_species import PATTERNS
    from draw_birds import pattern

    u, v = np.meshgrid(np.linspace(0, 14, 700), np.linspace(0, 14, 700))
    for name in PATTERNS:
        mask = pattern(name, u, v, sharpness=2.5)
        assert abs(mask.mean() - 0.5) < 0.02 and mask.std() > 0.25, name


@pytest.mark.parametrize(
    'options, message',
    [
        (('--species', '0'), 'species must be 1 to 1728, got 0'),
        (('--train', '0'), '--train must be at least 1, got 0'),
        (('--size', '20'), '--size must be at least 64, got 20'),
        (('--detail', '0'), '--detail must be above 0'),
    ],
)
def test_bad_options(tmp_path, options, message):
    result = make(tmp_path / 'out', *options)
    assert result.returncode == 2 and message in result.stderr
    assert not list(tmp_path.iterdir())


def test_a_folder_that_exists_is_left_alone(tmp_path):
    result = make(tmp_path)
    assert result.returncode == 2 and 'is there already' in result.stderr


def test_two_at_once_make_one_set(tmp_path):
    options = ('--species', '1', '--train', '2', '--test', '1', '--size', '64')
    results = [finish(process) for process in [start(tmp_path / 'out', *options) for _ in range(2)]]
    assert os.listdir(tmp_path) == ['out']
    assert len(CUBParts(data_root=str(tmp_path / 'out'))) == 2
    assert results[0].returncode == 0 or results[1].returncode == 0
    for result in results:
        assert result.returncode == 0 or 'out' in result.stderr.splitlines()[-1], result.stderr
