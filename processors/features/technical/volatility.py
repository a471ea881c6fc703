"""Volatility indicators (TA-Lib): ATR, NATR and TRANGE."""

from math import nan
from typing import Any

import numba

from processors.features.catalogue import of_talib
from processors.features.technical import MASK
from processors.features.technical.smoothing import true_range, wilder

FEATURES = (
    of_talib(
        name="atr_14",
        formula="Wilder's average of 14 true ranges",
        unit="quote",
        low=0.0,
        inputs=("high", "low", "close"),
        warm_up=15,
        talib=("ATR", {"timeperiod": 14}, 0),
    ),
    of_talib(
        name="natr_14",
        formula="ATR(14) / close · 100",
        unit="percent",
        low=0.0,
        inputs=("high", "low", "close"),
        warm_up=15,
        talib=("NATR", {"timeperiod": 14}, 0),
    ),
    of_talib(
        name="trange",
        formula="max(high - low, |high - close before|, |low - close before|)",
        unit="quote",
        low=0.0,
        inputs=("high", "low", "close"),
        warm_up=2,
        talib=("TRANGE", {}, 0),
    ),
)
FLOATS = 1
INTEGERS = 0


@numba.njit(cache=True, nogil=True, error_model="numpy")
def update(bars: Any, count: int, floats: Any, integers: Any, out: Any) -> None:
    """One bar further."""
    out[:] = nan
    if count < 2:
        return
    bar, before = bars[(count - 1) & MASK], bars[(count - 2) & MASK]
    out[2] = true_range(bar[1], bar[2], before[3])
    out[0] = wilder(out[2], count - 1, 14, floats, 0)
    if count > 14:
        out[1] = out[0] / bar[3] * 100.0 if bar[3] != 0.0 else 0.0
