import math

import numpy as np
import pytest
import torch

from mmstn import checks

NAN = math.nan


@pytest.mark.parametrize(
    'check, good, bad_values, bad_types',
    [
        (lambda v: checks.positive_int('x', v), [1, np.int64(7)], [0, -1, 1.0], ['1', None, True]),
        (lambda v: checks.sizes('x', v), [(), [1, 2]], [[0], (1, -1)], [3, '12', (1, '2')]),
        (lambda v: checks.whole_number('x', v, 0, 9), [0, 9], [-1, 10, NAN, 2.5], [[1], False]),
        (lambda v: checks.number_in('x', v, '(0, 1]'), [1, 0.5, np.float32(1)], [0, 1.1, NAN], []),
        (lambda v: checks.number_in('x', v, '[0, 1)'), [0, 0.99], [1, -0.1, NAN], ['0', None]),
        (lambda v: checks.number_in('x', v, '(-inf, inf)'), [-1e300], [math.inf, NAN], [True, 1j]),
        (lambda v: checks.numbers_in('x', v, '[0, inf)'), [(), (0, 1)], [(0, -1)], [3, 'ab', None]),
        (lambda v: checks.number_range('x', v, '(0, inf)'), [(1, 1), [1, 2]], [(2, 1), (1,)], [5]),
        (lambda v: checks.one_of('x', v, ('a', 1)), ['a', 1], ['b', True, [], torch.ones(2)], []),
        (lambda v: checks.flag('x', v), [True, False], [], [1, 0.0, 'False', None]),
        (
            lambda v: checks.as_size('x', v),
            [1, (2, 3), [4, 5]],
            [0, (1,), (1, 0), (1.5, 2)],
            ['12', (1, None)],
        ),
        (
            lambda v: checks.strings('x', v, 'ab'),
            [['a', 'b'], ('b',)],
            [(), ('c',)],
            ['a', (1,), None],
        ),
        (lambda v: checks.instance_of('x', v, (int, dict), 'either'), [1, {}], [], ['', None]),
    ],
)
def test_what_passes_and_what_each_error_says(check, good, bad_values, bad_types):
    for value in good:
        check(value)
    for values, error in ((bad_values, ValueError), (bad_types, TypeError)):
        for value in values:
            with pytest.raises(error, match=r'^x(\[\d\])? must be .*, got'):
                check(value)


def test_values_are_given_back():
    whole = checks.whole_number('x', np.int32(3))
    assert (type(whole), whole) == (int, 3)
    assert checks.as_size('x', 3) == (3, 3)
    assert checks.as_size('x', 3, ndim=3) == (3, 3, 3)
    assert checks.numbers_in('x', [1, 2.5], '[0, 3]', count=2) == (1, 2.5)
    assert checks.number_range('x', [0.5, 2], '(0, inf)') == (0.5, 2)


def test_a_long_value_is_not_shown_in_full():
    with pytest.raises(ValueError) as error:
        checks.one_of('x', 'a' * 10_000, ('b',))
    assert len(str(error.value)) < 200
