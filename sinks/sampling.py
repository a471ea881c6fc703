"""Which quotes are stored: the first of every interval, a function of the tape alone."""

from dataclasses import dataclass, field

import numba
import numpy as np
from numpy.typing import NDArray

from schemas.columns import Batch
from sinks.encoding import MOST_INDEXED

Bytes = NDArray[np.uint8]
Integers = NDArray[np.int64]

# After a quote this much older than the last stored one, time counts from it: the tape (or a
# venue's clock) has jumped, and one quote from the far future must not end the sampling.
JUMP_BACK_US = 60_000_000

Series = tuple[str, str]
"""Venue and symbol."""


@dataclass(slots=True)
class Sampler:
    """Samples the rows of one partition: `last` is the time (µs) of the newest kept by series.

    A row is kept when it is the first of its series, when it is in a later interval (of
    `interval_us`, counted from 1970) than the last kept, or when it lies more than
    `JUMP_BACK_US` before it. Interval 0 keeps every row.
    """

    interval_us: int
    last: dict[Series, int] = field(default_factory=dict)
    changed: set[Series] = field(default_factory=set)
    """Series whose `last` changed since the caller last emptied this set."""

    def keep(self, batch: Batch, record: str, rows: Integers) -> NDArray[np.bool_]:
        """For each row of the record's table whether it is kept."""
        if not self.interval_us or not len(rows):
            return np.ones(len(rows), np.bool_)
        table = batch.tables[record][rows]
        spans = np.column_stack(
            [
                table[f"{name}_{part}"]
                for name in ("venue", "symbol")
                for part in ("start", "length")
            ]
        )
        groups, first = group(batch.text, spans)
        series = [(_text(batch, *spans[i, :2]), _text(batch, *spans[i, 2:])) for i in first]
        known = np.array([name in self.last for name in series])
        last = np.array([self.last.get(name, 0) for name in series], np.int64)
        before = last.copy()
        times = np.ascontiguousarray(table["event_time"])
        kept: NDArray[np.bool_] = _sample(times, groups, known.copy(), last, self.interval_us)
        for i, name in enumerate(series):
            if not _storable(name):
                # Every such row is refused later; it must leave no state.
                kept[groups == i] = True
            elif last[i] != before[i] or not known[i]:
                self.last[name] = int(last[i])
                self.changed.add(name)
        return kept


def _text(batch: Batch, start: int, length: int) -> str:
    return batch.text[start : start + length].tobytes().decode()


def _storable(series: Series) -> bool:
    """Whether the database takes the names: no NUL, and not too long."""
    return all("\0" not in name and len(name.encode()) <= MOST_INDEXED for name in series)


@numba.njit(cache=True, nogil=True)
def _same(text: Bytes, a: Integers, b: Integers) -> bool:
    for k in range(0, len(a), 2):
        if a[k + 1] != b[k + 1]:
            return False
        for i in range(a[k + 1]):
            if text[a[k] + i] != text[b[k] + i]:
                return False
    return True


@numba.njit(cache=True, nogil=True)
def group(text: Bytes, spans: Integers) -> tuple[Integers, Integers]:
    """Number rows by their strings: each row's group, and the first row of each group.

    `spans` has for each row (start, length) of each of its strings in `text`. Groups are
    numbered in the order in which they come.
    """
    slots = 16
    while slots < 2 * len(spans):
        slots *= 2
    table = np.full(slots, -1, np.int64)
    groups = np.empty(len(spans), np.int64)
    first = np.empty(len(spans), np.int64)
    found = 0
    for r in range(len(spans)):
        code = np.uint64(14_695_981_039_346_656_037)
        for k in range(0, spans.shape[1], 2):
            for i in range(spans[r, k + 1]):
                code = (code ^ np.uint64(text[spans[r, k] + i])) * np.uint64(1_099_511_628_211)
        slot = np.int64(code & np.uint64(slots - 1))
        while table[slot] >= 0 and not _same(text, spans[first[table[slot]]], spans[r]):
            slot = (slot + 1) & (slots - 1)
        if table[slot] < 0:
            table[slot] = found
            first[found] = r
            found += 1
        groups[r] = table[slot]
    return groups, first[:found]


@numba.njit(cache=True, nogil=True)
def _sample(
    times: Integers, groups: Integers, known: NDArray[np.bool_], last: Integers, interval: int
) -> NDArray[np.bool_]:
    kept = np.zeros(len(times), np.bool_)
    for r in range(len(times)):
        g = groups[r]
        if (
            not known[g]
            or times[r] // interval > last[g] // interval
            or times[r] < last[g] - JUMP_BACK_US
        ):
            kept[r], known[g], last[g] = True, True, times[r]
    return kept
