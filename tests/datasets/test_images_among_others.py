"""Digits of one class at known places."""

import numpy as np
import pytest
from mmengine.registry import init_default_scope
from mmpretrain.registry import DATASETS

from mmstn.datasets import MNIST5kOneClass, mnist5k

PIPELINE = [
    dict(type='RandomPlacement', out_size=(84, 84), seed=0),
    dict(type='RandomClutter', num_patches=16, patch_size=6, seed=1),
    dict(type='PackInputs', algorithm_keys=('gt_box',)),
]


@pytest.fixture(autouse=True)
def scope():
    init_default_scope('mmpretrain')


def test_first_digits_of_one_class():
    images, labels = mnist5k.load_digits()
    expected = images[(labels == 7) & ~mnist5k.test_digits(labels)][:30]
    dataset = MNIST5kOneClass(label=7, num_images=30)
    assert len(dataset) == 30
    np.testing.assert_array_equal(np.stack([sample['img'] for sample in dataset]), expected)
    with pytest.raises(ValueError, match='label.*got 10'):
        MNIST5kOneClass(label=10)
    with pytest.raises(ValueError, match='1 to 100 for this split, got 101'):
        MNIST5kOneClass(label=1, num_images=101, split='test')


def test_clutter_is_of_other_classes_and_everything_stays_put():
    def build(others):
        return DATASETS.build(
            dict(
                type='ImagesAmongOthers',
                dataset=dict(type='MNIST5kOneClass', label=1, num_images=5),
                others=others,
                pipeline=PIPELINE,
            )
        )

    dataset = build(dict(type='MNIST5k'))
    alike = build(dict(type='MNIST5kOneClass', label=1, num_images=5))
    assert len(dataset) == 5
    for index, sample in enumerate(dataset):
        image, box = sample['inputs'][0].numpy(), sample['data_samples'].gt_box.astype(int)
        digit = MNIST5kOneClass(label=1, num_images=5)[index]['img']
        assert (image[box[1] : box[3], box[0] : box[2]] >= digit).all()
        assert image.astype(int).sum() > digit.astype(int).sum()
        again = dataset[index]['inputs'][0].numpy()
        np.testing.assert_array_equal(image, again)
        # The same digit at the same place; only the patches are cut out of other images.
        other = alike[index]
        np.testing.assert_array_equal(box, other['data_samples'].gt_box)
        assert (image != other['inputs'][0].numpy()).any()
