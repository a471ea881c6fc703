"""The kernel that turns columns into Avro bytes: the decoding kernel's ops, the other way."""

import numba
import numpy as np
from numpy.typing import NDArray

from schemas.decode_kernel import ARRAY, BOOL, BYTES, DOUBLES, NULLABLE, STRING
from schemas.words import load_word, store_word

Bytes = NDArray[np.uint8]
Integers = NDArray[np.int64]

HEADER = 5
# Bytes behind what is written that a word may spill into.
SLACK = 8
_LONGEST = 10


@numba.njit(cache=True, nogil=True)
def _most_bytes(
    cells: Integers, row: int, ops: Integers, first: int, last: int, text_size: int
) -> int:
    """As many bytes as ops other than arrays can take; -1 when text is beyond its buffer."""
    total = 0
    for op in range(first, last):
        kind, column = ops[op, 0], ops[op, 1]
        if kind in (STRING, BYTES):
            start, length = cells[row + column], cells[row + column + 1]
            if length < 0 or start < 0 or length > text_size - start:
                return -1
            total += length
        elif kind == DOUBLES:
            total += 8 * ops[op, 2]
        total += _LONGEST
    return total


@numba.njit(cache=True, nogil=True)
def most_bytes(
    cells: Integers, width: int, count: int, items: Integers,
    item_base: Integers, item_width: Integers, item_count: Integers,
    ops: Integers, first: int, last: int, text_size: int,
) -> int:  # fmt: skip
    """As many bytes as rows can take; -1 - i when row i refers beyond its text or items."""
    total = 0
    for r in range(count):
        row = r * width
        total += HEADER
        op = first
        while op < last:
            following = op + 1
            if ops[op, 0] == ARRAY:
                table, following = ops[op, 2], op + 1 + ops[op, 3]
                start, length = cells[row + ops[op, 1]], cells[row + ops[op, 1] + 1]
                if length < 0 or (length and (start < 0 or length > item_count[table] - start)):
                    return -1 - r
                total += 2 * _LONGEST
                if ops[op, 6]:
                    total += 8 * length * item_width[table]
                    op = following
                    continue
                for k in range(start, start + length):
                    item = item_base[table] + k * item_width[table]
                    size = _most_bytes(items, item, ops, op + 1, following, text_size)
                    if size < 0:
                        return -1 - r
                    total += size
            else:
                size = _most_bytes(cells, row, ops, op, following, text_size)
                if size < 0:
                    return -1 - r
                total += size
            op = following
    return total


@numba.njit(cache=True, nogil=True)
def _put_long(out: Bytes, at: int, number: int) -> int:
    """A zigzag integer; where it ends."""
    rest = (np.uint64(number) << np.uint64(1)) ^ np.uint64(number >> np.int64(63))
    while rest > np.uint64(127):
        out[at] = np.uint8(rest & np.uint64(127)) | np.uint8(128)
        rest >>= np.uint64(7)
        at += 1
    out[at] = np.uint8(rest)
    return at + 1


@numba.njit(cache=True, nogil=True)
def _put_fields(
    out: Bytes, at: int, cells: Integers, row: int, text: Bytes, ops: Integers, op: int, last: int
) -> tuple[int, int]:
    """Write from an op up to the next array or the last op; the positions in both then."""
    while op < last:
        kind, column = ops[op, 0], ops[op, 1]
        if kind == ARRAY:
            break
        value = cells[row + column]
        if kind == DOUBLES:
            for k in range(ops[op, 2]):
                store_word(out, at, cells[row + column + k])
                at += 8
        elif kind in (STRING, BYTES):
            length = cells[row + column + 1]
            at = _put_long(out, at, length)
            k = 0
            while k < length and value + k + 8 <= len(text):
                store_word(out, at + k, load_word(text, value + k))
                k += 8
            while k < length:
                out[at + k] = text[value + k]
                k += 1
            at += length
        elif kind == BOOL:
            out[at] = value != 0
            at += 1
        elif kind == NULLABLE:
            null = ops[op, 2]
            at = _put_long(out, at, null if value else 1 - null)
            if value:
                op += ops[op, 3]
        else:
            at = _put_long(out, at, value)
        op += 1
    return at, op


@numba.njit(cache=True, nogil=True)
def encode(
    cells: Integers, width: int, items: Integers, item_base: Integers, item_width: Integers,
    text: Bytes, ops: Integers, first: int, last: int, schema_id: int, out: Bytes, ends: Integers,
) -> int:  # fmt: skip
    """Write every row by the ops from `first` on, arrays as one block; the number of bytes."""
    at = 0
    for r in range(len(ends)):
        row = r * width
        out[at] = 0
        for k in range(4):
            out[at + 1 + k] = (schema_id >> (24 - 8 * k)) & 255
        at += HEADER
        op = first
        while op < last:
            at, op = _put_fields(out, at, cells, row, text, ops, op, last)
            if op == last:
                break
            table, following = ops[op, 2], op + 1 + ops[op, 3]
            start, count = cells[row + ops[op, 1]], cells[row + ops[op, 1] + 1]
            if count:
                at = _put_long(out, at, count)
                item = item_base[table] + start * item_width[table]
                if ops[op, 6]:
                    for k in range(count * item_width[table]):
                        store_word(out, at, items[item + k])
                        at += 8
                else:
                    for _ in range(count):
                        at, _op = _put_fields(out, at, items, item, text, ops, op + 1, following)
                        item += item_width[table]
            out[at] = 0
            at += 1
            op = following
        ends[r] = at
    return at
