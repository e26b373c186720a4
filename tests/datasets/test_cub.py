"""CUB-200-2011 with parts, in a folder of four images written by hand."""

import numpy as np
import pytest
from mmpretrain.registry import DATASETS, TRANSFORMS

from mmstn.datasets import CUBParts
from mmstn.datasets.cub import HEAD_PARTS, PARTS

from .cub_files import BEAK, LEFT_EYE, RIGHT_EYE, make_cub


@pytest.fixture
def root(tmp_path):
    return make_cub(tmp_path)


def test_boxes_parts_and_labels(root):
    train = CUBParts(data_root=str(root), split='train')
    assert len(train) == 2 and train.CLASSES == ('Bird_1', 'Bird_2')
    info = train.get_data_info(1)
    assert info['gt_label'] == 1
    assert info['img_path'].endswith('002.Bird_2/Bird_2_1.png')
    np.testing.assert_array_equal(info['gt_bboxes'], [[20, 10, 70, 50]])
    assert info['gt_keypoints'].shape == (1, 15, 3)
    np.testing.assert_array_equal(info['gt_keypoints'][0, BEAK], [35, 15, 1])
    np.testing.assert_array_equal(info['gt_keypoints'][0, LEFT_EYE], [0, 0, 0])
    test = DATASETS.build(dict(type='CUBParts', data_root=str(root), split='test'))
    assert [test.get_data_info(i)['img_path'][-5] for i in range(2)] == ['2', '2']
    assert set(HEAD_PARTS) < set(PARTS) and len(HEAD_PARTS) == 7


def run(root, *transforms):
    pipeline = [dict(type='LoadImageFromFile'), *transforms]
    dataset = CUBParts(data_root=str(root), split='train', pipeline=pipeline)
    return dataset[0]


def red_centre(image):
    """Where the beak is in the picture itself, in continuous coordinates."""
    red = (image[..., 2] > 128) & (image[..., 0] < 128)
    if red[0].any() or red[-1].any() or red[:, 0].any() or red[:, -1].any():
        return None  # it is cut off
    ys, xs = np.nonzero(red)
    return xs.mean() + 0.5, ys.mean() + 0.5


@pytest.mark.parametrize(
    'transforms',
    [
        [dict(type='Resize', scale=(1 << 20, 160), keep_ratio=True)],
        [dict(type='CenterCrop', crop_size=(112, 72))],
        [dict(type='RandomCropParts', crop_size=(100, 70))],
        [dict(type='RandomFlipParts', prob=1.0)],
        [dict(type='RandomFlipParts', prob=1.0, direction='vertical')],
        [dict(type='RandomFlipParts', prob=1.0, direction='diagonal')],
        [
            dict(type='Resize', scale=(1 << 20, 100), keep_ratio=True),
            dict(type='RandomCropParts', crop_size=96),
            dict(type='RandomFlipParts', prob=1.0),
        ],
    ],
)
def test_parts_follow_the_picture(root, transforms):
    for seed in range(3):
        np.random.seed(seed)
        results = run(root, *transforms)
        x, y, visible = results['gt_keypoints'][0, BEAK]
        if visible:
            assert results['img'][int(y), int(x), 2] > 128
            centre = red_centre(results['img'])
            if centre is not None:
                np.testing.assert_allclose((x, y), centre, atol=0.6)
        else:
            assert x in (0, results['img'].shape[1]) or y in (0, results['img'].shape[0])


def test_left_and_right_change_sides_in_a_mirror(root):
    plain = run(root)['gt_keypoints'][0]
    assert plain[RIGHT_EYE, 2] == 1 and plain[LEFT_EYE, 2] == 0
    for direction, mirrors in dict(horizontal=True, vertical=True, diagonal=False).items():
        flip = dict(type='RandomFlipParts', prob=1.0, direction=direction)
        flipped = run(root, flip)['gt_keypoints'][0]
        assert flipped[LEFT_EYE, 2] == mirrors and flipped[RIGHT_EYE, 2] == (not mirrors)
        eye = flipped[LEFT_EYE if mirrors else RIGHT_EYE]
        x = 120 - plain[RIGHT_EYE, 0] if direction != 'vertical' else plain[RIGHT_EYE, 0]
        assert eye[0] == x
        twice = run(root, flip, flip)['gt_keypoints'][0]
        np.testing.assert_array_equal(twice[plain[:, 2] > 0], plain[plain[:, 2] > 0])
    assert run(root, dict(type='RandomFlipParts', prob=1.0))['gt_bboxes'].tolist() == [
        [50, 10, 100, 50]
    ]


def test_crops_hide_what_they_cut_off(root):
    crop = dict(type='RandomCropParts', crop_size=(40, 80))
    np.random.seed(0)
    seen = set()
    for _ in range(20):
        results = run(root, crop)
        keypoints, img = results['gt_keypoints'][0], results['img']
        assert img.shape == (80, 40, 3)
        box = results['gt_bboxes'][0]
        assert (box >= 0).all() and (box[::2] <= 40).all()
        if keypoints[BEAK, 2]:
            assert img[int(keypoints[BEAK, 1]), int(keypoints[BEAK, 0]), 2] == 255
        seen.add(bool(keypoints[BEAK, 2]))
    assert seen == {True, False}


def test_a_crop_that_does_not_fit_is_an_error(root):
    with pytest.raises(ValueError, match='crop_size must fit into the image, got 100x100 for 120x'):
        run(root, dict(type='RandomCropParts', crop_size=100))


def test_packing(root):
    pack = TRANSFORMS.build(dict(type='PackInputs', algorithm_keys=('gt_bboxes', 'gt_keypoints')))
    sample = pack(run(root))['data_samples']
    assert sample.gt_keypoints.shape == (1, 15, 3) and sample.gt_bboxes.shape == (1, 4)


def edit(path, number, line):
    lines = path.read_text().splitlines()
    lines[number - 1 : number] = [] if line is None else [line]
    path.write_text('\n'.join(lines) + '\n')


@pytest.mark.parametrize(
    'file, number, line, message',
    [
        ('parts/part_locs.txt', 3, '9 3 1.0 2.0 1', 'line 3: images.txt has no image 9'),
        ('parts/part_locs.txt', 4, '1 16 1.0 2.0 1', 'line 4: parts.txt has no part 16'),
        ('parts/part_locs.txt', 5, '1 4 1.0 2.0 1', 'line 5: part 4 of image 1 is there a second'),
        (
            'parts/part_locs.txt',
            6,
            '1 6 1.0 x 1',
            'line 6: expected int int float float int',
        ),
        ('parts/part_locs.txt', 6, '1 6 1.0 1', 'line 6: expected int int float float int'),
        ('parts/part_locs.txt', 6, '1 6 1.0 2.0 2', 'line 6: expected x, y and 0 or 1'),
        ('parts/part_locs.txt', 6, '1 6 inf 2.0 1', 'line 6: expected x, y and 0 or 1'),
        ('parts/part_locs.txt', 20, None, r'lacks part 5 of image 2 \(001.Bird_1/Bird_1_2.png\)'),
        ('parts/parts.txt', 2, '2 bill', 'parts.txt must name the parts'),
        ('bounding_boxes.txt', 2, '2 1.0 2.0 3.0', 'bounding_boxes.txt, line 2: expected int'),
        ('bounding_boxes.txt', 2, None, 'bounding_boxes.txt lacks 1 images of images.txt, first 2'),
        ('image_class_labels.txt', 3, '3 7', 'gives image 3 class 7, but classes.txt holds 1 to 2'),
        ('train_test_split.txt', 2, '1 1', 'train_test_split.txt, line 2: id 1 is there a second'),
    ],
)
def test_files_that_do_not_fit_each_other(root, file, number, line, message):
    edit(root / file, number, line)
    with pytest.raises(ValueError, match=message):
        CUBParts(data_root=str(root))


def test_missing_files_are_all_named_with_the_way_to_get_them(root):
    (root / 'bounding_boxes.txt').unlink()
    (root / 'parts/part_locs.txt').unlink()
    with pytest.raises(FileNotFoundError) as error:
        CUBParts(data_root=str(root))
    for text in ('bounding_boxes.txt', 'part_locs.txt', 'data.caltech.edu', 'make_cub_like.py'):
        assert text in str(error.value)


def test_missing_images_are_named(root):
    (root / 'images/002.Bird_2/Bird_2_1.png').unlink()
    CUBParts(data_root=str(root), split='test')
    with pytest.raises(FileNotFoundError, match='Bird_2_1.png'):
        CUBParts(data_root=str(root), split='train')


def test_an_unknown_split_is_refused(root):
    with pytest.raises(ValueError, match="split must be 'train' or 'test', got 'val'"):
        CUBParts(data_root=str(root), split='val')


@pytest.mark.parametrize(
    ('options', 'name'),
    [
        (dict(prob=1.5), 'prob'),
        (dict(prob=float('nan')), 'prob'),
        (dict(prob=[0.5, 0.6], direction=['horizontal', 'vertical']), 'the sum of prob'),
        (dict(prob=[0.5], direction=['horizontal', 'vertical']), 'prob'),
        (dict(prob=0.5, direction='sideways'), 'direction'),
        (dict(prob=0.5, direction=[]), 'direction'),
    ],
)
def test_impossible_flips_are_named(options, name):
    with pytest.raises(ValueError, match=f'^{name} must be'):
        TRANSFORMS.build(dict(type='mmpretrain.RandomFlipParts', **options))
