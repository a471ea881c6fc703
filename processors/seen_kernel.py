"""The kernel of `seen`: which market events come again."""

from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

from processors import window_kernel
from processors.codes import (
    BOOK_DELTA,
    BOOK_SNAPSHOT,
    CLOCK,
    FEED_STATUS,
    FUNDING,
    KLINE,
    MARK_PRICE,
    OTHER,
    QUOTE,
    TRADE,
)
from processors.instrument_kernel import hash_text
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

# Before every time, and so far from the ends that differences are numbers.
NEVER = -(1 << 62)
# An instrument's integers and floats.
QUOTE_SEQUENCE, QUOTE_TIME, MARK_TIME, FUNDING_TIME = range(4)
INTEGER_START = (-1, NEVER, NEVER, NEVER)
BID_PRICE, BID_QUANTITY, ASK_PRICE, ASK_QUANTITY = range(4)
FLOAT_START = (np.nan, np.nan, np.nan, np.nan)
# An instrument's totals.
TRADES, QUOTES, KLINES, MARK_PRICES, FUNDING_RATES = range(5)
TOTALS = ("trades", "quotes", "klines", "mark_prices", "funding_rates")
# What belongs to no instrument, and the slot that is to be grown.
NEWEST_CLOCK, CLOCKS, TO_GROW = range(3)
# An instrument's windows.
TRADE_IDS, OTHER_KEYS = range(2)
WINDOWS = 2

_TEXT = np.uint64(1 << 63)
_MULTIPLIER = np.uint64(0xBF58476D1CE4E5B9)
_SHIFT = np.uint64(29)
_LONGEST_NUMBER = 18
_ZERO, _NINE = 48, 57


@numba.njit(cache=True, nogil=True)
def trade_key(text: Bytes, start: int, length: int) -> Any:
    """A trade id as a key: a number is itself, so that following ones lie close; 0 for none."""
    if length == 0:
        return np.int64(0)
    if length <= _LONGEST_NUMBER and text[start] != _ZERO:
        value = np.int64(0)
        for at in range(start, start + length):
            if text[at] < _ZERO or text[at] > _NINE:
                value = np.int64(-1)
                break
            value = 10 * value + np.int64(text[at]) - _ZERO
        if value > 0:
            return value
    return np.int64(_mixed(hash_text(text, start, length), 0) | _TEXT)


@numba.njit(cache=True, nogil=True)
def _mixed(key: Any, word: int) -> Any:
    """A key that depends on every bit of another and of a word."""
    value = (np.uint64(key) ^ np.uint64(word)) * _MULTIPLIER
    value ^= value >> _SHIFT
    return value * _MULTIPLIER


@numba.njit(cache=True, nogil=True)
def _is_old(time: int, newest: int, set_back: int) -> bool:
    """Whether a time is not later than the newest, and that one no clock's mistake."""
    return bool(time <= newest and newest - time <= set_back)


@numba.njit(cache=True, nogil=True)
def _same(a: float, b: float) -> bool:
    return a == b or (a != a and b != b)  # noqa: PLR0124 NaN


@numba.njit(
    [
        INTEGER(
            INTEGER, INTEGERS, INTEGERS_IN, INTEGERS_IN, INTEGERS_IN, TEXT_IN,
            INTEGERS_IN, INTEGERS_IN,
            INTEGERS_IN, FLOATS_IN, FLOATS_IN, FLOATS_IN, FLOATS_IN,
            INTEGERS_IN, INTEGERS_IN, INTEGERS_IN, INTEGERS_IN,
            INTEGERS_IN, INTEGERS_IN, INTEGERS_IN, INTEGERS_IN, INTEGERS_IN,
            INTEGERS_IN, INTEGERS_IN, INTEGERS_IN,
            INTEGER, INTEGER, INTEGER, INTEGER,
            INTEGER_ROWS, FLOAT_ROWS, INTEGER_ROWS, FLAGS, INTEGERS, INTEGER_ROWS, INTEGERS,
        )
    ],
    cache=True, nogil=True,
)  # fmt: skip
def advance(
    first: int, code: Integers, row: Integers, instrument: Integers, event_time: Integers,
    text: Bytes,
    trade_id: Integers, trade_id_length: Integers,
    quote_sequence: Integers, quote_bid: Floats, quote_bid_quantity: Floats,
    quote_ask: Floats, quote_ask_quantity: Floats,
    kline_interval: Integers, kline_interval_length: Integers, kline_open_time: Integers,
    kline_closed: Integers,
    kline_open: Integers, kline_high: Integers, kline_low: Integers, kline_close: Integers,
    kline_volume: Integers,
    funding_settled: Integers, funding_rate: Integers, funding_time: Integers,
    most_trades: int, most_others: int, restart: int, set_back: int,
    integers: Integers, floats: Floats, totals: Integers, dirty: Bytes,
    pool: Integers, slots: Integers, shared: Integers,
) -> int:  # fmt: skip
    """Set `code` of repeated events from event `first` on to OTHER.

    Prices of klines and funding rates come as their bits. Returns the number of events, or the
    index of one for which the slot `shared[TO_GROW]` is full; nothing of it has been done then.
    """
    for i in range(first, len(code)):
        kind = code[i]
        time = event_time[i]
        if kind == CLOCK:
            if _is_old(time, shared[NEWEST_CLOCK], set_back):
                code[i] = OTHER
                shared[CLOCKS] += 1
            else:
                shared[NEWEST_CLOCK] = time
            continue
        own = instrument[i]
        if own < 0 or kind in (OTHER, BOOK_DELTA, BOOK_SNAPSHOT, FEED_STATUS):
            continue
        r = row[i]
        state = integers[own]
        repeated = False
        total = TRADES
        if kind == TRADE:
            key = trade_key(text, trade_id[r], trade_id_length[r])
            if key == 0:
                continue
            shared[TO_GROW] = WINDOWS * own + TRADE_IDS
            found = window_kernel.add(pool, slots[shared[TO_GROW]], key, most_trades)
            if found == window_kernel.FULL:
                return i
            repeated = found == window_kernel.REPEATED
        elif kind == QUOTE:
            total = QUOTES
            sequence, newest = quote_sequence[r], state[QUOTE_TIME]
            values = floats[own]
            if sequence >= 0:
                repeated = sequence <= state[QUOTE_SEQUENCE] and time < newest + restart
            else:
                repeated = _is_old(time, newest, set_back) and (
                    time < newest
                    or (
                        _same(values[BID_PRICE], quote_bid[r])
                        and _same(values[BID_QUANTITY], quote_bid_quantity[r])
                        and _same(values[ASK_PRICE], quote_ask[r])
                        and _same(values[ASK_QUANTITY], quote_ask_quantity[r])
                    )
                )
            if not repeated:
                state[QUOTE_TIME] = time
                if sequence >= 0:
                    state[QUOTE_SEQUENCE] = sequence
                values[BID_PRICE] = quote_bid[r]
                values[BID_QUANTITY] = quote_bid_quantity[r]
                values[ASK_PRICE] = quote_ask[r]
                values[ASK_QUANTITY] = quote_ask_quantity[r]
        elif kind == MARK_PRICE:
            total = MARK_PRICES
            repeated = _is_old(time, state[MARK_TIME], set_back)
            if not repeated:
                state[MARK_TIME] = time
        elif kind == FUNDING and funding_settled[r] == 0:
            total = FUNDING_RATES
            repeated = _is_old(time, state[FUNDING_TIME], set_back)
            if not repeated:
                state[FUNDING_TIME] = time
        elif kind == FUNDING or (kind == KLINE and kline_closed[r] == 1):
            if kind == FUNDING:
                total = FUNDING_RATES
                key = np.int64(_mixed(_mixed(time, funding_time[r]), funding_rate[r]))
            else:
                total = KLINES
                value = hash_text(text, kline_interval[r], kline_interval_length[r])
                value = _mixed(_mixed(value, kline_open_time[r]), kline_open[r])
                value = _mixed(_mixed(value, kline_high[r]), kline_low[r])
                key = np.int64(_mixed(_mixed(value, kline_close[r]), kline_volume[r]))
            shared[TO_GROW] = WINDOWS * own + OTHER_KEYS
            found = window_kernel.add(pool, slots[shared[TO_GROW]], key | 1, most_others)
            if found == window_kernel.FULL:
                return i
            repeated = found == window_kernel.REPEATED
        else:
            continue
        dirty[own] = 1
        if repeated:
            totals[own, total] += 1
            code[i] = OTHER
    return len(code)
