"""The regime of a market at each one-minute bar: its volatility, its trend, its memory."""

from functools import partial
from math import nan, sqrt
from typing import Any

import numba
import numpy as np

from processors.features.catalogue import Feature
from processors.features.elementary import exp2, log2

_FLAT = "null while nothing moves; bars that are missing are passed over"

_feature = partial(Feature, group="time and regime", inputs=("bars",))
FEATURES = (
    _feature(
        name="volatility_regime",
        formula="P(high | returns so far), two states of variance v/2 and 4v, each kept with 0.98;"
        " v: exponential mean of squared returns, 240 bars",
        source="Hamilton (1989), Econometrica 57(2), the filter, with fixed parameters",
        unit="probability",
        low=0.0,
        high=1.0,
        warm_up=121,
    ),
    _feature(
        name="volatility_ratio",
        formula="standard deviation of 10 returns / that of 60 returns",
        source="ratio of realized volatilities, short to long",
        unit="ratio",
        low=0.0,
        high=2.57,  # √(59 / 9): the last ten moved, the others did not
        warm_up=61,
        missing=_FLAT,
    ),
    _feature(
        name="efficiency_ratio_30",
        formula="|close - close 30 bars before| / Σ₃₀ |change|, 0 where nothing moved",
        source="Kaufman (1995), Smarter Trading",
        unit="ratio",
        low=0.0,
        high=1.0,
        warm_up=31,
    ),
    _feature(
        name="hurst_128",
        formula="1 + b / 2, within 0 and 1; b: slope of log₂ variance of block means of 127 returns"
        " on log₂ block length 1, 2, 4, 8, 16",
        source="Taqqu, Teverovsky, Willinger (1995), Fractals 3(4): aggregated variance",
        unit="",
        low=0.0,
        high=1.0,
        warm_up=128,
        missing=_FLAT,
    ),
    _feature(
        name="trend_regime",
        formula="sign of close - close 30 bars before where efficiency_ratio_30 > 0.3, else 0",
        source="Kaufman (1995), Smarter Trading",
        unit="",
        low=-1.0,
        high=1.0,
        warm_up=31,
    ),
)
# The state: the mean square of the returns, the probability that volatility is high.
_VARIANCE, _HIGH = range(2)
FLOATS = 2
INTEGERS = 0

_CLOSE = 3
_TREND = 30
_HURST_BARS = 128
# An exponential mean over N bars weighs the newest by 2 / (N + 1).
_SPAN_WEIGHT = 2.0 / 241.0
_FIRST_REGIME = 121
_STAY = 0.98
_LOW_SHARE, _HIGH_SHARE = 0.5, 4.0
# The densities' ratio low to high at a return r: √(4 / ½) · exp(-(1 / ½ - 1 / 4) / 2 · r² / v).
_LIKELIHOOD_AT_0 = sqrt(_HIGH_SHARE / _LOW_SHARE)
_LIKELIHOOD_EXPONENT = -(1.0 / _LOW_SHARE - 1.0 / _HIGH_SHARE) / 2.0 * 1.4426950408889634
# Below this the deviation of returns is what their rounding leaves.
_NOISE = 1e-12


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _regime(change: float, count: int, floats: Any) -> Any:
    """The filter's step by a new return, against the variance before it."""
    if count == 2:
        floats[_VARIANCE] = change * change
        floats[_HIGH] = 0.5
        return nan
    square = change * change
    surprise = square / floats[_VARIANCE] if square > 0.0 else 0.0
    high = _STAY * floats[_HIGH] + (1.0 - _STAY) * (1.0 - floats[_HIGH])
    low_to_high = _LIKELIHOOD_AT_0 * exp2(_LIKELIHOOD_EXPONENT * surprise)
    floats[_HIGH] = high / (high + (1.0 - high) * low_to_high)
    # A plain mean until the exponential one is as slow.
    floats[_VARIANCE] += (square - floats[_VARIANCE]) * max(_SPAN_WEIGHT, 1.0 / (count - 1))
    return floats[_HIGH] if count >= _FIRST_REGIME else nan


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _variance(values: Any) -> Any:
    """The sample variance, in two passes."""
    mean = 0.0
    for value in values:
        mean += value
    mean /= len(values)
    total = 0.0
    for value in values:
        total += (value - mean) * (value - mean)
    return total / (len(values) - 1)


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _hurst(returns: Any) -> Any:
    """Aggregated variance of returns, newest first; overwrites them."""
    least = _NOISE * _NOISE
    blocks = returns
    slope = 0.0
    for place in range(5):
        variance = _variance(blocks)
        if place == 0 and variance <= least:
            return nan
        # The slope of least squares on 0, 1, 2, 3, 4.
        slope += (place - 2.0) * log2(max(variance, least)) / 10.0
        # What is over at the old end is left out.
        blocks = blocks[: len(blocks) // 2]
        for i in range(len(blocks)):
            blocks[i] = (returns[2 * i] + returns[2 * i + 1]) / 2.0
    return min(max(1.0 + slope / 2.0, 0.0), 1.0)


@numba.njit(cache=True, nogil=True, error_model="numpy")
def update(bars: Any, count: int, floats: Any, integers: Any, out: Any) -> None:
    """One bar further."""
    out[:] = nan
    size = len(bars)
    known = min(count, _HURST_BARS) - 1
    if known < 1:
        return
    returns = np.empty(known)
    at = (count - 1) % size
    close = bars[at, _CLOSE]
    after, path = close, 0.0
    for back in range(known):
        at = at - 1 if at > 0 else size - 1
        before = bars[at, _CLOSE]
        returns[back] = after / before - 1.0 if before != 0.0 else 0.0
        if back < _TREND:
            path += abs(after - before)
        after = before
    out[0] = _regime(returns[0], count, floats)
    if known >= 60:
        long = sqrt(_variance(returns[:60]))
        if long > _NOISE:
            out[1] = sqrt(_variance(returns[:10])) / long
    if known >= _TREND:
        move = close - bars[(count - 1 - _TREND) % size, _CLOSE]
        efficiency = min(abs(move) / path, 1.0) if path > 0.0 else 0.0
        out[2] = efficiency
        out[4] = np.sign(move) if efficiency > 0.3 else 0.0
    if count >= _HURST_BARS:
        out[3] = _hurst(returns)
