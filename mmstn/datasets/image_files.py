"""Image files that annotations name: where they may lie, and what becomes of damaged ones."""

import os
import re
from typing import Any

from mmengine.dataset import Compose
from mmpretrain.datasets import BaseDataset

from mmstn.checks import instance_of

# The longest side of an image that OpenCV reads: no box or part lies further out.
MOST_PIXELS = 2**20


def folder_name(name: str, value: str | os.PathLike) -> str:
    """``value`` as text, if it can name a folder; a check as those of :mod:`mmstn.checks`."""
    return os.fspath(instance_of(name, value, (str, os.PathLike), "a folder's name"))


def path_inside(name: str) -> str:
    """``name``, if it is a plain relative path: no way out of the data root, and no address.

    Raises:
        ValueError: If it is not.
    """
    folders = name.split('/')
    if not all(re.fullmatch(r'[\w .,()&\'+=@~-]+', folder) for folder in folders) or any(
        set(folder) == {'.'} for folder in folders
    ):
        raise ValueError(f'a relative path of folders and a file is expected, got {name!r}')
    return name


class ImageFileDataset(BaseDataset):
    """A dataset of image files; an image that cannot be loaded is named.

    The first transform of the pipeline loads the image.
    """

    def prepare_data(self, idx: int) -> dict | None:
        """Runs the pipeline; see :meth:`damaged` for what becomes of damaged images."""
        sample = self.get_data_info(idx)
        if not self.pipeline.transforms:
            return sample
        load = self.pipeline.transforms[0]
        try:
            sample = load(sample)
        except Exception as error:  # decoders raise all kinds of errors
            return self.damaged(idx, error)
        return sample if sample is None else self.after_loading(sample)

    def after_loading(self, sample: dict) -> Any:
        """The pipeline without its first transform."""
        return Compose(self.pipeline.transforms[1:])(sample)

    def damaged(self, idx: int, error: Exception) -> dict | None:
        """What a damaged image becomes: an OSError that names it."""
        path = self.get_data_info(idx)['img_path']
        raise OSError(f'{path} is missing or damaged ({_first_line(error)})') from error


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
