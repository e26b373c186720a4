"""Times of functions that take turns, so that whatever else the machine does meets them all."""

import math
import statistics
import time
from collections.abc import Callable, Mapping

import torch

SHORTEST = 3e-3  # seconds of a turn: shorter calls are repeated until they take as long
MOST_ROUNDS = 500


def _seconds(function: Callable[[], object], calls: int, clock: Callable[[], float]) -> float:
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    if calls > 1:
        function()  # finds the caches as another function left them
    start = clock()
    for _ in range(calls):
        function()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return (clock() - start) / calls


def interleaved(
    functions: Mapping[str, Callable[[], object]],
    seconds: float,
    least_rounds: int = 5,
    clock: Callable[[], float] = time.perf_counter,
) -> dict[str, list[float]]:
    """Seconds a call, one number a round for each function.

    Args:
        functions: What to time; called in turns, once before the clock starts.
        seconds: How long all rounds take together, about.
        least_rounds: How many rounds there are whatever they take.
        clock: ``time.process_time`` counts the process's own time alone, for one thread on a
            machine that has other work.
    """
    calls = {}
    for name, function in functions.items():
        _seconds(function, 1, clock)
        calls[name] = math.ceil(SHORTEST / max(_seconds(function, 1, clock), SHORTEST / 100))
    times: dict[str, list[float]] = {name: [] for name in functions}
    end = time.perf_counter() + seconds
    for round in range(MOST_ROUNDS):
        if round >= least_rounds and time.perf_counter() > end:
            break
        for name, function in functions.items():
            times[name].append(_seconds(function, calls[name], clock))
    return times


def ratio(slower: list[float], faster: list[float]) -> tuple[float, float, float]:
    """How many times as long one takes as the other: median and quartiles over the rounds."""
    pairs = [s / f for s, f in zip(slower, faster, strict=True)]
    low, median, high = statistics.quantiles(pairs, n=4)
    return median, low, high
