"""The kernel of data quality: what is wrong with single events, and what Clocks find."""

import numba
import numpy as np
from numpy.typing import NDArray

from processors import quality_conditions as q
from processors.codes import (
    BOOK_DELTA,
    BOOK_SNAPSHOT,
    CLOCK,
    FEED_STATUS,
    FUNDING,
    KLINE,
    MARK_PRICE,
    QUOTE,
    TRADE,
)
from processors.quality_clock import NOW, tick
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

# Most rows that one event, and one instrument at a Clock, can cause.
ROWS_AN_EVENT = 4
ROWS_A_CLOCK = q.CONDITIONS
_BPS = 1e4
# So many trades in a row at an absurd price, and it is the price.
_ABSURD_RUN = 100
_WORST_FUNDING = 1.0


@numba.njit(cache=True, nogil=True)
def _hear(state: Integers, feed: int, time: int, now: int) -> int:
    """A feed was heard; returns by how much its time went back, microseconds."""
    silent = now - state[q.HEARD + feed]
    heard = state[q.EVENTS + feed]
    back = state[q.LAST_TIME + feed] - time if heard else 0
    if silent > 0 and heard and state[q.FIRST_CONDITION + 4 * (q.STALE_BOOK + feed)] == 0:
        # The longest silence fades within a quarter of an hour.
        longest = state[q.LONGEST + feed]
        longest -= min(longest, longest * (silent // 1_000_000) // 1_000)
        state[q.LONGEST + feed] = max(longest, silent)
    state[q.HEARD + feed] = now
    state[q.LAST_TIME + feed] = time
    state[q.EVENTS + feed] = heard + 1
    return max(back, 0)


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _cross(state: Integers, values: Floats, feed: int, bid: float, ask: float, now: int) -> None:
    """Remember since when a best bid has not been below the best ask."""
    if bid >= ask:
        cross = (bid - ask) / ask * _BPS
        if state[q.BOOK_CROSSED + feed] < 0:
            state[q.BOOK_CROSSED + feed] = now
            values[q.BOOK_CROSS + feed] = cross
        values[q.BOOK_CROSS + feed] = max(values[q.BOOK_CROSS + feed], cross)
    else:
        state[q.BOOK_CROSSED + feed] = -1


@numba.njit(cache=True, nogil=True)
def _is_price(value: float) -> bool:
    return 0.0 < value < np.inf


@numba.njit(cache=True, nogil=True)
def _wrong_levels(prices: Floats, quantities: Floats, first: int, count: int) -> tuple[bool, float]:
    """Whether there is a level that cannot be, and its number."""
    for at in range(first, first + count):
        if not 0.0 < prices[at] < np.inf:
            return True, prices[at]
        if not 0.0 <= quantities[at] < np.inf:
            return True, quantities[at]
    return False, 0.0


@numba.njit(cache=True, nogil=True)
def _wrong_side(price: float, quantity: float) -> tuple[bool, float]:
    """The same of one side of a quote; an empty side has no price."""
    if np.isnan(price):
        return False, price
    if not _is_price(price):
        return True, price
    return not 0.0 <= quantity < np.inf, quantity


@numba.njit(cache=True, nogil=True)
def _wrong_kline(
    opened: float, high: float, low: float, close: float, volume: float
) -> tuple[bool, float]:
    """The same of a candle; those of mark prices have no volume."""
    for price in (opened, high, low, close):
        if not _is_price(price):
            return True, price
    if high < max(opened, close):
        return True, high
    if low > min(opened, close):
        return True, low
    return volume < 0.0 or volume == np.inf, volume


@numba.njit(cache=True, nogil=True)
def _absurd(price: float, state: Integers, values: Floats, now: int, limits: Floats) -> float:
    """The bound that a trade's price is beyond, 0 for none; learns the usual price.

    Judged by the mid price where that is fresh, else by the trade before.
    """
    ratio = limits[q.ABSURD_RATIO]
    usual = (values[q.BID] + values[q.ASK]) / 2.0
    if not _is_price(usual) or now - state[q.TOP_HEARD] > limits[q.FRESH_US]:
        usual = values[q.LAST_PRICE]
    bound = 0.0
    if price > usual * ratio:
        bound = usual * ratio
    elif price < usual / ratio:
        bound = usual / ratio
    if bound == 0.0 or state[q.ABSURD_RUN] >= _ABSURD_RUN:
        state[q.ABSURD_RUN] = 0
        values[q.LAST_PRICE] = price
        return 0.0
    state[q.ABSURD_RUN] += 1
    return float(bound)


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _outside(price: float, state: Integers, values: Floats, now: int, limits: Floats) -> float:
    """How far a trade is beyond the best bid or ask, bps; 0 within, or where they are not fresh."""
    if now - state[q.TOP_HEARD] > limits[q.FRESH_US]:
        return 0.0
    beyond = max(price / values[q.ASK] - 1.0, 1.0 - price / values[q.BID]) * _BPS
    return float(beyond) if beyond > 0.0 else 0.0


@numba.njit(
    [
        INTEGER(
            INTEGER, INTEGERS_IN, INTEGERS_IN, INTEGERS_IN, INTEGERS_IN,
            FLOATS_IN, FLOATS_IN, FLAGS,
            FLOATS_IN, FLOATS_IN, INTEGERS_IN, INTEGERS_IN, INTEGER,
            FLOATS_IN, FLOATS_IN, FLOATS_IN, FLOATS_IN,
            INTEGERS_IN, INTEGERS_IN, INTEGERS_IN, INTEGERS_IN,
            FLOATS_IN, FLOATS_IN, FLOATS_IN, FLOATS_IN,
            INTEGERS_IN, INTEGERS_IN, INTEGERS_IN, INTEGERS_IN,
            FLOATS_IN, FLOATS_IN, FLOATS_IN, FLOATS_IN,
            FLOATS_IN, FLOATS_IN, FLOATS_IN, FLOATS_IN, FLOATS_IN,
            FLOATS_IN, FLOATS_IN, INTEGERS_IN, FLOATS_IN,
            FLOATS_IN, INTEGERS_IN, INTEGERS_IN, INTEGERS, INTEGER_ROWS, FLOAT_ROWS, FLAGS,
            FLOATS, FLOATS, INTEGER_ROWS, FLOAT_ROWS, INTEGER_ROWS, INTEGERS,
        )
    ],
    cache=True, nogil=True, error_model="numpy",
)  # fmt: skip
def advance(
    first: int, code: Integers, row: Integers, instrument: Integers, event_time: Integers,
    best_bid: Floats, best_ask: Floats, book_live: Bytes,
    trade_price: Floats, trade_quantity: Floats, trade_kind: Integers, backfilled: Integers,
    market: int,
    quote_bid: Floats, quote_bid_quantity: Floats, quote_ask: Floats, quote_ask_quantity: Floats,
    delta_bids: Integers, delta_bid_count: Integers, delta_asks: Integers,
    delta_ask_count: Integers,
    delta_bid_prices: Floats, delta_bid_quantities: Floats,
    delta_ask_prices: Floats, delta_ask_quantities: Floats,
    snapshot_bids: Integers, snapshot_bid_count: Integers, snapshot_asks: Integers,
    snapshot_ask_count: Integers,
    snapshot_bid_prices: Floats, snapshot_bid_quantities: Floats,
    snapshot_ask_prices: Floats, snapshot_ask_quantities: Floats,
    kline_open: Floats, kline_high: Floats, kline_low: Floats, kline_close: Floats,
    kline_volume: Floats,
    mark_price: Floats, index_price: Floats, index_null: Integers, funding_rate: Floats,
    limits: Floats, order: Integers, symbols: Integers, shared: Integers,
    integers: Integers, floats: Floats, dirty: Bytes,
    scratch: Floats, jumps: Floats,
    out: Integers, out_floats: Floats, exclusions: Integers, used: Integers,
) -> int:  # fmt: skip
    """Look at the events from `first` on.

    Returns the number of events, or the index of an event for which the outputs are too small;
    nothing of that event has been done then.
    """
    for i in range(first, len(code)):
        kind = code[i]
        rows = ROWS_A_CLOCK * len(order) if kind == CLOCK else ROWS_AN_EVENT
        if used[q.USED_OUT] + rows > len(out):
            return i
        time = event_time[i]
        if kind == CLOCK:
            tick(
                i, time, limits, order, symbols, shared, integers, floats, dirty, scratch, jumps,
                out, out_floats, exclusions, used,
            )  # fmt: skip
            continue
        own = instrument[i]
        if own < 0:
            continue
        now, r = shared[NOW], row[i]
        state, values = integers[own], floats[own]
        condition, value, limit = -1, 0.0, 0.0
        back, back_condition = 0, -1
        raised = used[q.USED_OUT]
        if kind in (BOOK_DELTA, BOOK_SNAPSHOT, FEED_STATUS):
            live = np.int64(book_live[i])
            if live == 0 and state[q.LIVE] == 1:
                q.bad(
                    i, own, q.GAP, time, 0.0, 0.0, now, limits, state, values,
                    out, out_floats, used,
                )  # fmt: skip
            state[q.LIVE] = live
            values[q.BID] = best_bid[i]
            values[q.ASK] = best_ask[i]
            wrong = False
            if kind == BOOK_SNAPSHOT:
                wrong, value = _wrong_levels(
                    snapshot_bid_prices, snapshot_bid_quantities, snapshot_bids[r],
                    snapshot_bid_count[r],
                )  # fmt: skip
                if not wrong:
                    wrong, value = _wrong_levels(
                        snapshot_ask_prices, snapshot_ask_quantities, snapshot_asks[r],
                        snapshot_ask_count[r],
                    )  # fmt: skip
            elif kind == BOOK_DELTA:
                wrong, value = _wrong_levels(
                    delta_bid_prices, delta_bid_quantities, delta_bids[r], delta_bid_count[r]
                )  # fmt: skip
                if not wrong:
                    wrong, value = _wrong_levels(
                        delta_ask_prices, delta_ask_quantities, delta_asks[r], delta_ask_count[r]
                    )  # fmt: skip
            if wrong:
                condition = q.IMPOSSIBLE_BOOK
            if kind != FEED_STATUS and live == 1:
                state[q.TOP_HEARD] = now
                _cross(state, values, q.BOOK, best_bid[i], best_ask[i], now)
                if kind == BOOK_DELTA:
                    back, back_condition = _hear(state, q.BOOK, time, now), q.BACK_BOOK
            elif live == 0:
                state[q.BOOK_CROSSED] = -1
        elif kind == QUOTE:
            back, back_condition = _hear(state, q.QUOTES, time, now), q.BACK_QUOTES
            _cross(state, values, q.QUOTES, quote_bid[r], quote_ask[r], now)
            if state[q.LIVE] == 0:
                values[q.BID] = best_bid[i]
                values[q.ASK] = best_ask[i]
                state[q.TOP_HEARD] = now
            wrong, value = _wrong_side(quote_bid[r], quote_bid_quantity[r])
            if not wrong:
                wrong, value = _wrong_side(quote_ask[r], quote_ask_quantity[r])
            if wrong:
                condition = q.IMPOSSIBLE_QUOTES
        elif kind == TRADE:
            # What is fetched later is old, and much at once.
            if trade_kind[r] != market or backfilled[r] == 1:
                continue
            back, back_condition = _hear(state, q.TRADES, time, now), q.BACK_TRADES
            price, quantity = trade_price[r], trade_quantity[r]
            if not _is_price(price):
                condition, value = q.IMPOSSIBLE_TRADES, price
            elif not 0.0 < quantity < np.inf:
                condition, value = q.IMPOSSIBLE_TRADES, quantity
            else:
                values[q.VOLUME_NOW] += quantity
                limit = _absurd(price, state, values, now, limits)
                if limit > 0.0:
                    condition, value = q.IMPOSSIBLE_TRADES, price
                else:
                    value = _outside(price, state, values, now, limits)
                    limit = limits[q.OUTSIDE_BPS]
                    if value > limit:
                        condition = q.OUTSIDE
        elif kind == KLINE:
            wrong, value = _wrong_kline(
                kline_open[r], kline_high[r], kline_low[r], kline_close[r], kline_volume[r]
            )  # fmt: skip
            if not wrong:
                continue
            condition = q.IMPOSSIBLE_KLINES
        elif kind == MARK_PRICE:
            value = mark_price[r]
            if _is_price(value):
                value = index_price[r]
                if index_null[r] == 1 or _is_price(value):
                    continue
            condition = q.IMPOSSIBLE_MARKS
        elif kind == FUNDING:
            value, limit = funding_rate[r], _WORST_FUNDING
            if abs(value) < limit:
                continue
            condition = q.IMPOSSIBLE_MARKS
        else:
            continue
        dirty[own] = 1
        if back > limits[q.BACK_US]:
            q.bad(
                i, own, back_condition, time, back / 1e3, limits[q.BACK_US] / 1e3, now, limits,
                state, values, out, out_floats, used,
            )  # fmt: skip
        if condition >= 0:
            q.bad(
                i, own, condition, time, value, limit, now, limits, state, values,
                out, out_floats, used,
            )  # fmt: skip
        if used[q.USED_OUT] > raised:
            q.judge(
                i, own, time, now, limits, state, values, out, out_floats, exclusions, used
            )  # fmt: skip
    return len(code)
