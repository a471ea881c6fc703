"""Conditions of data quality: their state, how they begin and end, what a venue scores.

A condition of an instrument is raised by the first that is bad, goes on while there is more, and
is cleared when nothing bad came for a while: one event at each end, however long it lasts.
"""

import numba
import numpy as np
from numpy.typing import NDArray

Integers = NDArray[np.int64]
Floats = NDArray[np.float64]

(
    STALE_BOOK, STALE_QUOTES, STALE_TRADES, CROSSED_BOOK, CROSSED_QUOTES, JUMP,
    IMPOSSIBLE_BOOK, IMPOSSIBLE_QUOTES, IMPOSSIBLE_TRADES, IMPOSSIBLE_KLINES, IMPOSSIBLE_MARKS,
    BACK_BOOK, BACK_QUOTES, BACK_TRADES, VOLUME, OUTSIDE, GAP, FALLBACK,
) = range(18)  # fmt: skip
CONDITIONS = 18
INFO, WARNING, ERROR = range(3)
# Of each condition; ERROR: the venue's price is not to be used while it lasts.
SEVERITY = (
    ERROR, WARNING, WARNING, ERROR, ERROR, ERROR,
    ERROR, ERROR, WARNING, WARNING, WARNING,
    WARNING, WARNING, WARNING, INFO, WARNING, WARNING, WARNING,
)  # fmt: skip
# What one that begins takes from the score.
_PENALTY = (0.05, 0.15, 0.6)

# An instrument's integers: of each feed (book, quotes, trades), of the whole, of each condition.
BOOK, QUOTES, TRADES = range(3)
HEARD, EVENTS, LONGEST, LAST_TIME = 0, 3, 6, 9
(
    LIVE, TOP_HEARD, BOOK_CROSSED, QUOTES_CROSSED, JUMP_RUN, DEVIATIONS, ABSURD_RUN,
    VOLUME_SECONDS, VOLUME_AT, ERRORS, SCORE_AT,
) = range(12, 23)  # fmt: skip
FIRST_CONDITION = 23
ACTIVE, LAST_BAD, RAISED_TIME, COUNT = range(4)
INTEGER_START = (
    *(0, 0, 0), *(0, 0, 0), *(0, 0, 0), *(0, 0, 0),
    *(0, 0, -1, -1, 0, 0, 0, 0, 0, 0, 0), *(0, 0, 0, 0) * CONDITIONS,
)  # fmt: skip
# An instrument's floats: of the whole, of each condition.
(
    BID, ASK, BOOK_CROSS, QUOTES_CROSS, USUAL_DEVIATION, SLOW_MID, LAST_PRICE, VOLUME_NOW,
    RECENT_VOLUME, LARGEST_VOLUME, DEFICIT,
) = range(11)  # fmt: skip
FIRST_VALUE = 11
WORST, LIMIT = range(2)
FLOAT_START = (
    *(np.nan, np.nan, 0.0, 0.0, 0.0, np.nan, np.nan, 0.0, 0.0, 0.0, 0.0),
    *(0.0, 0.0) * CONDITIONS,
)  # fmt: skip

# The configuration as numbers: microseconds, basis points, ratios, scores.
(
    STALE_US, STALE_TRADES_US, STALE_FACTOR, CROSSED_US, JUMP_BPS, ABSURD_RATIO, BACK_US,
    VOLUME_RATIO, OUTSIDE_BPS, LEARN_EVENTS, LEARN_S, CLEAR_US, RECOVER_US, FRESH_US,
    LEAST_SCORE, RETURN_SCORE,
) = range(16)  # fmt: skip

# What is written for each event, and fill levels, kept from call to call within a batch.
OUT_EVENT, OUT_SEQ, OUT_INSTRUMENT, OUT_CONDITION, OUT_CLEARED, OUT_RAISED, OUT_COUNT = range(7)
OUT_COLUMNS = 7
OUT_VALUE, OUT_LIMIT, OUT_SCORE = range(3)
OUT_FLOATS = 3
USED_OUT, USED_EXCLUSIONS, SEQ_EVENT, NEXT_SEQ = range(4)
# A change of what the reference price leaves out.
EXCLUSION_EVENT, EXCLUSION_INSTRUMENT, EXCLUSION_SET = range(3)


@numba.njit(cache=True, nogil=True, error_model="numpy")
def score(state: Integers, values: Floats, now: int, limits: Floats) -> float:
    """1 for a venue of which nothing bad is known, 0 at worst; it recovers with time."""
    deficit = values[DEFICIT]
    if state[ERRORS] == 0:
        deficit = max(0.0, deficit - (now - state[SCORE_AT]) / limits[RECOVER_US])
    return float(1.0 - deficit)


@numba.njit(cache=True, nogil=True)
def _emit(
    i: int, own: int, condition: int, cleared: int, value: float, now: int, limits: Floats,
    state: Integers, values: Floats, out: Integers, out_floats: Floats, used: Integers,
) -> None:  # fmt: skip
    if used[SEQ_EVENT] != i:
        used[SEQ_EVENT] = i
        used[NEXT_SEQ] = 0
    row, floats = out[used[USED_OUT]], out_floats[used[USED_OUT]]
    used[USED_OUT] += 1
    at = FIRST_CONDITION + 4 * condition
    row[OUT_EVENT] = i
    row[OUT_SEQ] = used[NEXT_SEQ]
    used[NEXT_SEQ] += 1
    row[OUT_INSTRUMENT] = own
    row[OUT_CONDITION] = condition
    row[OUT_CLEARED] = cleared
    row[OUT_RAISED] = state[at + RAISED_TIME]
    row[OUT_COUNT] = state[at + COUNT]
    floats[OUT_VALUE] = value
    floats[OUT_LIMIT] = values[FIRST_VALUE + 2 * condition + LIMIT]
    floats[OUT_SCORE] = score(state, values, now, limits)


@numba.njit(cache=True, nogil=True)
def bad(
    i: int, own: int, condition: int, time: int, value: float, limit: float, now: int,
    limits: Floats, state: Integers, values: Floats,
    out: Integers, out_floats: Floats, used: Integers,
) -> None:  # fmt: skip
    """Something is bad: raise its condition, or say that it goes on."""
    at, place = FIRST_CONDITION + 4 * condition, FIRST_VALUE + 2 * condition
    state[at + LAST_BAD] = now
    if state[at + ACTIVE] == 1:
        state[at + COUNT] += 1
        values[place + WORST] = max(values[place + WORST], value)
        return
    state[at + ACTIVE] = 1
    state[at + RAISED_TIME] = time
    state[at + COUNT] = 1
    values[place + WORST] = value
    values[place + LIMIT] = limit
    if condition != FALLBACK:
        values[DEFICIT] = 1.0 - score(state, values, now, limits)
        values[DEFICIT] = min(1.0, values[DEFICIT] + _PENALTY[SEVERITY[condition]])
        state[SCORE_AT] = now
        if SEVERITY[condition] == ERROR:
            state[ERRORS] += 1
    _emit(i, own, condition, 0, value, now, limits, state, values, out, out_floats, used)


@numba.njit(cache=True, nogil=True)
def clear(
    i: int, own: int, condition: int, now: int, limits: Floats, state: Integers, values: Floats,
    out: Integers, out_floats: Floats, used: Integers,
) -> None:  # fmt: skip
    """End a condition; its worst value is told."""
    state[FIRST_CONDITION + 4 * condition + ACTIVE] = 0
    if condition != FALLBACK:
        values[DEFICIT] = 1.0 - score(state, values, now, limits)
        state[SCORE_AT] = now
        if SEVERITY[condition] == ERROR:
            state[ERRORS] -= 1
    worst = values[FIRST_VALUE + 2 * condition + WORST]
    _emit(i, own, condition, 1, worst, now, limits, state, values, out, out_floats, used)


@numba.njit(cache=True, nogil=True)
def judge(
    i: int, own: int, time: int, now: int, limits: Floats, state: Integers, values: Floats,
    out: Integers, out_floats: Floats, exclusions: Integers, used: Integers,
) -> None:  # fmt: skip
    """Leave a bad venue out of the reference price, or take it back once it is good enough."""
    found = score(state, values, now, limits)
    excluded = state[FIRST_CONDITION + 4 * FALLBACK + ACTIVE] == 1
    if excluded:
        turns = state[ERRORS] == 0 and found >= limits[RETURN_SCORE]
    else:
        turns = state[ERRORS] > 0 or found < limits[LEAST_SCORE]
    if not turns:
        return
    change = exclusions[used[USED_EXCLUSIONS]]
    used[USED_EXCLUSIONS] += 1
    change[EXCLUSION_EVENT] = i
    change[EXCLUSION_INSTRUMENT] = own
    change[EXCLUSION_SET] = 0 if excluded else 1
    if excluded:
        clear(i, own, FALLBACK, now, limits, state, values, out, out_floats, used)
    else:
        bad(
            i, own, FALLBACK, time, found, limits[LEAST_SCORE], now, limits, state, values,
            out, out_floats, used,
        )  # fmt: skip
