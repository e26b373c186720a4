"""MultiImageDataset: a data set whose transforms can take other images of it."""

import copy
from collections.abc import Sequence

from mmcv.transforms import BaseTransform
from mmengine.dataset import BaseDataset, Compose
from mmpretrain.registry import DATASETS, TRANSFORMS

from mmstn.checks import sequence
from mmstn.registry import build_argument

from .samplers import Draw


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
        TypeError: If ``dataset`` is neither a config nor a dataset, or ``pipeline`` no list of
            transforms.
    """

    def __init__(
        self, dataset: dict | BaseDataset, pipeline: Sequence[dict | BaseTransform] = ()
    ) -> None:
        self.dataset = _build('dataset', dataset)
        # Built here, as mmengine's Compose looks in mmengine's own registry.
        self.pipeline = Compose(
            [
                build_argument(f'pipeline[{i}]', step, TRANSFORMS, BaseTransform, 'a transform')
                for i, step in enumerate(sequence('pipeline', pipeline, 'a list of transforms'))
            ]
        )

    @property
    def metainfo(self) -> dict:
        """Meta information of the dataset."""
        return copy.deepcopy(self.dataset.metainfo)

    def full_init(self) -> None:
        """Loads the dataset if loading was deferred."""
        self.dataset.full_init()

    def get_cat_ids(self, idx: int) -> list[int]:
        """Class of an image."""
        return self.dataset.get_cat_ids(idx)

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, idx: int) -> dict:
        return self._run(idx, self.dataset)

    def _run(self, idx: int, others: BaseDataset) -> dict:
        results = self.pipeline(dict(self.dataset[idx], dataset=others))
        results.pop('dataset', None)
        return results

    def __repr__(self) -> str:
        return f'{type(self).__name__}({self.dataset!r}, {self.pipeline!r})'


@DATASETS.register_module()
class ImagesAmongOthers(MultiImageDataset):
    """A dataset whose transforms see the images of another one.

    Args:
        dataset: Config of the dataset.
        others: Config of the dataset that transforms find as ``results['dataset']``.
        pipeline: The transforms.

    Raises:
        TypeError: If one is neither a config nor a dataset, or ``pipeline`` no list of transforms.
    """

    def __init__(
        self,
        dataset: dict | BaseDataset,
        others: dict | BaseDataset,
        pipeline: Sequence[dict | BaseTransform] = (),
    ) -> None:
        super().__init__(dataset, pipeline)
        self.others = _build('others', others)

    def full_init(self) -> None:
        """Loads the datasets if loading was deferred."""
        super().full_init()
        self.others.full_init()

    def __getitem__(self, idx: int) -> dict:
        return self._run(idx, self.others)


class OtherImages:
    """The images that a sample's transforms see, without the sample itself.

    Args:
        transform: Who asks, for the messages.
        results: The sample, with ``dataset`` and ``sample_idx``.

    Raises:
        KeyError: If the sample comes from no :class:`MultiImageDataset`.
        ValueError: If there are no others.
    """

    def __init__(self, transform: BaseTransform, results: dict) -> None:
        if 'dataset' not in results:
            raise KeyError(
                f"{type(transform).__name__} needs results['dataset'] to take other images from: "
                "wrap the dataset in dict(type='MultiImageDataset', dataset=..., pipeline=...)"
            )
        self.dataset, self.index = results['dataset'], results['sample_idx']
        if len(self.dataset) < 2:
            raise ValueError(f'dataset must hold another image, got {len(self.dataset)} in all')

    def __len__(self) -> int:
        return len(self.dataset) - 1

    def __getitem__(self, index: int) -> dict:
        other = int(index) + (index >= self.index)
        return self.dataset[self.index.other(other) if isinstance(self.index, Draw) else other]


def _build(name: str, dataset: dict | BaseDataset) -> BaseDataset:
    return build_argument(name, dataset, DATASETS, BaseDataset, 'a dataset')
