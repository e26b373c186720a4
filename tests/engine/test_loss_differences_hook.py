"""LossDifferencesHook: its schedule, and that it leaves nothing after."""

from types import SimpleNamespace

import pytest
from torch import nn

from mmstn.engine.hooks import LossDifferencesHook
from mmstn.models import SpatialTransformer


class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.transformer = SpatialTransformer(
            loc_net=dict(type='FCLocNet', in_channels=1, in_size=8, fc_channels=(4,)),
            grid_generator=dict(type='AttentionGridGenerator'),
        )

    def loss(self):
        return {}


def steps(hook, iterations, max_iters=100):
    runner = SimpleNamespace(model=Model(), seed=3, max_iters=max_iters, iter=0)
    hook.before_train(runner)
    found = []
    for runner.iter in iterations:
        hook.before_train_iter(runner, 0)
        assert hook.differences.iteration == runner.iter
        found.append(hook.differences.step)
    hook.after_train(runner)
    assert runner.model.loss == Model.loss.__get__(runner.model)
    return found


def test_the_step_falls_by_the_same_factor_each_time():
    hook = LossDifferencesHook(step=0.16, end_factor=0.25, begin=10, end=30)
    assert steps(hook, [0, 10, 20, 30, 99]) == pytest.approx([0.16, 0.16, 0.08, 0.04, 0.04])


def test_the_step_falls_to_the_last_iteration_by_default():
    hook = LossDifferencesHook(step=[0.4, 0.8], end_factor=0.25)
    assert steps(hook, [0, 50]) == [pytest.approx([0.4, 0.8]), pytest.approx([0.2, 0.4])]


@pytest.mark.parametrize(
    ('argument', 'value'),
    [('step', 0), ('end_factor', -1), ('begin', -1), ('end', 0), ('derivative', -0.1)],
)
def test_wrong_numbers_are_named(argument, value):
    with pytest.raises(ValueError, match=f'{argument} must be .*{value}'):
        LossDifferencesHook(**{argument: value})


def test_an_unknown_transformer_is_named():
    with pytest.raises(ValueError, match="transformers must name .*'transformer'.*'other'"):
        steps(LossDifferencesHook(transformers=['other']), [0])


def test_a_training_after_one_that_was_broken_off_goes_round_the_loss_once():
    hook = LossDifferencesHook()
    runner = SimpleNamespace(model=Model(), seed=3, max_iters=100, iter=0)
    hook.before_train(runner)
    hook.before_train(runner)
    assert runner.model.loss.args == (Model.loss.__get__(runner.model),)
