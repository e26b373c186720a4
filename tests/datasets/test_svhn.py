"""SVHN: its splits, and every oddity of the real files."""

import os
import pickle

import numpy as np
import pytest
import torch
from mmengine.dataset import default_collate
from mmengine.logging import MMLogger
from mmpretrain.registry import DATASETS
from torch.utils.data import DataLoader

from mmstn.datasets import SVHN

from .svhn_files import NUMBERS, image, make_folder

LOAD = [dict(type='LoadImageFromFile')]
PIPELINE = [
    *LOAD,
    dict(type='CropNumber'),
    dict(type='Resize', scale=(16, 16)),
    dict(type='PackInputs'),
]


@pytest.fixture
def root(tmp_path):
    for folder in ('train', 'test', 'extra'):
        make_folder(tmp_path, folder)
    return str(tmp_path)


@pytest.fixture
def logged(caplog):
    """What is logged, in capturable form."""
    logger = MMLogger.get_current_instance()
    logger.addHandler(caplog.handler)
    yield caplog
    logger.removeHandler(caplog.handler)


def labels(dataset):
    """Labels by the name of the image."""
    samples = [dataset.get_data_info(index) for index in range(len(dataset))]
    return {os.path.basename(sample['img_path']): sample['gt_label'] for sample in samples}


def test_labels_and_boxes(root):
    dataset = DATASETS.build(dict(type='SVHN', data_root=root, split='test'))
    assert labels(dataset) == {
        '1.png': [1, 9, 10, 10, 10],
        '2.png': [0, 10, 10, 10, 10],
        '3.png': [1, 2, 3, 4, 5, 6],  # kept with its own length, so that it counts as wrong
        '4.png': [7, 3, 10, 10, 10],
        '5.png': [5, 5, 5, 5, 5],
        '6.png': [2, 4, 6, 10, 10],
    }
    assert dataset.get_data_info(0)['bbox'] == (20, 10, 37, 27)
    assert dataset.get_data_info(3)['bbox'] == (-4, -3, 77, 55)
    assert dataset.get_cat_ids(4) == [5] and dataset.get_cat_ids(1) == [0]
    assert dataset.get_data_info(0)['img_path'] == os.path.join(root, 'test', '1.png')


def test_too_long_numbers(root, logged):
    dataset = SVHN(root, split='train', num_val=0)
    assert '3.png' not in labels(dataset) and len(dataset) == 5
    assert '1 images with too many digits are left out' in logged.text
    assert os.path.join(root, 'train', '3.png') in logged.text
    assert '3.png' in labels(SVHN(root, split='train', num_val=0, too_long='keep'))
    assert '3.png' not in labels(SVHN(root, split='test', too_long='skip'))
    assert labels(SVHN(root, split='train', num_val=0, max_digits=6))['3.png'] == [*range(1, 7)]


def paths(root, split, **kwargs):
    dataset = SVHN(root, split=split, too_long='keep', **kwargs)
    return [dataset.get_data_info(index)['img_path'] for index in range(len(dataset))]


def test_splits_are_disjoint_and_complete(root):
    kwargs = dict(num_val=4)
    val, train, extra, both = (
        paths(root, split, **kwargs) for split in ('val', 'train', 'extra', 'train+extra')
    )
    assert len(val) == 4 and train + extra == both and not set(val) & set(both)
    everything = [os.path.join(root, f, name) for f in ('train', 'extra') for name in NUMBERS]
    assert sorted(val + both) == sorted(everything)
    assert len(paths(root, 'test', **kwargs)) == 6


def test_held_out_part_is_fixed_by_its_seed(root):
    held_out = [tuple(paths(root, 'val', num_val=4, val_seed=seed)) for seed in range(5)]
    assert held_out[0] == tuple(paths(root, 'val', num_val=4))
    assert len(set(held_out)) > 1
    # The first four of RandomState(0).permutation(12), written down: it must never change.
    chosen = sorted([6, 11, 4, 10])
    names = [os.path.join(root, f, name) for f in ('train', 'extra') for name in NUMBERS]
    assert list(held_out[0]) == [names[index] for index in chosen]


def test_training_without_extra(tmp_path):
    make_folder(tmp_path, 'train')
    root = str(tmp_path)
    kwargs = dict(val_folders=('train',), num_val=2)
    assert len(paths(root, 'val', **kwargs)) == 2 and len(paths(root, 'train', **kwargs)) == 4
    with pytest.raises(FileNotFoundError, match='extra/digitStruct.mat is missing'):
        SVHN(root, split='train')


def test_wrong_root_says_what_was_looked_for_and_how_to_get_it(tmp_path):
    with pytest.raises(FileNotFoundError) as error:
        SVHN(str(tmp_path / 'nowhere'), split='train')
    root = tmp_path / 'nowhere'
    for part in (f'{root}/train/digitStruct.mat', f'{root}/extra/digitStruct.mat'):
        assert part in str(error.value)
    for tool in ('download_svhn', 'make_svhn_like'):  # commands as one can paste them
        command = f'`python tools/data/{tool}.py {root}`'
        assert command in str(error.value)


@pytest.mark.parametrize(
    'kwargs',
    [
        dict(split='validation'),
        dict(val_folders=('test',)),
        dict(val_folders=()),
        dict(num_val=-1),
        dict(split='val', num_val=0),
        dict(max_digits=0),
        dict(too_long='cut'),
        dict(num_val=12),  # nothing would be left
    ],
)
def test_bad_arguments(root, kwargs):
    with pytest.raises(ValueError, match=next(reversed(kwargs))):
        SVHN(root, **kwargs)


def damage_annotation(root):
    """The second image of train gets a label that does not exist."""
    import h5py

    with h5py.File(os.path.join(root, 'train', 'digitStruct.mat'), 'r+') as file:
        file[file['digitStruct/bbox'][1, 0]]['label'][...] = 12


def test_damaged_annotation_is_left_out_and_named(root, logged):
    damage_annotation(root)
    dataset = SVHN(root, num_val=0)
    assert '2.png' not in labels(dataset) and '1.png' in labels(dataset)
    assert '1 images with damaged annotations are left out' in logged.text
    assert os.path.join(root, 'train', '2.png') in logged.text
    with pytest.raises(ValueError, match='train/2.png'):
        SVHN(root, num_val=0, strict=True)


def damage_image(root, how, folder, name='1.png'):
    path = os.path.join(root, folder, name)
    content = open(path, 'rb').read()
    if how == 'missing':
        os.remove(path)
    else:
        open(path, 'wb').write({'truncated': content[: len(content) // 2], 'empty': b''}[how])
    return path


@pytest.mark.parametrize('backend', ['cv2', 'pillow'])
@pytest.mark.parametrize('how', ['missing', 'truncated', 'empty'])
def test_damaged_image_in_training_is_replaced(root, logged, how, backend):
    path = damage_image(root, how, 'train')
    load = dict(type='LoadImageFromFile', imdecode_backend=backend)
    dataset = SVHN(root, num_val=0, pipeline=[load, *PIPELINE[1:]])
    for _ in range(5):
        sample = dataset[0]
        assert sample['data_samples'].img_path != path
        assert sample['inputs'].shape == (3, 16, 16)
    assert logged.text.count(f'{path} is missing or damaged') == 1 and dataset.num_damaged == 1
    with pytest.raises(OSError, match='train/1.png is missing or damaged'):
        SVHN(root, num_val=0, pipeline=[load, *PIPELINE[1:]], strict=True)[0]


@pytest.mark.parametrize('how', ['missing', 'truncated'])
def test_damaged_image_in_testing_becomes_black(root, logged, how):
    path = damage_image(root, how, 'test')
    dataset = SVHN(root, split='test', pipeline=PIPELINE)
    sample = dataset[0]
    assert not sample['inputs'].any() and sample['inputs'].shape == (3, 16, 16)
    assert sample['data_samples'].gt_label.tolist() == [1, 9, 10, 10, 10]
    assert dataset[1]['inputs'].any()
    assert logged.text.count(f'{path} is missing or damaged') == 1 and dataset.num_damaged == 1


def test_workers_count_together(root):
    damage_image(root, 'missing', 'train', '1.png')
    damage_image(root, 'truncated', 'train', '5.png')
    dataset = SVHN(root, num_val=0, pipeline=PIPELINE)
    loader = DataLoader(dataset, 2, num_workers=2, collate_fn=default_collate)
    batches = [batch['inputs'] for batch in loader for _ in range(2)]
    assert sum(map(len, batches)) == 2 * len(dataset)
    assert dataset.num_damaged == 2


def test_all_images_missing_ends(root):
    for name in NUMBERS:
        damage_image(root, 'missing', 'train', name)
    with pytest.raises(Exception, match='Cannot find valid image'):
        SVHN(root, num_val=0, pipeline=PIPELINE, max_refetch=20)[0]


def test_pixels_of_the_crop(root):
    """One pixel of the image is one of the crop."""
    dataset = SVHN(root, split='test', pipeline=[*LOAD, dict(type='CropNumber', enlarge=0)])
    np.testing.assert_array_equal(dataset[0]['img'], image('1.png')[10:27, 20:37])
    np.testing.assert_array_equal(dataset[3]['img'], image('4.png'))


def test_lazy_init_and_pickle(root):
    dataset = SVHN(root, split='test', pipeline=PIPELINE, lazy_init=True)
    assert 'Split: \ttest' in repr(dataset)
    dataset.full_init()
    copy = pickle.loads(pickle.dumps(dataset))
    assert torch.equal(copy[0]['inputs'], dataset[0]['inputs'])
