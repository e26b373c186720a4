"""``digitStruct.mat``, the annotations of SVHN's full numbers (format 1): read, write and cache.

The file is MATLAB's v7.3, that is HDF5, of a struct array with the fields ``name`` and ``bbox``.
``bbox`` is itself a struct with ``height, left, top, width, label``, each of which is one number if
the image has one digit, and an array of references to numbers if it has more.
"""

import hashlib
import io
import os
import tempfile
from collections.abc import Sequence
from itertools import count
from logging import WARNING
from typing import Any, NamedTuple

import numpy as np
from mmengine.logging import print_log
from rich.progress import track

from .image_files import MOST_PIXELS, path_inside

try:
    import h5py
except ImportError:  # only SVHN needs it
    h5py = None

FILE_NAME = 'digitStruct.mat'
CACHE_VERSION = 2
DIGEST_SIZE = hashlib.sha256().digest_size
FIELDS = ('left', 'top', 'width', 'height', 'label')
# A name, or one field of a number, has no more elements than this.
MOST_ELEMENTS = 256


class DigitStruct(NamedTuple):
    """The annotations of N images with M digits altogether, digits in reading order.

    Attributes:
        names: Names of the images' files, (N,) str.
        counts: How many digits each image has, (N,); 0 where the annotation is damaged.
        boxes: Their boxes in pixels, (M, 4): left, top, width, height. They may lie outside.
        digits: Which digits they are, (M,), 0 to 9.
    """

    names: np.ndarray
    counts: np.ndarray
    boxes: np.ndarray
    digits: np.ndarray


def load_digit_struct(path: str) -> DigitStruct:
    """Reads annotations through a cache beside them, as reading 200,000 of them takes minutes.

    The cache holds the SHA-256 of the file that it was made from, and ends in its own; if one does
    not fit, the file is read and the cache written anew, all at once or not at all.

    Args:
        path: The ``digitStruct.mat``.

    Raises:
        OSError: If the file is missing or damaged as a whole.
        ValueError: If it is another kind of file, or none of its entries can be read.
    """
    cache = os.path.splitext(path)[0] + '.cache.npz'
    digest = sha256(path)
    annotations = _read_cache(cache, digest)
    if annotations is None:
        annotations = read_digit_struct(path)
        _write_cache(cache, digest, annotations)
    return annotations


def read_digit_struct(path: str) -> DigitStruct:
    """Reads annotations, with a progress bar; see :func:`load_digit_struct`."""
    _check_h5py()
    held: Any = 'nothing that can be read'
    try:
        with h5py.File(path, 'r') as file:
            held = sorted(file)
            columns = [file['digitStruct'][name] for name in ('name', 'bbox')]
            if columns[0].size != columns[1].size:
                raise ValueError(f'{columns[0].size} names and {columns[1].size} numbers')
            names, bboxes = (column[:].ravel() for column in columns)
            entries = [
                _read_entry(file, *entry)
                for entry in track(zip(count(), names, bboxes), f'Reading {path}', total=len(names))
            ]
    except OSError as error:
        raise OSError(
            f'{path} is cut off, damaged or no MATLAB v7.3 file; unpack or fetch it again ({error})'
        ) from error
    except Exception as error:  # h5py raises all kinds of errors on a damaged file
        raise ValueError(
            f'{path} must hold digitStruct/name and digitStruct/bbox, got {held} ({error})'
        ) from error
    counts = np.array([len(number) for _, number in entries], dtype=np.int64)
    if not counts.any():
        raise ValueError(f'{path} must annotate images, got none among {len(entries)} entries')
    rows = np.concatenate([number for _, number in entries])
    digits = rows[:, 4].astype(np.int64) % 10
    return DigitStruct(np.array([name for name, _ in entries]), counts, rows[:, :4], digits)


def write_digit_struct(
    path: str, names: Sequence[str], numbers: Sequence[Sequence[Sequence[float]]]
) -> None:
    """Writes annotations with the structure of the real file.

    Args:
        path: The file to write.
        names: Names of the images' files.
        numbers: For each image its digits from left to right, ``(left, top, width, height, digit)``
            in pixels, the digit 0 to 9.

    Raises:
        ValueError: If the lengths differ or an image has no digit.
    """
    if len(names) != len(numbers) or not all(len(number) for number in numbers):
        raise ValueError(
            f'numbers must give at least one digit for each of {len(names)} names, got '
            f'{[len(number) for number in numbers]}'
        )
    _check_h5py()
    with h5py.File(path, 'w', userblock_size=512) as file:
        refs = file.create_group('#refs#')
        number_of_ref = count()

        def add(data: np.ndarray, matlab_class: str) -> h5py.Dataset:
            item = refs.create_dataset(str(next(number_of_ref)), data=data)
            return mark(item, matlab_class)

        def mark(item: h5py.HLObject, matlab_class: str, fields: Sequence[str] = ()):
            item.attrs['MATLAB_class'] = np.bytes_(matlab_class)
            if matlab_class == 'char':
                item.attrs['MATLAB_int_decode'] = np.int32(2)
            if fields:
                characters = np.empty(len(fields), dtype=object)
                characters[:] = [np.array(list(field), dtype='S1') for field in fields]
                vlen = h5py.vlen_dtype(np.dtype('S1'))
                item.attrs.create('MATLAB_fields', characters, dtype=vlen)
            item.attrs['H5PATH'] = np.bytes_(item.name)
            return item

        columns: dict[str, list] = dict(name=[], bbox=[])
        for name, number in zip(names, numbers, strict=True):
            code = np.array([ord(character) for character in name], dtype=np.uint16)
            columns['name'].append(add(code[:, None], 'char').ref)
            bbox = refs.create_group(str(next(number_of_ref)))
            values = np.array(number, dtype=np.float64)
            values[:, 4] = np.where(values[:, 4] == 0, 10, values[:, 4])
            for field, column in zip(FIELDS, values.T, strict=True):
                if len(column) == 1:
                    mark(bbox.create_dataset(field, data=column[:, None]), 'double')
                else:
                    cells = [[add(np.array([[value]]), 'double').ref] for value in column]
                    bbox.create_dataset(field, data=cells, dtype=h5py.ref_dtype)
            mark(bbox, 'struct', ('height', 'left', 'top', 'width', 'label'))
            columns['bbox'].append(bbox.ref)
        group = file.create_group('digitStruct')
        for field, references in columns.items():
            cells = [[reference] for reference in references]
            group.create_dataset(field, data=cells, dtype=h5py.ref_dtype)
        mark(group, 'struct', ('name', 'bbox'))
        del group.attrs['H5PATH']  # MATLAB gives it to what is referred to
    header = b'MATLAB 7.3 MAT-file, Platform: mmstn HDF5 schema 1.00 .'.ljust(124)
    with open(path, 'r+b') as file:
        file.write(header + b'\x00\x02IM')  # version 2, little-endian


def sha256(path: str) -> str:
    """The SHA-256 of a file's content, in hexadecimal digits."""
    digest = hashlib.sha256()
    with open(path, 'rb') as file:
        while chunk := file.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()


def _read_entry(file, index: int, name, bbox) -> tuple[str, np.ndarray]:
    """The name of one image and its digits, (n, 5); none of them where the entry is damaged."""
    shown = f'(entry {index})'
    try:
        code = _read(h5py.h5r.dereference(name, file.id))
        shown = path_inside(''.join(map(chr, code)))
        return shown, _read_number(file, bbox)
    except Exception:  # h5py raises all kinds of errors on a damaged file
        return shown, np.empty((0, 5))


def _read_number(file, reference) -> np.ndarray:
    """The digits of one image: (n, 5), left, top, width, height, label."""
    group = h5py.h5r.dereference(reference, file.id)
    columns = []
    for field in FIELDS:
        values = _read(h5py.h5o.open(group, field.encode()))
        if values.dtype == object:
            values = [_read(h5py.h5r.dereference(each, file.id)).item() for each in values]
        columns.append(np.asarray(values, dtype=np.float64))
    number = np.stack(columns, axis=1)
    label = number[:, 4]
    # The comparisons are false for NaN.
    if not ((np.abs(number) <= MOST_PIXELS).all() and (number[:, 2:4] > 0).all()):
        raise ValueError('a box is empty or out of bounds')
    if not np.isin(label, np.arange(1, 11)).all():
        raise ValueError('a label is none of 1 to 10')
    return number


def _read(dataset) -> np.ndarray:
    """All that a dataset holds, flat.

    By h5py's low level: a file has millions of them, and ``file[...]`` takes three times as long.
    """
    if np.prod(dataset.shape, dtype=float) > MOST_ELEMENTS:
        raise ValueError('a dataset is too large')
    values = np.empty(dataset.shape, dataset.dtype)
    dataset.read(h5py.h5s.ALL, h5py.h5s.ALL, values)
    return values.ravel()


def _read_cache(cache: str, digest: str) -> DigitStruct | None:
    """What the cache holds, or None if it is missing, damaged, or made from another file."""
    if not os.path.exists(cache):
        return None
    try:
        with open(cache, 'rb') as file:
            content = file.read()
    except OSError as error:
        print_log(f'{cache} could not be read ({error})', 'current', WARNING)
        return None
    arrays, own_digest = content[:-DIGEST_SIZE], content[-DIGEST_SIZE:]
    if hashlib.sha256(arrays).digest() != own_digest:
        print_log(f'{cache} is damaged and made anew', 'current', WARNING)
        return None
    with np.load(io.BytesIO(arrays), allow_pickle=False) as file:
        if file['made_from'] != f'{CACHE_VERSION} {digest}':
            return None
        return DigitStruct(*(file[name] for name in DigitStruct._fields))


def _write_cache(cache: str, digest: str, annotations: DigitStruct) -> None:
    """Writes the cache in one step; does nothing without permission to write there."""
    temporary = None
    try:
        with tempfile.NamedTemporaryFile(
            dir=os.path.dirname(cache) or '.', suffix='.npz', delete=False
        ) as file:
            temporary = file.name
            arrays = io.BytesIO()
            made_from = np.array(f'{CACHE_VERSION} {digest}')
            np.savez(arrays, made_from=made_from, **annotations._asdict())
            file.write(arrays.getvalue() + hashlib.sha256(arrays.getvalue()).digest())
        os.chmod(temporary, 0o644)  # the data may be shared; temporary files are private
        os.replace(temporary, cache)
    except OSError as error:
        print_log(f'{cache} could not be written, reading goes on ({error})', 'current', WARNING)
    finally:
        if temporary is not None and os.path.exists(temporary):
            os.remove(temporary)


def _check_h5py() -> None:
    if h5py is None:
        raise ImportError(
            f'{FILE_NAME} is an HDF5 file, which the package h5py reads: '
            'install it with `pip install h5py`'
        )
