"""Windows that begin large."""

from types import SimpleNamespace

import pytest
from torch import nn

from mmstn.engine.hooks import ScaleAnnealingHook
from mmstn.models import SpatialTransformer


def runner(**generator):
    model = nn.Module()
    model.transformer = SpatialTransformer(
        loc_net=dict(type='ConvLocNet', in_channels=1, in_size=28),
        grid_generator=dict(dict(type='AttentionGridGenerator'), **generator),
    )
    return SimpleNamespace(model=model, iter=0)


def test_the_scale_falls_by_the_same_factor_and_is_theta_s_afterwards():
    hook = ScaleAnnealingHook(num_iters=3, start=2, end=0.5)
    run = runner()
    generator = run.model.transformer.grid_generator
    hook.before_train(run)
    scales = [generator.held_scale]
    for run.iter in range(5):
        hook.before_train_iter(run, run.iter)
        scales.append(generator.held_scale)
    assert scales == [2, 2, 1, 0.5, None, None]
    run.iter = 4  # a run that goes on where it was stopped
    hook.before_train(run)
    assert generator.held_scale is None


def test_says_what_is_wrong():
    with pytest.raises(ValueError, match='start.*got 0'):
        ScaleAnnealingHook(num_iters=3, start=0, end=1)
    with pytest.raises(ValueError, match=r"\['transformer'\]\), got 'neck'"):
        ScaleAnnealingHook(3, 2, 1, transformer='neck').before_train(runner())
    with pytest.raises(TypeError, match='AttentionGridGenerator, got AffineGridGenerator'):
        ScaleAnnealingHook(3, 2, 1).before_train(runner(type='AffineGridGenerator'))
    with pytest.raises(ValueError, match='fixed at 0.5'):
        ScaleAnnealingHook(3, 2, 1).before_train(runner(scale=0.5))
