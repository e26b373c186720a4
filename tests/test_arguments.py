"""A wrong argument of any registered hook or metric is named when it is given."""

import inspect

import mmpretrain.registry
import pytest

import mmstn  # noqa: F401

NEEDED = dict(ScaleAnnealingHook=dict(num_iters=1, start=1.0, end=1.0))


def cases():
    for registry in (mmpretrain.registry.HOOKS, mmpretrain.registry.METRICS):
        for name, part in registry.module_dict.items():
            if part.__module__.startswith('mmstn.') and '__init__' in vars(part):
                for argument in inspect.signature(part).parameters.values():
                    if argument.kind is not inspect.Parameter.VAR_KEYWORD:
                        yield pytest.param(part, argument, id=f'{name}-{argument.name}')


@pytest.mark.parametrize('part, argument', list(cases()))
def test_it_is_named(part, argument):
    needed = NEEDED.get(part.__name__, {})
    assert part(**needed)
    usual = needed.get(argument.name, argument.default)
    wrong = [object(), [], float('nan')]
    if type(usual) in (int, float):
        wrong += [-1, '1', None, True, float('inf')]
    if type(usual) is bool:
        wrong += [1, 'yes', None]
    for value in wrong:
        with pytest.raises((TypeError, ValueError), match=f'^{argument.name} must be .*, got '):
            part(**{**needed, argument.name: value})
