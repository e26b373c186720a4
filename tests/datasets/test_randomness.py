"""Distortions: fixed by a seed, otherwise different everywhere and the same in the next run."""

import pickle
import random
from functools import partial
from itertools import islice

import numpy as np
import pytest
import torch
from mmengine.dataset import sampler as mmengine_sampler
from mmengine.dataset import worker_init_fn
from mmengine.registry import DATA_SAMPLERS as MMENGINE_SAMPLERS
from mmengine.registry import init_default_scope
from mmengine.runner import Runner
from mmpretrain.registry import DATA_SAMPLERS, DATASETS
from torch.utils.data import DataLoader

from mmstn.datasets import DefaultSampler, Draw, InfiniteSampler, RandomRotation, SeedBySample
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

    def test_transforms_of_one_pipeline_differ(self):
        first, second = RandomRotation(), RandomRotation()
        image = OneDigit().image
        assert not np.array_equal(first(dict(img=image))['img'], second(dict(img=image))['img'])


class TestDraws:
    """What a sample draws depends on the run's seed and its place in the run, and on no more."""

    @pytest.mark.parametrize('sampler', ['DefaultSampler', 'InfiniteSampler'])
    def test_the_number_of_workers_does_not_matter(self, sampler):
        runs = []
        for num_workers in (0, 1, 3):
            batches = iter(runner_loader(sampler, num_workers))
            runs.append([next(batches)['img'].numpy().tobytes() for _ in range(3)])
        assert runs[0] == runs[1] == runs[2]
        assert len(set(runs[0])) == 3

    @pytest.mark.parametrize('sampler', ['DefaultSampler', 'InfiniteSampler'])
    def test_epochs_and_seeds_differ(self, sampler):
        images = []
        for seed in (0, 1):
            loader = runner_loader(sampler, 0, seed=seed)
            batches = iter(loader)
            for epoch in range(2):
                if sampler == 'DefaultSampler':
                    loader.sampler.set_epoch(epoch)
                    batches = iter(loader)
                for _ in range(3):
                    images += [image.numpy().tobytes() for image in next(batches)['img']]
        assert len(set(images)) == 2 * 2 * 12

    @pytest.mark.parametrize('sampler', [DefaultSampler, InfiniteSampler])
    def test_two_processes_share_the_draws_of_one(self, monkeypatch, sampler):
        def draws(rank, world_size):
            monkeypatch.setattr(mmengine_sampler, 'get_dist_info', lambda: (rank, world_size))
            numbers = islice(iter(sampler(range(10), shuffle=True, seed=3)), 10 // world_size)
            return [(int(draw), draw.entropy) for draw in numbers]

        one = draws(0, 1)
        assert draws(0, 2) == one[::2]
        assert draws(1, 2) == one[1::2]
        assert len(set(one)) == 10

    @pytest.mark.parametrize('name', ['DefaultSampler', 'InfiniteSampler'])
    def test_the_order_of_samples_is_mmengines(self, name):
        own, mmengines = (
            registry.get(name)(range(7), shuffle=True, seed=5)
            for registry in (DATA_SAMPLERS, MMENGINE_SAMPLERS)
        )
        assert type(own) is not type(mmengines)
        assert list(islice(iter(own), 14)) == list(islice(iter(mmengines), 14))

    def test_data_sets_of_several_hand_them_on(self):
        init_default_scope('mmpretrain')
        digits = dict(type='MNIST5k', split='train', indices=3, pipeline=[])
        digits['pipeline'] = [dict(type='RandomRotation')]
        both = DATASETS.build(dict(type='ConcatDataset', datasets=[digits, digits]))
        again = DATASETS.build(dict(type='RepeatDataset', dataset=digits, times=2))
        direct = DATASETS.build(digits)
        for index in range(6):
            expected = direct[Draw(index % 3, (1, index))]['img']
            for dataset in (both, again):
                np.testing.assert_array_equal(dataset[Draw(index, (1, index))]['img'], expected)

    def test_other_images_have_draws_of_their_own(self):
        init_default_scope('mmpretrain')
        digits = dict(
            type='MNIST5k', split='train', indices=4, pipeline=[dict(type='RandomRotation')]
        )
        pairs = DATASETS.build(
            dict(type='MultiImageDataset', dataset=digits, pipeline=[dict(type='RandomAddend')] * 2)
        )
        first, second = (pairs[Draw(1, (0, 7))]['img'] for _ in range(2))
        np.testing.assert_array_equal(first, second)
        found = {
            pairs[Draw(1, (0, place))]['img'][..., c].tobytes()
            for place in range(10)
            for c in range(3)
        }
        assert len(found) == 30

    def test_global_generators_by_sample(self):
        def draw(index):
            SeedBySample()(dict(sample_idx=index))
            return random.random(), np.random.rand(), torch.rand(()).item()

        assert draw(Draw(1, (0, 7))) == draw(Draw(1, (0, 7)))
        assert len({*draw(Draw(1, (0, 7))), *draw(Draw(1, (0, 8)))}) == 6
        assert draw(1) != draw(1)  # a plain number leaves them alone

    def test_a_draw_travels_to_workers(self):
        draw = pickle.loads(pickle.dumps(Draw(5, (1, 2))))
        assert (draw, draw.entropy) == (5, (1, 2))


def runner_loader(sampler, num_workers, seed=0):
    """Rotated copies of one digit, loaded as a Runner does it."""
    init_default_scope('mmpretrain')
    config = dict(
        dataset=dict(
            type='MNIST5k',
            split='train',
            indices=[7] * 12,
            pipeline=[dict(type='RandomRotation')],
        ),
        sampler=dict(type=sampler, shuffle=True),
        batch_size=4,
        num_workers=num_workers,
        collate_fn=dict(type='default_collate'),
    )
    return Runner.build_dataloader(config, seed=seed)


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
