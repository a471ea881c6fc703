"""Candlestick patterns (TA-Lib): CDLENGULFING and CDLHAMMER, with TA-Lib's candle settings."""

from math import nan
from typing import Any

import numba

from processors.features.catalogue import of_talib
from processors.features.technical import MASK

_PRICES = ("open", "high", "low", "close")

FEATURES = (
    of_talib(
        name="cdl_engulfing",
        formula="±100: the body engulfs the opposite body before; ±80: they share one end; else 0",
        unit="signal",
        low=-100.0,
        high=100.0,
        inputs=_PRICES,
        warm_up=3,
        talib=("CDLENGULFING", {}, 0),
    ),
    of_talib(
        name="cdl_hammer",
        formula="100: short body near the low before, long lower and no upper shadow; else 0",
        unit="signal",
        low=0.0,
        high=100.0,
        inputs=_PRICES,
        warm_up=12,
        talib=("CDLHAMMER", {}, 0),
    ),
)
# The state: the sums of ten bodies, of ten ranges, and of five ranges a bar before.
_BODIES, _RANGES, _NEAR = range(3)
FLOATS = 3
INTEGERS = 0


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _engulfing(bar: Any, before: Any) -> Any:
    """TA-Lib CDLENGULFING of a bar and the one before it."""
    opened, close, opened_before, close_before = bar[0], bar[3], before[0], before[3]
    white, white_before = close >= opened, close_before >= opened_before
    if white and not white_before:
        sign = 1.0
        engulfs = (close >= opened_before and opened < close_before) or (
            close > opened_before and opened <= close_before
        )
    elif white_before and not white:
        sign = -1.0
        engulfs = (opened >= close_before and close < opened_before) or (
            opened > close_before and close <= opened_before
        )
    else:
        return 0.0
    if not engulfs:
        return 0.0
    return sign * (100.0 if opened != close_before and close != opened_before else 80.0)


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _body(bar: Any) -> Any:
    """The length of a candle's body."""
    return abs(bar[3] - bar[0])


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _hammer(bars: Any, count: int, floats: Any) -> Any:
    """TA-Lib CDLHAMMER: its sums leave out the bar itself."""
    last = count - 1
    bar, before = bars[last & MASK], bars[(last - 1) & MASK]
    found = nan
    if last >= 11:
        body = _body(bar)
        upper, lower = max(bar[0], bar[3]), min(bar[0], bar[3])
        short = body < floats[_BODIES] / 10
        long_below = lower - bar[2] > body
        none_above = bar[1] - upper < 0.1 * (floats[_RANGES] / 10)
        near = lower <= before[2] + 0.2 * (floats[_NEAR] / 5)
        found = 100.0 if short and long_below and none_above and near else 0.0
        old, near_old = bars[(last - 10) & MASK], bars[(last - 6) & MASK]
        floats[_BODIES] += body - _body(old)
        floats[_RANGES] += (bar[1] - bar[2]) - (old[1] - old[2])
        floats[_NEAR] += (before[1] - before[2]) - (near_old[1] - near_old[2])
    elif last >= 1:
        floats[_BODIES] += _body(bar)
        floats[_RANGES] += bar[1] - bar[2]
        if 5 <= last < 10:
            floats[_NEAR] += bar[1] - bar[2]
    return found


@numba.njit(cache=True, nogil=True, error_model="numpy")
def update(bars: Any, count: int, floats: Any, integers: Any, out: Any) -> None:
    """One bar further."""
    out[0] = nan
    if count > 2:
        out[0] = _engulfing(bars[(count - 1) & MASK], bars[(count - 2) & MASK])
    out[1] = _hammer(bars, count, floats)
