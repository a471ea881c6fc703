"""What is kept of one instrument's market for its features: the top, ten levels, and buckets.

Flat state that begins as zeros; a price of 0 is one that is not known. Seconds are the Clock's:
a bucket holds what came between two pulses. Horizons up to a minute are buckets of one second, up
to five minutes of five, summed anew at each decision: constant work, and no drift.
"""

from math import inf
from typing import Any

import numba

SECOND_US = 1_000_000
LEVELS = 10
# A ring has the open bucket, 60 closed ones, and one more whose mid price is where they begin.
CLOSED = 60
SLOTS = CLOSED + 2
FIVE = 5
# Volume buckets of VPIN, and the share of the last five minutes' volume that fills one.
VPIN_BUCKETS = 50
_VPIN_SHARE = 0.1

# Integers of an instrument. Times are microseconds UTC: of its newest event, of its top's last
# confirmation, of mark and funding events; FUNDING_TIME: of the next settlement, 0: not known.
# SECOND is the open bucket's, BEGUN that in which the rings begin.
(
    KNOWN, EXCLUDED, LAST_TIME, TOP_TIME, MARK_TIME, FUNDED, FUNDING_TIME, SECOND, HAS_LEVELS,
    VPIN_COUNT, HAD_TOP, BEGUN,
) = range(12)  # fmt: skip
INTEGERS = 12

# Floats of an instrument. Rates of funding are fractions over FUNDING_HOURS (0: not said).
(
    BEST_BID, BEST_ASK, MARK, INDEX, FUNDING_RATE, FUNDING_HOURS, LAST_PRICE, LAST_RETURN,
    HAS_RETURN, VPIN_BUY, VPIN_SELL, VPIN_SIZE,
) = range(12)  # fmt: skip
# Levels, best first: prices and quantities in base units.
BID_PRICES = 12
BID_QUANTITIES = BID_PRICES + LEVELS
ASK_PRICES = BID_QUANTITIES + LEVELS
ASK_QUANTITIES = ASK_PRICES + LEVELS
# Volume buckets that are full: |bought - sold| and size, base units.
VPIN_IMBALANCES = ASK_QUANTITIES + LEVELS
VPIN_SIZES = VPIN_IMBALANCES + VPIN_BUCKETS
# A bucket of one second: base units bought and sold by takers, trades, notional, bought less sold
# notional, order-flow imbalance of the best level and of all, 2 · sign · (price - mid) / mid ·
# quantity, the quantity of that, and the mid price at its end.
(
    S_BUY, S_SELL, S_COUNT, S_NOTIONAL, S_SIGNED, S_OFI, S_OFI_MULTI, S_EFFECTIVE, S_WEIGHT, S_MID,
) = range(10)  # fmt: skip
S_WIDTH = 10
SECONDS = VPIN_SIZES + VPIN_BUCKETS
# A bucket of five: as above, then sums of x, y, x · y and their number over pairs of successive
# returns (before, after) from trade to trade.
F_BUY, F_SELL, F_COUNT, F_NOTIONAL, F_X, F_Y, F_XY, F_PAIRS, F_MID = range(9)
F_WIDTH = 9
FIVES = SECONDS + SLOTS * S_WIDTH
FLOATS = FIVES + SLOTS * F_WIDTH


@numba.njit(cache=True, nogil=True, error_model="numpy")
def mid_price(floats: Any) -> Any:
    """The mid price, quote per base; 0 when the top is not known."""
    bid, ask = floats[BEST_BID], floats[BEST_ASK]
    return (bid + ask) / 2.0 if bid > 0.0 and ask > 0.0 else 0.0


@numba.njit(cache=True, nogil=True, error_model="numpy")
def second(integers: Any, ago: int) -> Any:
    """Where the bucket of so many seconds ago lies in `floats`; 0 is the open one, 61 the oldest.

    At a Clock pulse the open one has just begun, and 1 is the second that ended with the pulse.
    """
    return SECONDS + S_WIDTH * ((integers[SECOND] - ago) % SLOTS)


@numba.njit(cache=True, nogil=True, error_model="numpy")
def five(integers: Any, ago: int) -> Any:
    """Where the bucket of five seconds so many before the open one lies in `floats`."""
    return FIVES + F_WIDTH * ((integers[SECOND] // FIVE - ago) % SLOTS)


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _sum(floats: Any, start: int, width: int, slot: int, closed: int) -> Any:
    """Sum of every `width`-th float: of the open bucket, in `slot`, and of closed ones before."""
    total = 0.0
    for _ in range(closed + 1):
        total += floats[start + width * slot]
        slot = slot - 1 if slot > 0 else SLOTS - 1
    return total


@numba.njit(cache=True, nogil=True, error_model="numpy")
def sum_seconds(floats: Any, integers: Any, field: int, seconds: int) -> Any:
    """Sum of a field over the last so many closed seconds (at most 60) and the open one."""
    return _sum(floats, SECONDS + field, S_WIDTH, integers[SECOND] % SLOTS, seconds)


@numba.njit(cache=True, nogil=True, error_model="numpy")
def sum_fives(floats: Any, integers: Any, field: int, fives: int) -> Any:
    """Sum of a field over the last so many closed five seconds (at most 60) and the open ones."""
    return _sum(floats, FIVES + field, F_WIDTH, integers[SECOND] // FIVE % SLOTS, fives)


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _vpin_size(floats: Any, integers: Any) -> Any:
    """A share of the volume of the last five minutes whose taker is known."""
    bought = sum_fives(floats, integers, F_BUY, CLOSED)
    return _VPIN_SHARE * (bought + sum_fives(floats, integers, F_SELL, CLOSED))


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _shrink_vpin(floats: Any, integers: Any) -> None:
    """Let no bucket that one odd trade made huge stay open for ever."""
    size = _vpin_size(floats, integers)
    if 0.0 < size < floats[VPIN_SIZE]:
        floats[VPIN_SIZE] = max(size, floats[VPIN_BUY] + floats[VPIN_SELL])


@numba.njit(cache=True, nogil=True, error_model="numpy")
def on_clock(time: int, floats: Any, integers: Any) -> None:
    """Close the buckets that a pulse ends. What precedes the first pulse is not counted."""
    now = time // SECOND_US
    begun = integers[SECOND]
    if begun - SLOTS <= now <= begun and begun != 0:
        return
    if begun == 0 or now < begun or now - begun > FIVE * SLOTS:
        # The first pulse, a clock that was set back, or one long silence: begin anew.
        floats[SECONDS:FLOATS] = 0.0
        integers[SECOND] = integers[BEGUN] = now
        return
    mid = mid_price(floats)
    for at in range(begun, now):
        floats[second(integers, 0) + S_MID] = mid
        if (at + 1) % FIVE == 0:
            floats[five(integers, 0) + F_MID] = mid
        integers[SECOND] = at + 1
        opened = second(integers, 0)
        floats[opened : opened + S_WIDTH] = 0.0
        if (at + 1) % FIVE == 0:
            opened = five(integers, 0)
            floats[opened : opened + F_WIDTH] = 0.0
            _shrink_vpin(floats, integers)


@numba.njit(cache=True, nogil=True, error_model="numpy")
def on_top(bid: float, ask: float, top_time: int, floats: Any, integers: Any) -> None:
    """Take the best prices; NaN: not known."""
    floats[BEST_BID] = bid if 0.0 < bid < inf else 0.0
    floats[BEST_ASK] = ask if 0.0 < ask < inf else 0.0
    integers[TOP_TIME] = top_time
    if mid_price(floats) > 0.0:
        integers[HAD_TOP] = 1


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _fill_vpin(quantity: float, sign: int, floats: Any, integers: Any) -> None:
    """Put a trade into buckets of equal volume, splitting it where one is full."""
    if integers[SECOND] - integers[BEGUN] < FIVE * CLOSED:
        # What five minutes' volume is, is not known yet.
        return
    if floats[VPIN_SIZE] <= 0.0:
        floats[VPIN_SIZE] = _vpin_size(floats, integers)
    side = VPIN_BUY if sign > 0 else VPIN_SELL
    # Few: the volume that a size is a share of has the trade itself in it.
    for _ in range(VPIN_BUCKETS + 1):
        room = floats[VPIN_SIZE] - (floats[VPIN_BUY] + floats[VPIN_SELL])
        if quantity < room:
            floats[side] += quantity
            return
        floats[side] += room
        quantity -= room
        at = integers[VPIN_COUNT] % VPIN_BUCKETS
        floats[VPIN_IMBALANCES + at] = abs(floats[VPIN_BUY] - floats[VPIN_SELL])
        floats[VPIN_SIZES + at] = floats[VPIN_SIZE]
        integers[VPIN_COUNT] += 1
        floats[VPIN_BUY] = floats[VPIN_SELL] = 0.0
        floats[VPIN_SIZE] = _vpin_size(floats, integers)


@numba.njit(cache=True, nogil=True, error_model="numpy")
def on_trade(price: float, quantity: float, sign: int, floats: Any, integers: Any) -> None:
    """Take a trade; `sign` 1: bought by the taker, -1: sold, 0: not known."""
    if not (0.0 < price < inf and 0.0 < quantity < inf):
        return
    s, f = second(integers, 0), five(integers, 0)
    notional = price * quantity
    floats[s + S_COUNT] += 1.0
    floats[f + F_COUNT] += 1.0
    floats[s + S_NOTIONAL] += notional
    floats[f + F_NOTIONAL] += notional
    if sign != 0:
        side = 0 if sign > 0 else 1
        floats[s + S_BUY + side] += quantity
        floats[f + F_BUY + side] += quantity
        floats[s + S_SIGNED] += sign * notional
        mid = mid_price(floats)
        if mid > 0.0:
            floats[s + S_EFFECTIVE] += 2.0 * sign * (price - mid) / mid * quantity
            floats[s + S_WEIGHT] += quantity
        _fill_vpin(quantity, sign, floats, integers)
    if floats[LAST_PRICE] > 0.0:
        change = price / floats[LAST_PRICE] - 1.0
        if floats[HAS_RETURN] > 0.0:
            before = floats[LAST_RETURN]
            floats[f + F_X] += before
            floats[f + F_Y] += change
            floats[f + F_XY] += before * change
            floats[f + F_PAIRS] += 1.0
        floats[LAST_RETURN] = change
        floats[HAS_RETURN] = 1.0
    floats[LAST_PRICE] = price


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _flow(
    price: float, quantity: float, price_before: float, quantity_before: float, sign: float
) -> Any:
    """What a level contributes to order-flow imbalance (Cont, Kukanov, Stoikov 2014, eq. 10).

    For asks prices count downwards: `sign` -1.
    """
    flow = 0.0
    if sign * price >= sign * price_before:
        flow += quantity
    if sign * price <= sign * price_before:
        flow -= quantity_before
    return sign * flow


@numba.njit(cache=True, nogil=True, error_model="numpy")
def on_book(live: int, bids: Any, asks: Any, floats: Any, integers: Any) -> None:
    """Take the top levels [n, 2] of both sides, price and quantity, best first.

    Order flow is counted between successive books that are live: a level that one of both has
    not counts as empty, at the price that the other has there.
    """
    if live == 0:
        integers[HAS_LEVELS] = 0
        return
    best = total = 0.0
    for level in range(LEVELS):
        for side in range(2):
            levels = bids if side == 0 else asks
            at = (BID_PRICES if side == 0 else ASK_PRICES) + level
            price = quantity = 0.0
            if level < len(levels):
                price, quantity = levels[level, 0], levels[level, 1]
            if integers[HAS_LEVELS] == 1:
                before, quantity_before = floats[at], floats[at + LEVELS]
                flow = _flow(
                    price if price > 0.0 else before, quantity,
                    before if before > 0.0 else price, quantity_before,
                    1.0 if side == 0 else -1.0,
                )  # fmt: skip
                total += flow
                if level == 0:
                    best += flow
            floats[at], floats[at + LEVELS] = price, quantity
    if integers[HAS_LEVELS] == 1:
        at = second(integers, 0)
        floats[at + S_OFI] += best
        floats[at + S_OFI_MULTI] += total
    integers[HAS_LEVELS] = 1
