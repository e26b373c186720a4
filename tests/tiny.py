"""A Runner in a few words, for tests that train or test a small model."""

from uuid import uuid4

from mmengine.runner import Runner


def loader(dataset, batch_size=4, **changes):
    """Settings of a data loader in this process, in the order of the data set."""
    return (
        dict(
            dataset=dataset,
            batch_size=batch_size,
            num_workers=0,
            sampler=dict(type='DefaultSampler', shuffle=False),
            collate_fn=dict(type='default_collate'),
        )
        | changes
    )


def runner(work_dir, model, **changes):
    """A Runner with mmpretrain's scope, a fixed seed and a name of its own."""
    settings = dict(
        model=model,
        work_dir=str(work_dir),
        default_scope='mmpretrain',
        experiment_name=uuid4().hex,  # mmengine keeps Runners' globals by it
        randomness=dict(seed=0),
        log_level='WARNING',
    )
    return Runner(**(settings | changes))
