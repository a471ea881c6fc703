"""Directional movement (TA-Lib): ADX, ADXR, DX, PLUS_DI, MINUS_DI, AROON and AROONOSC."""

from math import inf, nan
from typing import Any

import numba

from processors.features.catalogue import of_talib
from processors.features.technical import MASK
from processors.features.technical.smoothing import EPSILON, true_range

_HIGH_LOW_CLOSE = ("high", "low", "close")
_PERIOD: dict[str, float] = {"timeperiod": 14}

FEATURES = (
    of_talib(
        name="adx_14",
        formula="Wilder's average of DX(14)",
        unit="percent",
        low=0.0,
        high=100.0,
        inputs=_HIGH_LOW_CLOSE,
        warm_up=28,
        talib=("ADX", _PERIOD, 0),
    ),
    of_talib(
        name="adxr_14",
        formula="(ADX(14) + ADX(14) 13 bars before) / 2",
        unit="percent",
        low=0.0,
        high=100.0,
        inputs=_HIGH_LOW_CLOSE,
        warm_up=41,
        talib=("ADXR", _PERIOD, 0),
    ),
    of_talib(
        name="dx_14",
        formula="100 · |+DI(14) - -DI(14)| / (+DI(14) + -DI(14))",
        unit="percent",
        low=0.0,
        high=100.0,
        inputs=_HIGH_LOW_CLOSE,
        warm_up=15,
        talib=("DX", _PERIOD, 0),
    ),
    of_talib(
        name="plus_di_14",
        formula="100 · +DM(14) / TR(14), both Wilder's sums",
        unit="percent",
        low=0.0,
        high=100.0,
        inputs=_HIGH_LOW_CLOSE,
        warm_up=15,
        talib=("PLUS_DI", _PERIOD, 0),
    ),
    of_talib(
        name="minus_di_14",
        formula="100 · -DM(14) / TR(14), both Wilder's sums",
        unit="percent",
        low=0.0,
        high=100.0,
        inputs=_HIGH_LOW_CLOSE,
        warm_up=15,
        talib=("MINUS_DI", _PERIOD, 0),
    ),
    of_talib(
        name="aroon_up_14",
        formula="100 · (14 - bars since the highest high of 15 bars) / 14",
        unit="percent",
        low=0.0,
        high=100.0,
        inputs=("high", "low"),
        warm_up=15,
        talib=("AROON", _PERIOD, 1),
    ),
    of_talib(
        name="aroon_down_14",
        formula="100 · (14 - bars since the lowest low of 15 bars) / 14",
        unit="percent",
        low=0.0,
        high=100.0,
        inputs=("high", "low"),
        warm_up=15,
        talib=("AROON", _PERIOD, 0),
    ),
    of_talib(
        name="aroonosc_14",
        formula="Aroon up(14) - Aroon down(14)",
        unit="percent",
        low=-100.0,
        high=100.0,
        inputs=("high", "low"),
        warm_up=15,
        talib=("AROONOSC", _PERIOD, 0),
    ),
)
# The state: Wilder's sums, the last DX and ADX, and the ADX of the last 13 bars.
_MINUS, _PLUS, _RANGE, _DX, _ADX, _LAST_ADX = range(6)
_LAG = 13
FLOATS = 5 + _LAG
INTEGERS = 0


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _movement(bar: Any, before: Any, changes: int, floats: Any) -> None:
    """Wilder's sums of -DM, +DM and the true range after so many changes from bar to bar."""
    if changes >= 14:
        floats[_MINUS] -= floats[_MINUS] / 14
        floats[_PLUS] -= floats[_PLUS] / 14
        floats[_RANGE] -= floats[_RANGE] / 14
    up, down = bar[1] - before[1], before[2] - bar[2]
    if down > 0 and up < down:
        floats[_MINUS] += down
    elif up > 0 and up > down:
        floats[_PLUS] += up
    floats[_RANGE] += true_range(bar[1], bar[2], before[3])


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _directional(count: int, floats: Any, out: Any) -> None:
    """TA-Lib ADX, ADXR, DX, PLUS_DI and MINUS_DI from the sums."""
    changes = count - 1
    if changes < 14:
        return
    minus = plus = 0.0
    moved = False
    if floats[_RANGE] > 0.0:
        minus = 100.0 * (floats[_MINUS] / floats[_RANGE])
        plus = 100.0 * (floats[_PLUS] / floats[_RANGE])
        both = minus + plus
        moved = abs(both) >= EPSILON
        if moved:
            floats[_DX] = 100.0 * (abs(minus - plus) / both)
    out[2], out[3], out[4] = floats[_DX], plus, minus
    # A bar without movement leaves DX and ADX as they were.
    if changes <= 27:
        if moved:
            floats[_ADX] += floats[_DX]
        if changes == 27:
            floats[_ADX] /= 14
    elif moved:
        floats[_ADX] = (floats[_ADX] * 13 + floats[_DX]) / 14
    if changes >= 27:
        out[0] = floats[_ADX]
        last = _LAST_ADX + count % _LAG
        if changes >= 40:
            out[1] = (floats[_ADX] + floats[last]) / 2.0
        floats[last] = floats[_ADX]


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _aroon(bars: Any, count: int, out: Any) -> None:
    """TA-Lib AROON and AROONOSC: of equal extremes the newest counts."""
    if count < 15:
        return
    newest = count - 1
    highest = lowest = newest
    high, low = -inf, inf
    for i in range(newest - 14, newest + 1):
        bar = bars[i & MASK]
        if bar[1] >= high:
            highest, high = i, bar[1]
        if bar[2] <= low:
            lowest, low = i, bar[2]
    factor = 100.0 / 14.0
    out[5] = factor * (14 - (newest - highest))
    out[6] = factor * (14 - (newest - lowest))
    out[7] = factor * (highest - lowest)


@numba.njit(cache=True, nogil=True, error_model="numpy")
def update(bars: Any, count: int, floats: Any, integers: Any, out: Any) -> None:
    """One bar further."""
    out[:] = nan
    if count < 2:
        return
    _movement(bars[(count - 1) & MASK], bars[(count - 2) & MASK], count - 1, floats)
    _directional(count, floats, out)
    _aroon(bars, count, out)
