"""Kernels that find instruments by the bytes of venue and symbol (open addressing)."""

from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

from processors.signatures import FLAGS, INTEGER, INTEGER_ROWS, INTEGERS, INTEGERS_IN, TEXT_IN

Integers = NDArray[np.int64]
Bytes = NDArray[np.uint8]

# Columns of `spans`: where an instrument's names lie in the text of names.
VENUE_START, VENUE_LENGTH, SYMBOL_START, SYMBOL_LENGTH = range(4)
SPAN_COLUMNS = 4


@numba.njit(cache=True, nogil=True)
def _hash(text: Bytes, start: int, length: int, seed: Any) -> Any:
    """FNV-1a, 64 bits."""
    value = seed
    for i in range(start, start + length):
        value = (value ^ np.uint64(text[i])) * np.uint64(1099511628211)
    return value


@numba.njit(cache=True, nogil=True)
def _equal(a: Bytes, a_start: int, b: Bytes, b_start: int, length: int) -> bool:
    for i in range(length):  # noqa: SIM110 a plain loop compiles
        if a[a_start + i] != b[b_start + i]:
            return False
    return True


@numba.njit(cache=True, nogil=True)
def _place(
    text: Bytes, venue: int, venue_length: int, symbol: int, symbol_length: int, mask: int
) -> Any:
    value = _hash(text, venue, venue_length, np.uint64(14695981039346656037))
    value = _hash(text, symbol, symbol_length, value * np.uint64(31))
    # The high bits of FNV are mixed best.
    return np.int64((value >> np.uint64(20)) & np.uint64(mask))


@numba.njit(
    [numba.void(INTEGERS, INTEGER_ROWS, TEXT_IN, INTEGER)], cache=True, nogil=True
)  # fmt: skip
def insert(table: Integers, spans: Integers, names: Bytes, index: int) -> None:
    """Enter an instrument that is not there yet; `table` (a power of two long) has room."""
    mask = len(table) - 1
    at = _place(
        names, spans[index, VENUE_START], spans[index, VENUE_LENGTH],
        spans[index, SYMBOL_START], spans[index, SYMBOL_LENGTH], mask,
    )  # fmt: skip
    while table[at] >= 0:
        at = (at + 1) & mask
    table[at] = index


@numba.njit(
    [
        INTEGER(
            INTEGER, INTEGER, INTEGERS_IN, INTEGERS_IN,
            INTEGERS_IN, INTEGERS_IN, INTEGERS_IN, INTEGERS_IN, INTEGERS_IN, INTEGERS_IN, TEXT_IN,
            INTEGERS, INTEGER_ROWS, TEXT_IN, FLAGS, INTEGERS, INTEGERS, INTEGERS,
        )
    ],
    cache=True, nogil=True,
)  # fmt: skip
def look_up(
    first: int,
    record: int,
    kind: Integers,
    row: Integers,
    venue_start: Integers,
    venue_length: Integers,
    symbol_start: Integers,
    symbol_length: Integers,
    record_event_time: Integers,
    record_receive_time: Integers,
    text: Bytes,
    table: Integers,
    spans: Integers,
    names: Bytes,
    processed: Bytes,
    instrument: Integers,
    event_time: Integers,
    receive_time: Integers,
) -> int:
    """Fill in the instrument and times of one record's events from event `first` on.

    Returns the index of the first event of an instrument that is not known, else the number
    of events.
    """
    mask = len(table) - 1
    for i in range(first, len(kind)):
        if kind[i] != record:
            continue
        r = row[i]
        venue, venue_size = venue_start[r], venue_length[r]
        symbol, symbol_size = symbol_start[r], symbol_length[r]
        at = _place(text, venue, venue_size, symbol, symbol_size, mask)
        found = table[at]
        while found >= 0 and not (
            spans[found, VENUE_LENGTH] == venue_size
            and spans[found, SYMBOL_LENGTH] == symbol_size
            and _equal(names, spans[found, VENUE_START], text, venue, venue_size)
            and _equal(names, spans[found, SYMBOL_START], text, symbol, symbol_size)
        ):
            at = (at + 1) & mask
            found = table[at]
        if found < 0:
            return i
        instrument[i] = found if processed[found] else -1
        event_time[i] = record_event_time[r]
        receive_time[i] = record_receive_time[r]
    return len(kind)
