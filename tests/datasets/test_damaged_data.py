"""Damaged sets of SVHN and CUB: an error that names the file, or a replacement that is counted.

``MUTATIONS=10000`` tries that many of each set, ``SEED=7`` another series.
"""

import os
import random
import shutil
import traceback
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pytest

from mmstn.datasets import SVHN, CUBParts
from mmstn.datasets.digit_struct import FILE_NAME, load_digit_struct, write_digit_struct
from mmstn.datasets.image_files import MOST_PIXELS

from .cub_files import make_cub
from .svhn_files import NUMBERS, make_folder

MUTATIONS = int(os.environ.get('MUTATIONS', 150))
SEED = int(os.environ.get('SEED', 0))
# Serialising collects garbage, which would take most of the time.
OPTIONS = dict(pipeline=[dict(type='LoadImageFromFile')], serialize_data=False)
BAD_NAMES = ['../secret.png', '/etc/passwd', 'http://a/b.png', 's3://a', 'a\0b.png', '..', '.', '']
BAD_WORDS = ['nan', 'inf', '-7', '0', '1e400', '1e39', 'x', '9' * 30, '', '\0', '1.5', *BAD_NAMES]


def read_svhn(root, **options):
    for split in ('train', 'test'):
        dataset = SVHN(root, split=split, num_val=0, **OPTIONS, **options)
        for index in range(len(dataset)):
            sample = dataset.get_data_info(index)
            assert set(sample['gt_label']) <= set(range(11))
            assert np.abs(sample['bbox']).max() <= 2 * MOST_PIXELS
            yield sample['img_path'], dataset[index]['img']


def read_cub(root):
    for split in ('train', 'test'):
        dataset = CUBParts(root, split=split, **OPTIONS)
        for index in range(len(dataset)):
            sample = dataset.get_data_info(index)
            assert 0 <= sample['gt_label'] < len(dataset.CLASSES)
            x1, y1, x2, y2 = sample['gt_bboxes'][0]
            assert x1 < x2 and y1 < y2
            assert np.isfinite(sample['gt_keypoints']).all()
            yield sample['img_path'], dataset[index]['img']


@pytest.fixture(scope='module')
def sets(tmp_path_factory):
    """A set of each kind and what reads it."""
    folder = tmp_path_factory.mktemp('sets')
    for part in ('train', 'test'):
        make_folder(folder / 'svhn', part, dict(list(NUMBERS.items())[:4]))
        load_digit_struct(str(folder / 'svhn' / part / FILE_NAME))  # so that there is a cache
    (folder / 'cub').mkdir()
    make_cub(folder / 'cub')
    return {'svhn': (folder / 'svhn', read_svhn), 'cub': (folder / 'cub', read_cub)}


def mutate(path, draw):
    """Damages one file in some way."""
    content = path.read_bytes()
    place = draw.randrange(len(content) + 1)
    kind = draw.choice(['cut', 'empty', 'missing', 'folder', 'bytes', 'bytes', 'nul', 'latin'])
    if path.suffix == '.txt' and draw.random() < 0.7:
        kind = draw.choice(['word', 'word', 'line', 'twice', 'swap'])
    if kind == 'missing':
        path.unlink()
    elif kind == 'folder':
        path.unlink()
        path.mkdir()
    elif kind in ('word', 'line', 'twice', 'swap'):
        lines = content.decode().split('\n')
        number = draw.randrange(len(lines) - 1)
        words = lines[number].split(' ')
        words[draw.randrange(len(words))] = draw.choice(BAD_WORDS)
        lines[number : number + 1] = {
            'word': [' '.join(words)],
            'line': [],
            'twice': 2 * lines[number : number + 1],
            'swap': [lines[number][::-1]],
        }[kind]
        path.write_text('\n'.join(lines))
    else:
        damaged = bytearray(content)
        for _ in range(draw.choice([1, 1, 1, 2, 8, 64])):
            damaged[draw.randrange(len(damaged))] = draw.randrange(256)
        damage = {
            'cut': content[:place],
            'empty': b'',
            'bytes': bytes(damaged),
            'nul': content[:place] + bytes(draw.randrange(1, 50)) + content[place:],
            'latin': content[:place] + 'é'.encode('latin-1') + content[place:],
        }
        path.write_bytes(damage[kind])
    return kind


def check(error, root):
    """An error that our code has raised and that names a file of the set."""
    assert isinstance(error, (OSError, ValueError))
    last = traceback.extract_tb(error.__traceback__)[-1].filename
    ours = f'{os.sep}mmstn{os.sep}datasets{os.sep}'
    # A file that is a folder now is Python's to name.
    assert ours in last or isinstance(error, IsADirectoryError), last
    assert any(path.name in str(error) for path in root.rglob('*')) or '.txt' in str(error)


@pytest.mark.parametrize('name', ['svhn', 'cub'])
def test_damage_is_named_or_replaced(sets, name, tmp_path):
    whole, read = sets[name]
    files = sorted(path.relative_to(whole) for path in whole.rglob('*') if path.is_file())
    for number in range(MUTATIONS):
        draw = random.Random(f'{SEED} {name} {number}')
        root = tmp_path / 'set'
        shutil.copytree(whole, root)
        file = draw.choice(files)
        kind = mutate(root / file, draw)
        try:
            for path, image in read(str(root)):
                assert os.path.realpath(path).startswith(str(root.resolve()) + os.sep)
                assert image.size and image.dtype == np.uint8
        except Exception as error:
            try:
                check(error, root)
            except AssertionError:
                pytest.fail(
                    f'{number}: {kind} of {file}: {"".join(traceback.format_exception(error))}'
                )
        shutil.rmtree(root)


def test_every_single_byte_of_a_cache(sets, tmp_path):
    """A cache with any byte overwritten is noticed, and what is read is the truth."""
    whole, _ = sets['svhn']
    shutil.copytree(whole / 'test', tmp_path / 'test')
    mat, cache = (tmp_path / 'test' / name for name in (FILE_NAME, 'digitStruct.cache.npz'))
    truth, good = load_digit_struct(str(mat)), cache.read_bytes()
    draw = random.Random(SEED)
    for place in sorted(draw.sample(range(len(good)), min(MUTATIONS, len(good)))):
        cache.write_bytes(
            good[:place] + bytes([good[place] ^ draw.randrange(1, 256)]) + good[place + 1 :]
        )
        for array, true in zip(load_digit_struct(str(mat)), truth, strict=True):
            np.testing.assert_array_equal(array, true)
        assert cache.read_bytes() == good


@pytest.mark.parametrize('name', [name for name in BAD_NAMES if name])
def test_names_do_not_leave_the_data_root(tmp_path, name):
    (tmp_path / 'secret.png').write_bytes(b'')
    folder = Path(make_folder(tmp_path / 'svhn', 'test', dict(list(NUMBERS.items())[:2])))
    numbers = [NUMBERS['1.png'], NUMBERS['2.png']]
    write_digit_struct(str(folder / FILE_NAME), ['1.png', name], numbers)
    assert len(SVHN(str(tmp_path / 'svhn'), split='test')) == 1
    with pytest.raises(ValueError, match=r'damaged ones of .*\(entry 1\)'):
        SVHN(str(tmp_path / 'svhn'), split='test', strict=True)

    (tmp_path / 'cub').mkdir()
    images = make_cub(tmp_path / 'cub') / 'images.txt'
    lines = images.read_text().split('\n')
    images.write_text('\n'.join([lines[0], f'2 {name}', *lines[2:]]))
    with pytest.raises(ValueError, match=r'images.txt, line 2: expected int path_inside, got'):
        CUBParts(str(tmp_path / 'cub'))


@pytest.mark.parametrize(
    'numbers', [(np.nan, 1, 5, 5), (0, 0, -5, 5), (0, 0, 5, 1e300), (1e9, 0, 5, 5)]
)
def test_impossible_boxes(tmp_path, numbers):
    folder = make_folder(tmp_path / 'svhn', 'test')
    boxes = [*NUMBERS.values()]
    boxes[1] = [(*numbers, 3)]
    write_digit_struct(os.path.join(folder, FILE_NAME), list(NUMBERS), boxes)
    assert len(SVHN(str(tmp_path / 'svhn'), split='test')) == len(NUMBERS) - 1

    (tmp_path / 'cub').mkdir()
    boxes = make_cub(tmp_path / 'cub') / 'bounding_boxes.txt'
    lines = boxes.read_text().split('\n')
    lines[2] = ' '.join(map(str, (3, *numbers)))
    boxes.write_text('\n'.join(lines))
    with pytest.raises(ValueError, match='bounding_boxes.txt, line 3: expected'):
        CUBParts(str(tmp_path / 'cub'))


def test_a_split_that_leaves_nothing_is_named(tmp_path):
    root = make_cub(tmp_path)
    (root / 'train_test_split.txt').write_text('1 1\n2 1\n3 1\n4 1\n')
    with pytest.raises(ValueError, match="train_test_split.txt .* split='test'"):
        CUBParts(str(root), split='test')
    (root / 'train_test_split.txt').write_text('1 1\n2 -7\n3 1\n4 0\n')
    with pytest.raises(ValueError, match='train_test_split.txt, line 2: expected int zero_or_one'):
        CUBParts(str(root))


def read_at_once(root, barrier):
    barrier.wait()
    for _ in read_svhn(root, strict=True):
        pass


def test_processes_that_prepare_the_same_set(tmp_path):
    """None sees a cache that another one has half written, and what they leave is whole."""
    for part in ('train', 'test'):
        make_folder(tmp_path, part)
    context = get_context('fork')
    barrier = context.Barrier(4)
    processes = [
        context.Process(target=read_at_once, args=(str(tmp_path), barrier)) for _ in range(4)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0] * 4
    expected = {*NUMBERS, FILE_NAME, 'digitStruct.cache.npz'}
    assert set(os.listdir(tmp_path / 'train')) == expected
