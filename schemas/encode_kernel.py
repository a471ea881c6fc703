"""The kernel that turns columns into Avro bytes: one interpreter for every schema."""

import numba
import numpy as np

LONG, DOUBLE, BOOL, TEXT, NULLABLE, ARRAY = range(6)


@numba.njit(cache=True, nogil=True)
def put_long(out, at, value):
    """Zigzag varint."""
    rest = (np.uint64(value) << np.uint64(1)) ^ np.uint64(value >> np.int64(63))
    while rest > 127:
        out[at] = np.uint8(rest & np.uint64(127)) | np.uint8(128)
        rest >>= np.uint64(7)
        at += 1
    out[at] = np.uint8(rest)
    return at + 1


@numba.njit(cache=True, nogil=True)
def put(out, at, cells, row, text, ops, op):
    """Write one op that is no array; the next position and op."""
    kind, col = ops[op, 0], ops[op, 1]
    op += 1
    value = cells[row + col]
    if kind == DOUBLE:
        bits = np.uint64(value)
        for i in range(8):
            out[at + i] = np.uint8(bits >> np.uint64(8 * i) & np.uint64(255))
        return at + 8, op
    if kind == TEXT:
        length = cells[row + col + 1]
        at = put_long(out, at, length)
        for i in range(length):
            out[at + i] = text[value + i]
        return at + length, op
    if kind == BOOL:
        out[at] = np.uint8(value != 0)
        return at + 1, op
    if kind == NULLABLE:
        null, skip = ops[op - 1, 2], ops[op - 1, 3]
        if value:
            return put_long(out, at, null), op + skip
        return put_long(out, at, 1 - null), op
    return put_long(out, at, value), op


@numba.njit(cache=True, nogil=True)
def bound(cells, width, count, items, item_base, item_width, ops):
    """As many bytes as the rows can take: 10 a cell, and their text."""
    total = np.int64(0)
    for r in range(count):
        total += 5 + 10 * width
        op = 0
        while op < len(ops):
            kind, col, table, skip = ops[op, 0], ops[op, 1], ops[op, 2], ops[op, 3]
            if kind == TEXT:
                total += cells[r * width + col + 1]
            elif kind == ARRAY:
                start, n = cells[r * width + col], cells[r * width + col + 1]
                total += 10 * n * item_width[table]
                for inner in range(op + 1, op + 1 + skip):
                    if ops[inner, 0] == TEXT:
                        for k in range(start, start + n):
                            total += items[
                                item_base[table] + k * item_width[table] + ops[inner, 1] + 1
                            ]
                op += skip
            op += 1
    return total


@numba.njit(cache=True, nogil=True)
def encode(cells, width, items, item_base, item_width, text, ops, schema_id, out, ends):
    """Write every row; the number of bytes."""
    at = 0
    for r in range(len(ends)):
        row = r * width
        out[at] = 0
        for i in range(4):
            out[at + 1 + i] = (schema_id >> (24 - 8 * i)) & 255
        at += 5
        op = 0
        while op < len(ops):
            if ops[op, 0] != ARRAY:
                at, op = put(out, at, cells, row, text, ops, op)
                continue
            col, table, skip = ops[op, 1], ops[op, 2], ops[op, 3]
            start, count = cells[row + col], cells[row + col + 1]
            if count:
                at = put_long(out, at, count)
                for k in range(start, start + count):
                    item = item_base[table] + k * item_width[table]
                    inner = op + 1
                    while inner <= op + skip:
                        at, inner = put(out, at, items, item, text, ops, inner)
            out[at] = 0
            at += 1
            op += skip + 1
        ends[r] = at
    return at
