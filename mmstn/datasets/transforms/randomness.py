"""Where a transform's random numbers come from."""

from __future__ import annotations

import os
from abc import abstractmethod

import numpy as np
import torch
from mmcv.transforms import BaseTransform
from mmengine.dist import get_rank
from torch.utils.data import get_worker_info


class RandomTransform(BaseTransform):
    """A transform that draws its random numbers from a generator of its own.

    Without ``seed`` they differ for every sample, epoch, worker, rank and transform, and follow
    from the run's seed. With it they are a function of ``(seed, sample_idx)`` alone: a test set
    that is distorted once and for all, whatever the order of samples and the number of workers.

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
        """Applies the transform with the generator that this sample is due."""
        if self.seed is None:
            return self.apply(results, self._process_rng())
        if 'sample_idx' not in results:
            raise KeyError(
                f"{type(self).__name__} with a seed needs results['sample_idx'], which datasets of "
                f'mmengine provide; got {sorted(results)}'
            )
        return self.apply(results, np.random.default_rng([self.seed, results['sample_idx']]))

    def _process_rng(self) -> np.random.Generator:
        """This process's generator: a forked worker must not continue its parent's."""
        if self._rng is None or self._pid != os.getpid():
            self._rng, self._pid = np.random.default_rng(_fresh_entropy()), os.getpid()
        return self._rng


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
