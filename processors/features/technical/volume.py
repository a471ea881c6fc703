"""Volume indicators (TA-Lib): AD, ADOSC and OBV."""

from math import nan
from typing import Any

import numba

from processors.features.catalogue import of_talib
from processors.features.technical import MASK
from processors.features.technical.smoothing import fma

FEATURES = (
    of_talib(
        name="ad",
        formula="Σ volume · ((close - low) - (high - close)) / (high - low)",
        unit="base",
        inputs=("high", "low", "close", "volume"),
        warm_up=1,
        talib=("AD", {}, 0),
    ),
    of_talib(
        name="adosc_3_10",
        formula="EMA(AD, 3) - EMA(AD, 10), both from the first AD on",
        unit="base",
        inputs=("high", "low", "close", "volume"),
        warm_up=10,
        talib=("ADOSC", {"fastperiod": 3, "slowperiod": 10}, 0),
    ),
    of_talib(
        name="obv",
        formula="Σ volume · sign(close - close before), from the volume of the first bar on",
        unit="base",
        inputs=("close", "volume"),
        warm_up=1,
        talib=("OBV", {}, 0),
    ),
)
_AD, _FAST, _SLOW, _OBV = range(4)
FLOATS = 4
INTEGERS = 0

_FAST_K = 2.0 / (3.0 + 1.0)
_SLOW_K = 2.0 / (10.0 + 1.0)


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _ad(bar: Any, floats: Any) -> Any:
    """TA-Lib AD: the volume weighted by where in its range the bar closed, summed up."""
    high, low, close = bar[1], bar[2], bar[3]
    span = high - low
    if span > 0.0:
        floats[_AD] += (close - low - (high - close)) / span * bar[4]
    return floats[_AD]


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _adosc(ad: float, count: int, floats: Any) -> Any:
    """TA-Lib ADOSC(3, 10)."""
    if count == 1:
        floats[_FAST] = floats[_SLOW] = ad
    else:
        floats[_FAST] = fma(1.0 - _FAST_K, floats[_FAST], _FAST_K * ad)
        floats[_SLOW] = fma(1.0 - _SLOW_K, floats[_SLOW], _SLOW_K * ad)
    return floats[_FAST] - floats[_SLOW] if count >= 10 else nan


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _obv(bar: Any, before: Any, count: int, floats: Any) -> Any:
    """TA-Lib OBV: the volume of bars that closed higher less that of those that closed lower."""
    if count == 1:
        floats[_OBV] = bar[4]
    elif bar[3] > before[3]:
        floats[_OBV] += bar[4]
    elif bar[3] < before[3]:
        floats[_OBV] -= bar[4]
    return floats[_OBV]


@numba.njit(cache=True, nogil=True, error_model="numpy")
def update(bars: Any, count: int, floats: Any, integers: Any, out: Any) -> None:
    """One bar further."""
    bar, before = bars[(count - 1) & MASK], bars[(count - 2) & MASK]
    out[0] = _ad(bar, floats)
    out[1] = _adosc(out[0], count, floats)
    out[2] = _obv(bar, before, count, floats)
