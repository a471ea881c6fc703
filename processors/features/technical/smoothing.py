"""What several families share: averages, the variance of a window, the true range, the RSI.

Each function takes the newest value and keeps its state in `floats` (and `integers`) from `at`
on, zeros at the start. The operations and their order are those of TA-Lib, fused multiplications
included, so that the bits are the same.
"""

from math import nan
from typing import Any

import numba
from numba import types
from numba.extending import intrinsic

from processors.features.technical import MASK

# What TA-Lib takes for zero.
EPSILON = 1e-14
# The sizes of the states below.
EMA_FLOATS = 1
WILDER_FLOATS = 1
RSI_FLOATS = 2
SMA_FLOATS = 1
VARIANCE_FLOATS = 3
VARIANCE_INTEGERS = 1

_SHIFT, _SUM, _SQUARES = range(3)
# Running sums that lose digits are taken anew after this many windows at the latest.
WINDOWS = 32


@intrinsic
def fma(typing: Any, a: Any, b: Any, c: Any) -> Any:
    """The fused a · b + c, rounded once, on every machine."""

    def build(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.fma(*arguments)

    return types.float64(types.float64, types.float64, types.float64), build


@numba.njit(cache=True, nogil=True, error_model="numpy")
def sma(bars: Any, column: int, count: int, period: int, floats: Any, at: int) -> Any:
    """TA-Lib SMA of a column: a running sum."""
    floats[at] += bars[(count - 1) & MASK, column]
    if count < period:
        return nan
    mean = floats[at] / period
    floats[at] -= bars[(count - period) & MASK, column]
    return mean


@numba.njit(cache=True, nogil=True, error_model="numpy")
def ema(value: float, count: int, period: int, floats: Any, at: int) -> Any:
    """TA-Lib EMA of the `count` values so far: begins with the mean of the first `period`."""
    if count < period:
        floats[at] += value
        return nan
    if count == period:
        floats[at] = (floats[at] + value) / period
    else:
        floats[at] = fma(value - floats[at], 2.0 / (period + 1), floats[at])
    return floats[at]


@numba.njit(cache=True, nogil=True, error_model="numpy")
def wilder(value: float, count: int, period: int, floats: Any, at: int) -> Any:
    """Wilder's average as in TA-Lib ATR: the mean of the first `period` values, then smoothed."""
    if count < period:
        floats[at] += value
        return nan
    if count == period:
        floats[at] = (floats[at] + value) / period
    else:
        kept = (period - 1) / period
        floats[at] = fma(kept, floats[at], (1.0 - kept) * value)
    return floats[at]


@numba.njit(cache=True, nogil=True, error_model="numpy")
def variance(
    bars: Any, column: int, count: int, period: int, floats: Any, at: int, integers: Any, age: int
) -> Any:
    """TA-Lib VAR of a column: running sums about a shift, taken anew where they lose digits."""
    value = bars[(count - 1) & MASK, column]
    if count == 1:
        floats[at + _SHIFT] = value
    moved = value - floats[at + _SHIFT]
    floats[at + _SUM] += moved
    floats[at + _SQUARES] += moved * moved
    if count < period:
        return nan
    inverse = 1.0 / period
    mean = inverse * floats[at + _SUM]
    found = inverse * floats[at + _SQUARES] - mean * mean
    oldest = bars[(count - period) & MASK, column]
    gone = oldest - floats[at + _SHIFT]
    squares = floats[at + _SQUARES] - gone * gone
    integers[age] += 1
    if (
        1e-6 * (inverse * squares) > found
        or gone * gone > 1e6 * squares
        or integers[age] >= WINDOWS * period
    ):
        integers[age] = 0
        shift = 0.0
        for j in range(count - period, count):
            shift += bars[j & MASK, column]
        shift *= inverse
        total = squares = 0.0
        for j in range(count - period, count):
            moved = bars[j & MASK, column] - shift
            total += moved
            squares += moved * moved
        floats[at + _SHIFT], floats[at + _SUM] = shift, total
        mean = inverse * total
        found = inverse * squares - mean * mean
        if found < 1e-12 * (inverse * squares):
            found = 0.0
        gone = oldest - shift
        squares -= gone * gone
    floats[at + _SUM] -= gone
    floats[at + _SQUARES] = squares
    return found


@numba.njit(cache=True, nogil=True, error_model="numpy")
def true_range(high: float, low: float, close_before: float) -> Any:
    """TA-Lib TRANGE: the widest of high - low and the distances of both to the last close."""
    return max(high - low, abs(close_before - high), abs(close_before - low))


@numba.njit(cache=True, nogil=True, error_model="numpy")
def rsi(change: float, count: int, period: int, floats: Any, at: int) -> Any:
    """TA-Lib RSI of the `count` changes so far: the share of the gains, in percent."""
    gain = max(change, 0.0)
    loss = gain - change
    if count > period:
        floats[at] *= period - 1
        floats[at + 1] *= period - 1
    floats[at] += gain
    floats[at + 1] += loss
    if count < period:
        return nan
    floats[at] *= 1.0 / period
    floats[at + 1] *= 1.0 / period
    both = floats[at] + floats[at + 1]
    return 100.0 * (floats[at] / both) if both > 0.0 else 0.0
