"""The kernel of the reference price: the newest tops of book, and their median."""

import numba
import numpy as np
from numpy.typing import NDArray

from processors.codes import BOOK_DELTA, BOOK_SNAPSHOT, CLOCK, FEED_STATUS, QUOTE
from processors.median_kernel import median
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

# An instrument's integers and floats.
WAS_KNOWN, TOP_TIME, EXCLUDED = range(3)
INTEGER_START = (0, 0, 0)
BEST_BID, BEST_ASK = range(2)
FLOAT_START = (np.nan, np.nan)
# What is written for each price, and for each venue that contributes or is left out.
(
    OUT_EVENT, OUT_SEQ, OUT_INSTRUMENT, OUT_START, OUT_COUNT, OUT_EXCLUDED_START,
    OUT_EXCLUDED_COUNT,
) = range(7)  # fmt: skip
OUT_COLUMNS = 7
OUT_PRICE, OUT_DISPERSION = range(2)
# Fill levels, and how many exclusions have taken effect.
USED_OUT, USED_ITEMS, USED_EXCLUDED, USED_CHANGES = range(4)


@numba.njit(
    [
        INTEGER(
            INTEGER, INTEGERS_IN, INTEGERS_IN, INTEGERS_IN, FLOATS_IN, FLOATS_IN, INTEGERS_IN,
            INTEGERS_IN, INTEGERS_IN, INTEGERS_IN, INTEGER, INTEGER, INTEGER_ROWS,
            INTEGER_ROWS, FLOAT_ROWS, FLAGS,
            INTEGER_ROWS, FLOAT_ROWS, INTEGERS, FLOATS, INTEGERS, FLOATS, INTEGERS,
        )
    ],
    cache=True, nogil=True,
    # By IEEE: the dispersion around a price of 0 is inf or NaN, and no error.
    error_model="numpy",
)  # fmt: skip
def advance(
    first: int, code: Integers, instrument: Integers, event_time: Integers,
    best_bid: Floats, best_ask: Floats, top_time: Integers,
    order: Integers, symbols: Integers, kinds: Integers, spot: int, stale_after: int,
    exclusions: Integers,
    integers: Integers, floats: Floats, dirty: Bytes,
    out: Integers, out_floats: Floats, item_instrument: Integers, item_mid: Floats,
    excluded: Integers, scratch: Floats, used: Integers,
) -> int:  # fmt: skip
    """Follow the tops of book from event `first` on; at each Clock give the prices.

    Returns the number of events, or the index of an event for which the outputs are too small;
    nothing of that event has been done then.
    """
    for i in range(first, len(code)):
        while used[USED_CHANGES] < len(exclusions) and exclusions[used[USED_CHANGES], 0] <= i:
            change = exclusions[used[USED_CHANGES]]
            integers[change[1], EXCLUDED] = change[2]
            dirty[change[1]] = 1
            used[USED_CHANGES] += 1
        kind = code[i]
        if kind in (BOOK_DELTA, QUOTE, BOOK_SNAPSHOT, FEED_STATUS):
            venue = instrument[i]
            if venue >= 0:
                bid, ask = best_bid[i], best_ask[i]
                floats[venue, BEST_BID] = bid
                floats[venue, BEST_ASK] = ask
                integers[venue, TOP_TIME] = top_time[i]
                if bid == bid and ask == ask:  # noqa: PLR0124 neither is NaN
                    integers[venue, WAS_KNOWN] = 1
                dirty[venue] = 1
            continue
        if kind != CLOCK:
            continue
        if used[USED_OUT] + len(order) > len(out) or (
            used[USED_ITEMS] + len(order) > len(item_mid)
            or used[USED_EXCLUDED] + len(order) > len(excluded)
        ):
            return i
        seq = 0
        begin = 0
        while begin < len(order):
            symbol = symbols[order[begin]]
            end = begin
            has_spot = False
            while end < len(order) and symbols[order[end]] == symbol:
                venue = order[end]
                if kinds[venue] == spot and integers[venue, WAS_KNOWN] == 1:
                    has_spot = True
                end += 1
            count, left_out = 0, 0
            start, excluded_start = used[USED_ITEMS], used[USED_EXCLUDED]
            for at in range(begin, end):
                venue = order[at]
                if integers[venue, EXCLUDED] == 1 and has_spot == (kinds[venue] == spot):
                    excluded[excluded_start + left_out] = venue
                    left_out += 1
                    continue
                mid = (floats[venue, BEST_BID] + floats[venue, BEST_ASK]) / 2.0
                if (
                    has_spot != (kinds[venue] == spot)
                    or np.isnan(mid)
                    or event_time[i] - integers[venue, TOP_TIME] > stale_after
                ):
                    continue
                item_instrument[start + count] = venue
                item_mid[start + count] = mid
                scratch[count] = mid
                count += 1
            if count:
                price = median(scratch, count)
                row = used[USED_OUT]
                out[row, OUT_EVENT] = i
                out[row, OUT_SEQ] = seq
                out[row, OUT_INSTRUMENT] = item_instrument[start]
                out[row, OUT_START] = start
                out[row, OUT_COUNT] = count
                out[row, OUT_EXCLUDED_START] = excluded_start
                out[row, OUT_EXCLUDED_COUNT] = left_out
                out_floats[row, OUT_PRICE] = price
                out_floats[row, OUT_DISPERSION] = (scratch[count - 1] - scratch[0]) / price * 1e4
                used[USED_OUT] += 1
                used[USED_ITEMS] += count
                used[USED_EXCLUDED] += left_out
                seq += 1
            begin = end
    return len(code)
