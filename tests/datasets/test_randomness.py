"""Distortions: fixed by a seed, otherwise different everywhere and the same in the next run."""

from functools import partial

import numpy as np
import pytest
import torch
from mmengine.dataset import worker_init_fn
from mmengine.registry import init_default_scope
from mmengine.runner import Runner
from torch.utils.data import DataLoader

from mmstn.datasets import RandomRotation
from mmstn.datasets.transforms import randomness


class OneDigit:
    """The same image again and again: samples differ by nothing but their distortion."""

    def __init__(self, *transforms, num=24):
        self.transforms = transforms
        # Real numbers: rounded to grey levels, two angles of a thousand can give the same image.
        self.image = np.random.default_rng(0).random((28, 28), dtype=np.float32)
        self.num = num

    def __len__(self):
        return self.num

    def __getitem__(self, idx):
        results = dict(img=self.image, sample_idx=idx)
        for transform in self.transforms:
            results = transform(results)
        return results['img']


def images_of(loader):
    """All images as bytes, in the loader's order."""
    return [image.tobytes() for batch in loader for image in np.stack(batch)]


def loader_of(dataset, num_workers, persistent_workers=False, rank=0, seed=0, shuffle=False):
    """What mmengine's Runner builds on a rank, after it seeded the process."""
    torch.manual_seed(seed)
    init_fn = partial(worker_init_fn, num_workers=num_workers, rank=rank, seed=seed)
    return DataLoader(
        dataset,
        batch_size=4,
        shuffle=shuffle,
        num_workers=num_workers,
        persistent_workers=persistent_workers,
        worker_init_fn=init_fn,
        collate_fn=list,
        multiprocessing_context='fork' if num_workers else None,
    )


class TestWithoutSeed:
    @pytest.mark.parametrize(
        ('num_workers', 'persistent_workers'), [(0, False), (2, False), (2, True)]
    )
    def test_no_distortion_occurs_twice(self, num_workers, persistent_workers):
        dataset = OneDigit(RandomRotation())
        dataset[0]  # what the parent drew must not come again in its workers
        loader = loader_of(dataset, num_workers, persistent_workers)
        images = [dataset[0].tobytes(), *images_of(loader), *images_of(loader)]
        assert len(set(images)) == 1 + 2 * 24

    @pytest.mark.parametrize('num_workers', [0, 2])
    def test_the_next_run_repeats_them(self, num_workers):
        def run(seed):
            loader = loader_of(OneDigit(RandomRotation()), num_workers, seed=seed)
            return [images_of(loader), images_of(loader)]

        assert run(0) == run(0)
        assert not set(sum(run(0), [])) & set(sum(run(1), []))

    @pytest.mark.parametrize('num_workers', [0, 2])
    def test_ranks_differ(self, monkeypatch, num_workers):
        """All ranks seed their process alike, so loaders hand the same seeds to their workers."""
        images = []
        for rank in range(3):
            monkeypatch.setattr(randomness, 'get_rank', lambda rank=rank: rank)
            images += images_of(loader_of(OneDigit(RandomRotation()), num_workers, rank=rank))
        assert len(set(images)) == 3 * 24

    def test_a_loader_of_the_runner(self):
        init_default_scope('mmpretrain')
        rotation = dict(type='RandomRotation')
        config = dict(
            dataset=dict(type='MNIST5k', split='train', indices=[7] * 8, pipeline=[rotation]),
            sampler=dict(type='DefaultSampler', shuffle=True),
            batch_size=4,
            num_workers=2,
            collate_fn=dict(type='default_collate'),
        )
        loader = Runner.build_dataloader(config, seed=0)
        epochs = [[x.numpy() for batch in loader for x in batch['img']] for _ in range(2)]
        assert len({image.tobytes() for epoch in epochs for image in epoch}) == 16

    def test_transforms_of_one_pipeline_differ(self):
        first, second = RandomRotation(), RandomRotation()
        image = OneDigit().image
        assert not np.array_equal(first(dict(img=image))['img'], second(dict(img=image))['img'])


class TestWithSeed:
    def test_fixed_whatever_the_workers_and_the_order(self):
        dataset = OneDigit(RandomRotation(seed=5))
        expected = [dataset[i].tobytes() for i in range(24)]
        assert len(set(expected)) == 24
        for num_workers in (0, 1, 2):
            assert images_of(loader_of(dataset, num_workers)) == expected
        assert set(images_of(loader_of(dataset, 2, shuffle=True))) == set(expected)
        dataset = OneDigit(RandomRotation(seed=5))
        assert [dataset[i].tobytes() for i in reversed(range(24))] == expected[::-1]

    def test_seeds_differ(self):
        images = {OneDigit(RandomRotation(seed=seed))[3].tobytes() for seed in range(20)}
        assert len(images) == 20

    def test_global_generators_are_left_alone(self):
        torch.manual_seed(0)
        state = torch.get_rng_state()
        OneDigit(RandomRotation(seed=0))[0]
        assert torch.equal(torch.get_rng_state(), state)

    def test_samples_need_a_number(self):
        with pytest.raises(KeyError, match='sample_idx'):
            RandomRotation(seed=0)(dict(img=OneDigit().image))
