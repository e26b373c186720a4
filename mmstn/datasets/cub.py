"""CUBParts: CUB-200-2011 with the birds' boxes and their 15 parts, which mmpretrain leaves out."""

from collections.abc import Callable, Sequence
from os import PathLike

import numpy as np
from mmpretrain.datasets import CUB
from mmpretrain.registry import DATASETS

from mmstn.checks import flag, one_of

from .image_files import MOST_PIXELS, ImageFileDataset, folder_name, path_inside

PARTS = (
    'back',
    'beak',
    'belly',
    'breast',
    'crown',
    'forehead',
    'left eye',
    'left leg',
    'left wing',
    'nape',
    'right eye',
    'right leg',
    'right wing',
    'tail',
    'throat',
)
"""The parts in the order of ``parts/parts.txt``."""

HEAD_PARTS = ('beak', 'crown', 'forehead', 'left eye', 'right eye', 'nape', 'throat')

SOURCE = 'https://data.caltech.edu/records/65de6-vp158 (CUB_200_2011.tgz, to be unpacked)'


@DATASETS.register_module()
class CUBParts(ImageFileDataset, CUB):
    """CUB-200-2011 (https://www.vision.caltech.edu/datasets/cub_200_2011/) with boxes and parts.

    They are in pixels of the image, where 0 is its left or upper edge, under the names that mmcv's
    transforms know: ``gt_bboxes``, (1, 4) as x1, y1, x2, y2, and ``gt_keypoints``, (1, 15, 3) as x,
    y and whether the part is visible. ``Resize`` and ``CenterCrop`` carry them along;
    ``RandomCropParts`` and ``RandomFlipParts`` stand for the transforms that do not.

    Names of classes are read from ``classes.txt``, so that sets of other birds in the same layout
    can be read too.

    Args:
        data_root: The folder that holds ``images.txt``.
        split: ``'train'`` or ``'test'``.
        test_mode: See mmengine's ``BaseDataset``.
        **kwargs: Further options of mmpretrain's ``CUB``.

    Raises:
        TypeError: If ``data_root`` is no text.
        ValueError: If there is no such split, or a file is damaged, says what cannot be, or does
            not fit the others; the message names the file and the line.
        FileNotFoundError: If files are missing; all of them are named.
        OSError: On reading an image that is damaged.
    """

    METAINFO = {**CUB.METAINFO, 'parts': PARTS, 'head_parts': HEAD_PARTS}

    def __init__(
        self, data_root: str | PathLike, split: str = 'train', test_mode: bool = False, **kwargs
    ) -> None:
        one_of('split', split, ('train', 'test'))
        flag('test_mode', test_mode)
        data_root = folder_name('data_root', data_root)
        super().__init__(data_root=data_root, split=split, test_mode=test_mode, **kwargs)

    def load_data_list(self) -> list[dict]:
        """Reads the annotations of the split."""
        names = ('images', 'image_class_labels', 'train_test_split', 'bounding_boxes', 'classes')
        files = {name: self._path(f'{name}.txt') for name in names}
        files['parts'] = self._path('parts', 'parts.txt')
        files['part_locs'] = self._path('parts', 'part_locs.txt')
        self._require([path for path in files.values() if not self.backend.exists(path)])

        images = self._table('images.txt', files['images'], (path_inside,))
        classes = self._table('classes.txt', files['classes'], (str,))
        if list(classes) != list(range(1, len(classes) + 1)):
            raise ValueError(f'classes.txt must number its classes 1, 2, ..., got {list(classes)}')
        if self._metainfo['classes'] == self.METAINFO['classes']:  # the user names no others
            self._metainfo['classes'] = tuple(
                name.split('.', 1)[-1] for (name,) in classes.values()
            )
        labels = self._table('image_class_labels.txt', files['image_class_labels'], (int,), images)
        splits = self._table(
            'train_test_split.txt', files['train_test_split'], (zero_or_one,), images
        )
        box = (coordinate, coordinate, length, length)
        boxes = self._table('bounding_boxes.txt', files['bounding_boxes'], box, images)
        parts = self._part_locations(files['parts'], files['part_locs'], images)

        data_list = []
        for image, (name,) in images.items():
            if splits[image][0] != (self.split == 'train'):
                continue
            (label,) = labels[image]
            if label not in classes:
                raise ValueError(
                    f'image_class_labels.txt gives image {image} class {label}, '
                    f'but classes.txt holds 1 to {len(classes)}'
                )
            x, y, width, height = boxes[image]
            data_list.append(
                dict(
                    img_path=self.backend.join_path(self.img_prefix, name),
                    gt_label=label - 1,
                    gt_bboxes=np.array([[x, y, x + width, y + height]], np.float32),
                    gt_keypoints=parts[image][None],
                )
            )
        if not data_list:
            raise ValueError(f'train_test_split.txt must leave images for split={self.split!r}')
        paths = (info['img_path'] for info in data_list)
        self._require([path for path in paths if not self.backend.exists(path)])
        return data_list

    def _path(self, *names: str) -> str:
        return self.backend.join_path(self.data_root, *names)

    def _require(self, missing: Sequence[str]) -> None:
        if missing:
            shown = ''.join(f'\n  {path}' for path in missing[:10])
            more = f'\n  ... {len(missing)} in all' if len(missing) > 10 else ''
            raise FileNotFoundError(
                f'data_root={self.data_root!r} lacks files of CUB-200-2011:{shown}{more}\n'
                f'Get them from {SOURCE}, or draw a small set in the same layout with '
                f'tools/data/make_cub_like.py'
            )

    def _table(
        self,
        name: str,
        path: str,
        types: Sequence[Callable],
        images: dict[int, tuple] | None = None,
    ) -> dict[int, tuple]:
        """Lines of an id and values, which must be those of ``images`` if these are given."""
        table: dict[int, tuple] = {}
        for number, words in self._lines(path):
            row = _parse(words, (int, *types), f'{name}, line {number}')
            if row[0] in table:
                raise ValueError(f'{name}, line {number}: id {row[0]} is there a second time')
            if images is not None and row[0] not in images:
                raise ValueError(f'{name}, line {number}: images.txt has no image {row[0]}')
            table[row[0]] = row[1:]
        lacking = [image for image in images or () if image not in table]
        if lacking:
            raise ValueError(
                f'{name} lacks {len(lacking)} images of images.txt, first {lacking[0]}'
            )
        return table

    def _part_locations(
        self, parts_path: str, locations_path: str, images: dict[int, tuple]
    ) -> dict[int, np.ndarray]:
        """The parts of each image, (15, 3) as x, y, visible."""
        names = [' '.join(words[1:]) for _, words in self._lines(parts_path)]
        if tuple(names) != PARTS:
            raise ValueError(f'parts.txt must name the parts {PARTS} in this order, got {names}')
        result = {image: np.full((len(PARTS), 3), np.nan, np.float32) for image in images}
        for number, words in self._lines(locations_path):
            where = f'part_locs.txt, line {number}'
            image, part, *values = _parse(words, (int, int, float, float, int), where)
            if image not in result:
                raise ValueError(f'{where}: images.txt has no image {image}')
            if not 1 <= part <= len(PARTS):
                raise ValueError(f'{where}: parts.txt has no part {part}')
            if not np.isnan(result[image][part - 1, 0]):
                raise ValueError(f'{where}: part {part} of image {image} is there a second time')
            if values[2] not in (0, 1) or not (np.abs(values) <= MOST_PIXELS).all():
                raise ValueError(f'{where}: expected x, y and 0 or 1, got {" ".join(words[2:])!r}')
            result[image][part - 1] = values
        for image, locations in result.items():
            lacking = np.flatnonzero(np.isnan(locations[:, 0]))
            if lacking.size:
                raise ValueError(
                    f'part_locs.txt lacks part {lacking[0] + 1} of image {image} '
                    f'({images[image][0]})'
                )
        return result

    def _lines(self, path: str) -> list[tuple[int, list[str]]]:
        """Numbered lines, split into words."""
        try:
            lines = self.backend.get_text(path).split('\n')
        except UnicodeDecodeError as error:
            number = error.object[: error.start].count(b'\n') + 1
            raise ValueError(f'{path}, line {number}: expected UTF-8 text ({error})') from error
        return [(number, line.split()) for number, line in enumerate(lines, 1) if line.strip()]


def zero_or_one(word: str) -> int:
    """0 or 1, as the file writes a flag."""
    return {'0': 0, '1': 1}[word]


def coordinate(word: str) -> float:
    """A number of pixels that an image can have, to either side."""
    value = float(word)
    if not abs(value) <= MOST_PIXELS:
        raise ValueError(word)
    return value


def length(word: str) -> float:
    """The length of a side of a box in pixels."""
    value = coordinate(word)
    if not value > 0:
        raise ValueError(word)
    return value


def _parse(words: Sequence[str], types: Sequence[Callable], where: str) -> tuple:
    """Words as values of ``types``."""
    try:
        return tuple(parse(word) for parse, word in zip(types, words, strict=True))
    except (KeyError, ValueError):
        expected = ' '.join(parse.__name__ for parse in types)
        raise ValueError(f'{where}: expected {expected}, got {" ".join(words)!r}') from None
