"""Indicators of five-minute bars (TA-Lib): EMA, RSI, ATR and the line of MACD."""

from math import nan
from typing import Any

import numba

from processors.features.catalogue import of_talib
from processors.features.technical import MASK
from processors.features.technical.smoothing import ema, rsi, true_range, wilder

FEATURES = (
    of_talib(
        name="ema_20_5m",
        formula="EMA + 2/21 · (close - EMA)",
        unit="quote",
        inputs=("close",),
        interval="5m",
        warm_up=20,
        low=0.0,
        talib=("EMA", {"timeperiod": 20}, 0),
    ),
    of_talib(
        name="rsi_14_5m",
        formula="100 · gains / (gains + losses), Wilder's averages of 14",
        unit="percent",
        inputs=("close",),
        interval="5m",
        warm_up=15,
        low=0.0,
        high=100.0,
        talib=("RSI", {"timeperiod": 14}, 0),
    ),
    of_talib(
        name="atr_14_5m",
        formula="Wilder's average of 14 true ranges",
        unit="quote",
        inputs=("high", "low", "close"),
        interval="5m",
        warm_up=15,
        low=0.0,
        talib=("ATR", {"timeperiod": 14}, 0),
    ),
    of_talib(
        name="macd_5m",
        formula="EMA(close, 12) - EMA(close, 26)",
        unit="quote",
        inputs=("close",),
        interval="5m",
        warm_up=34,
        talib=("MACD", {"fastperiod": 12, "slowperiod": 26, "signalperiod": 9}, 0),
    ),
)
_EMA, _RSI, _ATR, _FAST, _SLOW = 0, 1, 3, 4, 5
FLOATS = 6
INTEGERS = 0


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _macd(close: float, count: int, floats: Any) -> Any:
    """The line of TA-Lib MACD(12, 26, 9): both averages begin on the 26th bar."""
    slow = ema(close, count, 26, floats, _SLOW)
    if count <= 26 - 12:
        return nan
    fast = ema(close, count - (26 - 12), 12, floats, _FAST)
    return fast - slow if count >= 26 + 9 - 1 else nan


@numba.njit(cache=True, nogil=True, error_model="numpy")
def update(bars: Any, count: int, floats: Any, integers: Any, out: Any) -> None:
    """One bar further."""
    bar, before = bars[(count - 1) & MASK], bars[(count - 2) & MASK]
    out[0] = ema(bar[3], count, 20, floats, _EMA)
    out[1] = out[2] = nan
    if count > 1:
        out[1] = rsi(bar[3] - before[3], count - 1, 14, floats, _RSI)
        out[2] = wilder(true_range(bar[1], bar[2], before[3]), count - 1, 14, floats, _ATR)
    out[3] = _macd(bar[3], count, floats)
