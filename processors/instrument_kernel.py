"""Kernels that find instruments by the bytes of venue and symbol (open addressing)."""

from typing import Any

import numba
import numpy as np
from numba import types
from numba.extending import intrinsic
from numpy.typing import NDArray

from processors.signatures import FLAGS, INTEGER, INTEGER_ROWS, INTEGERS, INTEGERS_IN, TEXT_IN

Integers = NDArray[np.int64]
Bytes = NDArray[np.uint8]

# Columns of `spans`: where an instrument's names lie in the text of names.
VENUE_START, VENUE_LENGTH, SYMBOL_START, SYMBOL_LENGTH = range(4)
SPAN_COLUMNS = 4


_MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)
_EIGHT = np.uint64(8)


@intrinsic  # type: ignore[untyped-decorator, unused-ignore]  # numba's
def _word(typing_context: Any, text: Any, at: Any) -> Any:
    """The eight bytes of `text` from `at` on as one number."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        data = context.make_array(signature.args[0])(context, builder, arguments[0]).data
        start = builder.gep(data, [arguments[1]])
        word = context.get_value_type(types.uint64)
        return builder.load(builder.bitcast(start, word.as_pointer()), align=1)

    return types.uint64(text, types.uint64), generate


@numba.njit(cache=True, nogil=True)
def hash_text(text: Bytes, first: int, count: int) -> Any:
    """A number that mixes all of some bytes; words may overlap at the end."""
    start, length = np.uint64(first), np.uint64(count)
    value = length
    if length < _EIGHT:
        for i in range(length):
            value = (value ^ np.uint64(text[start + np.uint64(i)])) * _MULTIPLIER
        return value
    last = length - _EIGHT
    at = np.uint64(0)
    while at < last:
        value = (value ^ _word(text, start + at)) * _MULTIPLIER
        value ^= value >> np.uint64(32)
        at += _EIGHT
    value = (value ^ _word(text, start + last)) * _MULTIPLIER
    return value ^ (value >> np.uint64(32))


@numba.njit(cache=True, nogil=True)
def _equal(a: Bytes, a_first: int, b: Bytes, b_first: int, count: int) -> bool:
    a_start, b_start, length = np.uint64(a_first), np.uint64(b_first), np.uint64(count)
    if length < _EIGHT:
        for i in range(length):  # noqa: SIM110 a plain loop compiles
            if a[a_start + np.uint64(i)] != b[b_start + np.uint64(i)]:
                return False
        return True
    last = length - _EIGHT
    at = np.uint64(0)
    while at < last:
        if _word(a, a_start + at) != _word(b, b_start + at):
            return False
        at += _EIGHT
    return bool(_word(a, a_start + last) == _word(b, b_start + last))


@numba.njit(cache=True, nogil=True)
def _place(
    text: Bytes, venue: int, venue_length: int, symbol: int, symbol_length: int, mask: int
) -> Any:
    value = hash_text(text, venue, venue_length) * np.uint64(31)
    value = (value + hash_text(text, symbol, symbol_length)) * _MULTIPLIER
    # The high bits are mixed best.
    return np.int64((value >> np.uint64(32)) & np.uint64(mask))


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
