"""Comparing a table's rows with what they should be: the same bytes in the order of their ids."""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np
from psycopg import sql

from sinks.encoding import COPY_HEADER, COPY_TRAILER
from sinks.rows import Id, TableRows
from sinks.storage import Connection
from sinks.tables import TIME, Column, Table

# Before and after every id that a table can hold.
FIRST_ID: Id = (-(2**63), -(2**31))
LAST_ID: Id = (2**63 - 1, 2**31 - 1)

_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)


def select_in_order(
    schema: str, table: Table, partition: int, first: Id, kept_from_us: int | None = None
) -> sql.Composed:
    """COPY of a partition's rows from the id `first` on, in the order of their ids.

    Only those of event times from `kept_from_us` on, where retention drops earlier ones.
    """
    kept: sql.Composable = sql.SQL("")
    if kept_from_us is not None:
        # To the hour, as chunks are: seconds are exact.
        kept = sql.SQL(" AND {} >= to_timestamp({})").format(
            sql.Identifier(TIME), sql.Literal(kept_from_us // 1_000_000)
        )
    columns = sql.SQL(", ").join(sql.Identifier(column.name) for column in table.columns)
    where, *order = map(sql.Identifier, table.id_columns)
    return sql.SQL(
        "COPY (SELECT {} FROM {} WHERE {} = {} AND ({}) >= ({}){} ORDER BY {}) TO STDOUT"
        " (FORMAT BINARY)"
    ).format(
        columns,
        sql.Identifier(schema, table.name),
        where,
        sql.Literal(partition),
        sql.SQL(", ").join(order),
        sql.SQL(", ").join(sql.Literal(part) for part in first[: len(order)]),
        kept,
        sql.SQL(", ").join([where, *order, sql.Identifier(TIME)]),
    )


def copied_rows(connection: Connection, statement: sql.Composed) -> Iterator[bytes]:
    """The rows of a binary COPY TO, each as its bytes."""
    with connection.cursor() as cursor, cursor.copy(statement) as copy:
        header = b""
        for message in copy:
            data = bytes(message)
            if len(header) < len(COPY_HEADER):
                header += data
                data, header = header[len(COPY_HEADER) :], header[: len(COPY_HEADER)]
            if data and data != COPY_TRAILER:
                yield data


def fields(row: bytes) -> list[bytes | None]:
    """The values of a binary row; None for NULL."""
    (count,) = struct.unpack_from(">h", row)
    found: list[bytes | None] = []
    at = 2
    for _ in range(count):
        (length,) = struct.unpack_from(">i", row, at)
        at += 4
        found.append(None if length < 0 else row[at : at + length])
        at += max(length, 0)
    return found


def row_id(table: Table, row: bytes) -> Id:
    """The id that a row's columns say."""
    values = dict(zip((column.name for column in table.columns), fields(row), strict=True))
    parts = [
        int.from_bytes(values[name] or b"", "big", signed=True) for name in table.id_columns[1:]
    ]
    return parts[0], parts[1] if len(parts) > 1 else 0


def shown(column: Column, value: bytes | None) -> str:
    """A value for people."""
    if value is None:
        return "NULL"
    if column.array or column.kind == "bytes":
        return f"{len(value)} bytes 0x{value.hex()}"
    if column.kind in {"text", "enum"}:
        return repr(value.decode(errors="replace"))
    if column.kind == "float":
        return repr(struct.unpack(">d", value)[0])
    number = int.from_bytes(value, "big", signed=True)
    return str(_EPOCH + timedelta(microseconds=number) if column.kind == "time" else number)


@dataclass(slots=True)
class Comparison:
    """One partition of one table, compared as the rows that should be there come."""

    table: Table
    partition: int
    actual: Iterator[bytes]
    kept_from_us: int | None = None
    rows: int = 0
    difference: str = ""

    def expect(self, expected: TableRows) -> None:
        """The next rows must be these."""
        if self.difference:
            return
        if self.kept_from_us is not None and (expected.times < self.kept_from_us).any():
            kept = np.flatnonzero(expected.times >= self.kept_from_us).tolist()
            self._expect([expected.encoded.row(index) for index in kept])
            return
        count = len(expected.encoded)
        found = [row for _, row in zip(range(count), self.actual, strict=False)]
        if b"".join(found) == expected.encoded.data.tobytes():
            self.rows += count
            return
        self._compare([expected.encoded.row(index) for index in range(count)], found)

    def _expect(self, wanted: list[bytes]) -> None:
        found = [row for _, row in zip(range(len(wanted)), self.actual, strict=False)]
        self._compare(wanted, found)

    def _compare(self, wanted: list[bytes], found: list[bytes]) -> None:
        for index, should in enumerate(wanted):
            row = found[index] if index < len(found) else None
            if row != should:
                self.difference = self._describe(should, row)
                return
            self.rows += 1

    def finish(self) -> None:
        """No more rows may be there."""
        if not self.difference and (row := next(self.actual, None)) is not None:
            self.difference = f"{self._place(row)} is in the table and not in the topic"

    def _place(self, row: bytes) -> str:
        offset, seq = row_id(self.table, row)
        what = f"origin offset {offset} seq {seq}" if self.table.derived else f"offset {offset}"
        return f"{self.table.name}: row of partition {self.partition} {what}"

    def _describe(self, should: bytes, row: bytes | None) -> str:
        wanted = row_id(self.table, should)
        if row is None or row_id(self.table, row) > wanted:
            return f"{self._place(should)} is missing in the table"
        if row_id(self.table, row) < wanted:
            return f"{self._place(row)} is in the table and not in the topic"
        for column, a, b in zip(self.table.columns, fields(should), fields(row), strict=True):
            if a != b:
                return (
                    f"{self._place(row)} differs in {column.name}: the topic has"
                    f" {shown(column, a)}, the table {shown(column, b)}"
                )
        return f"{self._place(row)} differs"
