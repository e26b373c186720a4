"""mmengine's samplers, whose indices also say what the sample's random numbers are drawn from."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

import numpy as np
from mmengine.dataset import sampler
from mmpretrain.registry import DATA_SAMPLERS


class Draw(int):
    """The index of a sample, and the source of the random numbers that its transforms draw.

    It is handed to the data set as its index, wherever that is loaded, and mmengine's data sets
    hand it on to the transforms as ``results['sample_idx']``. So what a transform draws depends on
    the run's seed and the sample's place in the run, and on nothing else: not on the worker that
    loads it, nor on whether the run was stopped and resumed before.

    Args:
        index: The index.
        entropy: Whole numbers >= 0 that no other draw of the run has.
    """

    entropy: tuple[int, ...]

    def __new__(cls, index: int, entropy: tuple[int, ...]) -> Draw:
        """An int with an attribute."""
        draw = super().__new__(cls, index)
        draw.entropy = entropy
        return draw

    def next_seed(self) -> np.random.SeedSequence:
        """A new seed with each call: those of two transforms of a pipeline differ."""
        if '_seeds' not in vars(self):
            self._seeds = np.random.SeedSequence(self.entropy)
        return self._seeds.spawn(1)[0]

    def other(self, index: int) -> Draw:
        """The index of another sample, for transforms that mix several; a new draw each time."""
        self._num_others = vars(self).get('_num_others', 0) + 1
        return Draw(index, (*self.entropy, self._num_others))

    # mmengine's RepeatDataset and ConcatDataset compute with the index.
    def __mod__(self, length: int) -> Draw:
        return Draw(int(self) % length, self.entropy)

    def __sub__(self, start: int) -> Draw:
        return Draw(int(self) - start, self.entropy)

    def __reduce__(self) -> tuple:
        return Draw, (int(self), self.entropy)


@DATA_SAMPLERS.register_module(name='DefaultSampler')
class DefaultSampler(sampler.DefaultSampler):
    """mmengine's ``DefaultSampler``, in the scope of mmpretrain: the same samples, as draws."""

    def __iter__(self) -> Iterator[Draw]:
        for number, index in enumerate(super().__iter__()):
            place = number * self.world_size + self.rank
            yield Draw(index, (self.seed, self.epoch, place))


@DATA_SAMPLERS.register_module(name='InfiniteSampler')
class InfiniteSampler(sampler.InfiniteSampler):
    """mmengine's ``InfiniteSampler``, in the scope of mmpretrain: the same samples, as draws."""

    def _indices_of_rank(self) -> Iterator[Draw]:
        places = islice(enumerate(self._infinite_indices()), self.rank, None, self.world_size)
        for place, index in places:
            yield Draw(index, (self.seed, place))
