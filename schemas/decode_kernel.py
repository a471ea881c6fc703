"""The kernel that turns Avro bytes into columns: one interpreter for every schema."""

import numba
import numpy as np

LONG, INT, DOUBLE, FLOAT, BOOL, ENUM, STRING, BYTES, NULLABLE, ARRAY = range(10)

OK, TRUNCATED, OVERLONG, BAD_BOOL, BAD_ENUM, BAD_LENGTH, BAD_UTF8, BAD_UNION, TRAILING, RANGE = (
    range(10)
)
REASONS = (
    "",
    "the bytes end too early",
    "an integer is longer than 64 bits",
    "a boolean is neither 0 nor 1",
    "an enum index is out of range",
    "a length is negative or beyond the bytes",
    "text is not UTF-8",
    "a union index is out of range",
    "bytes are left over at the end",
    "an int is beyond 32 bits",
)


@numba.njit(cache=True, nogil=True)
def varint(buf, at, end):
    value = np.uint64(0)
    shift = 0
    while True:
        if at >= end:
            return np.int64(0), at, TRUNCATED
        byte = buf[at]
        at += 1
        if shift == 63 and byte > 1:
            return np.int64(0), at, OVERLONG
        value |= np.uint64(byte & 127) << np.uint64(shift)
        if byte < 128:
            break
        shift += 7
    return np.int64(value >> np.uint64(1)) ^ -np.int64(value & np.uint64(1)), at, OK


@numba.njit(cache=True, nogil=True)
def fixed(buf, at, width):
    value = np.uint64(0)
    for i in range(width):
        value |= np.uint64(buf[at + i]) << np.uint64(8 * i)
    return value


@numba.njit(cache=True, nogil=True)
def is_utf8(buf, at, end):
    while at < end:
        b = buf[at]
        if b < 0x80:
            at += 1
            continue
        if 0xC2 <= b <= 0xDF:
            n = 1
        elif 0xE0 <= b <= 0xEF:
            n = 2
        elif 0xF0 <= b <= 0xF4:
            n = 3
        else:
            return False
        if at + n >= end:
            return False
        c = buf[at + 1]
        if (
            (b == 0xE0 and c < 0xA0)
            or (b == 0xED and c > 0x9F)
            or (b == 0xF0 and c < 0x90)
            or (b == 0xF4 and c > 0x8F)
        ):
            return False
        for i in range(1, n + 1):
            if buf[at + i] & 0xC0 != 0x80:
                return False
        at += n + 1
    return True


@numba.njit(cache=True, nogil=True)
def value(buf, at, end, ops, op, enums, cells, row):
    """Decode one op that is no array; the next position, the next op, a code."""
    kind, col, arg, skip = ops[op, 0], ops[op, 1], ops[op, 2], ops[op, 3]
    op += 1
    if kind == DOUBLE:
        if at + 8 > end:
            return at, op, TRUNCATED
        if col >= 0:
            cells[row + col] = np.int64(fixed(buf, at, 8))
        return at + 8, op, OK
    if kind == BOOL:
        if at >= end:
            return at, op, TRUNCATED
        if buf[at] > 1:
            return at, op, BAD_BOOL
        if col >= 0:
            cells[row + col] = buf[at]
        return at + 1, op, OK
    n, at, bad = varint(buf, at, end)
    if bad:
        return at, op, bad
    if kind == STRING or kind == BYTES:
        if n < 0 or n > end - at:
            return at, op, BAD_LENGTH
        if kind == STRING and not is_utf8(buf, at, at + n):
            return at, op, BAD_UTF8
        if col >= 0:
            cells[row + col] = at
            cells[row + col + 1] = n
        return at + n, op, OK
    if kind == NULLABLE:
        if n < 0 or n > 1:
            return at, op, BAD_UNION
        if n == arg:
            if col >= 0:
                cells[row + col] = 1
            op += skip
        return at, op, OK
    if kind == ENUM:
        if n < 0 or n >= skip:
            return at, op, BAD_ENUM
        n = enums[arg + n]
    elif kind == INT and (n > 2147483647 or n < -2147483648):
        return at, op, RANGE
    if col >= 0:
        cells[row + col] = n
    return at, op, OK


@numba.njit(cache=True, nogil=True)
def array(buf, at, end, ops, op, enums, cells, row, base, width, used, limit):
    """Decode an array op: its items go to their table; the next position, a code."""
    col, table, length = ops[op, 1], ops[op, 2], ops[op, 3]
    first = op + 1
    if col >= 0:
        cells[row + col] = used[table]
    count = 0
    while True:
        n, at, bad = varint(buf, at, end)
        if bad:
            return at, bad
        if n == 0:
            break
        if n < 0:
            size, at, bad = varint(buf, at, end)
            if bad:
                return at, bad
            n = -n
        if n < 0 or n > end - at:
            return at, BAD_LENGTH
        for _ in range(n):
            target = np.int64(0)
            if col >= 0:
                if used[table] >= limit[table]:
                    return at, BAD_LENGTH
                target = base[table] + used[table] * width[table]
                used[table] += 1
            inner = first
            while inner < first + length:
                at, inner, bad = value(buf, at, end, ops, inner, enums, cells, target)
                if bad:
                    return at, bad
        count += n
    if col >= 0:
        cells[row + col + 1] = count
    return at, OK


@numba.njit(cache=True, nogil=True)
def decode(
    buf,
    starts,
    ends,
    program,
    kinds,
    ops,
    op_start,
    op_end,
    enums,
    cells,
    default,
    default_start,
    row_base,
    row_width,
    rows,
    item_base,
    item_width,
    item_used,
    item_limit,
    kind_out,
    row_out,
    codes,
):
    """Decode every record; `program[i]` says by which program, -1: by none."""
    used_before = np.empty_like(item_used)
    for i in range(len(starts)):
        p = program[i]
        if p < 0:
            kind_out[i] = -1
            row_out[i] = -1
            continue
        kind = kinds[p]
        row = row_base[kind] + rows[kind] * row_width[kind]
        for c in range(row_width[kind]):
            cells[row + c] = default[default_start[p] + c]
        used_before[:] = item_used
        at, end = starts[i] + 5, ends[i]
        op, last, bad = op_start[p], op_end[p], OK
        while op < last:
            if ops[op, 0] == ARRAY:
                at, bad = array(
                    buf,
                    at,
                    end,
                    ops,
                    op,
                    enums,
                    cells,
                    row,
                    item_base,
                    item_width,
                    item_used,
                    item_limit,
                )
                op += 1 + ops[op, 3]
            else:
                at, op, bad = value(buf, at, end, ops, op, enums, cells, row)
            if bad:
                break
        if bad == OK and at != end:
            bad = TRAILING
        if bad:
            item_used[:] = used_before
            kind_out[i] = -1
            row_out[i] = -1
            codes[i] = bad
        else:
            kind_out[i] = kind
            row_out[i] = rows[kind]
            rows[kind] += 1
