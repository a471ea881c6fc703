"""The compiled part of the book: integer arithmetic over sorted levels.

Both sides are sorted ascending by key: the price for asks, the negative price for bids. So the
best level is always the first, and "better" is always "less". Functions are long where a call
would cost.
"""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from venues.simulator.compiled import compiled

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

CAPACITY = 256
"""Levels a side at most."""
TOUCHED_CAPACITY = 4_096
MAX_PRINTS = 8
"""Trades of one taker at most."""
MIN_LEVELS = 4
MAX_STALE = 48
"""Levels that one event removes at most."""
EXTRA_DEPTH = 16
DENSE_LEVELS = 40
"""Holes are filled down to this rank."""
HOLE = 3.0
"""A hole is a distance of more than this many spacings."""
PICK_OFF_SIZE = 4.0
"""A taker of stale quotes wants so many times what other takers want."""

# Registers: integers that live on between chunks.
TOUCHED, ORDINAL, NEXT_FLUSH, FLUSHED_ORDINAL, LAST_QUOTE_TIME, QUOTE_PENDING = range(6)
BID, BID_LOTS, ASK, ASK_LOTS, REGISTERS = range(6, 11)

# Numbers: the parameters in ticks and lots.
SPACING, INNER, OUTER, LEVEL_LOTS, TRADE_LOTS, SIZE_TILT, FLOW_TILT, PICK_OFF = range(8)
DEPTH, DIFF_INTERVAL, QUOTE_INTERVAL = range(8, 11)

# What an event is, by cumulated shares.
TRADE = 0.15
IMPROVE = 0.23
REFRESH = 0.78
INSERT = 0.90
TILTED_LEVELS = 6


class State(NamedTuple):
    """What lives on between chunks; rows of keys, lots and counts: 0 bids, 1 asks."""

    keys: Ints
    """(2, CAPACITY)"""
    lots: Ints
    counts: Ints
    touched: Ints
    """(TOUCHED_CAPACITY, 3): side, key and size at the last diff of levels changed since."""
    registers: Ints


def new_state() -> State:
    """An empty book."""
    return State(
        np.zeros((2, CAPACITY), np.int64),
        np.zeros((2, CAPACITY), np.int64),
        np.zeros(2, np.int64),
        np.zeros((TOUCHED_CAPACITY, 2), np.int64),
        np.zeros(REGISTERS, np.int64),
    )


@compiled
def _find(keys: Ints, count: int, key: int) -> int:
    low, high = 0, count
    while low < high:
        middle = (low + high) // 2
        if keys[middle] < key:
            low = middle + 1
        else:
            high = middle
    return low


@compiled
def _put(book: State, side: int, key: int, new: int) -> None:
    """Sets one level, removes it at 0."""
    count = book.counts[side]
    at = _find(book.keys[side], count, key)
    if at < count and book.keys[side, at] == key:
        if new == 0:
            for i in range(at, count - 1):
                book.keys[side, i] = book.keys[side, i + 1]
                book.lots[side, i] = book.lots[side, i + 1]
            book.counts[side] = count - 1
        else:
            book.lots[side, at] = new
        return
    if new > 0:
        for i in range(count, at, -1):
            book.keys[side, i] = book.keys[side, i - 1]
            book.lots[side, i] = book.lots[side, i - 1]
        book.keys[side, at] = key
        book.lots[side, at] = new
        book.counts[side] = count + 1


@compiled
def _change(book: State, side: int, key: int, new: int) -> None:
    """Sets one level and remembers that it was touched since the last diff."""
    _put(book, side, key, new)
    for i in range(book.registers[TOUCHED]):
        if book.touched[i, 1] == key and book.touched[i, 0] == side:
            return
    at = book.registers[TOUCHED]
    book.touched[at, 0] = side
    book.touched[at, 1] = key
    book.registers[TOUCHED] = at + 1


@compiled
def _flush(
    book: State, time: int, diffs: Ints, levels: Ints, made: int, used: int
) -> tuple[int, int]:
    """Writes one diff of the touched levels, if any; gives the numbers of diffs and levels."""
    number = book.registers[TOUCHED]
    book.registers[TOUCHED] = 0
    order = np.argsort(book.touched[:number, 1])
    start = used
    bids = 0
    for side in range(2):
        for i in order:
            if book.touched[i, 0] != side:
                continue
            key = book.touched[i, 1]
            at = _find(book.keys[side], book.counts[side], key)
            now = 0
            if at < book.counts[side] and book.keys[side, at] == key:
                now = book.lots[side, at]
            # Also one that is again as it was: a snapshot in between may have shown it otherwise.
            levels[used, 0] = key if side == 1 else -key
            levels[used, 1] = now
            used += 1
        if side == 0:
            bids = used - start
    if used == start:
        return made, used
    diffs[made, 0] = time
    diffs[made, 1] = book.registers[FLUSHED_ORDINAL] + 1
    diffs[made, 2] = book.registers[ORDINAL]
    diffs[made, 3] = bids
    diffs[made, 4] = used - start - bids
    book.registers[FLUSHED_ORDINAL] = book.registers[ORDINAL]
    return made + 1, used


@compiled
def _quote(book: State, time: int, quotes: Ints, made: int) -> int:
    """Writes one quote; gives the number of quotes."""
    book.registers[QUOTE_PENDING] = 0
    book.registers[LAST_QUOTE_TIME] = time
    book.registers[BID] = -book.keys[0, 0]
    book.registers[BID_LOTS] = book.lots[0, 0]
    book.registers[ASK] = book.keys[1, 0]
    book.registers[ASK_LOTS] = book.lots[1, 0]
    quotes[made, 0] = time
    quotes[made, 1] = book.registers[ORDINAL]
    for i in range(4):
        quotes[made, 2 + i] = book.registers[BID + i]
    return made + 1


@compiled
def _is_quoted(book: State) -> bool:
    return bool(
        book.registers[BID] == -book.keys[0, 0]
        and book.registers[BID_LOTS] == book.lots[0, 0]
        and book.registers[ASK] == book.keys[1, 0]
        and book.registers[ASK_LOTS] == book.lots[1, 0]
    )


@compiled
def _level_lots(numbers: Floats, size: float, rank: int, side: int, tilt: float) -> int:
    """Size of a resting level, larger away from the best, tilted by the flow state near it."""
    lots = numbers[LEVEL_LOTS] * size * (1.0 + 0.05 * rank)
    if rank < TILTED_LEVELS:
        lots *= 1.0 + numbers[SIZE_TILT] * (tilt if side == 0 else -tilt)
    return max(1, int(lots))


@compiled
def _take(
    book: State, time: int, side: int, wanted: int, limit: float, trades: Ints, made: int
) -> int:
    """A taker hits `side` for at most `wanted` lots at keys below `limit`."""
    prints = 0
    while (
        wanted > 0
        and prints < MAX_PRINTS
        and book.counts[side] > MIN_LEVELS
        and book.keys[side, 0] < limit
    ):
        key = book.keys[side, 0]
        filled = min(wanted, book.lots[side, 0])
        trades[made, 0] = time
        trades[made, 1] = book.registers[ORDINAL]
        trades[made, 2] = key if side == 1 else -key
        trades[made, 3] = filled
        trades[made, 4] = side
        made += 1
        prints += 1
        wanted -= filled
        _change(book, side, key, book.lots[side, 0] - filled)
    return made


@compiled
def fill(
    book: State, fair: float, uniforms: Floats, sizes: Floats, depth: int, numbers: Floats
) -> None:
    """An opening book of `depth` levels a side about the fair price (ticks)."""
    for side in range(2):
        sign = 1.0 if side == 1 else -1.0
        key = math.ceil(sign * fair + numbers[INNER])
        for rank in range(depth):
            new = _level_lots(numbers, sizes[rank, side], rank, side, 0.0)
            _put(book, side, key, new)
            key += 1 + int(2.0 * numbers[SPACING] * uniforms[rank, side])


@compiled
def _follow(
    book: State,
    time: int,
    fair: float,
    tilt: float,
    uniform: Floats,
    size: Floats,
    numbers: Floats,
    trades: Ints,
    made: int,
) -> tuple[bool, int]:
    """Clears quotes that the fair price has passed and closes a spread that is too wide."""
    acted = False
    for side in range(2):
        bound = fair if side == 1 else -fair
        if book.keys[side, 0] >= bound:
            continue
        acted = True
        if uniform[0] < numbers[PICK_OFF]:
            wanted = max(1, int(PICK_OFF_SIZE * numbers[TRADE_LOTS] * size[2]))
            made = _take(book, time, side, wanted, bound, trades, made)
        removed = 0
        while book.keys[side, 0] < bound and book.counts[side] > MIN_LEVELS and removed < MAX_STALE:
            _change(book, side, book.keys[side, 0], 0)
            removed += 1
    for side in range(2):
        bound = fair if side == 1 else -fair
        if book.keys[side, 0] <= bound + numbers[OUTER]:
            continue
        reach = numbers[OUTER] - numbers[INNER]
        key = math.ceil(bound + numbers[INNER] + 0.6 * reach * uniform[1 + side])
        key = max(key, 1 - book.keys[1 - side, 0])
        if key < book.keys[side, 0]:
            acted = True
            new = _level_lots(numbers, size[side], 0, side, tilt)
            _change(book, side, key, new)
    return acted, made


@compiled
def _act(
    book: State,
    time: int,
    fair: float,
    tilt: float,
    uniform: Floats,
    size: Floats,
    numbers: Floats,
    trades: Ints,
    made: int,
) -> int:
    """One event that the fair price did not force."""
    kind = uniform[3]
    side = 0 if uniform[4] < 0.5 else 1
    if kind < TRADE:
        side = 1 if uniform[4] < 0.5 + numbers[FLOW_TILT] * tilt else 0
        wanted = max(1, int(numbers[TRADE_LOTS] * size[2]))
        limit = book.keys[side, 0] + 4.0 * numbers[SPACING] + 1.0
        return _take(book, time, side, wanted, limit, trades, made)
    rank = min(int(-math.log(1.0 - uniform[5]) * 2.5), book.counts[side] - 1)
    if kind < IMPROVE:
        bound = fair if side == 1 else -fair
        key = max(1 - book.keys[1 - side, 0], math.ceil(bound))
        if key < book.keys[side, 0]:
            new = _level_lots(numbers, size[0], 0, side, tilt)
            _change(book, side, key, new)
    elif kind < REFRESH:
        new = _level_lots(numbers, size[0], rank, side, tilt)
        _change(book, side, book.keys[side, rank], new)
    elif kind < INSERT:
        key = book.keys[side, rank] + 1 + int(numbers[SPACING] * uniform[6])
        new = _level_lots(numbers, size[0], rank + 1, side, tilt)
        _change(book, side, key, new)
    elif book.counts[side] > MIN_LEVELS:
        _change(book, side, book.keys[side, rank], 0)
    return made


@compiled
def _keep_depth(book: State, tilt: float, uniform: Floats, size: Floats, numbers: Floats) -> None:
    """Fills one hole near the best or adds one far level; removes what lies too deep."""
    depth = int(numbers[DEPTH])
    hole = int(HOLE * numbers[SPACING]) + 1
    step = 1 + int(2.0 * numbers[SPACING] * uniform[7])
    for side in range(2):
        count = book.counts[side]
        rank = 0
        while rank + 1 < min(count, DENSE_LEVELS) and (
            book.keys[side, rank + 1] - book.keys[side, rank] <= hole
        ):
            rank += 1
        if rank + 1 < min(count, DENSE_LEVELS):
            new = _level_lots(numbers, size[1], rank, side, tilt)
            _change(book, side, book.keys[side, rank] + step, new)
        elif count < depth:
            new = _level_lots(numbers, size[1], count, side, 0.0)
            _change(book, side, book.keys[side, count - 1] + step, new)
        while book.counts[side] > depth + EXTRA_DEPTH:
            _change(book, side, book.keys[side, book.counts[side] - 1], 0)


@compiled
def run(
    book: State,
    times: Ints,
    fair: Floats,
    signal: Floats,
    uniforms: Floats,
    sizes: Floats,
    numbers: Floats,
    end: int,
    quotes: Ints,
    trades: Ints,
    diffs: Ints,
    levels: Ints,
) -> tuple[int, int, int, int]:
    """All events of a chunk; gives the numbers of quotes, trades, diffs and levels written."""
    n_quotes, n_trades, n_diffs, n_levels = 0, 0, 0, 0
    diff_interval = int(numbers[DIFF_INTERVAL])
    quote_interval = int(numbers[QUOTE_INTERVAL])
    for i in range(times.size + 1):
        time = times[i] if i < times.size else end
        # What was due before this event shows the book before it.
        while book.registers[NEXT_FLUSH] < time or (
            i < times.size and book.registers[NEXT_FLUSH] == time
        ):
            n_diffs, n_levels = _flush(
                book, book.registers[NEXT_FLUSH], diffs, levels, n_diffs, n_levels
            )
            book.registers[NEXT_FLUSH] += diff_interval
        due = book.registers[LAST_QUOTE_TIME] + quote_interval
        if book.registers[QUOTE_PENDING] == 1 and due < time:
            n_quotes = _quote(book, due, quotes, n_quotes)
        if i == times.size:
            break
        if book.registers[TOUCHED] > TOUCHED_CAPACITY - 4 * MAX_STALE - 64:
            n_diffs, n_levels = _flush(book, time, diffs, levels, n_diffs, n_levels)
        book.registers[ORDINAL] += 1
        tilt = math.tanh(signal[i])
        acted, n_trades = _follow(
            book, time, fair[i], tilt, uniforms[i], sizes[i], numbers, trades, n_trades
        )
        if not acted:
            n_trades = _act(
                book, time, fair[i], tilt, uniforms[i], sizes[i], numbers, trades, n_trades
            )
        _keep_depth(book, tilt, uniforms[i], sizes[i], numbers)
        if not _is_quoted(book):
            if time - book.registers[LAST_QUOTE_TIME] >= quote_interval:
                n_quotes = _quote(book, time, quotes, n_quotes)
            else:
                book.registers[QUOTE_PENDING] = 1
        else:
            book.registers[QUOTE_PENDING] = 0
    return n_quotes, n_trades, n_diffs, n_levels
