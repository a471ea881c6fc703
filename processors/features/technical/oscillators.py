"""Oscillators (TA-Lib): CCI, MFI, STOCH, STOCHRSI, ULTOSC and WILLR."""

from math import inf, nan
from typing import Any

import numba

from processors.features.catalogue import of_talib
from processors.features.technical import MASK
from processors.features.technical.smoothing import EPSILON, rsi, true_range

_HIGH_LOW_CLOSE = ("high", "low", "close")
_STOCH: dict[str, float] = {
    "fastk_period": 5,
    "slowk_period": 3,
    "slowk_matype": 0,
    "slowd_period": 3,
    "slowd_matype": 0,
}
_STOCHRSI: dict[str, float] = {
    "timeperiod": 14,
    "fastk_period": 5,
    "fastd_period": 3,
    "fastd_matype": 0,
}

FEATURES = (
    of_talib(
        name="cci_14",
        formula="(typical price - its mean of 14) / (0.015 · its mean deviation of 14)",
        unit="ratio",
        inputs=_HIGH_LOW_CLOSE,
        warm_up=14,
        talib=("CCI", {"timeperiod": 14}, 0),
    ),
    of_talib(
        name="mfi_14",
        formula="100 · positive / all money flow of 14 bars (typical price · volume)",
        unit="percent",
        low=0.0,
        high=100.0,
        inputs=("high", "low", "close", "volume"),
        warm_up=15,
        talib=("MFI", {"timeperiod": 14}, 0),
    ),
    of_talib(
        name="stoch_k",
        formula="mean of 3 of 100 · (close - lowest low) / (highest high - lowest low) of 5 bars",
        unit="percent",
        low=0.0,
        high=100.0,
        inputs=_HIGH_LOW_CLOSE,
        warm_up=9,
        talib=("STOCH", _STOCH, 0),
    ),
    of_talib(
        name="stoch_d",
        formula="mean of 3 of stoch_k",
        unit="percent",
        low=0.0,
        high=100.0,
        inputs=_HIGH_LOW_CLOSE,
        warm_up=9,
        talib=("STOCH", _STOCH, 1),
    ),
    of_talib(
        name="stochrsi_k",
        formula="100 · (RSI(14) - its lowest) / (its highest - its lowest) of 5 bars",
        unit="percent",
        low=0.0,
        high=100.0,
        inputs=("close",),
        warm_up=21,
        talib=("STOCHRSI", _STOCHRSI, 0),
    ),
    of_talib(
        name="ultosc",
        formula="100 · (4 · r(7) + 2 · r(14) + r(28)) / 7, r = buying pressure / true range",
        unit="percent",
        low=0.0,
        high=100.0,
        inputs=_HIGH_LOW_CLOSE,
        warm_up=29,
        talib=("ULTOSC", {"timeperiod1": 7, "timeperiod2": 14, "timeperiod3": 28}, 0),
    ),
    of_talib(
        name="willr_14",
        formula="-100 · (highest high - close) / (highest high - lowest low) of 14 bars",
        unit="percent",
        low=-100.0,
        high=0.0,
        inputs=_HIGH_LOW_CLOSE,
        warm_up=14,
        talib=("WILLR", {"timeperiod": 14}, 0),
    ),
)
# The state, in floats: rings of 14 typical prices and money flows (rising, then falling), the
# sums of both flows, rings and sums of the stochastic's two means, the averages of RSI and a ring
# of its last 5, the pressures of ULTOSC and its true ranges, each over 7, 14 and 28 bars ...
_TYPICAL = 0
_RISING = 14
_FALLING = 28
_FLOWS = 42
_FAST = 44
_SLOW = 48
_GAIN = 52
_RSI = 54
_PRESSURE = 59
_RANGE = 62
FLOATS = 65
# ... and in integers: for how many bars no money flowed, and nothing moved.
_NO_FLOW, _STILL = range(2)
INTEGERS = 2
_PERIODS = (7, 14, 28)


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _cci(typical: float, count: int, floats: Any) -> Any:
    """TA-Lib CCI; the sums go through the ring in its own order."""
    ring = floats[_TYPICAL : _TYPICAL + 14]
    ring[(count - 1) % 14] = typical
    if count < 14:
        return nan
    average = 0.0
    for i in range(14):
        average += ring[i]
    average /= 14
    deviation = 0.0
    for i in range(14):
        deviation += abs(ring[i] - average)
    deviation /= 14
    distance = typical - average
    least = EPSILON * abs(average)
    if abs(distance) <= least or deviation <= least:
        return 0.0
    return distance / (0.015 * deviation)


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _mfi(
    typical: float, before: float, volume: float, count: int, floats: Any, integers: Any
) -> Any:
    """TA-Lib MFI; after 14 bars without flow the sums begin anew, without what rounding left."""
    change = typical - before
    flow = typical * volume
    if abs(change) <= EPSILON * (abs(typical) + abs(before)):
        flow = 0.0
    place = count % 14
    floats[_FLOWS] -= floats[_RISING + place]
    floats[_FLOWS + 1] -= floats[_FALLING + place]
    floats[_RISING + place] = 0.0 if change < 0.0 else flow
    floats[_FALLING + place] = flow if change < 0.0 else 0.0
    floats[_FLOWS] += floats[_RISING + place]
    floats[_FLOWS + 1] += floats[_FALLING + place]
    integers[_NO_FLOW] = min(integers[_NO_FLOW] + 1, 14) if flow == 0.0 else 0
    if integers[_NO_FLOW] == 14:
        floats[_FLOWS] = floats[_FLOWS + 1] = 0.0
    if count < 15:
        return nan
    both = floats[_FLOWS] + floats[_FLOWS + 1]
    if both <= 0.0:
        return 0.0
    return 100.0 * (min(max(floats[_FLOWS], 0.0), both) / both)


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _mean_of_3(value: float, count: int, floats: Any, at: int) -> Any:
    """TA-Lib SMA over 3 of `count` values: a sum and a ring of 3, from `at` on."""
    floats[at] += value
    floats[at + 1 + count % 3] = value
    if count < 3:
        return nan
    mean = floats[at] / 3.0
    floats[at] -= floats[at + 1 + (count - 2) % 3]
    return mean


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _extremes(bars: Any, count: int, period: int) -> Any:
    """The lowest low and the highest high of the last bars."""
    lowest, highest = inf, -inf
    for i in range(count - period, count):
        bar = bars[i & MASK]
        lowest, highest = min(lowest, bar[2]), max(highest, bar[1])
    return lowest, highest


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _is_flat(lowest: float, highest: float) -> Any:
    """Whether TA-Lib takes a range for nothing: against its own two ends."""
    return abs(highest - lowest) <= EPSILON * (abs(highest) + abs(lowest))


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _place(value: float, lowest: float, highest: float) -> Any:
    """Where a value lies in a range, in percent (the fast line of TA-Lib STOCHF)."""
    if _is_flat(lowest, highest):
        return 0.0
    return ((value - lowest) / (highest - lowest)) * 100.0


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _stochastic(bars: Any, count: int, floats: Any, out: Any) -> None:
    """TA-Lib STOCH."""
    if count < 5:
        return
    lowest, highest = _extremes(bars, count, 5)
    fast = _place(bars[(count - 1) & MASK][3], lowest, highest)
    slow = _mean_of_3(fast, count - 4, floats, _FAST)
    if count < 7:
        return
    mean = _mean_of_3(slow, count - 6, floats, _SLOW)
    if count > 8:
        out[2], out[3] = slow, mean


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _stochastic_rsi(change: float, count: int, floats: Any) -> Any:
    """TA-Lib STOCHRSI, the fast line."""
    strength = rsi(change, count - 1, 14, floats, _GAIN)
    if count < 15:
        return nan
    floats[_RSI + count % 5] = strength
    if count < 21:
        return nan
    lowest = highest = strength
    for i in range(5):
        lowest, highest = min(lowest, floats[_RSI + i]), max(highest, floats[_RSI + i])
    return _place(strength, lowest, highest)


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _pressure(bars: Any, i: int) -> Any:
    """What ULTOSC sums: how far the close is above the true low, and the true range."""
    bar, close_before = bars[i & MASK], bars[(i - 1) & MASK][3]
    return bar[3] - min(bar[2], close_before), true_range(bar[1], bar[2], close_before)


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _ultimate(bars: Any, count: int, floats: Any, integers: Any) -> Any:
    """TA-Lib ULTOSC; the sums of a still window begin anew, without what rounding left."""
    last = count - 1
    pressure, width = _pressure(bars, last)
    still = pressure == 0.0 and width == 0.0
    integers[_STILL] = min(integers[_STILL] + 1, 28) if still else 0
    total = 0.0
    for i in range(3):
        period = _PERIODS[i]
        # All three windows are full at the same bar, so a shorter one begins later.
        if last <= 28 - period:
            continue
        floats[_PRESSURE + i] += pressure
        floats[_RANGE + i] += width
        if last < 28:
            continue
        if integers[_STILL] >= period:
            floats[_PRESSURE + i] = floats[_RANGE + i] = 0.0
        if floats[_RANGE + i] > 0.0:
            total += (4.0, 2.0, 1.0)[i] * (floats[_PRESSURE + i] / floats[_RANGE + i])
        old_pressure, old_width = _pressure(bars, last - period + 1)
        floats[_PRESSURE + i] -= old_pressure
        floats[_RANGE + i] -= old_width
    return 100.0 * (total / 7.0) if last >= 28 else nan


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _williams(bars: Any, count: int) -> Any:
    """TA-Lib WILLR over 14 bars."""
    if count < 14:
        return nan
    lowest, highest = _extremes(bars, count, 14)
    if _is_flat(lowest, highest):
        return 0.0
    return ((highest - bars[(count - 1) & MASK][3]) / (highest - lowest)) * -100.0


@numba.njit(cache=True, nogil=True, error_model="numpy")
def update(bars: Any, count: int, floats: Any, integers: Any, out: Any) -> None:
    """One bar further."""
    out[:] = nan
    bar = bars[(count - 1) & MASK]
    typical = (bar[1] + bar[2] + bar[3]) / 3.0
    out[0] = _cci(typical, count, floats)
    if count > 1:
        old = bars[(count - 2) & MASK]
        before = (old[1] + old[2] + old[3]) / 3.0
        out[1] = _mfi(typical, before, bar[4], count, floats, integers)
        out[4] = _stochastic_rsi(bar[3] - old[3], count, floats)
        out[5] = _ultimate(bars, count, floats, integers)
    _stochastic(bars, count, floats, out)
    out[6] = _williams(bars, count)
