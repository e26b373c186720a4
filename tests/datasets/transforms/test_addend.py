"""Two digits and their sum."""

import numpy as np
import pytest
from mmengine.registry import init_default_scope
from mmpretrain.registry import DATASETS

from mmstn.datasets import RandomAddend, mnist5k


def pairs(seed=None, **digits):
    """Undistorted pairs, so that both digits can be found again."""
    init_default_scope('mmpretrain')
    return DATASETS.build(
        dict(
            type='MultiImageDataset',
            dataset=dict(type='MNIST5k', split='test', **digits),
            pipeline=[dict(type='RandomAddend', seed=seed)],
        )
    )


@pytest.fixture(scope='module')
def digits():
    images, labels = mnist5k.load_digits()
    chosen = mnist5k.test_digits(labels)
    return images[chosen], labels[chosen]


def which(image, images):
    return int(np.flatnonzero((images == image).all(axis=(1, 2)))[0])


def test_label_is_the_sum_of_two_different_digits(digits):
    images, labels = digits
    dataset = pairs(seed=0)
    seconds = []
    for index in range(0, 1000, 10):
        sample = dataset[index]
        assert sample['img'].shape == (28, 28, 2)
        np.testing.assert_array_equal(sample['img'][..., 0], images[index])
        seconds.append(which(sample['img'][..., 1], images))
        assert seconds[-1] != index
        assert sample['gt_label'] == labels[index] + labels[seconds[-1]]
    # Independent of the first: any class, and all over the data set.
    assert set(labels[seconds]) == set(range(10))
    assert len(set(seconds)) > 80


def test_a_seed_pairs_each_digit_once_and_for_all():
    first, again, other = pairs(seed=3), pairs(seed=3), pairs(seed=4)
    order = [5, 0, 7, 0]
    images = [first[index]['img'] for index in order]
    assert all((first[i]['img'] == again[i]['img']).all() for i in (7, 5, 0))
    assert (images[1] == images[3]).all()
    assert any((first[i]['img'] != other[i]['img']).any() for i in order)


def test_without_a_seed_pairs_change():
    dataset = pairs()
    assert len({dataset[0]['img'].tobytes() for _ in range(10)}) > 5


def test_the_two_digits_of_a_set_of_two():
    sample = pairs(seed=0, indices=[0, 900])[0]
    assert sample['gt_label'] == 0 + 9


def test_labels_may_be_arrays_as_mmpretrains_are():
    image = np.zeros((4, 4), np.uint8)
    one = dict(img=image, gt_label=np.array(4))
    results = dict(img=image, gt_label=np.array(3), sample_idx=0, dataset=[None, one])
    assert type(RandomAddend(seed=0)(results)['gt_label']) is int
    assert results['gt_label'] == 7


def test_says_what_is_wrong():
    transform = RandomAddend(seed=0)
    image = np.zeros((4, 4), np.uint8)
    with pytest.raises(KeyError, match='MultiImageDataset'):
        transform(dict(img=image, gt_label=0, sample_idx=0))
    with pytest.raises(ValueError, match='another image, got 1'):
        transform(dict(img=image, gt_label=0, sample_idx=0, dataset=[None]))
    wide = dict(img=np.zeros((4, 5), np.uint8), gt_label=1)
    with pytest.raises(ValueError, match=r'one size.*\(4, 4\) and \(4, 5\)'):
        transform(dict(img=image, gt_label=0, sample_idx=0, dataset=[None, wide]))
