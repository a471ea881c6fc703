"""Batches made from plain events, and random events of every record."""

import math
import struct
from collections.abc import Sequence
from typing import Any

import numpy as np
from hypothesis import strategies as st

from schemas import catalogue
from schemas.columns import Batch, item_dtypes, table_dtype

Json = dict[str, Any]

# The years 1 to 9999, what tables can hold; the rest is refused (test_encoding.py).
_TIMES = st.integers(-62_135_596_800_000_000, 253_402_300_799_999_999)
_LONGS = st.integers(-(2**63), 2**63 - 1)
_TEXT = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=12)


def values(avro: Any, named: Json) -> st.SearchStrategy[Any]:  # noqa: PLR0911 a case each
    """Random values of an Avro type, within what a table can hold."""
    if isinstance(avro, list):
        return st.one_of([values(branch, named) for branch in avro])
    if isinstance(avro, str) and avro in named:
        return values(named[avro], named)
    kind = avro if isinstance(avro, str) else avro["type"]
    if kind == "record":
        named[avro["name"]] = avro
        return st.fixed_dictionaries(
            {field["name"]: values(field["type"], named) for field in avro["fields"]}
        )
    if kind == "enum":
        return st.sampled_from(avro["symbols"])
    if kind == "array":
        return st.lists(values(avro["items"], named), max_size=4)
    if isinstance(avro, dict) and avro.get("logicalType") == "timestamp-micros":
        return _TIMES
    plain: dict[str, st.SearchStrategy[Any]] = {
        "null": st.none(),
        "boolean": st.booleans(),
        "int": st.integers(-(2**31), 2**31 - 1),
        "long": _LONGS,
        "double": st.floats(),
        "string": _TEXT,
        "bytes": st.binary(max_size=12),
    }
    return plain[kind]


def events(record: str) -> st.SearchStrategy[Json]:
    """Random events of a record."""
    return values(catalogue.schema(record), {})


class _Builder:
    def __init__(self) -> None:
        self.text = b""
        self.items: dict[str, list[tuple[int, ...]]] = {}

    def row(  # noqa: PLR0911 a case each
        self, record: str, avro: Any, value: Any, named: Json, key: str
    ) -> list[int]:
        """A value as the eight-byte columns of schemas/columns.py, floats by their bits."""
        if isinstance(avro, list):
            (inner,) = (branch for branch in avro if branch != "null")
            width = len(self.row(record, inner, _zero(inner, named), named, key))
            if value is None:
                return [*[0] * width, 1]
            return [*self.row(record, inner, value, named, key), 0]
        if isinstance(avro, str) and avro in named:
            avro = named[avro]
        kind = avro if isinstance(avro, str) else avro["type"]
        if kind == "double":
            return [struct.unpack("<q", struct.pack("<d", value))[0]]
        if kind == "enum":
            return [avro["symbols"].index(value)]
        if kind in {"string", "bytes"}:
            data = value.encode() if kind == "string" else value
            self.text += data
            return [len(self.text) - len(data), len(data)]
        if kind == "array":
            rows = [tuple(self.row(record, avro["items"], item, named, "")) for item in value]
            table = self.items.setdefault(key, [])
            table += rows
            return [len(table) - len(rows), len(rows)]
        if kind == "record":
            named[avro["name"]] = avro
            return [
                word
                for field in avro["fields"]
                for word in self.row(
                    record, field["type"], value[field["name"]], named,
                    f"{record}.{field['name']}",
                )
            ]  # fmt: skip
        return [int(value)]


def _zero(avro: Any, named: dict[str, Any]) -> Any:
    kind = avro if isinstance(avro, str) else avro["type"]
    if kind == "enum":
        return avro["symbols"][0]
    return {"string": "", "bytes": b"", "double": 0.0}.get(kind, 0)


def batch(
    topic: str, partition: int, found: Sequence[tuple[str, Json]], first_offset: int = 0
) -> Batch:
    """A batch of (record, event) pairs at consecutive offsets."""
    builder = _Builder()
    rows: dict[str, list[tuple[int, ...]]] = {}
    kinds, places = [], []
    for record, event in found:
        own = rows.setdefault(record, [])
        schema = catalogue.schema(record)
        kinds.append(catalogue.RECORDS.index(record))
        places.append(len(own))
        named: Json = {}
        _name_types(schema, named)
        own.append(tuple(builder.row(record, schema, event, named, "")))
    items = {
        f"{record}.{name}": _table(builder.items.get(f"{record}.{name}", []), dtype)
        for record in rows
        for name, dtype in item_dtypes(record).items()
    }
    return Batch(
        topic=topic,
        partition=partition,
        offsets=np.arange(first_offset, first_offset + len(found), dtype=np.int64),
        timestamps_ms=np.zeros(len(found), np.int64),
        kind=np.array(kinds, np.int64),
        row=np.array(places, np.int64),
        tables={record: _table(own, table_dtype(record)) for record, own in rows.items()},
        items=items,
        text=np.frombuffer(builder.text, np.uint8),
    )


def _name_types(avro: Any, named: dict[str, Any]) -> None:
    for field in avro["fields"]:
        inner = field["type"]
        for part in inner if isinstance(inner, list) else [inner]:
            array = isinstance(part, dict) and part.get("type") == "array"
            kind = part["items"] if array else part
            if isinstance(kind, dict) and "name" in kind:
                named[kind["name"]] = kind


def _table(rows: list[tuple[int, ...]], dtype: np.dtype[np.void]) -> Any:
    width = len(dtype.names or ())
    matrix = np.array(rows, np.int64).reshape(len(rows), width)
    return matrix.view(dtype).reshape(len(rows))


def same(a: Any, b: Any) -> bool:
    """Equality in which NaN is itself and -0.0 is not 0.0."""
    if isinstance(a, float) and isinstance(b, float):
        if math.isnan(a) or math.isnan(b):
            return math.isnan(a) and math.isnan(b)
        return struct.pack("<d", a) == struct.pack("<d", b)
    if isinstance(a, list | tuple) and isinstance(b, list | tuple):
        return len(a) == len(b) and all(map(same, a, b))
    return bool(a == b)
