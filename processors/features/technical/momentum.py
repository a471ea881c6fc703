"""Momentum of the close (TA-Lib): APO, BOP, CMO, MACD, MOM, PPO, ROC, RSI and TRIX."""

from math import nan
from typing import Any

import numba

from processors.features.catalogue import of_talib
from processors.features.technical import MASK
from processors.features.technical.smoothing import EPSILON, ema, rsi

_CLOSE = ("close",)

FEATURES = (
    of_talib(
        name="apo_12_26",
        formula="EMA(12) - EMA(26)",
        unit="quote",
        inputs=_CLOSE,
        warm_up=26,
        talib=("APO", {"fastperiod": 12, "slowperiod": 26, "matype": 1}, 0),
    ),
    of_talib(
        name="bop",
        formula="(close - open) / (high - low)",
        unit="ratio",
        low=-1.0,
        high=1.0,
        inputs=("open", "high", "low", "close"),
        warm_up=1,
        talib=("BOP", {}, 0),
    ),
    of_talib(
        name="cmo_14",
        formula="100 · (gain - loss) / (gain + loss), both Wilder's averages of 14 changes",
        unit="percent",
        low=-100.0,
        high=100.0,
        inputs=_CLOSE,
        warm_up=15,
        talib=("CMO", {"timeperiod": 14}, 0),
    ),
    of_talib(
        name="macd",
        formula="EMA(12) - EMA(26), both begun at the 26th bar",
        unit="quote",
        inputs=_CLOSE,
        warm_up=34,
        talib=("MACD", {"fastperiod": 12, "slowperiod": 26, "signalperiod": 9}, 0),
    ),
    of_talib(
        name="macd_signal",
        formula="EMA(9) of MACD(12, 26)",
        unit="quote",
        inputs=_CLOSE,
        warm_up=34,
        talib=("MACD", {"fastperiod": 12, "slowperiod": 26, "signalperiod": 9}, 1),
    ),
    of_talib(
        name="mom_10",
        formula="close - close 10 bars before",
        unit="quote",
        inputs=_CLOSE,
        warm_up=11,
        talib=("MOM", {"timeperiod": 10}, 0),
    ),
    of_talib(
        name="ppo_12_26",
        formula="100 · (EMA(12) - EMA(26)) / EMA(26)",
        unit="percent",
        inputs=_CLOSE,
        warm_up=26,
        talib=("PPO", {"fastperiod": 12, "slowperiod": 26, "matype": 1}, 0),
    ),
    of_talib(
        name="roc_10",
        formula="100 · (close / close 10 bars before - 1)",
        unit="percent",
        low=-100.0,
        inputs=_CLOSE,
        warm_up=11,
        talib=("ROC", {"timeperiod": 10}, 0),
    ),
    of_talib(
        name="rsi_14",
        formula="100 · gain / (gain + loss), both Wilder's averages of 14 changes",
        unit="percent",
        low=0.0,
        high=100.0,
        inputs=_CLOSE,
        warm_up=15,
        talib=("RSI", {"timeperiod": 14}, 0),
    ),
    of_talib(
        name="trix_30",
        formula="100 · (EMA(30) of EMA(30) of EMA(30) / its last value - 1)",
        unit="percent",
        inputs=_CLOSE,
        warm_up=89,
        talib=("TRIX", {"timeperiod": 30}, 0),
    ),
)
# The state: the averages of APO and PPO, of MACD, of CMO's and RSI's gains and losses, of TRIX.
_FAST, _SLOW, _FAST_OF_26, _SIGNAL, _GAIN, _LOSS = range(6)
_STRENGTH = 6
_TRIX = 8
FLOATS = 11
INTEGERS = 0


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _averages(close: float, count: int, floats: Any, out: Any) -> None:
    """TA-Lib APO, PPO and MACD; MACD begins its fast average where the slow one begins."""
    fast = ema(close, count, 12, floats, _FAST)
    slow = ema(close, count, 26, floats, _SLOW)
    if count > 14:
        fast_of_26 = ema(close, count - 14, 12, floats, _FAST_OF_26)
    if count < 26:
        return
    out[0] = fast - slow
    out[6] = (fast - slow) / slow * 100.0 if abs(slow) >= EPSILON else 0.0
    macd = fast_of_26 - slow
    out[4] = ema(macd, count - 25, 9, floats, _SIGNAL)
    if count >= 34:
        out[3] = macd


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _chande(change: float, changes: int, floats: Any) -> Any:
    """TA-Lib CMO over 14 of so many changes; it divides by 14 where RSI multiplies by 1/14."""
    if changes > 14:
        floats[_GAIN] *= 13.0
        floats[_LOSS] *= 13.0
    if change < 0.0:
        floats[_LOSS] -= change
    else:
        floats[_GAIN] += change
    if changes < 14:
        return nan
    floats[_GAIN] /= 14.0
    floats[_LOSS] /= 14.0
    both = floats[_GAIN] + floats[_LOSS]
    return 100.0 * ((floats[_GAIN] - floats[_LOSS]) / both) if both > 0.0 else 0.0


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _trix(close: float, count: int, floats: Any) -> Any:
    """TA-Lib TRIX over 30 bars."""
    before = floats[_TRIX + 2]
    first = ema(close, count, 30, floats, _TRIX)
    if count < 30:
        return nan
    second = ema(first, count - 29, 30, floats, _TRIX + 1)
    if count < 59:
        return nan
    third = ema(second, count - 58, 30, floats, _TRIX + 2)
    if count < 89:
        return nan
    return (third / before - 1.0) * 100.0 if before != 0.0 else 0.0


@numba.njit(cache=True, nogil=True, error_model="numpy")
def update(bars: Any, count: int, floats: Any, integers: Any, out: Any) -> None:
    """One bar further."""
    out[:] = nan
    bar = bars[(count - 1) & MASK]
    close = bar[3]
    _averages(close, count, floats, out)
    width = bar[1] - bar[2]
    out[1] = (close - bar[0]) / width if width > 0.0 else 0.0
    if count > 10:
        before = bars[(count - 11) & MASK][3]
        out[5] = close - before
        out[7] = (close / before - 1.0) * 100.0 if before != 0.0 else 0.0
    if count > 1:
        change = close - bars[(count - 2) & MASK][3]
        out[2] = _chande(change, count - 1, floats)
        out[8] = rsi(change, count - 1, 14, floats, _STRENGTH)
    out[9] = _trix(close, count, floats)
