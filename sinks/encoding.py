"""Columns to PostgreSQL's binary COPY rows, exactly and fast; the same bytes come back out."""

from dataclasses import dataclass
from functools import cache

import numba
import numpy as np
from numpy.typing import NDArray

from schemas.columns import Batch, item_dtypes, table_dtype
from sinks.tables import Column, Table

# What a binary COPY stream begins and ends with.
COPY_HEADER = b"PGCOPY\n\xff\r\n\x00" + bytes(8)
COPY_TRAILER = b"\xff\xff"

Bytes = NDArray[np.uint8]
Integers = NDArray[np.int64]

_KINDS = ("integer", "bigint", "float", "boolean", "time", "text", "bytes", "enum")
_INTEGER, _BIGINT, _FLOAT, _BOOLEAN, _TIME, _TEXT, _BYTES, _ENUM = range(8)
# Types of array elements by PostgreSQL's fixed numbers (pg_type.oid), in the order of the kinds.
_OIDS = (23, 20, 701, 16, 1184, 25, 17, 25)

# PostgreSQL counts microseconds from 2000-01-01.
_EPOCH_US = 946_684_800_000_000
# Times of the years 1 to 9999: what PostgreSQL, its clients and datetime all can hold.
FIRST_TIME_US = -62_135_596_800_000_000
END_TIME_US = 253_402_300_800_000_000

# That text is UTF-8 the decoder has made sure of.
_NUL, _NO_TIME, _TOO_LONG = 1, 2, 3
_REASONS = {
    _NUL: "text with a NUL character, which PostgreSQL cannot store",
    _NO_TIME: "a time outside the years 1 to 9999",
    _TOO_LONG: "text of more than 256 bytes in an indexed column",
}

# Columns of the plan.
_KIND, _ARRAY, _SOURCE, _NULL, _ITEM, _ITEM_NULL, _ENUM_BASE, _OID, _MOST = range(9)
# Texts that are indexed may be this long, since PostgreSQL refuses index rows of over 2.7 kB.
MOST_INDEXED = 256
_UNBOUNDED = 1 << 40


@dataclass(frozen=True, slots=True)
class Encoded:
    """Rows as binary COPY bytes, without header and trailer.

    Row i is `data[starts[i]:starts[i + 1]]`.
    """

    data: Bytes
    starts: Integers

    def __len__(self) -> int:
        return len(self.starts) - 1

    def row(self, index: int) -> bytes:
        """The bytes of one row."""
        return self.data[self.starts[index] : self.starts[index + 1]].tobytes()


@dataclass(frozen=True, slots=True)
class _Plan:
    columns: Integers
    item_keys: tuple[str, ...]
    """For each column the name of its items in the batch; empty if it is no array."""
    enum_spans: Integers
    enum_text: Bytes


@cache
def _plan(table: Table) -> _Plan:
    names = list(table_dtype(table.record).names or ())
    items = item_dtypes(table.record)
    plan = np.full((len(table.columns), 9), -1, np.int64)
    keys: list[str] = []
    spans: list[tuple[int, int]] = []
    text = b""
    extra = len(names)
    for row, column in zip(plan, table.columns, strict=True):
        row[_KIND], row[_ARRAY] = _KINDS.index(column.kind), column.array
        row[_OID] = _OIDS[row[_KIND]]
        if not column.field:
            row[_SOURCE], extra = extra, extra + 1
        else:
            row[_SOURCE] = names.index(_source(column.field, column.kind, column.array))
        if column.nullable:
            row[_NULL] = names.index(f"{column.field}_null")
        if column.array:
            fields = list(items[column.field].names or ())
            row[_ITEM] = fields.index(_source(column.item, column.kind, False))
            row[_ITEM_NULL] = fields.index(f"{column.item}_null") if column.item_nullable else -1
        row[_ENUM_BASE] = len(spans)
        row[_MOST] = MOST_INDEXED if column.name in table.query_columns else _UNBOUNDED
        for symbol in column.symbols:
            spans.append((len(text), len(symbol.encode())))
            text += symbol.encode()
        keys.append(f"{table.record}.{column.field}" if column.array else "")
    return _Plan(
        plan,
        tuple(keys),
        np.array(spans, np.int64).reshape(-1, 2),
        np.frombuffer(text, np.uint8),
    )


def _source(field: str, kind: str, array: bool) -> str:
    return f"{field}_start" if array or kind in {"text", "bytes"} else field


def _flat(batch: Batch, plan: _Plan) -> tuple[Integers, Integers]:
    """All item tables, one after the other; for each column where its table begins, its width."""
    places = np.zeros((len(plan.item_keys), 2), np.int64)
    parts: dict[str, tuple[int, int]] = {}
    arrays, total = [np.zeros(0, np.int64)], 0
    for index, key in enumerate(plan.item_keys):
        if not key:
            continue
        if key not in parts:
            rows = batch.items[key]
            parts[key] = (total, len(rows.dtype.names or ()))
            arrays.append(_integers(rows).reshape(-1))
            total += arrays[-1].size
        places[index] = parts[key]
    return np.concatenate(arrays), places


def _integers(table: NDArray[np.void]) -> Integers:
    """A table of eight-byte columns as a matrix; floats keep their bits."""
    width = len(table.dtype.names or ())
    return np.ascontiguousarray(table).view(np.int64).reshape(-1, width)


def encode(
    table: Table, batch: Batch, rows: Integers, positions: Integers
) -> tuple[Encoded, list[tuple[int, str]]]:
    """Encode rows of a batch for a table.

    `rows` are indexes into the batch's table of the record, `positions` their offsets, which
    a table of inputs stores. Returns the rows that can be stored, and for each of the others
    its index in `rows` and the reason.
    """
    plan = _plan(table)
    values = _integers(batch.tables[table.record])[rows]
    if not table.derived:
        partition = np.full(len(rows), batch.partition, np.int64)
        values = np.column_stack((values, partition, positions))
    values = np.ascontiguousarray(values)
    items, places = _flat(batch, plan)
    sizes = _sizes(values, plan.columns, places, items, batch.text, plan.enum_spans)
    refused = []
    if (sizes < 0).any():
        bad = np.flatnonzero(sizes < 0)
        refused = [(int(i), _reason(table.columns, int(sizes[i]))) for i in bad]
        values, sizes = values[sizes >= 0], sizes[sizes >= 0]
    starts = np.zeros(len(sizes) + 1, np.int64)
    np.cumsum(sizes, out=starts[1:])
    data = np.empty(starts[-1], np.uint8)
    _write(
        values, plan.columns, places, items, batch.text, plan.enum_spans, plan.enum_text,
        starts, data,
    )  # fmt: skip
    return Encoded(data, starts), refused


def _reason(columns: tuple[Column, ...], code: int) -> str:
    column, reason = divmod(-code - 1, 8)
    return f"{columns[column].name}: {_REASONS[reason]}"


@numba.njit(cache=True, nogil=True)
def _has_nul(text: Bytes, start: int, length: int) -> bool:
    found = False
    for i in range(start, start + length):
        found |= text[i] == 0
    return found


@numba.njit(cache=True, nogil=True)
def _size_of(
    kind: int, value: int, length: int, text: Bytes, enum_base: int, spans: Integers
) -> int:
    """Bytes of one value without its length word; negative: minus the reason."""
    if kind == _INTEGER:
        return 4
    if kind in (_BIGINT, _FLOAT):
        return 8
    if kind == _TIME:
        return 8 if FIRST_TIME_US <= value < END_TIME_US else -_NO_TIME
    if kind == _TEXT:
        return -_NUL if _has_nul(text, value, length) else length
    if kind == _ENUM:
        return int(spans[enum_base + value, 1])
    return 1 if kind == _BOOLEAN else length


@numba.njit(cache=True, nogil=True)
def _sizes(
    values: Integers, plan: Integers, places: Integers, items: Integers, text: Bytes,
    spans: Integers,
) -> Integers:  # fmt: skip
    """Bytes of each row; negative where it cannot be stored: -(column * 8 + reason) - 1."""
    sizes = np.empty(len(values), np.int64)
    for r in range(len(values)):
        total = 2
        for c in range(len(plan)):
            total += 4
            source = plan[c, _SOURCE]
            if plan[c, _NULL] >= 0 and values[r, plan[c, _NULL]] != 0:
                continue
            kind = plan[c, _KIND]
            # Only text, bytes and arrays have a second column; the last column has none after it.
            second = values[r, source + 1] if source + 1 < values.shape[1] else 0
            if plan[c, _ARRAY] == 0:
                size = _size_of(kind, values[r, source], second, text, plan[c, _ENUM_BASE], spans)
                if size > plan[c, _MOST]:
                    size = -_TOO_LONG
            else:
                size = 12 if second == 0 else 20
                width = places[c, 1]
                for k in range(values[r, source], values[r, source] + second):
                    at = places[c, 0] + k * width
                    size += 4
                    if plan[c, _ITEM_NULL] >= 0 and items[at + plan[c, _ITEM_NULL]] != 0:
                        continue
                    item = at + plan[c, _ITEM]
                    length = items[item + 1] if item + 1 < len(items) else 0
                    one = _size_of(kind, items[item], length, text, plan[c, _ENUM_BASE], spans)
                    if one < 0:
                        size = one
                        break
                    size += one
            if size < 0:
                total = -(c * 8 - size) - 1
                break
            total += size
        sizes[r] = total
    return sizes


@numba.njit(cache=True, nogil=True)
def _put(data: Bytes, at: int, value: int, width: int) -> int:
    for i in range(width):
        data[at + i] = (value >> (8 * (width - 1 - i))) & 0xFF
    return at + width


@numba.njit(cache=True, nogil=True)
def _put_value(
    data: Bytes, at: int, kind: int, value: int, length: int, text: Bytes, enum_base: int,
    spans: Integers, enum_text: Bytes,
) -> int:  # fmt: skip
    """Write length word and value; the place after it."""
    width = 0
    if kind in (_BIGINT, _FLOAT, _TIME):
        width = 8
    elif kind == _INTEGER:
        width = 4
    elif kind == _BOOLEAN:
        width = 1
    if width:
        _put(data, at, width, 4)
        _put(data, at + 4, value - _EPOCH_US if kind == _TIME else value, width)
        return at + 4 + width
    if kind == _ENUM:
        start, length = spans[enum_base + value, 0], spans[enum_base + value, 1]
        _put(data, at, length, 4)
        for i in range(length):
            data[at + 4 + i] = enum_text[start + i]
        return at + 4 + int(length)
    _put(data, at, length, 4)
    for i in range(length):
        data[at + 4 + i] = text[value + i]
    return at + 4 + length


@numba.njit(cache=True, nogil=True)
def _write(
    values: Integers, plan: Integers, places: Integers, items: Integers, text: Bytes,
    spans: Integers, enum_text: Bytes, starts: Integers, data: Bytes,
) -> None:  # fmt: skip
    for r in range(len(values)):
        at = _put(data, starts[r], len(plan), 2)
        for c in range(len(plan)):
            if plan[c, _NULL] >= 0 and values[r, plan[c, _NULL]] != 0:
                at = _put(data, at, -1, 4)
                continue
            kind, source, base = plan[c, _KIND], plan[c, _SOURCE], plan[c, _ENUM_BASE]
            value = values[r, source]
            second = values[r, source + 1] if source + 1 < values.shape[1] else 0
            if plan[c, _ARRAY] == 0:
                at = _put_value(data, at, kind, value, second, text, base, spans, enum_text)
                continue
            length_at = at
            at = _put(data, at + 4, 1 if second else 0, 4)
            flags_at = at
            at = _put(data, at, 0, 4)
            at = _put(data, at, plan[c, _OID], 4)
            if second:
                at = _put(data, _put(data, at, second, 4), 1, 4)
            for k in range(value, value + second):
                row = places[c, 0] + k * places[c, 1]
                if plan[c, _ITEM_NULL] >= 0 and items[row + plan[c, _ITEM_NULL]] != 0:
                    _put(data, flags_at, 1, 4)
                    at = _put(data, at, -1, 4)
                    continue
                item = row + plan[c, _ITEM]
                length = items[item + 1] if item + 1 < len(items) else 0
                at = _put_value(data, at, kind, items[item], length, text, base, spans, enum_text)
            _put(data, length_at, at - length_at - 4, 4)
