"""Reading, writing and caching of digitStruct.mat."""

import os
import stat

import h5py
import numpy as np
import pytest

from mmstn.datasets import digit_struct
from mmstn.datasets.digit_struct import load_digit_struct, read_digit_struct, write_digit_struct


def make_by_hand(path):
    """A file as MATLAB wrote the real one: '1.png' with 19, '2.png' with a single 0."""
    with h5py.File(path, 'w', userblock_size=512) as file:
        refs = file.create_group('#refs#')
        names = []
        for name in ('1.png', '2.png'):
            code = np.array([[ord(character)] for character in name], dtype=np.uint16)
            names.append([refs.create_dataset(f'name {name}', data=code).ref])
        two = refs.create_group('two')
        for field, values in dict(
            height=[219, 218], label=[1, 9], left=[246, 323], top=[77, 81], width=[81, 96]
        ).items():
            cells = [
                [refs.create_dataset(f'{field} {i}', data=[[float(value)]]).ref]
                for i, value in enumerate(values)
            ]
            two.create_dataset(field, data=cells, dtype=h5py.ref_dtype)
        one = refs.create_group('one')
        for field, value in dict(height=30, label=10, left=-2, top=7, width=19).items():
            one.create_dataset(field, data=[[float(value)]])
        group = file.create_group('digitStruct')
        group.create_dataset('name', data=names, dtype=h5py.ref_dtype)
        group.create_dataset('bbox', data=[[two.ref], [one.ref]], dtype=h5py.ref_dtype)


@pytest.fixture
def path(tmp_path):
    path = tmp_path / 'digitStruct.mat'
    make_by_hand(path)
    return str(path)


def assert_as_made_by_hand(annotations):
    assert annotations.names.tolist() == ['1.png', '2.png']
    assert annotations.counts.tolist() == [2, 1]
    assert annotations.digits.tolist() == [1, 9, 0]
    boxes = [[246, 77, 81, 219], [323, 81, 96, 218], [-2, 7, 19, 30]]
    np.testing.assert_array_equal(annotations.boxes, boxes)


def test_reads_what_matlab_wrote(path):
    assert_as_made_by_hand(read_digit_struct(path))


def test_written_file_has_the_structure_of_the_real_one(tmp_path):
    """Facts about the real file, looked at with plain h5py."""
    path = str(tmp_path / 'digitStruct.mat')
    write_digit_struct(
        path,
        ['1.png', '2.png'],
        [[(246, 77, 81, 219, 1), (323, 81, 96, 218, 9)], [(-2, 7, 19, 30, 0)]],
    )
    with open(path, 'rb') as file:
        header = file.read(128)
    assert header.startswith(b'MATLAB 7.3 MAT-file') and header.endswith(b'\x00\x02IM')
    with h5py.File(path) as file:
        assert sorted(file) == ['#refs#', 'digitStruct'] and file.userblock_size == 512
        group = file['digitStruct']
        assert group.attrs['MATLAB_class'] == b'struct'
        fields = [b''.join(field) for field in group.attrs['MATLAB_fields']]
        assert fields == [b'name', b'bbox']
        assert group['name'].shape == group['bbox'].shape == (2, 1)
        name = file[group['name'][0][0]]
        assert name.shape == (5, 1) and name.dtype == np.uint16
        assert name.attrs['MATLAB_class'] == b'char' and name.attrs['MATLAB_int_decode'] == 2
        two, one = (file[group['bbox'][i].item()] for i in (0, 1))
        assert sorted(two) == sorted(one) == ['height', 'label', 'left', 'top', 'width']
        assert [file[ref][()].tolist() for ref in two['label'][:, 0]] == [[[1.0]], [[9.0]]]
        assert [file[ref][()].tolist() for ref in two['left'][:, 0]] == [[[246.0]], [[323.0]]]
        assert one['label'].dtype == np.float64 and one['label'][()].tolist() == [[10.0]]
        assert one['left'].attrs['MATLAB_class'] == b'double'
    assert_as_made_by_hand(read_digit_struct(path))


def test_writing_refuses_an_image_without_digits(tmp_path):
    with pytest.raises(ValueError, match='at least one digit'):
        write_digit_struct(str(tmp_path / 'x.mat'), ['1.png'], [[]])
    assert not os.listdir(tmp_path)


def test_reads_once_then_from_the_cache(path, monkeypatch):
    assert_as_made_by_hand(load_digit_struct(path))
    assert sorted(os.listdir(os.path.dirname(path))) == [
        'digitStruct.cache.npz',
        'digitStruct.mat',
    ]
    monkeypatch.setattr(digit_struct, 'read_digit_struct', lambda path: pytest.fail('read again'))
    assert_as_made_by_hand(load_digit_struct(path))


@pytest.mark.parametrize('damage', ['cut off', 'bytes', 'empty', 'other arrays', 'lengths'])
def test_damaged_cache_is_made_anew(path, damage):
    load_digit_struct(path)
    cache = path.replace('.mat', '.cache.npz')
    good = open(cache, 'rb').read()
    if damage == 'other arrays':
        np.savez(cache, a=np.zeros(3))
    elif damage == 'lengths':
        arrays = dict(np.load(cache))
        np.savez(cache, **(arrays | dict(digits=arrays['digits'][:1])))
    else:
        middle = len(good) // 2
        bad = {
            'cut off': good[:middle],
            'bytes': good[:200] + bytes(b ^ 255 for b in good[200:260]) + good[260:],
            'empty': b'',
        }
        open(cache, 'wb').write(bad[damage])
    assert_as_made_by_hand(load_digit_struct(path))
    assert np.load(cache)['digits'].tolist() == [1, 9, 0]


def test_cache_of_another_file_is_made_anew(path):
    load_digit_struct(path)
    with h5py.File(path, 'r+') as file:
        file[file['digitStruct/bbox'][1, 0]]['label'][...] = 5
    assert load_digit_struct(path).digits.tolist() == [1, 9, 5]


@pytest.mark.parametrize('cached', [False, True])
def test_cut_off_file_is_named(path, cached):
    """A cache of the file as it was does not hide that it is damaged now."""
    if cached:
        load_digit_struct(path)
    good = open(path, 'rb').read()
    open(path, 'wb').write(good[: len(good) // 2])
    with pytest.raises(OSError, match='digitStruct.mat is cut off, damaged'):
        load_digit_struct(path)


def test_other_kind_of_file_is_named(tmp_path):
    path = str(tmp_path / 'digitStruct.mat')
    with h5py.File(path, 'w') as file:
        file['X'] = np.zeros((32, 32, 3))
    with pytest.raises(ValueError, match=r"must hold digitStruct/name .*got \['X'\]"):
        read_digit_struct(path)


@pytest.mark.parametrize('damage', ['label', 'width', 'nan', 'field', 'reference', 'name'])
def test_damaged_entry_leaves_the_others(path, damage):
    """The second entry is damaged in some way; the first one is read."""
    with h5py.File(path, 'r+') as file:
        bbox = file[file['digitStruct/bbox'][1, 0]]
        if damage == 'label':
            bbox['label'][...] = 11
        elif damage == 'width':
            bbox['width'][...] = 0
        elif damage == 'nan':
            bbox['left'][...] = np.nan
        elif damage == 'field':
            del bbox['top']
        else:
            column = file['digitStruct']['name' if damage == 'name' else 'bbox']
            column[1, 0] = h5py.Reference()
    annotations = read_digit_struct(path)
    assert annotations.counts.tolist() == [2, 0]
    assert annotations.digits.tolist() == [1, 9]
    assert annotations.names.tolist() == ['1.png', '(entry 1)' if damage == 'name' else '2.png']


def test_goes_on_where_it_may_not_write(path, monkeypatch):
    def refuse(**kwargs):
        raise PermissionError('read-only')

    monkeypatch.setattr(digit_struct.tempfile, 'NamedTemporaryFile', refuse)
    assert_as_made_by_hand(load_digit_struct(path))
    assert os.listdir(os.path.dirname(path)) == ['digitStruct.mat']


def test_interrupted_writing_leaves_nothing(path, monkeypatch):
    def interrupt(*args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr(digit_struct.np, 'savez', interrupt)
    with pytest.raises(KeyboardInterrupt):
        load_digit_struct(path)
    assert os.listdir(os.path.dirname(path)) == ['digitStruct.mat']


def test_others_may_read_the_cache(path):
    load_digit_struct(path)
    mode = os.stat(path.replace('.mat', '.cache.npz')).st_mode
    assert stat.S_IMODE(mode) == 0o644


def test_missing_h5py_says_what_to_install(path, monkeypatch):
    monkeypatch.setattr(digit_struct, 'h5py', None)
    with pytest.raises(ImportError, match='pip install h5py'):
        load_digit_struct(path)
