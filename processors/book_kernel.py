"""The kernel of the order books: price levels, integrity, what is emitted.

A side's levels lie in a slot of the pool, sorted with the best last, so that changes near the
best move little. Bids are kept by price, asks by minus price, so that one code serves both.
"""

from typing import Any

import numba
import numpy as np
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic
from numpy.typing import NDArray

from processors.codes import BOOK_DELTA, BOOK_SNAPSHOT, CLOCK, FEED_STATUS, OTHER, QUOTE
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

# An instrument's integers.
LIVE, HAS_SNAPSHOT, SEQUENCE, PENDING, HAS_EMITTED, LAST_EMITTED, TOP_TIME = range(7)
INTEGER_START = (0, 0, -1, 0, 0, 0, 0)
# An instrument's floats.
BEST_BID, BEST_ASK = range(2)
FLOAT_START = (np.nan, np.nan)
# An instrument's totals.
(
    SNAPSHOTS, APPLIED, STALE, GAPS, FEED_GAPS, WITHOUT_BOOK, STALE_SNAPSHOTS, RESUMED,
) = range(8)  # fmt: skip
TOTALS = (
    "snapshots", "applied", "stale_deltas", "gaps", "feed_gaps", "deltas_without_book",
    "stale_snapshots", "resumed",
)  # fmt: skip
# Venues that begin anew at this sequence send a snapshot with it; 0: without sequences.
_RESTART_SEQUENCE = 1
# A level in the pool.
KEY, QUANTITY = range(2)
# A side's slot; side 2 * instrument holds bids, the next one asks.
START, CAPACITY, COUNT = range(3)
# What is written for each emitted book.
(
    OUT_EVENT, OUT_SEQ, OUT_INSTRUMENT, OUT_LIVE, OUT_SEQUENCE,
    OUT_BIDS_START, OUT_BIDS_COUNT, OUT_ASKS_START, OUT_ASKS_COUNT,
) = range(9)  # fmt: skip
OUT_COLUMNS = 9
# Fill levels of buffers, kept from call to call within a batch, and what was too small.
USED_POOL, USED_OUT, USED_BIDS, USED_ASKS, SHORT_OF = range(5)
ENOUGH, POOL, OUT = range(3)
# What a FeedStatus makes unknown.
CLOSES_BOOK, CLOSES_QUOTES = 1, 2


@intrinsic  # type: ignore[untyped-decorator, unused-ignore]  # numba's
def _move(typing_context: Any, array: Any, to: Any, at: Any, count: Any) -> Any:
    """Move `count` levels within the pool from `at` to `to`; they may overlap."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        pool, target, source, number = arguments
        data = context.make_array(signature.args[0])(context, builder, pool).data
        two = context.get_constant(types.intp, 2)
        cgutils.raw_memmove(
            builder,
            builder.gep(data, [builder.mul(target, two)]),
            builder.gep(data, [builder.mul(source, two)]),
            builder.mul(number, two),
            context.get_constant(types.intp, 8),
        )
        return context.get_dummy_value()

    return types.void(array, types.intp, types.intp, types.intp), generate


@numba.njit(cache=True, nogil=True)
def _find(pool: Floats, start: Any, count: Any, hint: Any, key: float) -> Any:
    """Place of the first level of `count` from `start` on whose key is not below `key`.

    `hint` is the place of the level before: levels come sorted, so the next one is near.
    Indexes are unsigned, since numba looks at each signed one whether it counts from the end.
    """
    one, end = np.uint64(1), start + count
    if hint < end and pool[hint, KEY] < key:
        low, left = hint, end - hint
    else:
        low, left = start, hint - start
        for near in (np.uint64(8), np.uint64(64), np.uint64(512)):
            if left > near and pool[hint - near, KEY] < key:
                low, left = hint - near, near
                break
    # Without branches, which could not be foretold.
    while left > one:
        half = left >> one
        low += half * np.uint64(pool[low + half - one, KEY] < key)
        left -= half
    if left == one and pool[low, KEY] < key:
        low += one
    return low


@numba.njit(cache=True, nogil=True)
def _set_level(pool: Floats, side: Integers, hint: Any, key: float, quantity: float) -> Any:
    """Set or remove one level, for which the slot has room; returns its place."""
    one = np.uint64(1)
    start, count = np.uint64(side[START]), np.uint64(side[COUNT])
    end = start + count
    low = _find(pool, start, count, hint, key)
    present = low < end and pool[low, KEY] == key
    if quantity > 0.0:
        if not present:
            if key != key:  # noqa: PLR0124 a price that is no number has no place
                return low
            _move(pool, low + one, low, end - low)
            side[COUNT] += 1
            pool[low, KEY] = key
        pool[low, QUANTITY] = quantity
    elif present:
        _move(pool, low, low + one, end - low - one)
        side[COUNT] -= 1
    return low


@numba.njit(cache=True, nogil=True)
def _set_levels(
    pool: Floats, side: Integers, sign: float, prices: Floats, quantities: Floats,
    first: int, last: int, step: int,
) -> None:  # fmt: skip
    """Set or remove the levels from `first` up to `last`, which is not set."""
    hint = np.uint64(side[START] + side[COUNT])
    for at in range(first, last, step):
        hint = _set_level(pool, side, hint, sign * prices[at], quantities[at])


@numba.njit(cache=True, nogil=True)
def _make_room(pool: Floats, side: Integers, more: int, used: Integers) -> bool:
    """Have room for `more` levels in a slot, moving it within the pool; False: pool too small."""
    need = side[COUNT] + more
    if need <= side[CAPACITY]:
        return True
    capacity = max(2 * side[CAPACITY], 32)
    while capacity < need:
        capacity *= 2
    if used[USED_POOL] + capacity > len(pool):
        return False
    start = used[USED_POOL]
    used[USED_POOL] += capacity
    _move(pool, start, side[START], side[COUNT])
    side[START] = start
    side[CAPACITY] = capacity
    return True


@numba.njit(cache=True, nogil=True)
def _emit(
    i: int, seq: int, book: int, time: int, levels: int,
    integers: Integers, sides: Integers, pool: Floats, used: Integers,
    out: Integers, out_bids: Floats, out_asks: Floats,
) -> None:  # fmt: skip
    row = out[used[USED_OUT]]
    used[USED_OUT] += 1
    row[OUT_EVENT] = i
    row[OUT_SEQ] = seq
    row[OUT_INSTRUMENT] = book
    live = integers[book, LIVE]
    row[OUT_LIVE] = live
    row[OUT_SEQUENCE] = integers[book, SEQUENCE] if live else -1
    bids, asks = sides[2 * book], sides[2 * book + 1]
    row[OUT_BIDS_START] = used[USED_BIDS]
    row[OUT_BIDS_COUNT] = min(levels, bids[COUNT]) if live else 0
    for j in range(row[OUT_BIDS_COUNT]):
        at = bids[START] + bids[COUNT] - 1 - j
        out_bids[used[USED_BIDS] + j, 0] = pool[at, KEY]
        out_bids[used[USED_BIDS] + j, 1] = pool[at, QUANTITY]
    used[USED_BIDS] += row[OUT_BIDS_COUNT]
    row[OUT_ASKS_START] = used[USED_ASKS]
    row[OUT_ASKS_COUNT] = min(levels, asks[COUNT]) if live else 0
    for j in range(row[OUT_ASKS_COUNT]):
        at = asks[START] + asks[COUNT] - 1 - j
        out_asks[used[USED_ASKS] + j, 0] = -pool[at, KEY]
        out_asks[used[USED_ASKS] + j, 1] = pool[at, QUANTITY]
    used[USED_ASKS] += row[OUT_ASKS_COUNT]
    integers[book, PENDING] = 0
    integers[book, HAS_EMITTED] = 1
    integers[book, LAST_EMITTED] = time


@numba.njit(cache=True, nogil=True)
def _is_due(row: Integers, time: int, interval: int) -> bool:
    """Whether a pending change may be emitted; time that runs back counts as well as forth."""
    if row[PENDING] == 0:
        return False
    return row[HAS_EMITTED] == 0 or bool(abs(time - row[LAST_EMITTED]) >= interval)


@numba.njit(cache=True, nogil=True)
def _suspend(book: int, integers: Integers, floats: Floats) -> None:
    """Make a book unknown; what it was at is kept, another collector may go on from there."""
    integers[book, LIVE] = 0
    floats[book, BEST_BID] = np.nan
    floats[book, BEST_ASK] = np.nan


@numba.njit(
    [
        INTEGER(
            INTEGER, INTEGERS, INTEGERS_IN, INTEGERS_IN, INTEGERS_IN,
            INTEGERS_IN, INTEGERS_IN, INTEGERS_IN, INTEGERS_IN, INTEGERS_IN,
            FLOATS_IN, FLOATS_IN, FLOATS_IN, FLOATS_IN,
            INTEGERS_IN, INTEGERS_IN, INTEGERS_IN, INTEGERS_IN, INTEGERS_IN, INTEGERS_IN,
            FLOATS_IN, FLOATS_IN, FLOATS_IN, FLOATS_IN,
            FLOATS_IN, FLOATS_IN, INTEGERS_IN,
            INTEGER, INTEGER, INTEGER, INTEGERS_IN,
            INTEGER_ROWS, FLOAT_ROWS, INTEGER_ROWS, FLAGS, INTEGER_ROWS, FLOAT_ROWS,
            INTEGERS, INTEGER_ROWS, FLOAT_ROWS, FLOAT_ROWS, FLOATS, FLOATS, INTEGERS, FLAGS,
        )
    ],
    cache=True, nogil=True,
)  # fmt: skip
def advance(
    first: int, code: Integers, row: Integers, instrument: Integers, event_time: Integers,
    snapshot_sequence: Integers, snapshot_bids: Integers, snapshot_bid_count: Integers,
    snapshot_asks: Integers, snapshot_ask_count: Integers,
    snapshot_bid_prices: Floats, snapshot_bid_quantities: Floats,
    snapshot_ask_prices: Floats, snapshot_ask_quantities: Floats,
    delta_previous: Integers, delta_sequence: Integers, delta_bids: Integers,
    delta_bid_count: Integers, delta_asks: Integers, delta_ask_count: Integers,
    delta_bid_prices: Floats, delta_bid_quantities: Floats,
    delta_ask_prices: Floats, delta_ask_quantities: Floats,
    quote_bid: Floats, quote_ask: Floats, feed_closes: Integers,
    interval: int, levels: int, restart: int, order: Integers,
    integers: Integers, floats: Floats, totals: Integers, dirty: Bytes,
    sides: Integers, pool: Floats,
    used: Integers, out: Integers, out_bids: Floats, out_asks: Floats,
    best_bid: Floats, best_ask: Floats, top_time: Integers, book_live: Bytes,
) -> int:  # fmt: skip
    """Advance all books from event `first` on; `code` of what a book is past becomes OTHER.

    Returns the number of events, or the index of an event for which `used[SHORT_OF]` (POOL or
    OUT) is too small; nothing of that event has been done then.
    """
    for i in range(first, len(code)):
        kind = code[i]
        if kind == CLOCK:
            if used[USED_OUT] + len(order) > len(out) or (
                used[USED_BIDS] + len(order) * levels > len(out_bids)
                or used[USED_ASKS] + len(order) * levels > len(out_asks)
            ):
                used[SHORT_OF] = OUT
                return i
            seq = 0
            for book in order:
                if _is_due(integers[book], event_time[i], interval):
                    _emit(
                        i, seq, book, event_time[i], levels, integers, sides, pool,
                        used, out, out_bids, out_asks,
                    )  # fmt: skip
                    dirty[book] = 1
                    seq += 1
            continue
        book = instrument[i]
        if book < 0:
            continue
        if kind == QUOTE:
            if integers[book, HAS_SNAPSHOT] == 0:
                floats[book, BEST_BID] = quote_bid[row[i]]
                floats[book, BEST_ASK] = quote_ask[row[i]]
                integers[book, TOP_TIME] = event_time[i]
                dirty[book] = 1
        elif kind in (BOOK_SNAPSHOT, BOOK_DELTA, FEED_STATUS):
            if (
                used[USED_OUT] == len(out)
                or used[USED_BIDS] + levels > len(out_bids)
                or used[USED_ASKS] + levels > len(out_asks)
            ):
                used[SHORT_OF] = OUT
                return i
            was_live = integers[book, LIVE]
            bids, asks = sides[2 * book], sides[2 * book + 1]
            changed = False
            r = row[i]
            if kind == FEED_STATUS:
                if feed_closes[r] & CLOSES_BOOK and was_live == 1:
                    _suspend(book, integers, floats)
                    totals[book, FEED_GAPS] += 1
                if feed_closes[r] & CLOSES_QUOTES and integers[book, HAS_SNAPSHOT] == 0:
                    floats[book, BEST_BID] = np.nan
                    floats[book, BEST_ASK] = np.nan
            elif (
                kind == BOOK_SNAPSHOT
                and was_live == 1
                and _RESTART_SEQUENCE < snapshot_sequence[r] <= integers[book, SEQUENCE]
                and event_time[i] < integers[book, TOP_TIME] + restart
            ):
                totals[book, STALE_SNAPSHOTS] += 1
                code[i] = OTHER
            elif kind == BOOK_SNAPSHOT:
                more_bids = max(0, snapshot_bid_count[r] - bids[COUNT])
                more_asks = max(0, snapshot_ask_count[r] - asks[COUNT])
                if not (
                    _make_room(pool, bids, more_bids, used)
                    and _make_room(pool, asks, more_asks, used)
                ):
                    used[SHORT_OF] = POOL
                    return i
                bids[COUNT] = 0
                asks[COUNT] = 0
                # Worst first: each goes to the end of the slot.
                _set_levels(
                    pool, bids, 1.0, snapshot_bid_prices, snapshot_bid_quantities,
                    snapshot_bids[r] + snapshot_bid_count[r] - 1, snapshot_bids[r] - 1, -1,
                )  # fmt: skip
                _set_levels(
                    pool, asks, -1.0, snapshot_ask_prices, snapshot_ask_quantities,
                    snapshot_asks[r] + snapshot_ask_count[r] - 1, snapshot_asks[r] - 1, -1,
                )  # fmt: skip
                integers[book, LIVE] = 1
                integers[book, HAS_SNAPSHOT] = 1
                integers[book, SEQUENCE] = snapshot_sequence[r]
                totals[book, SNAPSHOTS] += 1
                changed = True
            else:
                previous, sequence = delta_previous[r], delta_sequence[r]
                known = integers[book, SEQUENCE]
                # A book that is suspended takes only what names what it is at.
                if previous == -1:
                    joins = was_live == 1
                else:
                    joins = previous == known or previous <= known < sequence
                if integers[book, HAS_SNAPSHOT] == 0:
                    totals[book, WITHOUT_BOOK] += 1
                elif not joins and previous != -1 and sequence <= known:
                    totals[book, STALE] += 1
                    code[i] = OTHER
                elif not joins and was_live == 0:
                    totals[book, WITHOUT_BOOK] += 1
                elif not joins:
                    _suspend(book, integers, floats)
                    totals[book, GAPS] += 1
                else:
                    if not (
                        _make_room(pool, bids, delta_bid_count[r], used)
                        and _make_room(pool, asks, delta_ask_count[r], used)
                    ):
                        used[SHORT_OF] = POOL
                        return i
                    _set_levels(
                        pool, bids, 1.0, delta_bid_prices, delta_bid_quantities,
                        delta_bids[r], delta_bids[r] + delta_bid_count[r], 1,
                    )  # fmt: skip
                    _set_levels(
                        pool, asks, -1.0, delta_ask_prices, delta_ask_quantities,
                        delta_asks[r], delta_asks[r] + delta_ask_count[r], 1,
                    )  # fmt: skip
                    # Venues repeat a sequence without levels to say that they are there.
                    changed = sequence != known or delta_bid_count[r] + delta_ask_count[r] > 0
                    integers[book, SEQUENCE] = sequence
                    integers[book, TOP_TIME] = event_time[i]
                    totals[book, APPLIED] += 1
                    if was_live == 0:
                        integers[book, LIVE] = 1
                        totals[book, RESUMED] += 1
                        changed = True
            if changed:
                floats[book, BEST_BID] = (
                    pool[bids[START] + bids[COUNT] - 1, KEY] if bids[COUNT] else np.nan
                )
                floats[book, BEST_ASK] = (
                    -pool[asks[START] + asks[COUNT] - 1, KEY] if asks[COUNT] else np.nan
                )
                integers[book, TOP_TIME] = event_time[i]
                integers[book, PENDING] = 1
            dirty[book] = 1
            if integers[book, LIVE] != was_live or _is_due(integers[book], event_time[i], interval):
                _emit(
                    i, 0, book, event_time[i], levels, integers, sides, pool,
                    used, out, out_bids, out_asks,
                )  # fmt: skip
        best_bid[i] = floats[book, BEST_BID]
        best_ask[i] = floats[book, BEST_ASK]
        top_time[i] = integers[book, TOP_TIME]
        book_live[i] = integers[book, LIVE]
    return len(code)
