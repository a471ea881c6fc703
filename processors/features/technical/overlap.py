"""Overlap studies (TA-Lib): moving averages, bands, middles and the parabolic SAR."""

from math import inf, nan, sqrt
from typing import Any

import numba

from processors.features.catalogue import Feature, of_talib
from processors.features.technical import MASK
from processors.features.technical.smoothing import EPSILON, ema, fma, sma, variance


def _feature(
    name: str,
    formula: str,
    warm_up: int,
    talib: tuple[str, dict[str, float], int],
    inputs: tuple[str, ...] = ("close",),
    low: float = -inf,
) -> Feature:
    """An entry of this family: a price."""
    return of_talib(
        name=name, formula=formula, warm_up=warm_up, talib=talib, inputs=inputs, low=low,
        unit="quote",
    )  # fmt: skip


_BANDS: dict[str, float] = {"timeperiod": 20, "nbdevup": 2.0, "nbdevdn": 2.0, "matype": 0}

FEATURES = (
    _feature("sma_20", "Σ₂₀ close / 20", 20, ("SMA", {"timeperiod": 20}, 0), low=0.0),
    _feature("ema_20", "EMA + 2/21 · (close - EMA)", 20, ("EMA", {"timeperiod": 20}, 0), low=0.0),
    _feature(
        "wma_20",
        "Σ i · close / 210, i = 1 (oldest) … 20",
        20,
        ("WMA", {"timeperiod": 20}, 0),
        low=0.0,
    ),
    _feature("dema_20", "2 · EMA - EMA(EMA)", 39, ("DEMA", {"timeperiod": 20}, 0)),
    _feature(
        "tema_20", "3 · EMA - 3 · EMA(EMA) + EMA(EMA(EMA))", 58, ("TEMA", {"timeperiod": 20}, 0)
    ),
    _feature("trima_20", "SMA(SMA(close, 10), 11)", 20, ("TRIMA", {"timeperiod": 20}, 0), low=0.0),
    _feature(
        "kama_30",
        "KAMA + (ER · (2/3 - 2/31) + 2/31)² · (close - KAMA), ER = |Δ₃₀ close| / Σ₃₀ |Δ close|",
        31,
        ("KAMA", {"timeperiod": 30}, 0),
        low=0.0,
    ),
    _feature(
        "t3_5",
        "GD(GD(GD(close))), GD = 1.7 · EMA - 0.7 · EMA(EMA)",
        25,
        ("T3", {"timeperiod": 5, "vfactor": 0.7}, 0),
    ),
    _feature("bbands_upper_20", "SMA + 2 · deviation", 20, ("BBANDS", _BANDS, 0), low=0.0),
    _feature("bbands_lower_20", "SMA - 2 · deviation", 20, ("BBANDS", _BANDS, 2)),
    _feature(
        "midpoint_14",
        "(max₁₄ close + min₁₄ close) / 2",
        14,
        ("MIDPOINT", {"timeperiod": 14}, 0),
        low=0.0,
    ),
    _feature(
        "midprice_14",
        "(max₁₄ high + min₁₄ low) / 2",
        14,
        ("MIDPRICE", {"timeperiod": 14}, 0),
        ("high", "low"),
        low=0.0,
    ),
    _feature(
        "sar",
        "SAR + factor · (extreme - SAR), turned where the price crosses it",
        2,
        ("SAR", {"acceleration": 0.02, "maximum": 0.2}, 0),
        ("high", "low"),
    ),
)

# Where the state of each indicator begins.
_SMA, _EMA, _WMA, _TRIMA, _KAMA, _T3, _VARIANCE, _SAR = 0, 1, 4, 6, 9, 11, 17, 20
FLOATS = 23
_AGE, _LONG, _WMA_AGE = range(3)
INTEGERS = 3

_KAMA_SLOW = 2.0 / (30.0 + 1.0)
_KAMA_SPAN = 2.0 / (2.0 + 1.0) - _KAMA_SLOW
_T3_FACTOR = 0.7
_SQUARE = _T3_FACTOR * _T3_FACTOR
_C1 = 0.0 - _SQUARE * _T3_FACTOR
_C2 = 3.0 * (_SQUARE - _C1)
_C3 = -6.0 * _SQUARE - 3.0 * (_T3_FACTOR - _C1)
_C4 = 1.0 + 3.0 * _T3_FACTOR - _C1 + 3.0 * _SQUARE
_ACCELERATION, _MAXIMUM = 0.02, 0.2
_HIGH, _LOW, _CLOSE = 1, 2, 3


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _emas(close: float, count: int, floats: Any, out: Any) -> None:
    """TA-Lib EMA, DEMA and TEMA of 20: averages of averages, each begun when it has 20 values."""
    first = ema(close, count, 20, floats, _EMA)
    out[1] = first
    out[3] = out[4] = nan
    if count < 20:
        return
    second = ema(first, count - 19, 20, floats, _EMA + 1)
    out[3] = 2.0 * first - second
    if count < 39:
        return
    third = ema(second, count - 38, 20, floats, _EMA + 2)
    out[4] = third + (3.0 * first - 3.0 * second)


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _wma(bars: Any, count: int, floats: Any, integers: Any) -> Any:
    """TA-Lib WMA(20): the weighted sum goes on by taking off the plain sum.

    Both are summed up anew after eight windows.
    """
    close = bars[(count - 1) & MASK, _CLOSE]
    plain, weighted = floats[_WMA] + close, floats[_WMA + 1] + close * min(count, 20)
    if count > 20:
        plain -= bars[(count - 21) & MASK, _CLOSE]
    if count >= 20:
        integers[_WMA_AGE] += 1
    if integers[_WMA_AGE] >= 8 * 20:
        integers[_WMA_AGE] = 0
        plain = weighted = 0.0
        for weight in range(1, 21):
            value = bars[(count - 21 + weight) & MASK, _CLOSE]
            plain += value
            weighted += value * weight
    floats[_WMA] = plain
    floats[_WMA + 1] = weighted if count < 20 else weighted - plain
    return nan if count < 20 else weighted / 210.0


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _trima(bars: Any, count: int, floats: Any) -> Any:
    """TA-Lib TRIMA(20): running sums of the older half, of the newer half, and of both."""
    older, newer, total = floats[_TRIMA], floats[_TRIMA + 1], floats[_TRIMA + 2]
    if count < 20:
        return nan
    if count == 20:
        for j in range(9, -1, -1):
            older += bars[j & MASK, _CLOSE]
            total += older
        for j in range(10, 20):
            newer += bars[j & MASK, _CLOSE]
            total += newer
    else:
        middle, close = bars[(count - 11) & MASK, _CLOSE], bars[(count - 1) & MASK, _CLOSE]
        total -= older
        older -= bars[(count - 21) & MASK, _CLOSE]
        older += middle
        newer -= middle
        total += newer
        newer += close
        total += close
    floats[_TRIMA], floats[_TRIMA + 1], floats[_TRIMA + 2] = older, newer, total
    return total * (1.0 / 110.0)


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _kama(bars: Any, count: int, floats: Any) -> Any:
    """TA-Lib KAMA(30): the straighter the way of the price, the faster it follows."""
    if count < 2:
        return nan
    close, before = bars[(count - 1) & MASK, _CLOSE], bars[(count - 2) & MASK, _CLOSE]
    if count > 31:
        floats[_KAMA] -= abs(bars[(count - 32) & MASK, _CLOSE] - bars[(count - 31) & MASK, _CLOSE])
    floats[_KAMA] += abs(close - before)
    if count < 31:
        return nan
    if count == 31:
        floats[_KAMA + 1] = before
    change, way = close - bars[(count - 31) & MASK, _CLOSE], floats[_KAMA]
    ratio = 1.0
    if not (way <= change or abs(way) < EPSILON):
        ratio = abs(change / way)
    speed = fma(ratio, _KAMA_SPAN, _KAMA_SLOW)
    speed *= speed
    floats[_KAMA + 1] = fma(close - floats[_KAMA + 1], speed, floats[_KAMA + 1])
    return floats[_KAMA + 1]


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _t3(close: float, count: int, floats: Any) -> Any:
    """TA-Lib T3(5, 0.7): six averages in a row, each begun when it has five values."""
    k = 2.0 / (5.0 + 1.0)
    value = close
    for level in range(6):
        seen, at = count - 4 * level, _T3 + level
        if seen < 5:
            floats[at] += value
            return nan
        if seen == 5:
            floats[at] = (floats[at] + value) / 5.0
        else:
            floats[at] = fma(1.0 - k, floats[at], k * value)
        value = floats[at]
    e3, e4, e5, e6 = floats[_T3 + 2], floats[_T3 + 3], floats[_T3 + 4], floats[_T3 + 5]
    return fma(_C4, e3, fma(_C3, e4, fma(_C1, e6, _C2 * e5)))


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _middle(bars: Any, count: int, high: int, low: int) -> Any:
    """TA-Lib MIDPOINT(14) and MIDPRICE(14): between the highest and the lowest."""
    if count < 14:
        return nan
    highest, lowest = bars[(count - 14) & MASK, high], bars[(count - 14) & MASK, low]
    for j in range(count - 13, count):
        highest = max(highest, bars[j & MASK, high])
        lowest = min(lowest, bars[j & MASK, low])
    return (highest + lowest) / 2.0


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _sar(bars: Any, count: int, floats: Any, integers: Any) -> Any:
    """TA-Lib SAR(0.02, 0.2): follows a rise from below and a fall from above."""
    if count < 2:
        return nan
    bar, before = bars[(count - 1) & MASK], bars[(count - 2) & MASK]
    high, low = bar[_HIGH], bar[_LOW]
    high_before, low_before = before[_HIGH], before[_LOW]
    if count == 2:
        down = low_before - low
        rising = not (down > 0.0 and high - high_before < down)
        sar, extreme = (low_before, high) if rising else (high_before, low)
        factor = _ACCELERATION
        high_before, low_before = high, low
    else:
        rising = integers[_LONG] != 0
        sar, extreme, factor = floats[_SAR], floats[_SAR + 1], floats[_SAR + 2]
    turned = low <= sar if rising else high >= sar
    if turned:
        rising = not rising
        if rising:
            shown = min(extreme, low_before, low)
            extreme = high
        else:
            shown = max(extreme, high_before, high)
            extreme = low
        factor = _ACCELERATION
    else:
        shown = sar
        further = high > extreme if rising else low < extreme
        if further:
            extreme = high if rising else low
            factor = min(factor + _ACCELERATION, _MAXIMUM)
    sar = fma(factor, extreme - shown, shown)
    sar = min(sar, low_before, low) if rising else max(sar, high_before, high)
    integers[_LONG] = 1 if rising else 0
    floats[_SAR], floats[_SAR + 1], floats[_SAR + 2] = sar, extreme, factor
    return shown


@numba.njit(cache=True, nogil=True, error_model="numpy")
def update(bars: Any, count: int, floats: Any, integers: Any, out: Any) -> None:
    """One bar further."""
    close = bars[(count - 1) & MASK, _CLOSE]
    out[0] = sma(bars, _CLOSE, count, 20, floats, _SMA)
    _emas(close, count, floats, out)
    out[2] = _wma(bars, count, floats, integers)
    out[5] = _trima(bars, count, floats)
    out[6] = _kama(bars, count, floats)
    out[7] = _t3(close, count, floats)
    spread = variance(bars, _CLOSE, count, 20, floats, _VARIANCE, integers, _AGE)
    deviation = sqrt(spread) * 2.0
    out[8], out[9] = out[0] + deviation, out[0] - deviation
    out[10] = _middle(bars, count, _CLOSE, _CLOSE)
    out[11] = _middle(bars, count, _HIGH, _LOW)
    out[12] = _sar(bars, count, floats, integers)
