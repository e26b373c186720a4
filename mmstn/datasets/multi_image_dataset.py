"""A dataset whose transforms can look at its other images."""

from __future__ import annotations

import copy
from collections.abc import Sequence

from mmengine.dataset import BaseDataset, Compose
from mmpretrain.registry import DATASETS, TRANSFORMS

from mmstn.registry import build_part


@DATASETS.register_module()
class MultiImageDataset:
    """Runs a pipeline that also sees the dataset itself, as ``results['dataset']``.

    What mixes several images (:class:`~mmstn.datasets.RandomClutter`) takes the others from there.
    It is the idea of MMDetection's ``MultiImageMixDataset``, for any dataset of mmpretrain.

    Args:
        dataset: Config of the dataset; its own pipeline, if it has one, runs first and on the other
            images too.
        pipeline: The transforms.

    Raises:
        TypeError: If ``dataset`` is neither a config nor a dataset.
    """

    def __init__(self, dataset: dict | BaseDataset, pipeline: Sequence[dict] = ()) -> None:
        if isinstance(dataset, dict):
            dataset = build_part(DATASETS, dataset)
        if not isinstance(dataset, BaseDataset):
            raise TypeError(
                f'dataset must be a config (dict) or a dataset, got {type(dataset).__name__}'
            )
        self.dataset = dataset
        # Built here, as mmengine's Compose looks in mmengine's own registry.
        self.pipeline = Compose([build_part(TRANSFORMS, transform) for transform in pipeline])

    @property
    def metainfo(self) -> dict:
        """Meta information of the dataset."""
        return copy.deepcopy(self.dataset.metainfo)

    def full_init(self) -> None:
        """Loads the dataset if that was put off."""
        self.dataset.full_init()

    def get_cat_ids(self, idx: int) -> list[int]:
        """Class of an image."""
        return self.dataset.get_cat_ids(idx)

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, idx: int) -> dict:
        results = dict(self.dataset[idx], dataset=self.dataset)
        results = self.pipeline(results)
        results.pop('dataset', None)
        return results

    def __repr__(self) -> str:
        return f'{type(self).__name__}({self.dataset!r}, {self.pipeline!r})'
