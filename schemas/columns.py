"""Columns: a batch of Avro records as numpy tables, and how they are laid out.

Every column is eight bytes wide, so that one kernel serves every schema:

* int, long, timestamps, boolean (0/1) and enum (index of its symbol): `name`, int64;
* double, float: `name`, float64;
* string, bytes: `name_start`, `name_length` (int64), a slice of the batch's `text`;
* [null, T]: T's columns and `name_null` (int64, 1 when null; the others are then 0);
* array of records or primitives: `name_start`, `name_count` (int64), rows of the batch's
  `items["Record.name"]`, whose columns are the item's fields (or `value` for primitives);
* nested record: its columns, each with the prefix `name_`.
"""

from dataclasses import dataclass, field
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from schemas import catalogue

Table = NDArray[np.void]

_FLOAT = {"double", "float"}
_INTEGER = {"int", "long", "boolean", "enum"}


def _columns(name: str, avro: Any, named: dict[str, Any]) -> list[tuple[str, str]]:
    if isinstance(avro, str) and avro in named:
        avro = named[avro]
    if isinstance(avro, list):
        (inner,) = (branch for branch in avro if branch != "null")
        return [*_columns(name, inner, named), (f"{name}_null", "<i8")]
    kind = avro if isinstance(avro, str) else avro["type"]
    if kind in _FLOAT:
        return [(name, "<f8")]
    if kind in _INTEGER:
        return [(name, "<i8")]
    if kind in {"string", "bytes"}:
        return [(f"{name}_start", "<i8"), (f"{name}_length", "<i8")]
    if kind == "array":
        return [(f"{name}_start", "<i8"), (f"{name}_count", "<i8")]
    named[avro["name"]] = avro
    return [
        column
        for f in avro["fields"]
        for column in _columns(f"{name}_{f['name']}" if name else f["name"], f["type"], named)
    ]


def named_types(avro: Any, named: dict[str, Any]) -> dict[str, Any]:
    """Add the records and enums that a type defines to `named`, by name."""
    if isinstance(avro, list):
        for branch in avro:
            named_types(branch, named)
    elif isinstance(avro, dict):
        if "name" in avro and avro.get("type") in {"record", "enum"}:
            named[avro["name"]] = avro
        for child in (f["type"] for f in avro.get("fields", ())):
            named_types(child, named)
        if isinstance(avro.get("items"), dict):
            named_types(avro["items"], named)
    return named


@cache
def table_dtype(record: str) -> np.dtype[np.void]:
    """The dtype of a record's table."""
    schema = catalogue.schema(record)
    return np.dtype(_columns("", schema, named_types(schema, {})))


@cache
def item_dtypes(record: str) -> dict[str, np.dtype[np.void]]:
    """The dtypes of a record's arrays, by field name."""
    schema = catalogue.schema(record)
    named = named_types(schema, {})
    found = {}
    for f in schema["fields"]:
        if isinstance(f["type"], dict) and f["type"].get("type") == "array":
            item = f["type"]["items"]
            is_record = isinstance(item, dict) or item in named
            found[f["name"]] = np.dtype(_columns("" if is_record else "value", item, named))
    return found


@cache
def enum_symbols(record: str, name: str) -> tuple[str, ...]:
    """The symbols of an enum field; the column holds their indexes."""
    (avro,) = (f["type"] for f in catalogue.schema(record)["fields"] if f["name"] == name)
    return tuple(avro["symbols"])


@dataclass(slots=True)
class Batch:
    """Records of one partition in their order, decoded.

    `kind[i]` is the index of record i's type in `catalogue.RECORDS` (-1: undecodable, see
    `refused`), `row[i]` its row in `tables[type]`. Strings are slices of `text`.
    """

    topic: str
    partition: int
    offsets: NDArray[np.int64]
    timestamps_ms: NDArray[np.int64]
    kind: NDArray[np.int64]
    row: NDArray[np.int64]
    tables: dict[str, Table]
    items: dict[str, Table]
    text: NDArray[np.uint8]
    refused: list[tuple[int, str]] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.offsets)

    def string(self, record: str, name: str, row: int) -> str:
        """One string field, for what is not hot."""
        table = self.tables[record]
        start, length = (
            int(table[f"{name}_start"][row]),
            int(table[f"{name}_length"][row]),
        )
        return bytes(self.text[start : start + length]).decode()


@dataclass(slots=True)
class Rows:
    """Events of one record type to be encoded: a stage's output to one topic.

    Has the columns of a `Batch`'s table; `table` rows are in the order of their ids.
    """

    topic: str
    record: str
    table: Table
    items: dict[str, Table]
    text: NDArray[np.uint8]

    def __len__(self) -> int:
        return len(self.table)
