"""Statistics of the last bars (TA-Lib): slope and forecast of a line, deviation, correlation."""

from math import inf, nan, sqrt
from typing import Any

import numba

from processors.features.catalogue import of_talib
from processors.features.technical import MASK
from processors.features.technical.smoothing import (
    EPSILON,
    VARIANCE_FLOATS,
    VARIANCE_INTEGERS,
    WINDOWS,
    fma,
    variance,
)

FEATURES = (
    of_talib(
        name="linearreg_slope_14",
        formula="slope of the line of least squares through 14 closes",
        unit="quote a bar",
        inputs=("close",),
        warm_up=14,
        talib=("LINEARREG_SLOPE", {"timeperiod": 14}, 0),
    ),
    of_talib(
        name="stddev_20",
        formula="√(Σ₂₀ close² / 20 - (Σ₂₀ close / 20)²)",
        unit="quote",
        inputs=("close",),
        warm_up=20,
        low=0.0,
        high=inf,
        talib=("STDDEV", {"timeperiod": 20, "nbdev": 1.0}, 0),
    ),
    of_talib(
        name="correl_30",
        formula="Pearson's correlation of close and volume over 30 bars",
        unit="",
        inputs=("close", "volume"),
        warm_up=30,
        low=-1.0,
        high=1.0,
        talib=("CORREL", {"timeperiod": 30}, 0),
    ),
    of_talib(
        name="tsf_14",
        formula="the line of least squares through 14 closes, one bar ahead",
        unit="quote",
        inputs=("close",),
        warm_up=14,
        talib=("TSF", {"timeperiod": 14}, 0),
    ),
)
_LINE = VARIANCE_FLOATS
_CORREL = _LINE + 3
_X_SHIFT, _Y_SHIFT, _X, _Y, _XX, _YY, _XY = range(7)
FLOATS = _CORREL + 7
_LINE_AGE = VARIANCE_INTEGERS
_CORREL_AGE = _LINE_AGE + 1
INTEGERS = _CORREL_AGE + 1

_CLOSE, _VOLUME = 3, 4
_PERIOD = 14
_PAIRS = 30
_SUM_X = _PERIOD * (_PERIOD - 1) * 0.5
_DIVISOR = _SUM_X * _SUM_X - _PERIOD * (_PERIOD * (_PERIOD - 1) * (2 * _PERIOD - 1) // 6)


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _line(bars: Any, count: int, floats: Any, integers: Any, out: Any) -> None:
    """TA-Lib LINEARREG_SLOPE(14) and TSF(14): running sums of y, of x · y and of |y|.

    x counts back from the newest bar. The sums are taken anew after 32 windows, and when what
    leaves the window outweighs what stays.
    """
    out[0] = out[3] = nan
    if count < _PERIOD:
        return
    sums = floats[_LINE : _LINE + 3]
    anew = count == _PERIOD
    if not anew:
        close = bars[(count - 1) & MASK, _CLOSE]
        gone = bars[(count - 1 - _PERIOD) & MASK, _CLOSE]
        heavy = _PERIOD * gone
        sums[1] = sums[1] + sums[0] - heavy
        sums[0] = sums[0] - gone + close
        sums[2] = sums[2] - abs(gone) + abs(close)
        integers[_LINE_AGE] += 1
        anew = integers[_LINE_AGE] >= WINDOWS * _PERIOD or abs(heavy) > 100.0 * sums[2]
    if anew:
        integers[_LINE_AGE] = 0
        sums[:] = 0.0
        for back in range(_PERIOD - 1, -1, -1):
            close = bars[(count - 1 - back) & MASK, _CLOSE]
            sums[0] += close
            sums[1] += back * close
            sums[2] += abs(close)
    slope = (_PERIOD * sums[1] - _SUM_X * sums[0]) / _DIVISOR
    start = (sums[0] - slope * _SUM_X) / _PERIOD
    out[0] = slope
    out[3] = fma(slope, float(_PERIOD), start)


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _add(x: float, y: float, sums: Any) -> None:
    """Take a pair into the sums of x, y, x², y² and x · y about their shifts."""
    x, y = x - sums[_X_SHIFT], y - sums[_Y_SHIFT]
    sums[_X] += x
    sums[_Y] += y
    sums[_XX] += x * x
    sums[_YY] += y * y
    sums[_XY] += x * y


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _correl(bars: Any, count: int, floats: Any, integers: Any) -> Any:
    """TA-Lib CORREL(close, volume, 30): running sums about shifts.

    They are taken anew, about the means, where they have lost digits: to a shift far from the
    mean, to a pair that outweighed what stays, or to age.
    """
    sums = floats[_CORREL:]
    x, y = bars[(count - 1) & MASK, _CLOSE], bars[(count - 1) & MASK, _VOLUME]
    if count == 1:
        sums[_X_SHIFT], sums[_Y_SHIFT] = x, y
    gone_x = gone_y = 0.0
    if count > _PAIRS:
        old = bars[(count - 1 - _PAIRS) & MASK]
        gone_x, gone_y = old[_CLOSE] - sums[_X_SHIFT], old[_VOLUME] - sums[_Y_SHIFT]
        sums[_X] -= gone_x
        sums[_Y] -= gone_y
        sums[_XX] -= gone_x * gone_x
        sums[_YY] -= gone_y * gone_y
        sums[_XY] -= gone_x * gone_y
    _add(x, y, sums)
    if count < _PAIRS:
        return nan
    integers[_CORREL_AGE] += 1
    inverse = 1.0 / _PAIRS
    of_x = sums[_XX] - sums[_X] * sums[_X] * inverse
    of_y = sums[_YY] - sums[_Y] * sums[_Y] * inverse
    if (
        of_x < 1e-6 * sums[_XX]
        or of_y < 1e-6 * sums[_YY]
        or gone_x * gone_x > 1e6 * sums[_XX]
        or gone_y * gone_y > 1e6 * sums[_YY]
        or integers[_CORREL_AGE] >= WINDOWS * _PAIRS
    ):
        integers[_CORREL_AGE] = 0
        sums[:] = 0.0
        for j in range(count - _PAIRS, count):
            sums[_X] += bars[j & MASK, _CLOSE]
            sums[_Y] += bars[j & MASK, _VOLUME]
        shift_x, shift_y = sums[_X] * inverse, sums[_Y] * inverse
        sums[:] = 0.0
        sums[_X_SHIFT], sums[_Y_SHIFT] = shift_x, shift_y
        for j in range(count - _PAIRS, count):
            _add(bars[j & MASK, _CLOSE], bars[j & MASK, _VOLUME], sums)
        of_x = max(sums[_XX] - sums[_X] * sums[_X] * inverse, 0.0)
        of_y = max(sums[_YY] - sums[_Y] * sums[_Y] * inverse, 0.0)
    both = of_x * of_y
    if of_x <= EPSILON * sums[_XX] or of_y <= EPSILON * sums[_YY] or both <= 0.0:
        return 0.0
    return min(max((sums[_XY] - sums[_X] * sums[_Y] * inverse) / sqrt(both), -1.0), 1.0)


@numba.njit(cache=True, nogil=True, error_model="numpy")
def update(bars: Any, count: int, floats: Any, integers: Any, out: Any) -> None:
    """One bar further."""
    _line(bars, count, floats, integers, out)
    spread = variance(bars, _CLOSE, count, 20, floats, 0, integers, 0)
    out[1] = sqrt(spread)
    out[2] = _correl(bars, count, floats, integers)
