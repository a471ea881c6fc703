"""`features-talib`: all technical features at every bar; the peer is TA-Lib over its window.

The peer calls each of TA-Lib's functions once a bar (once for all its outputs) on the shortest
window that has a value at all: its lookback and one. For averages of all bars so far that is too
short to be exact, so its true cost is higher. Bars are made up from a seed. Ours updates the
one-minute and the five-minute features at each bar, in one call, as the stage does. Both are called
from Python, bar by bar.
"""

import time
from collections.abc import Callable
from typing import Any

import numba
import numpy as np
import talib
import talib.abstract
from numpy.typing import NDArray

from benchmarks.harness import Result, compare, versions
from processors.features.catalogue import BAR_INPUTS
from processors.features.technical import RING, five_minutes, kernel

_RUNS = 5
_BARS = 4_000
_WARM = 500
_SEED = 20_261_125

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


def run() -> Result:
    """Measure both sides, alternately."""
    bars = walk(_BARS)
    calls = _calls()
    ours, peer = [], []
    for _ in range(_RUNS):
        ours.append(ours_us(bars))
        peer.append(_each_us(bars, calls))
    features = (*kernel.FEATURES, *five_minutes.FEATURES)
    return compare(
        "features-talib", "µs/bar", ours, peer, versions("TA-Lib", "numba", "numpy"),
        more_is_better=False, bars=_BARS, features=len(features), functions=len(calls),
        functions_distinct=len({name for name, _, _, _ in calls}),
    )  # fmt: skip


def walk(count: int) -> Floats:
    """Bars [count, 5] of a random walk: open, high, low, close, volume."""
    choose = np.random.default_rng(_SEED)
    close = 60_000.0 * np.cumprod(1.0 + choose.normal(0.0, 5e-4, count))
    opened = np.concatenate((close[:1], close[:-1]))
    high = np.maximum(opened, close) * (1.0 + choose.exponential(2e-4, count))
    low = np.minimum(opened, close) * (1.0 - choose.exponential(2e-4, count))
    return np.column_stack((opened, high, low, close, choose.exponential(10.0, count)))


def ours_us(bars: Floats) -> float:
    """Microseconds a bar of all our technical features; state in one row, as in the stage."""
    floats, integers = np.zeros(_FLOATS), np.zeros(_INTEGERS, np.int64)
    return _timed_us(lambda index: _update(bars, index, floats, integers), len(bars))


# A row: the ring, the state of the features of one minute and of five, and their values.
_STATE = RING * len(BAR_INPUTS)
_STATE_5M = _STATE + kernel.FLOATS
_OUT = _STATE_5M + five_minutes.FLOATS
_OUT_5M = _OUT + len(kernel.FEATURES)
_FLOATS = _OUT_5M + len(five_minutes.FEATURES)
_INTEGERS = kernel.INTEGERS + five_minutes.INTEGERS


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _update(bars: Floats, index: int, row: Floats, whole: Integers) -> None:
    ring = row[:_STATE].reshape((RING, 5))
    ring[index % RING] = bars[index]
    kernel.update(
        ring, index + 1, row[_STATE:_STATE_5M], whole[: kernel.INTEGERS], row[_OUT:_OUT_5M]
    )
    five_minutes.update(
        ring, index + 1, row[_STATE_5M:_OUT], whole[kernel.INTEGERS :], row[_OUT_5M:]
    )


def _calls() -> list[tuple[str, dict[str, float], tuple[int, ...], int]]:
    """Each function of TA-Lib with its parameters once: its columns, and the window it needs."""
    found: dict[tuple[str, str], tuple[str, dict[str, float], tuple[int, ...], int]] = {}
    for feature in (*kernel.FEATURES, *five_minutes.FEATURES):
        assert feature.talib is not None
        name, parameters, _ = feature.talib
        window = talib.abstract.Function(name, **parameters).lookback + 1
        columns = tuple(BAR_INPUTS.index(each) for each in feature.inputs)
        found[name, f"{parameters}{feature.interval}"] = (name, parameters, columns, window)
    return list(found.values())


def _each_us(
    bars: Floats, calls: list[tuple[str, dict[str, float], tuple[int, ...], int]]
) -> float:
    series = [np.ascontiguousarray(bars[:, column]) for column in range(bars.shape[1])]
    bound: list[tuple[Callable[..., Any], list[Floats], dict[str, float], int]] = [
        (getattr(talib, name), [series[column] for column in columns], parameters, window)
        for name, parameters, columns, window in calls
    ]

    def step(index: int) -> None:
        for function, inputs, parameters, window in bound:
            begin = max(0, index + 1 - window)
            function(*(each[begin : index + 1] for each in inputs), **parameters)

    return _timed_us(step, len(bars))


def _timed_us(step: Callable[[int], None], count: int) -> float:
    """Processor time of a step after the first ones, microseconds."""
    for index in range(_WARM):
        step(index)
    began = time.process_time_ns()
    for index in range(_WARM, count):
        step(index)
    return (time.process_time_ns() - began) / 1e3 / (count - _WARM)
