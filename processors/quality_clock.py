"""What data quality looks at with each Clock: what is silent, stays crossed, differs, ends."""

import numba
import numpy as np
from numpy.typing import NDArray

from processors import quality_conditions as q
from processors.median_kernel import median

Integers = NDArray[np.int64]
Floats = NDArray[np.float64]
Bytes = NDArray[np.uint8]

# What belongs to no instrument: our time, which stands still while no Clock comes, and the
# newest Clock.
NOW, NEWEST_CLOCK = range(2)
NEVER = -(1 << 62)
# A longer step between two Clocks is a silence of the collectors: no venue's fault.
_LONGEST_STEP_US = 5_000_000
_SECOND_US = 1_000_000
_FORGOTTEN_S = 100
_CLIMB = 1.05
# Means over seconds: of the usual difference to the other venues (once it is out of bounds it
# moves as slowly as an hour), and of a mid price.
_USUAL_S = 60.0
_UNUSUAL_S = 3600.0
_SLOW_S = 10.0
_BPS = 1e4


@numba.njit(cache=True, nogil=True)
def _mid(own: int, now: int, limits: Floats, integers: Integers, floats: Floats) -> float:
    """An instrument's mid price, NaN when it is not known or not fresh."""
    if now - integers[own, q.TOP_HEARD] > limits[q.FRESH_US]:
        return np.nan
    return float((floats[own, q.BID] + floats[own, q.ASK]) / 2.0)


@numba.njit(cache=True, nogil=True)
def _other(mid: float, healthy: bool, good: int, middle: float) -> float:
    """The price that a venue is held against, NaN for none.

    That is the median of the venues that are not in error; of two, the other one.
    """
    if healthy and good == 1:
        return np.nan
    if healthy and good == 2:
        return 2.0 * middle - mid
    return middle


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _learn(state: Integers, values: Floats, deviation: float, blamed: bool, beyond: bool) -> None:
    """Take in how a venue differs from the others, and whether it is out of bounds."""
    unusual = deviation - values[q.USUAL_DEVIATION]
    seconds = _UNUSUAL_S if beyond else min(state[q.DEVIATIONS] + 1.0, _USUAL_S)
    values[q.USUAL_DEVIATION] += unusual / seconds
    state[q.DEVIATIONS] += 1
    state[q.JUMP_RUN] = state[q.JUMP_RUN] + 1 if blamed else 0


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _compare(
    order: Integers, begin: int, end: int, now: int, limits: Floats,
    integers: Integers, floats: Floats, dirty: Bytes, scratch: Floats, jumps: Floats,
) -> None:  # fmt: skip
    """Hold the venues of a symbol against each other: `jumps` (bps) are of those out of bounds.

    Where only two are not in error, the one is blamed that moved more.
    """
    good, moved_most = 0, 0.0
    for at in range(begin, end):
        own = order[at]
        jumps[own] = np.nan
        mid = _mid(own, now, limits, integers, floats)
        if mid > 0.0 and integers[own, q.ERRORS] == 0:
            scratch[good] = mid
            good += 1
            moved_most = max(moved_most, abs(mid / floats[own, q.SLOW_MID] - 1.0))
    middle = median(scratch, good) if good else np.nan
    for at in range(begin, end):
        own = order[at]
        state, values = integers[own], floats[own]
        mid = _mid(own, now, limits, integers, floats)
        if not mid > 0.0:
            continue
        dirty[own] = 1
        slow = values[q.SLOW_MID]
        values[q.SLOW_MID] = mid if np.isnan(slow) else slow + (mid - slow) / _SLOW_S
        deviation = (mid / _other(mid, state[q.ERRORS] == 0, good, middle) - 1.0) * _BPS
        if np.isnan(deviation):
            continue
        unusual = abs(deviation - values[q.USUAL_DEVIATION])
        beyond = state[q.DEVIATIONS] >= limits[q.LEARN_S] and unusual > limits[q.JUMP_BPS]
        blamed = beyond and (good != 2 or abs(mid / slow - 1.0) >= moved_most)
        _learn(state, values, deviation, blamed, beyond)
        if blamed:
            jumps[own] = unusual


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _volume_ratio(state: Integers, values: Floats, now: int, limits: Floats) -> float:
    """Volume of about ten seconds over the largest such so far; 0 while learning, or within."""
    recent = values[q.RECENT_VOLUME]
    for _ in range(min((now - state[q.VOLUME_AT]) // _SECOND_US, _FORGOTTEN_S)):
        recent *= 0.9
    recent += values[q.VOLUME_NOW]
    values[q.RECENT_VOLUME] = recent
    values[q.VOLUME_NOW] = 0.0
    state[q.VOLUME_AT] = now
    state[q.VOLUME_SECONDS] += 1
    largest = values[q.LARGEST_VOLUME]
    values[q.LARGEST_VOLUME] = max(recent, largest - largest / _UNUSUAL_S)
    if state[q.VOLUME_SECONDS] <= limits[q.LEARN_S]:
        return 0.0
    # In steps, so that what climbs for seconds is not taken for usual.
    values[q.LARGEST_VOLUME] = min(values[q.LARGEST_VOLUME], largest * _CLIMB)
    ratio = recent / largest
    return float(ratio) if ratio > limits[q.VOLUME_RATIO] else 0.0


@numba.njit(cache=True, nogil=True)
def _look(
    i: int, own: int, time: int, now: int, step: int, jump: float, limits: Floats,
    state: Integers, values: Floats, dirty: Bytes,
    out: Integers, out_floats: Floats, used: Integers,
) -> None:  # fmt: skip
    """Raise what is bad of one instrument at a Clock."""
    for feed in range(3):
        silent = now - state[q.HEARD + feed]
        least = limits[q.STALE_TRADES_US] if feed == q.TRADES else limits[q.STALE_US]
        least = max(least, limits[q.STALE_FACTOR] * state[q.LONGEST + feed])
        if state[q.EVENTS + feed] >= limits[q.LEARN_EVENTS] and silent > least:
            dirty[own] = 1
            q.bad(
                i, own, q.STALE_BOOK + feed, time, silent / 1e3, least / 1e3, now, limits,
                state, values, out, out_floats, used,
            )  # fmt: skip
    for feed in range(2):
        since = state[q.BOOK_CROSSED + feed]
        if since >= 0 and now - since > limits[q.CROSSED_US]:
            dirty[own] = 1
            q.bad(
                i, own, q.CROSSED_BOOK + feed, time, values[q.BOOK_CROSS + feed], 0.0, now,
                limits, state, values, out, out_floats, used,
            )  # fmt: skip
    if state[q.JUMP_RUN] > 1 and jump == jump:  # noqa: PLR0124 not NaN
        q.bad(
            i, own, q.JUMP, time, jump, limits[q.JUMP_BPS], now, limits, state, values,
            out, out_floats, used,
        )  # fmt: skip
    if values[q.VOLUME_NOW] > 0.0:
        dirty[own] = 1
        ratio = _volume_ratio(state, values, now, limits)
        if ratio > 0.0:
            q.bad(
                i, own, q.VOLUME, time, ratio, limits[q.VOLUME_RATIO], now, limits, state, values,
                out, out_floats, used,
            )  # fmt: skip
    gap = q.FIRST_CONDITION + 4 * q.GAP
    if state[gap + q.ACTIVE] == 1 and state[q.LIVE] == 0:
        dirty[own] = 1
        state[gap + q.LAST_BAD] = now
        values[q.FIRST_VALUE + 2 * q.GAP + q.WORST] += step / 1e3


@numba.njit(cache=True, nogil=True)
def tick(
    i: int, time: int, limits: Floats, order: Integers, symbols: Integers, shared: Integers,
    integers: Integers, floats: Floats, dirty: Bytes, scratch: Floats, jumps: Floats,
    out: Integers, out_floats: Floats, exclusions: Integers, used: Integers,
) -> None:  # fmt: skip
    """Look at every instrument at a Clock; symbol by symbol, in the order of names."""
    step = 0
    if shared[NEWEST_CLOCK] != NEVER:
        step = min(max(time - shared[NEWEST_CLOCK], 0), _LONGEST_STEP_US)
    shared[NEWEST_CLOCK] = time
    shared[NOW] += step
    now = shared[NOW]
    begin = 0
    while begin < len(order):
        end = begin + 1
        while end < len(order) and symbols[order[end]] == symbols[order[begin]]:
            end += 1
        _compare(order, begin, end, now, limits, integers, floats, dirty, scratch, jumps)
        for at in range(begin, end):
            own = order[at]
            state, values = integers[own], floats[own]
            _look(
                i, own, time, now, step, jumps[own], limits, state, values, dirty,
                out, out_floats, used,
            )  # fmt: skip
            for condition in range(q.FALLBACK):
                place = q.FIRST_CONDITION + 4 * condition
                if state[place] == 1 and now - state[place + q.LAST_BAD] >= limits[q.CLEAR_US]:
                    dirty[own] = 1
                    q.clear(
                        i, own, condition, now, limits, state, values, out, out_floats, used
                    )  # fmt: skip
            before = used[q.USED_EXCLUSIONS]
            q.judge(
                i, own, time, now, limits, state, values, out, out_floats, exclusions, used
            )  # fmt: skip
            if used[q.USED_EXCLUSIONS] > before:
                dirty[own] = 1
        begin = end
