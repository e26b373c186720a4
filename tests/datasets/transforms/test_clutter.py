"""Clutter: what the patches show, where they come from, how many there are."""

import numpy as np
import pytest
from mmpretrain.datasets import BaseDataset
from mmpretrain.registry import DATASETS

from mmstn.datasets import MultiImageDataset, RandomClutter, RandomTranslation


@DATASETS.register_module(force=True)
class PlainImages(BaseDataset):
    """Images given as arrays."""

    def __init__(self, images, **kwargs):
        self.images = images
        super().__init__(ann_file='', **kwargs)

    def load_data_list(self):
        return [dict(img=image, gt_label=i) for i, image in enumerate(self.images)]


def grey_images(num=8, size=28):
    """Images of one grey level each, from which a patch's origin can be read."""
    return [np.full((size, size), 10 * (i + 1), np.uint8) for i in range(num)]


def cluttered(images, seed=0, **options):
    """A dataset that puts clutter on black canvases."""
    canvas = dict(type='RandomTranslation', out_size=(200, 200), seed=seed)
    clutter = dict(type='RandomClutter', seed=seed, **options)
    return MultiImageDataset(PlainImages(images, serialize_data=False), pipeline=[canvas, clutter])


def test_patches_are_cut_from_all_other_images():
    images = grey_images()
    images[3][:] = 0  # so that all that is bright in sample 3 is clutter
    areas, origins = [], set()
    for seed in range(60):
        image = cluttered(images, seed)[3]['img']
        areas.append(np.count_nonzero(image))
        origins |= set(np.unique(image[image > 0]))
    # Patches may overlap, and one cut from a black image (which none is here) would show nothing.
    assert max(areas) == 6 * 6 * 6 and min(areas) >= 36
    assert origins == {10 * (i + 1) for i in range(8) if i != 3}


def test_number_and_size_of_patches():
    images = [np.zeros((28, 28), np.uint8), np.full((28, 28), 255, np.uint8)]
    areas = [
        np.count_nonzero(cluttered(images, seed, num_patches=2, patch_size=9)[0]['img'])
        for seed in range(20)
    ]
    assert max(areas) == 2 * 81


def test_every_patch_shows_something():
    dots = []
    for place in [(0, 0), (27, 27), (13, 5), (0, 20)]:
        dot = np.zeros((28, 28), np.uint8)
        dot[place] = 255
        dots.append(dot)
    images = [np.zeros((28, 28), np.uint8), *dots]
    counts = [np.count_nonzero(cluttered(images, seed)[0]['img']) for seed in range(20)]
    assert max(counts) == 6 and min(counts) >= 4  # dots can fall on each other's patches


def test_the_brighter_pixel_stays():
    images = [np.full((28, 28), 255, np.uint8), np.full((28, 28), 7, np.uint8)]
    for seed in range(10):
        image = cluttered(images, seed)[0]['img']
        assert np.count_nonzero(image == 255) == 28 * 28


def test_other_images_are_left_as_they_were():
    dataset = cluttered(grey_images())
    before = [dataset.dataset[i]['img'] for i in range(8)]
    for i in range(8):
        dataset[i]
    for i in range(8):
        np.testing.assert_array_equal(dataset.dataset[i]['img'], before[i])


def test_colour():
    images = [np.stack([image] * 3, axis=-1) for image in grey_images()]
    image = cluttered(images)[0]['img']
    assert image.shape == (200, 200, 3)
    np.testing.assert_array_equal(image[..., 0], cluttered(grey_images())[0]['img'])


def test_wrapper_behaves_like_the_dataset():
    dataset = MultiImageDataset(dict(type='MNIST5k', split='test', lazy_init=True))
    dataset.full_init()
    assert len(dataset) == 1000
    assert dataset.metainfo == dataset.dataset.metainfo
    assert dataset.get_cat_ids(150) == [1]
    assert set(dataset[5]) == {'img', 'gt_label', 'sample_idx'}
    assert 'MNIST5k' in repr(dataset)


def test_bad_input():
    with pytest.raises(TypeError, match='dataset must be'):
        MultiImageDataset([1, 2])
    with pytest.raises(ValueError, match='num_patches'):
        RandomClutter(num_patches=0)
    with pytest.raises(ValueError, match='patch_size'):
        RandomClutter(patch_size=2.5)
    with pytest.raises(KeyError, match='MultiImageDataset'):
        RandomClutter()(dict(img=np.zeros((60, 60), np.uint8)))
    with pytest.raises(ValueError, match='patch_size must fit'):
        cluttered(grey_images(), patch_size=29)[0]
    with pytest.raises(ValueError, match='another image'):
        cluttered(grey_images(num=1))[0]


def test_the_digit_lies_inside():
    """The whole of the paper's TC on real digits."""
    pipeline = [RandomTranslation(seed=0), RandomClutter(seed=1)]
    dataset = MultiImageDataset(dict(type='MNIST5k', split='test'))
    for index in range(0, 1000, 100):
        results = dict(dataset.dataset[index], dataset=dataset.dataset)
        digit = results['img']
        placed = pipeline[0](results)['img'].copy()
        assert placed.sum() == digit.sum()
        image = pipeline[1](results)['img']
        assert image.shape == (60, 60) and (image >= placed).all() and (image > placed).any()
