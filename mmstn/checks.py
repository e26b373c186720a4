"""Checks of arguments: each gives the value back, or raises an error that names the argument.

A value of the wrong type is a TypeError, a value out of range a ValueError. Both say what was
expected and what came.
"""

from collections.abc import Collection, Sequence
from numbers import Integral, Real
from typing import Any, TypeVar

T = TypeVar('T')


def instance_of(name: str, value: T, types: type | tuple[type, ...], expected: str) -> T:
    """``value``, if it is an instance of ``types``, which ``expected`` puts into words."""
    if not isinstance(value, types):
        raise TypeError(f'{_message(name, expected, value)} ({type(value).__name__})')
    return value


def flag(name: str, value: bool) -> bool:
    """``value``, if it is True or False."""
    return instance_of(name, value, bool, 'True or False')


def one_of(name: str, value: T, options: Collection) -> T:
    """``value``, if it is among ``options``."""
    # By type first: an array compares with anything, and True is 1.
    if not any(type(value) is type(option) and value == option for option in options):
        *others, last = map(repr, options)
        expected = f'{", ".join(others)} or {last}' if others else last
        raise ValueError(_message(name, expected, value))
    return value


def whole_number(name: str, value: Any, low: int | None = 0, high: int | None = None) -> int:
    """``value`` as an int, if it is a whole number from ``low`` to ``high``, both included."""
    expected = 'a whole number'
    if low is not None:
        expected += f' >= {low}' if high is None else f' {low} to {high}'
    value = _number(name, value, expected)
    inside = (low is None or value >= low) and (high is None or value <= high)
    if not (isinstance(value, Integral) and inside):
        raise ValueError(_message(name, expected, value))
    return int(value)


def positive_int(name: str, value: int) -> int:
    """``value`` as an int, if it is a whole number >= 1."""
    return whole_number(name, value, 1)


def number_in(name: str, value: Any, interval: str) -> float:
    """``value``, if it is a number in ``interval``, written as in mathematics.

    A square bracket takes its end in and a round one leaves it out, so ``'(-inf, inf)'`` holds all
    finite numbers. NaN is in no interval.
    """
    expected = f'a number in {interval}'
    value = _number(name, value, expected)
    low, high = map(float, interval[1:-1].split(','))
    above = value >= low if interval[0] == '[' else value > low
    below = value <= high if interval[-1] == ']' else value < high
    if not (above and below):
        raise ValueError(_message(name, expected, value))
    return value


def numbers_in(
    name: str, values: Sequence[float], interval: str, count: int | None = None
) -> tuple[float, ...]:
    """``values`` as a tuple, if they are numbers in ``interval``, ``count`` of them if given."""
    how_many = 'numbers' if count is None else f'{count} numbers'
    values = sequence(name, values, f'{how_many} in {interval}')
    if count not in (None, len(values)):
        raise ValueError(_message(name, f'{how_many} in {interval}', values))
    return tuple(number_in(f'{name}[{i}]', value, interval) for i, value in enumerate(values))


def number_range(name: str, values: Sequence[float], interval: str) -> tuple[float, float]:
    """``values`` as (low, high), if both are numbers in ``interval`` and low <= high."""
    low, high = numbers_in(name, values, interval, count=2)
    if low > high:
        raise ValueError(_message(name, '(low, high) with low <= high', values))
    return low, high


def as_size(name: str, size: Any, ndim: int = 2, low: int = 1) -> tuple[int, ...]:
    """``size`` for each of ``ndim`` axes, whole numbers: one stands for a square or a cube."""
    if isinstance(size, Real):
        return (whole_number(name, size, low),) * ndim
    expected = f'a whole number >= {low} or {ndim} of them'
    sides = sequence(name, size, expected)
    if len(sides) != ndim:
        raise ValueError(_message(name, expected, size))
    return sizes(name, sides, ndim, low)


def sizes(
    name: str, values: Sequence[int], count: int | None = None, low: int | None = 1
) -> tuple[int, ...]:
    """``values`` as a tuple, if they are whole numbers >= ``low``, ``count`` of them if given."""
    expected = 'whole numbers' if count is None else f'{count} whole numbers'
    expected += '' if low is None else f' >= {low}'
    if len(sequence(name, values, expected)) != count and count is not None:
        raise ValueError(_message(name, expected, values))
    return tuple(whole_number(f'{name}[{i}]', value, low) for i, value in enumerate(values))


def sequence(name: str, values: Any, expected: str) -> Sequence:
    """``values``, if they are a list or tuple or another sequence, but no text."""
    if isinstance(values, (str, bytes)):
        raise TypeError(_message(name, expected, values))
    return instance_of(name, values, Sequence, expected)


def strings(name: str, values: Sequence[str], options: Collection[str] = ()) -> tuple[str, ...]:
    """``values`` as a tuple, if they are strings, at least one, among ``options`` if given."""
    expected = f'among {tuple(options)}' if options else 'strings, at least one'
    values = sequence(name, values, expected)
    if not all(isinstance(value, str) for value in values):
        raise TypeError(_message(name, expected, values))
    if not values or (options and not set(values) <= set(options)):
        raise ValueError(_message(name, expected, values))
    return tuple(values)


def _number(name: str, value: Any, expected: str) -> Any:
    if isinstance(value, bool):
        raise TypeError(_message(name, expected, value))
    return instance_of(name, value, Real, expected)


def _message(name: str, expected: str, value: Any) -> str:
    shown = repr(value)
    shown = shown if len(shown) <= 100 else f'{shown[:100]}...'
    return f'{name} must be {expected}, got {shown}'
