"""The kernel of the features: events into the state of markets, and a vector at each decision."""

from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

from processors import book_kernel
from processors.codes import (
    BOOK_DELTA,
    BOOK_SNAPSHOT,
    CLOCK,
    FEED_STATUS,
    FUNDING,
    KLINE,
    MARK_PRICE,
    NEWS,
    QUOTE,
    SENTIMENT_INDEX,
    TRADE,
)
from processors.features import (
    calendar,
    cross_exchange,
    indicators_kernel,
    market,
    microstructure,
    sentiment,
)
from processors.features.custom import dispatch
from processors.signatures import (
    FLAGS,
    FLOAT_ROWS,
    FLOATS,
    FLOATS_IN,
    INTEGER,
    INTEGER_ROWS,
    INTEGERS,
    INTEGERS_IN,
)

Integers = NDArray[np.int64]
Floats = NDArray[np.float64]
Bytes = NDArray[np.uint8]

# An instrument's floats: its market, then the values of its bars.
_BAR_VALUES = market.FLOATS
INSTRUMENT_FLOATS = market.FLOATS + indicators_kernel.COUNT
# A symbol's integers: whether anything was seen of it, the interval of its last decision, the time
# of the last Clock pulse since, then those of its sentiment.
SEEN, DECIDED, PULSE, _SENTIMENT = range(4)
SYMBOL_INTEGERS = _SENTIMENT + sentiment.INTEGERS
# The vector, in the order of feature_set.FEATURES.
_OF_BARS = indicators_kernel.COUNT - len(dispatch.BAR_FEATURES)
_CALENDAR = _OF_BARS
_MICROSTRUCTURE = _CALENDAR + len(calendar.FEATURES)
_CROSS = _MICROSTRUCTURE + len(microstructure.FEATURES)
_NEWS = _CROSS + len(cross_exchange.FEATURES)
_CUSTOM_BAR = _NEWS + len(sentiment.FEATURES)
_CUSTOM_DECISION = _CUSTOM_BAR + len(dispatch.BAR_FEATURES)
WIDTH = _CUSTOM_DECISION + len(dispatch.DECISION_FEATURES)
# Masks, by the bits of feature_set.GROUPS.
_OF_PRIMARY = 1 | 2 | 8
_OF_CROSS = 4
_OF_SENTIMENT = 16
_SENTIMENT_STALE_US = 48 * 3_600_000_000
# What is written for each vector.
OUT_EVENT, OUT_SEQ, OUT_PRIMARY, OUT_STALE, OUT_FALLBACK = range(5)
OUT_COLUMNS = 5
# Fill level, what has taken effect of what earlier stages found, and why it stopped.
USED_OUT, USED_CHANGES, USED_BOOKS, USED_INDICATORS, USED_GLOBAL, STOPPED_FOR = range(6)
ROOM, GLOBAL = range(2)


@numba.njit(cache=True, nogil=True)
def is_usable(now: int, stale_after: int, floats: Any, integers: Any) -> Any:
    """Whether an instrument can be the one that a vector rests on.

    It was heard of lately, quality does not exclude it, and a top that it once had is known.
    """
    return (
        integers[market.EXCLUDED] == 0
        and now - integers[market.LAST_TIME] <= stale_after
        and (integers[market.HAD_TOP] == 0 or market.mid_price(floats) > 0.0)
    )


@numba.njit(cache=True, nogil=True)
def _primary(
    members: Any, priority: Integers, now: int, stale_after: int, floats: Any, integers: Any
) -> Any:
    """The usable member that comes first, and the first of all; -1 where there is none."""
    best = first = -1
    for member in members:
        if integers[member, market.KNOWN] == 0:
            continue
        if first < 0 or priority[member] < priority[first]:
            first = member
        if (best < 0 or priority[member] < priority[best]) and is_usable(
            now, stale_after, floats[member], integers[member]
        ):
            best = member
    return best, first


@numba.njit(cache=True, nogil=True)
def _next_funding(members: Any, now: int, integers: Any) -> Any:
    """The first settlement to come of a symbol's perpetuals; 0: none is known."""
    found = 0
    for member in members:
        time = integers[member, market.FUNDING_TIME]
        if time > now and (found == 0 or time < found):
            found = time
    return found


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _decide(
    i: int, seq: int, now: int, members: Any, exchanges: Integers, kinds: Integers, fees: Floats,
    priority: Integers, stale_after: int, floats: Floats, integers: Integers,
    sentiment_floats: Floats, sentiment_integers: Integers, scratch: Floats,
    out: Integers, vector: Floats,
) -> bool:  # fmt: skip
    """Write the vector of a symbol; False: nothing is known of it."""
    primary, first = _primary(members, priority, now, stale_after, floats, integers)
    if first < 0:
        return False
    stale = fallback = 0
    if primary < 0:
        primary = first
        stale |= _OF_PRIMARY
    elif primary != first:
        fallback |= _OF_PRIMARY
    for member in members:
        if integers[member, market.HAD_TOP] == 1 and (
            integers[member, market.EXCLUDED] == 1
            or market.mid_price(floats[member]) == 0.0
            or now - integers[member, market.TOP_TIME] > stale_after
        ):
            stale |= _OF_CROSS
    last = sentiment.last_time(sentiment_integers)
    if last == 0 or now - last > _SENTIMENT_STALE_US:
        stale |= _OF_SENTIMENT
    out[OUT_EVENT], out[OUT_SEQ], out[OUT_PRIMARY] = i, seq, primary
    out[OUT_STALE], out[OUT_FALLBACK] = stale, fallback
    row, whole = floats[primary], integers[primary]
    for at in range(_OF_BARS):
        vector[at] = row[_BAR_VALUES + at]
    calendar.decide(now, _next_funding(members, now, integers), vector[_CALENDAR:_MICROSTRUCTURE])
    microstructure.decide(row, whole, vector[_MICROSTRUCTURE:_CROSS])
    cross_exchange.decide(
        floats, integers, members, exchanges, kinds, fees, primary, now, stale_after, scratch,
        vector[_CROSS:_NEWS],
    )  # fmt: skip
    sentiment.decide(sentiment_floats, sentiment_integers, now, vector[_NEWS:_CUSTOM_BAR])
    for at in range(_CUSTOM_DECISION - _CUSTOM_BAR):
        vector[_CUSTOM_BAR + at] = row[_BAR_VALUES + _OF_BARS + at]
    dispatch.on_decision(row, whole, vector[_CUSTOM_DECISION:WIDTH])
    return True


@numba.njit(
    [
        INTEGER(
            INTEGER, INTEGERS_IN, INTEGERS_IN, INTEGERS_IN, INTEGERS_IN,
            FLOATS_IN, FLOATS_IN, INTEGERS_IN,
            FLOATS_IN, FLOATS_IN, INTEGERS_IN, INTEGERS_IN, INTEGERS_IN, INTEGER, INTEGER, INTEGER,
            FLOATS_IN, FLOATS_IN, INTEGERS_IN,
            FLOATS_IN, INTEGERS_IN, INTEGERS_IN, FLOATS_IN, INTEGERS_IN, INTEGERS_IN,
            INTEGER_ROWS, FLOAT_ROWS, FLOAT_ROWS, INTEGER_ROWS, FLOAT_ROWS, INTEGER_ROWS,
            INTEGERS, INTEGER_ROWS, INTEGERS_IN, INTEGERS_IN, INTEGERS, FLOATS, INTEGERS, INTEGER,
            INTEGER,
            INTEGER_ROWS, FLOAT_ROWS, FLAGS, INTEGER_ROWS, FLOAT_ROWS, FLAGS,
            FLOATS, INTEGER_ROWS, FLOAT_ROWS, INTEGERS,
        )
    ],
    cache=True, nogil=True, error_model="numpy",
)  # fmt: skip
def advance(
    first: int, code: Integers, row: Integers, instrument: Integers, event_time: Integers,
    best_bid: Floats, best_ask: Floats, top_time: Integers,
    price: Floats, quantity: Floats, side: Integers, trade_kind: Integers, backfilled: Integers,
    on_market: int, buy: int, sell: int,
    mark_price: Floats, index_price: Floats, index_null: Integers,
    rate: Floats, settled: Integers, funding_time: Integers, hours: Floats,
    hours_null: Integers, funding_null: Integers,
    books: Integers, book_bids: Floats, book_asks: Floats,
    indicators: Integers, indicator_values: Floats, exclusions: Integers,
    order: Integers, groups: Integers, symbols: Integers, kinds: Integers, exchanges: Integers,
    fees: Floats, priority: Integers, decision_us: int, stale_after: int,
    integers: Integers, floats: Floats, dirty: Bytes,
    symbol_integers: Integers, symbol_floats: Floats, symbol_dirty: Bytes,
    scratch: Floats, out: Integers, vectors: Floats, used: Integers,
) -> int:  # fmt: skip
    """Take the events from `first` on; write a vector a symbol at each decision.

    Returns the number of events, or the index of an event of which nothing has been done: for it
    `out` is too small, or it is global and not yet taken by the caller (`used[STOPPED_FOR]`).
    """
    for i in range(first, len(code)):
        while used[USED_CHANGES] < len(exclusions) and exclusions[used[USED_CHANGES], 0] <= i:
            change = exclusions[used[USED_CHANGES]]
            integers[change[1], market.EXCLUDED] = change[2]
            dirty[change[1]] = 1
            used[USED_CHANGES] += 1
        kind = code[i]
        time = event_time[i]
        if kind in (NEWS, SENTIMENT_INDEX) and used[USED_GLOBAL] <= i:
            used[STOPPED_FOR] = GLOBAL
            return i
        if used[USED_OUT] + len(order) > len(out):
            used[STOPPED_FOR] = ROOM
            return i
        at = instrument[i]
        if at >= 0 and kind in (
            TRADE, QUOTE, BOOK_DELTA, BOOK_SNAPSHOT, FEED_STATUS, KLINE, MARK_PRICE, FUNDING
        ):  # fmt: skip
            r = row[i]
            mine, whole = floats[at], integers[at]
            if whole[market.KNOWN] == 0:
                whole[market.KNOWN] = 1
                mine[_BAR_VALUES:] = np.nan
            symbol_integers[symbols[at], SEEN] = 1
            dirty[at] = 1
            if kind != FEED_STATUS:
                whole[market.LAST_TIME] = max(whole[market.LAST_TIME], time)
            if kind == TRADE:
                # What was fetched later is of a market that has passed; bars alone take it.
                if trade_kind[r] == on_market and backfilled[r] == 0:
                    sign = 1 if side[r] == buy else (-1 if side[r] == sell else 0)
                    market.on_trade(price[r], quantity[r], sign, mine, whole)
            elif kind == MARK_PRICE:
                if np.isfinite(mark_price[r]):
                    mine[market.MARK] = mark_price[r]
                    mine[market.INDEX] = 0.0 if index_null[r] else index_price[r]
                    whole[market.MARK_TIME] = time
            elif kind == FUNDING:
                if settled[r] == 0 and np.isfinite(rate[r]):
                    mine[market.FUNDING_RATE] = rate[r]
                    mine[market.FUNDING_HOURS] = 0.0 if hours_null[r] else hours[r]
                    whole[market.FUNDING_TIME] = 0 if funding_null[r] else funding_time[r]
                    whole[market.FUNDED] = time
            elif kind != KLINE:
                market.on_top(best_bid[i], best_ask[i], top_time[i], mine, whole)
        while used[USED_BOOKS] < len(books) and books[used[USED_BOOKS], book_kernel.OUT_EVENT] == i:
            book = books[used[USED_BOOKS]]
            on = book[book_kernel.OUT_INSTRUMENT]
            bids, asks = book[book_kernel.OUT_BIDS_START], book[book_kernel.OUT_ASKS_START]
            market.on_book(
                book[book_kernel.OUT_LIVE],
                book_bids[bids : bids + book[book_kernel.OUT_BIDS_COUNT]],
                book_asks[asks : asks + book[book_kernel.OUT_ASKS_COUNT]],
                floats[on], integers[on],
            )  # fmt: skip
            dirty[on] = 1
            used[USED_BOOKS] += 1
        while used[USED_INDICATORS] < len(indicators) and indicators[used[USED_INDICATORS], 0] == i:
            on = indicators[used[USED_INDICATORS], 1]
            values = indicator_values[used[USED_INDICATORS]]
            for k in range(len(values)):
                floats[on, _BAR_VALUES + k] = values[k]
            dirty[on] = 1
            used[USED_INDICATORS] += 1
        if kind == CLOCK:
            for member in order:
                whole = integers[member]
                if whole[market.KNOWN] == 1:
                    market.on_clock(time, floats[member], whole)
                    # A venue whose clock once was ahead is not fresh for ever.
                    whole[market.LAST_TIME] = min(whole[market.LAST_TIME], time)
                    whole[market.TOP_TIME] = min(whole[market.TOP_TIME], time)
                    dirty[member] = 1
            interval = time // decision_us if decision_us > 0 else time
            seq = 0
            end = 0
            while end < len(order):
                symbol = symbols[order[end]]
                members = order[end : groups[symbol, 1]]
                end = groups[symbol, 1]
                whole = symbol_integers[symbol]
                if whole[SEEN] == 0:
                    continue
                whole[PULSE] = time
                symbol_dirty[symbol] = 1
                if decision_us == 0 or whole[DECIDED] != interval:
                    whole[DECIDED] = interval
                    if _decide(
                        i, seq, time, members, exchanges, kinds, fees, priority, stale_after,
                        floats, integers, symbol_floats[symbol], whole[_SENTIMENT:],
                        scratch, out[used[USED_OUT]], vectors[used[USED_OUT]],
                    ):  # fmt: skip
                        used[USED_OUT] += 1
                        seq += 1
        elif kind == TRADE and at >= 0 and decision_us < market.SECOND_US:
            whole = symbol_integers[symbols[at]]
            interval = time // decision_us if decision_us > 0 else time
            if backfilled[row[i]] == 0 and (decision_us == 0 or interval > whole[DECIDED]):
                whole[DECIDED] = interval
                symbol_dirty[symbols[at]] = 1
                members = order[groups[symbols[at], 0] : groups[symbols[at], 1]]
                if _decide(
                    i, 0, time, members, exchanges, kinds, fees, priority, stale_after,
                    floats, integers, symbol_floats[symbols[at]], whole[_SENTIMENT:], scratch,
                    out[used[USED_OUT]], vectors[used[USED_OUT]],
                ):  # fmt: skip
                    used[USED_OUT] += 1
    return len(code)
