"""RandomTransform: a transform whose random numbers are a function of the run's seed and sample."""

import os
import random
from abc import abstractmethod

import numpy as np
import torch
from mmcv.transforms import BaseTransform
from mmengine.dist import get_rank
from mmpretrain.registry import TRANSFORMS
from torch.utils.data import get_worker_info

from ..samplers import Draw


class RandomTransform(BaseTransform):
    """A transform that draws its random numbers from a generator of its own.

    With ``seed`` they are a function of ``(seed, sample_idx)`` alone: a test set that is distorted
    once and for all, whatever the order of samples and the number of workers.

    Without it they differ for every sample, epoch and transform, and are a function of the run's
    seed and the sample's place in the run (:class:`~mmstn.datasets.Draw`), whatever the number of
    workers and processes: a run that was killed and resumed goes on with the same ones. Under a
    sampler that gives plain numbers instead (another one than mmengine's ``DefaultSampler`` and
    ``InfiniteSampler`` in mmpretrain's scope), they also depend on worker and process, and begin
    again after a resume.

    Args:
        seed: Fixes the distortion of each sample; None draws anew each time.

    Raises:
        TypeError: If ``seed`` is neither None nor a whole number.
        ValueError: If it is negative.
    """

    def __init__(self, seed: int | None = None) -> None:
        if seed is not None and (not isinstance(seed, int) or isinstance(seed, bool)):
            raise TypeError(f'seed must be None or a whole number, got {seed!r}')
        if seed is not None and seed < 0:
            raise ValueError(f'seed must be >= 0, got {seed}')
        self.seed = seed
        self._rng: np.random.Generator | None = None
        self._pid: int | None = None

    @abstractmethod
    def apply(self, results: dict, rng: np.random.Generator) -> dict:
        """The transform itself.

        Args:
            results: What mmcv's transforms take and give.
            rng: The only source of random numbers to use.
        """

    def transform(self, results: dict) -> dict:
        """Applies the transform with the generator of this sample."""
        index = results.get('sample_idx')
        if self.seed is None:
            rng = np.random.default_rng(index.next_seed()) if isinstance(index, Draw) else None
            return self.apply(results, rng or self._process_rng())
        if index is None:
            raise KeyError(
                f"{type(self).__name__} with a seed needs results['sample_idx'], which datasets of "
                f'mmengine provide; got {sorted(results)}'
            )
        return self.apply(results, np.random.default_rng([self.seed, int(index)]))

    def _process_rng(self) -> np.random.Generator:
        """This process's generator: a forked worker must not continue its parent's."""
        if self._rng is None or self._pid != os.getpid():
            self._rng, self._pid = np.random.default_rng(_fresh_entropy()), os.getpid()
        return self._rng


@TRANSFORMS.register_module()
class SeedBySample(BaseTransform):
    """Seeds the global generators of Python, NumPy and PyTorch for the transforms that follow.

    Those of mmcv, mmpretrain and torchvision draw from them, so their numbers would begin again
    after a resume, as a worker's generators are seeded when it starts. With this step first they
    are a function of the run's seed and the sample's place in the run (see
    :class:`RandomTransform`). It does nothing under a sampler that gives plain numbers.
    """

    def transform(self, results: dict) -> dict:
        """Leaves ``results`` as they are."""
        index = results.get('sample_idx')
        if isinstance(index, Draw):
            seed_everything(index.next_seed())
        return results

    def __repr__(self) -> str:
        return f'{type(self).__name__}()'


def seed_everything(seeds: np.random.SeedSequence, device: str = 'cpu') -> None:
    """Seeds the global generators of Python, NumPy and PyTorch, quickly.

    ``torch.manual_seed`` notes down where it was called for every device that PyTorch knows, which
    takes many times as long as all that is done here.

    Args:
        seeds: Where the seeds come from.
        device: The type of the device that draws numbers too.
    """
    for_python, for_numpy, for_torch = map(int, seeds.generate_state(3))
    random.seed(for_python)
    np.random.seed(for_numpy)
    torch.default_generator.manual_seed(for_torch)
    if device != 'cpu':
        getattr(torch, device).manual_seed(for_torch)


def _fresh_entropy() -> list[int]:
    """Numbers that follow from the run's seed and differ wherever distortions must differ.

    A draw from torch's generator differs for each transform. In a worker it differs by worker and
    rank too, but mmengine seeds all generators of a worker alike whenever it starts one, so without
    persistent workers it is the same in every epoch. What differs by epoch is the seed that
    PyTorch's loader hands to its workers; and outside of workers, where ranks share a seed, the
    rank.
    """
    worker = get_worker_info()
    draw = int(torch.randint(2**62, ()))
    return [draw, get_rank() if worker is None else worker.seed]
