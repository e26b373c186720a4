"""Images at random places of larger ones and of volumes."""

import numpy as np
import pytest

from mmstn.datasets import RandomExtrusion, RandomPlacement, RandomTranslation


@pytest.fixture
def image():
    return np.arange(1, 7, dtype=np.uint8).reshape(2, 3)


def extrude(image, index=0, **options):
    return RandomExtrusion(**options)(dict(img=image, sample_idx=index))


def test_every_slice_is_the_image_and_all_else_is_black(image):
    results = extrude(image, depth=4, out_size=(5, 6, 7))
    volume = results['img']
    assert volume.shape == (1, 5, 6, 7) and volume.dtype == np.uint8
    assert results['img_shape'] == (5, 6, 7)
    z, y, x = (np.unique(axis) for axis in np.nonzero(volume[0]))
    assert (len(z), len(y), len(x)) == (4, 2, 3)
    block = volume[0, z[0] : z[-1] + 1, y[0] : y[-1] + 1, x[0] : x[-1] + 1]
    np.testing.assert_array_equal(block, np.broadcast_to(image, (4, 2, 3)))
    assert volume.sum() == 4 * image.sum()


def test_all_places_are_alike(image):
    transform = RandomExtrusion(depth=2, out_size=(3, 3, 3))  # 2 x 2 x 1 places
    places = [tuple(np.argwhere(transform(dict(img=image))['img'][0])[0]) for _ in range(400)]
    found, counts = np.unique(places, axis=0, return_counts=True)
    assert found.tolist() == [[0, 0, 0], [0, 1, 0], [1, 0, 0], [1, 1, 0]]
    assert counts.min() > 60  # of 100 expected, four deviations off


def test_a_seed_fixes_the_place_of_each_sample(image):
    options = dict(depth=2, out_size=(9, 9, 9), seed=5)
    first = extrude(image, **options)['img']
    np.testing.assert_array_equal(first, extrude(image, **options)['img'])
    assert any((first != extrude(image, i, **options)['img']).any() for i in (1, 2))


def test_says_what_is_wrong(image):
    with pytest.raises(ValueError, match='depth.*got 0'):
        RandomExtrusion(depth=0)
    with pytest.raises(ValueError, match=r'out_size.*got \(60, 60\)'):
        RandomExtrusion(out_size=(60, 60))
    for size, options in (((2, 3, 1), {}), ((2, 3), dict(depth=9)), ((2, 9), {})):
        with pytest.raises(ValueError, match='img must be'):
            extrude(np.zeros(size, np.uint8), **{'depth': 2, 'out_size': (8, 8, 8), **options})


@pytest.mark.parametrize('transform', [RandomPlacement, RandomTranslation])
@pytest.mark.parametrize('size', [(4, 3), (4, 3, 2)])
@pytest.mark.parametrize('dtype', [np.uint8, np.float32])
def test_box_is_where_the_image_is_pixel_by_pixel(transform, size, dtype):
    image = np.random.default_rng(0).uniform(1, 255, size).astype(dtype)
    transform = transform(out_size=(6, 6))
    corners = set()
    for _ in range(300):
        results = transform(dict(img=image))
        left, top, right, bottom = results['gt_box'].astype(int)
        np.testing.assert_array_equal(results['img'][top:bottom, left:right], image)
        assert np.count_nonzero(results['img']) == image.size
        assert results['img'].shape[:2] == results['img_shape'] == (6, 6)
        assert results['img'].dtype == dtype
        corners.add((top, left))
    assert corners == {(top, left) for top in range(3) for left in range(4)}
    with pytest.raises(ValueError, match=r'hold an image of \(7, 3\), got \(6, 6\)'):
        transform(dict(img=np.zeros((7, 3), np.uint8)))


# Where these put the first samples since the first version: published figures are of these sets.
PLACES = {
    RandomTranslation: [(38, 42), (53, 26), (4, 48), (53, 25)],
    RandomPlacement: [(51, 31), (31, 44), (58, 4), (30, 44)],
}


@pytest.mark.parametrize('transform', PLACES)
def test_a_seed_means_the_same_places_for_ever(transform):
    transform = transform(out_size=(60, 50), seed=0)
    image = np.ones((1, 1), np.uint8)
    boxes = [transform(dict(img=image, sample_idx=index))['gt_box'] for index in range(4)]
    assert [(int(box[1]), int(box[0])) for box in boxes] == PLACES[type(transform)]
