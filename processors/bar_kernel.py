"""The kernel of the bars: trades and closed klines into OHLCV, closed by time."""

from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

from processors.codes import CLOCK, KLINE, TRADE
from processors.signatures import (
    FLAGS,
    FLOAT_ROWS,
    FLOATS_IN,
    INTEGER,
    INTEGER_ROWS,
    INTEGERS,
    INTEGERS_IN,
    TEXT_IN,
)

Integers = NDArray[np.int64]
Floats = NDArray[np.float64]
Bytes = NDArray[np.uint8]

# An instrument's integers: whether a trade was seen, then for each interval these.
HAS_TRADED = 0
SOURCE, OPEN_TIME, FLOOR, COUNT, LATE, FED_UNTIL, KLINE_LENGTH = range(7)
SLOT_INTEGERS = 7
NO_BAR, FROM_TRADES, FROM_KLINES = range(3)
_EVER = -(1 << 63)
SLOT_INTEGER_START = (NO_BAR, 0, _EVER, 0, 0, 0, 0)
# For each interval these floats.
OPEN, HIGH, LOW, CLOSE, VOLUME, NOTIONAL, TAKER_BUY = range(7)
SLOT_FLOATS = 7
SLOT_FLOAT_START = (0.0,) * 7
# An instrument's totals.
TRADES, OTHER_TRADES, ODD_TRADES, LATE_TRADES, KLINES_USED, KLINES_IGNORED, CUT_SHORT = range(7)
TOTALS = (
    "trades", "trades_not_of_market", "trades_without_number", "late_trades", "klines",
    "klines_ignored", "kline_bars_cut_short",
)  # fmt: skip
# What is written for each bar; floats as in a slot.
(
    OUT_EVENT, OUT_SEQ, OUT_INSTRUMENT, OUT_SLOT, OUT_OPEN_TIME, OUT_COUNT, OUT_LATE, OUT_SOURCE,
) = range(8)  # fmt: skip
OUT_COLUMNS = 8


@numba.njit(cache=True, nogil=True)
def _emit(
    i: int, seq: int, bar: int, slot: int, length: int, integers: Integers, floats: Floats,
    out: Integers, out_floats: Floats, used: Integers,
) -> None:  # fmt: skip
    """Close a bar."""
    at = 1 + slot * SLOT_INTEGERS
    values = slot * SLOT_FLOATS
    to = used[0]
    used[0] += 1
    out[to, OUT_EVENT] = i
    out[to, OUT_SEQ] = seq
    out[to, OUT_INSTRUMENT] = bar
    out[to, OUT_SLOT] = slot
    out[to, OUT_OPEN_TIME] = integers[bar, at + OPEN_TIME]
    out[to, OUT_COUNT] = integers[bar, at + COUNT]
    out[to, OUT_LATE] = integers[bar, at + LATE]
    out[to, OUT_SOURCE] = integers[bar, at + SOURCE]
    for j in range(SLOT_FLOATS):
        out_floats[to, j] = floats[bar, values + j]
        floats[bar, values + j] = 0.0
    integers[bar, at + FLOOR] = integers[bar, at + OPEN_TIME] + length
    integers[bar, at + SOURCE] = NO_BAR
    integers[bar, at + COUNT] = 0
    integers[bar, at + LATE] = 0


@numba.njit(cache=True, nogil=True)
def _add(
    row: Integers, values: Floats, at: int, value_at: int, start: int, source: int,
    open_: float, high: float, low: float, close: float,
    volume: float, notional: float, taker_buy: float, count: int,
) -> None:  # fmt: skip
    """Add a trade or a kline to the open bar, or open one with it."""
    if row[at + SOURCE] == NO_BAR:
        row[at + SOURCE] = source
        row[at + OPEN_TIME] = start
        row[at + FLOOR] = start
        row[at + COUNT] = count
        values[value_at + OPEN] = open_
        values[value_at + HIGH] = high
        values[value_at + LOW] = low
        values[value_at + CLOSE] = close
        values[value_at + VOLUME] = volume
        values[value_at + NOTIONAL] = notional
        values[value_at + TAKER_BUY] = taker_buy
        return
    row[at + COUNT] += count
    if high > values[value_at + HIGH]:  # noqa: PLR1730 max treats NaN otherwise
        values[value_at + HIGH] = high
    if low < values[value_at + LOW]:  # noqa: PLR1730
        values[value_at + LOW] = low
    values[value_at + CLOSE] = close
    values[value_at + VOLUME] += volume
    values[value_at + NOTIONAL] += notional
    values[value_at + TAKER_BUY] += taker_buy


@numba.njit(cache=True, nogil=True)
def _length_us(text: Bytes, start: int, length: int) -> int:
    """A kline's interval such as 15m in microseconds; 0 for what is none of s, m, h, d."""
    number = 0
    for j in range(start, start + length - 1):
        digit: Any = np.int64(text[j]) - 48
        if digit < 0 or digit > 9:
            return 0
        number = 10 * number + digit
    unit = text[start + length - 1] if length > 1 else 0
    if unit == 115:  # s
        return number * 1_000_000
    if unit == 109:  # m
        return number * 60_000_000
    if unit == 104:  # h
        return number * 3_600_000_000
    if unit == 100:  # d
        return number * 86_400_000_000
    return 0


@numba.njit(
    [
        INTEGER(
            INTEGER, INTEGERS_IN, INTEGERS_IN, INTEGERS_IN, INTEGERS_IN, TEXT_IN,
            FLOATS_IN, FLOATS_IN, INTEGERS_IN, INTEGERS_IN, INTEGERS_IN, INTEGER, INTEGER,
            INTEGERS_IN, INTEGERS_IN, INTEGERS_IN,
            FLOATS_IN, FLOATS_IN, FLOATS_IN, FLOATS_IN, FLOATS_IN,
            FLOATS_IN, INTEGERS_IN, INTEGERS_IN, INTEGERS_IN, FLOATS_IN, INTEGERS_IN, INTEGERS_IN,
            INTEGERS_IN, INTEGERS_IN, INTEGER, INTEGERS_IN,
            INTEGER_ROWS, FLOAT_ROWS, INTEGER_ROWS, FLAGS, INTEGER_ROWS, FLOAT_ROWS, INTEGERS,
        )
    ],
    cache=True, nogil=True,
)  # fmt: skip
def advance(
    first: int, code: Integers, row: Integers, instrument: Integers, event_time: Integers,
    text: Bytes,
    price: Floats, quantity: Floats, side: Integers, trade_kind: Integers, fills: Integers,
    market: int, buy: int,
    kline_interval: Integers, kline_interval_length: Integers, kline_open_time: Integers,
    kline_open: Floats, kline_high: Floats, kline_low: Floats, kline_close: Floats,
    kline_volume: Floats, kline_notional: Floats, kline_notional_null: Integers,
    kline_count: Integers, kline_count_null: Integers, kline_buy: Floats,
    kline_buy_null: Integers, kline_closed: Integers,
    lengths: Integers, enabled: Integers, grace: int, order: Integers,
    integers: Integers, floats: Floats, totals: Integers, dirty: Bytes,
    out: Integers, out_floats: Floats, used: Integers,
) -> int:  # fmt: skip
    """Advance all bars from event `first` on.

    Returns the number of events, or the index of an event for which `out` is too small; nothing
    of that event has been done then.
    """
    slots = len(lengths)
    for i in range(first, len(code)):
        kind = code[i]
        time = event_time[i]
        if kind == CLOCK:
            if used[0] + slots * len(order) > len(out):
                return i
            seq = 0
            for bar in order:
                for slot in range(slots):
                    at = 1 + slot * SLOT_INTEGERS
                    if (
                        integers[bar, at + SOURCE] != NO_BAR
                        and time >= integers[bar, at + OPEN_TIME] + lengths[slot] + grace
                    ):
                        _emit(
                            i, seq, bar, slot, lengths[slot], integers, floats, out, out_floats,
                            used,
                        )  # fmt: skip
                        seq += 1
                        dirty[bar] = 1
            continue
        bar = instrument[i]
        if bar < 0:
            continue
        if kind == TRADE:
            if used[0] + 2 * slots > len(out):
                return i
            r = row[i]
            dirty[bar] = 1
            if trade_kind[r] != market:
                totals[bar, OTHER_TRADES] += 1
                continue
            if np.isnan(price[r]) or np.isnan(quantity[r]):
                totals[bar, ODD_TRADES] += 1
                continue
            totals[bar, TRADES] += 1
            seq = 0
            if integers[bar, HAS_TRADED] == 0:
                integers[bar, HAS_TRADED] = 1
                for slot in range(slots):
                    at = 1 + slot * SLOT_INTEGERS
                    if integers[bar, at + SOURCE] == NO_BAR:
                        continue
                    if time >= integers[bar, at + OPEN_TIME] + lengths[slot]:
                        _emit(
                            i, seq, bar, slot, lengths[slot], integers, floats, out, out_floats,
                            used,
                        )  # fmt: skip
                        seq += 1
                    else:
                        integers[bar, at + SOURCE] = NO_BAR
                        totals[bar, CUT_SHORT] += 1
            bought = quantity[r] if side[r] == buy else 0.0
            notional = price[r] * quantity[r]
            for slot in range(slots):
                if enabled[slot] == 0:
                    continue
                at = 1 + slot * SLOT_INTEGERS
                length = lengths[slot]
                start = integers[bar, at + OPEN_TIME]
                if integers[bar, at + SOURCE] == NO_BAR or time < start or time >= start + length:
                    start = time - time % length
                    if start < integers[bar, at + FLOOR]:
                        integers[bar, at + LATE] += 1
                        totals[bar, LATE_TRADES] += 1
                        continue
                    if integers[bar, at + SOURCE] != NO_BAR:
                        _emit(i, seq, bar, slot, length, integers, floats, out, out_floats, used)
                        seq += 1
                _add(
                    integers[bar], floats[bar], at, slot * SLOT_FLOATS, start, FROM_TRADES,
                    price[r], price[r], price[r], price[r], quantity[r], notional, bought,
                    fills[r],
                )  # fmt: skip
        elif kind == KLINE:
            if used[0] + 2 * slots > len(out):
                return i
            r = row[i]
            if kline_closed[r] == 0:
                continue
            dirty[bar] = 1
            length = _length_us(text, kline_interval[r], kline_interval_length[r])
            taken = False
            seq = 0
            for slot in range(slots):
                if (
                    enabled[slot] == 0
                    or integers[bar, HAS_TRADED] == 1
                    or length <= 0
                    or lengths[slot] % length != 0
                ):
                    continue
                at = 1 + slot * SLOT_INTEGERS
                opened = kline_open_time[r]
                start = opened - opened % lengths[slot]
                if start < integers[bar, at + FLOOR]:
                    continue
                if integers[bar, at + SOURCE] != NO_BAR:
                    if start > integers[bar, at + OPEN_TIME]:
                        _emit(
                            i, seq, bar, slot, lengths[slot], integers, floats, out, out_floats,
                            used,
                        )  # fmt: skip
                        seq += 1
                    elif (
                        opened < integers[bar, at + FED_UNTIL]
                        or integers[bar, at + KLINE_LENGTH] != length
                    ):
                        continue
                _add(
                    integers[bar], floats[bar], at, slot * SLOT_FLOATS, start, FROM_KLINES,
                    kline_open[r], kline_high[r], kline_low[r], kline_close[r], kline_volume[r],
                    np.nan if kline_notional_null[r] else kline_notional[r],
                    np.nan if kline_buy_null[r] else kline_buy[r],
                    0 if kline_count_null[r] else kline_count[r],
                )  # fmt: skip
                taken = True
                integers[bar, at + FED_UNTIL] = opened + length
                integers[bar, at + KLINE_LENGTH] = length
                if opened + length >= start + lengths[slot]:
                    _emit(i, seq, bar, slot, lengths[slot], integers, floats, out, out_floats, used)
                    seq += 1
            totals[bar, KLINES_USED if taken else KLINES_IGNORED] += 1
    return len(code)
