"""The kernel that turns Avro bytes into columns: one interpreter for every schema.

An op is one row of integers: what to read, the column it goes to (-1: it is skipped), and
arguments. The ops of an array's items follow it, as those of a nullable type do.

    LONG, INT      column, 1 if the column is of floats
    BOOL           column
    DOUBLES        first column, how many doubles
    ENUM           column, start in `enums` (symbol written -> symbol's column value), symbols
    STRING, BYTES  column of the start (its length is the next)
    NULLABLE       column of the null flag, index of null, ops to skip, 1 if null is refused
    ARRAY          column of the start (the count is the next), table, ops of an item,
                   fewest bytes of an item, start of an item in `defaults`, 1 if items are
                   as many doubles as the table has columns

A position below 0 is a refusal: minus its code.
"""

import numba
import numpy as np
from numpy.typing import NDArray

from schemas.refusals import (
    BAD_BOOLEAN,
    BAD_ENUM,
    BAD_INT,
    BAD_LENGTH,
    BAD_TEXT,
    BAD_UNION,
    MISPLACED,
    NO_FRAME,
    NULL,
    OK,
    OVERLONG,
    TRAILING,
    TRUNCATED,
    UNKNOWN_ID,
)
from schemas.words import load_word

Bytes = NDArray[np.uint8]
Integers = NDArray[np.int64]
Floats = NDArray[np.float64]

LONG, INT, DOUBLES, BOOL, ENUM, STRING, BYTES, NULLABLE, ARRAY = range(9)
OP_COLUMNS = 7

HEADER = 5
_HIGH_BITS = np.int64(-0x7F7F7F7F7F7F7F80)  # 0x80 in each byte


@numba.njit(cache=True, nogil=True)
def frames(
    data: Bytes, starts: Integers, ends: Integers, ids: Integers, program_of: Integers,
    kinds: Integers, belongs: Bytes, smallest: Integers, item_kind: Integers,
    program: Integers, codes: Integers, counts: Integers, item_limits: Integers,
) -> None:  # fmt: skip
    """Each record's program by its frame's schema id (-1: none, and a code says why).

    Also how many records of each kind there are, and how many items at most of each table.
    """
    for i in range(len(starts)):
        start, size = starts[i], ends[i] - starts[i]
        program[i] = -1
        codes[i] = NO_FRAME
        if start < 0 or ends[i] > len(data) or size < HEADER or data[start] != 0:
            continue
        schema_id = np.int64(0)
        for k in range(1, HEADER):
            schema_id = schema_id << 8 | np.int64(data[start + k])
        codes[i] = UNKNOWN_ID
        low, high = 0, len(ids)
        while low < high:
            middle = (low + high) // 2
            if ids[middle] < schema_id:
                low = middle + 1
            else:
                high = middle
        if low == len(ids) or ids[low] != schema_id:
            continue
        p = program_of[low]
        kind = kinds[p]
        if not belongs[kind]:
            codes[i] = MISPLACED
            continue
        codes[i] = OK
        program[i] = p
        counts[kind] += 1
        for table in range(len(item_kind)):
            if item_kind[table] == kind:
                item_limits[table] += (size - HEADER) // smallest[p, table]


@numba.njit(cache=True, nogil=True)
def _varint(data: Bytes, at: int, end: int) -> tuple[np.int64, int]:
    """A zigzag integer, and where it ends."""
    if at >= end:
        return np.int64(0), -TRUNCATED
    byte = np.uint64(data[at])
    if byte < 128:
        return np.int64(byte >> np.uint64(1)) ^ -np.int64(byte & np.uint64(1)), at + 1
    value = byte & np.uint64(127)
    shift = np.uint64(0)
    while byte >= 128:
        at += 1
        shift += np.uint64(7)
        if at >= end:
            return np.int64(0), -TRUNCATED
        byte = np.uint64(data[at])
        if shift == 63 and byte > 1:
            return np.int64(0), -OVERLONG
        value |= (byte & np.uint64(127)) << shift
    return np.int64(value >> np.uint64(1)) ^ -np.int64(value & np.uint64(1)), at + 1


@numba.njit(cache=True, nogil=True)
def _is_utf8(data: Bytes, at: int, end: int) -> bool:
    """Whether bytes are UTF-8: no overlong forms, no surrogates, nothing above U+10FFFF."""
    while at < end:
        if at + 8 <= end and not load_word(data, at) & _HIGH_BITS:
            at += 8
            continue
        first = data[at]
        at += 1
        if first < 0x80:
            continue
        low, high, more = 0x80, 0xBF, 1
        if first < 0xC2 or first > 0xF4:
            return False
        if first >= 0xF0:
            more = 3
            if first == 0xF0:
                low = 0x90
            elif first == 0xF4:
                high = 0x8F
        elif first >= 0xE0:
            more = 2
            if first == 0xE0:
                low = 0xA0
            elif first == 0xED:
                high = 0x9F
        if at + more > end or data[at] < low or data[at] > high:
            return False
        for k in range(1, more):
            if data[at + k] & 0xC0 != 0x80:
                return False
        at += more
    return True


@numba.njit(cache=True, nogil=True)
def _fields(
    data: Bytes, at: int, end: int, ops: Integers, op: int, last: int, enums: Integers,
    cells: Integers, floats: Floats, row: int,
) -> tuple[int, int]:  # fmt: skip
    """Decode from an op up to the next array or the last op; the positions in both then."""
    while op < last:
        kind, column = ops[op, 0], ops[op, 1]
        if kind == ARRAY:
            break
        if kind == DOUBLES:
            count = ops[op, 2]
            if count * 8 > end - at:
                return -TRUNCATED, op
            if column >= 0:
                for k in range(count):
                    cells[row + column + k] = load_word(data, at + 8 * k)
            at += 8 * count
            op += 1
            continue
        if kind == BOOL:
            if at >= end:
                return -TRUNCATED, op
            if data[at] > 1:
                return -BAD_BOOLEAN, op
            if column >= 0:
                cells[row + column] = data[at]
            at += 1
            op += 1
            continue
        number, at = _varint(data, at, end)
        if at < 0:
            return at, op
        if kind in (STRING, BYTES):
            if number < 0 or number > end - at:
                return -BAD_LENGTH, op
            if kind == STRING and not _is_utf8(data, at, at + number):
                return -BAD_TEXT, op
            if column >= 0:
                cells[row + column] = at
                cells[row + column + 1] = number
            at += number
        elif kind == NULLABLE:
            if number < 0 or number > 1:
                return -BAD_UNION, op
            if number == ops[op, 2]:
                if ops[op, 4]:
                    return -NULL, op
                if column >= 0:
                    cells[row + column] = 1
                op += ops[op, 3]
        elif kind == ENUM:
            if number < 0 or number >= ops[op, 3]:
                return -BAD_ENUM, op
            if column >= 0:
                number = enums[ops[op, 2] + number]
                if number < 0:
                    return -BAD_ENUM, op
                cells[row + column] = number
        else:
            if kind == INT and (number > 0x7FFFFFFF or number < -0x80000000):
                return -BAD_INT, op
            if column >= 0:
                if ops[op, 2]:
                    floats[row + column] = number
                else:
                    cells[row + column] = number
        op += 1
    return at, op


@numba.njit(cache=True, nogil=True)
def _array(
    data: Bytes, at: int, end: int, ops: Integers, op: int, enums: Integers, defaults: Integers,
    cells: Integers, floats: Floats, row: int,
    item_base: Integers, item_width: Integers, item_used: Integers,
) -> int:  # fmt: skip
    """Decode an array's blocks: its items go to their table; the position then."""
    column, table, smallest = ops[op, 1], ops[op, 2], ops[op, 4]
    first, last = op + 1, op + 1 + ops[op, 3]
    kept = column >= 0
    width = item_width[table] if kept else 0
    begin = item_used[table] if kept else 0
    used = begin
    while True:
        count, at = _varint(data, at, end)
        if at < 0:
            return at
        if count == 0:
            break
        stop = np.int64(-1)
        if count < 0:
            size, at = _varint(data, at, end)
            if at < 0:
                return at
            if size < 0 or size > end - at:
                return -BAD_LENGTH
            stop = at + size
            count = -count
        if count < 0 or count > (end - at) // smallest:
            return -BAD_LENGTH
        if kept and ops[op, 6]:
            target = item_base[table] + used * width
            items = cells[target : target + count * width]
            for k in range(len(items)):
                items[k] = load_word(data, at + 8 * k)
            at += 8 * len(items)
            used += count
        else:
            for _ in range(count):
                target = np.int64(0)
                if kept:
                    target = item_base[table] + used * width
                    for k in range(width):
                        cells[target + k] = defaults[ops[op, 5] + k]
                    used += 1
                at, _op = _fields(data, at, end, ops, first, last, enums, cells, floats, target)
                if at < 0:
                    return at
        if stop >= 0 and at != stop:
            return -BAD_LENGTH
    if kept:
        cells[row + column] = begin
        cells[row + column + 1] = used - begin
        item_used[table] = used
    return at


@numba.njit(cache=True, nogil=True)
def decode(
    data: Bytes, starts: Integers, ends: Integers, program: Integers, codes: Integers,
    kinds: Integers, ops: Integers, op_starts: Integers, op_ends: Integers, enums: Integers,
    defaults: Integers, default_starts: Integers, cells: Integers, floats: Floats,
    row_base: Integers, row_width: Integers, rows: Integers,
    item_base: Integers, item_width: Integers, item_used: Integers,
    used_before: Integers, kind_out: Integers, row_out: Integers,
) -> None:  # fmt: skip
    """Decode every record by its program; what is refused leaves neither row nor items.

    `cells` holds all tables (`floats` is the same memory): rows of a kind from
    `row_base[kind]` on, each `row_width[kind]` cells; items likewise. `rows` and `item_used`
    count what there is in each. (Whole-array assignments would double the time to compile.)
    """
    for i in range(len(starts)):
        kind_out[i] = -1
        row_out[i] = -1
        p = program[i]
        if p < 0:
            continue
        kind = kinds[p]
        row = row_base[kind] + rows[kind] * row_width[kind]
        for k in range(row_width[kind]):
            cells[row + k] = defaults[default_starts[p] + k]
        for table in range(len(item_used)):
            used_before[table] = item_used[table]
        at, end, op, last = starts[i] + HEADER, ends[i], op_starts[p], op_ends[p]
        while op < last:
            at, op = _fields(data, at, end, ops, op, last, enums, cells, floats, row)
            if at < 0 or op == last:
                break
            at = _array(
                data, at, end, ops, op, enums, defaults, cells, floats, row,
                item_base, item_width, item_used,
            )  # fmt: skip
            if at < 0:
                break
            op += 1 + ops[op, 3]
        if at < 0:
            codes[i] = -at
        elif at != end:
            codes[i] = TRAILING
        if codes[i] != OK:
            for table in range(len(item_used)):
                item_used[table] = used_before[table]
            continue
        kind_out[i] = kind
        row_out[i] = rows[kind]
        rows[kind] += 1
