"""SVHN: the full numbers of Street View House Numbers (format 1)."""

import os.path as osp
from collections.abc import Iterator, Sequence
from logging import WARNING
from os import PathLike

import numpy as np
import torch
from mmengine.dist import barrier, is_main_process
from mmengine.logging import print_log
from mmpretrain.registry import DATASETS

from mmstn.checks import flag, one_of, positive_int, strings, whole_number
from mmstn.number_string import NULL

from .digit_struct import FILE_NAME, DigitStruct, load_digit_struct
from .image_files import ImageFileDataset, folder_name

SPLITS = {
    'train': ('train',),
    'extra': ('extra',),
    'train+extra': ('train', 'extra'),
    'val': (),  # of the folders that it is held out from
    'test': ('test',),
}
# The longest side of the black image that stands for a damaged one.
MOST_BLACK = 1000


@DATASETS.register_module()
class SVHN(ImageFileDataset):
    """Street View House Numbers as whole numbers of one to five digits (section 4.2 of the paper).

    ``data_root`` holds the unpacked archives: the folders ``train``, ``test`` and ``extra``, each
    with PNGs and a ``digitStruct.mat``. ``tools/data/download_svhn.py`` fetches them.

    A sample has ``img_path``; ``gt_label``, the digits from left to right, filled up with 10 ('no
    digit') to ``max_digits``; and ``bbox``, the box around all digits (x1, y1, x2, y2) in pixels,
    which can reach outside the image. :class:`~mmstn.datasets.CropNumber` cuts it out.

    A missing or damaged image does not end a run: it is logged by name, once, and counted
    (``num_damaged``); in training another one takes its place, in testing a black one, so that the
    number of samples stays and it counts as wrong.

    Args:
        data_root: The folder described above.
        split: ``'train'``, ``'extra'`` or ``'train+extra'`` without what is held out; ``'val'``,
            that is what is held out; or ``'test'``.
        val_folders: Which folders the validation part is drawn from. The paper's comes from train
            and extra; without extra take ``('train',)``.
        num_val: How many of their images are held out, 5,000 in the paper.
        val_seed: Seed of that draw.
        max_digits: The longest number that the model can read.
        too_long: What becomes of longer ones: ``'skip'`` leaves them out, ``'keep'`` keeps them
            with a label of their own length, which never equals a prediction, so that they count as
            wrong. By default they are skipped, except for testing.
        strict: Whether a damaged image or annotation raises an error instead.
        metainfo: Further meta information.
        **kwargs: Other arguments of ``mmpretrain.datasets.BaseDataset``, such as ``pipeline``.
            ``test_mode`` is on for ``'val'`` and ``'test'`` unless it is given.

    Raises:
        FileNotFoundError: If ``data_root`` lacks a file; the message says how to get it.
        OSError: If a ``digitStruct.mat`` is damaged as a whole; with ``strict``, on reading a
            damaged image.
        TypeError: If an argument is of another type.
        ValueError: If it is out of range or no image is left; with ``strict``, if an annotation is
            damaged.
    """

    METAINFO = {'classes': (*'0123456789', 'none')}

    def __init__(
        self,
        data_root: str | PathLike,
        split: str = 'train',
        val_folders: Sequence[str] = ('train', 'extra'),
        num_val: int = 5000,
        val_seed: int = 0,
        max_digits: int = 5,
        too_long: str | None = None,
        strict: bool = False,
        metainfo: dict | None = None,
        **kwargs,
    ) -> None:
        data_root = folder_name('data_root', data_root)
        self.split = one_of('split', split, SPLITS)
        self.num_val = whole_number('num_val', num_val, int(split == 'val'))
        val_folders = strings('val_folders', val_folders, ('train', 'extra'))
        self.val_folders = val_folders if num_val else ()
        self.val_seed = whole_number('val_seed', val_seed, 0, 2**32 - 1)
        self.max_digits = positive_int('max_digits', max_digits)
        self.strict = flag('strict', strict)
        kwargs.setdefault('test_mode', split in ('val', 'test'))
        one_of('too_long', too_long, ('skip', 'keep', None))
        self.too_long = too_long or ('keep' if kwargs['test_mode'] else 'skip')
        super().__init__(
            ann_file='', metainfo=metainfo, data_root=osp.expanduser(data_root), **kwargs
        )

    def full_init(self) -> None:
        """Reads the annotations."""
        super().full_init()
        if not hasattr(self, '_damaged'):
            # Which images were found damaged; shared by the workers of a data loader.
            self._damaged = torch.zeros(len(self), dtype=torch.bool).share_memory_()

    @property
    def num_damaged(self) -> int:
        """How many images could not be read so far, by all workers of this process together."""
        return int(self._damaged.sum())

    def load_data_list(self) -> list[dict]:
        """Annotations of the split."""
        folders = SPLITS[self.split] or self.val_folders
        needed = folders
        if set(folders) & set(self.val_folders):
            needed = tuple(dict.fromkeys(folders + self.val_folders))
        annotations = self._load_annotations(needed)
        held_out = {}
        if set(folders) & set(self.val_folders):
            held_out = self._hold_out({name: annotations[name] for name in self.val_folders})

        data_list, too_long, damaged = [], [], []
        for folder in folders:
            mask = held_out.get(folder)
            for index, sample in enumerate(self._samples(folder, annotations[folder])):
                if mask is not None and mask[index] != (self.split == 'val'):
                    continue
                if not sample['gt_label']:
                    damaged.append(sample['img_path'])
                elif len(sample['gt_label']) > self.max_digits and self.too_long == 'skip':
                    too_long.append(sample['img_path'])
                else:
                    missing = self.max_digits - len(sample['gt_label'])
                    sample['gt_label'] += [NULL] * missing  # none if the number is too long
                    data_list.append(sample)
        if damaged and self.strict:
            raise ValueError(f'annotations must be complete, got damaged ones of {_some(damaged)}')
        for what, paths in (('damaged annotations', damaged), ('too many digits', too_long)):
            if paths:
                print_log(
                    f'SVHN {self.split}: {len(paths)} images with {what} are left out: '
                    f'{_some(paths)}',
                    'current',
                    WARNING,
                )
        if not data_list:
            raise ValueError(
                f'split={self.split!r} must leave images, but {" and ".join(folders)} in '
                f'{self.data_root} hold none for it'
            )
        return data_list

    def damaged(self, idx: int, error: Exception) -> dict | None:
        """Another image in training (None asks mmengine for one) and a black one in testing."""
        if self.strict:
            return super().damaged(idx, error)
        sample = self.get_data_info(idx)
        if not self._damaged[idx]:
            self._damaged[idx] = True
            instead = 'a black image' if self.test_mode else 'another image'
            print_log(
                f'{sample["img_path"]} is missing or damaged ({error}); {instead} takes its place '
                f'({self.num_damaged} so far)',
                'current',
                WARNING,
            )
        return self._black(sample) if self.test_mode else None

    def get_cat_ids(self, idx: int) -> list[int]:
        """Which digits the number has."""
        return sorted(set(self.get_data_info(idx)['gt_label']) - {NULL})

    def extra_repr(self) -> list[str]:
        """Lines for ``repr``."""
        return [f'Root of the data: \t{self.data_root}', f'Split: \t{self.split}']

    def _load_annotations(self, folders: Sequence[str]) -> dict[str, DigitStruct]:
        """Annotations by folder; the cache beside them is written by one process only."""
        paths = {folder: osp.join(self.data_root, folder, FILE_NAME) for folder in folders}
        missing = [path for path in paths.values() if not osp.exists(path)]
        if missing:
            raise FileNotFoundError(
                f'data_root must be a folder of SVHN (format 1), but {", ".join(missing)} '
                f'{"is" if len(missing) == 1 else "are"} missing. '
                f'`python tools/data/download_svhn.py {self.data_root}` fetches '
                'SVHN (2.6 GB), and without a download '
                f'`python tools/data/make_svhn_like.py {self.data_root}` makes a '
                'small set of the same format.'
            )
        if is_main_process():
            for path in paths.values():
                load_digit_struct(path)
        barrier()
        return {folder: load_digit_struct(path) for folder, path in paths.items()}

    def _hold_out(self, annotations: dict[str, DigitStruct]) -> dict[str, np.ndarray]:
        """Which images of each folder are for validation, (N,) bool."""
        sizes = [len(each.names) for each in annotations.values()]
        if self.num_val >= sum(sizes):
            raise ValueError(
                f'num_val must leave images for training, got {self.num_val} of {sum(sizes)} in '
                f'{" + ".join(annotations)}'
            )
        # RandomState, as its streams are frozen, while those of Generator may change with numpy.
        order = np.random.RandomState(self.val_seed).permutation(sum(sizes))
        held_out = np.zeros(sum(sizes), dtype=bool)
        held_out[order[: self.num_val]] = True
        parts = np.split(held_out, np.cumsum(sizes)[:-1])
        return dict(zip(annotations, parts, strict=True))

    def _samples(self, folder: str, annotations: DigitStruct) -> Iterator[dict]:
        """The images of a folder, with no label where the annotation is damaged."""
        start = 0
        for name, count in zip(
            annotations.names.tolist(), annotations.counts.tolist(), strict=True
        ):
            boxes = annotations.boxes[start : start + count]
            digits = annotations.digits[start : start + count].tolist()
            start += count
            sample = dict(img_path=osp.join(self.data_root, folder, name), gt_label=digits)
            if count:
                corners = boxes[:, :2], boxes[:, :2] + boxes[:, 2:]
                sample['bbox'] = (*corners[0].min(0).tolist(), *corners[1].max(0).tolist())
            yield sample

    def _black(self, sample: dict) -> dict:
        """A black image, through the pipeline without its loading."""
        width, height = (min(max(1, int(end)), MOST_BLACK) for end in sample['bbox'][2:])
        sample['img'] = np.zeros((height, width, 3), dtype=np.uint8)
        sample['img_shape'] = sample['ori_shape'] = (height, width)
        return self.after_loading(sample)


def _some(paths: Sequence[str]) -> str:
    """The first few of many paths."""
    return ', '.join(paths[:5]) + (', ...' if len(paths) > 5 else '')
