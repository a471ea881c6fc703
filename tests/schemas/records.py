"""Random records of every schema, their bytes by fastavro, and tables read back as values."""

import io
from collections.abc import Mapping, Sequence
from typing import Any

import fastavro
import numpy as np
from hypothesis import strategies as st

from schemas import catalogue
from schemas.columns import Batch, Rows, named_types
from schemas.compatibility import kind_of
from schemas.decode import Decoder
from schemas.events import EVENTS, Event, Origin

IDS = {record: 1000 + index for index, record in enumerate(catalogue.RECORDS)}
WRITERS = {schema_id: catalogue.schema(record) for record, schema_id in IDS.items()}

_EXTREMES = {
    "int": [0, -1, 63, 64, -64, -65, 2**31 - 1, -(2**31)],
    "long": [0, -1, 8191, 8192, 2**53 + 1, 2**63 - 1, -(2**63)],
}
_SCALARS: dict[str, st.SearchStrategy[Any]] = {
    "null": st.none(),
    "int": st.integers(-(2**31), 2**31 - 1) | st.sampled_from(_EXTREMES["int"]),
    "long": st.integers(-(2**63), 2**63 - 1) | st.sampled_from(_EXTREMES["long"]),
    "double": st.floats(width=64),
    "boolean": st.booleans(),
    "string": st.text(max_size=80),
    "bytes": st.binary(max_size=80),
}


def values_of(schema: Any) -> st.SearchStrategy[Any]:
    """Values of a schema as fastavro takes them: records are dicts."""
    return _values(schema, named_types(schema, {}))


def _values(avro: Any, named: dict[str, Any]) -> st.SearchStrategy[Any]:
    kind, definition = kind_of(avro, named)
    if kind == "union":
        return st.one_of([_values(branch, named) for branch in definition])
    if kind == "record":
        return st.fixed_dictionaries(
            {f["name"]: _values(f["type"], named) for f in definition["fields"]}
        )
    if kind == "array":
        return st.lists(_values(definition["items"], named), max_size=5)
    if kind == "enum":
        return st.sampled_from(definition["symbols"])
    return _SCALARS[kind]


def without_units(avro: Any) -> Any:
    """A schema without logical types: fastavro then reads and writes times as they are."""
    if isinstance(avro, list):
        return [without_units(branch) for branch in avro]
    if isinstance(avro, dict):
        return {name: without_units(value) for name, value in avro.items() if name != "logicalType"}
    return avro


def written(schema: Any, value: Any) -> bytes:
    """A value's Avro bytes by fastavro."""
    out = io.BytesIO()
    fastavro.schemaless_writer(out, fastavro.parse_schema(without_units(schema)), value)
    return out.getvalue()


def read(data: bytes, writer: Any, reader: Any = None) -> Any:
    """What fastavro reads of Avro bytes."""
    parsed = [fastavro.parse_schema(without_units(s)) if s else None for s in (writer, reader)]
    return fastavro.schemaless_reader(io.BytesIO(data), *parsed)


def framed(schema_id: int, data: bytes) -> bytes:
    """Avro bytes as a Kafka value."""
    return b"\0" + schema_id.to_bytes(4, "big") + data


def event_of(record: str, value: Mapping[str, Any]) -> Event:
    """The struct of a value."""
    schema = catalogue.schema(record)
    named = named_types(schema, {})
    types = {f["name"]: f["type"] for f in schema["fields"]}
    fields = {name: _in_event(part, types[name], named) for name, part in value.items()}
    return EVENTS[record](**fields)


def _in_event(part: Any, avro: Any, named: dict[str, Any]) -> Any:
    if isinstance(part, list):
        kind, item = kind_of(avro["items"], named)
        if kind == "record":
            return [tuple(one[f["name"]] for f in item["fields"]) for one in part]
    return Origin(**part) if isinstance(part, dict) else part


def decoded(frames: Sequence[bytes], decoder: Decoder | None = None, topic: str = "any") -> Batch:
    """Kafka values through our decoder; before, between and after them lie other bytes."""
    gap = b"\xffgap"
    data = gap + b"".join(frame + gap for frame in frames)
    sizes = np.array([len(frame) for frame in frames], np.int64)
    ends = np.cumsum(sizes + len(gap), dtype=np.int64)
    offsets = np.arange(len(frames), dtype=np.int64)
    return (decoder or Decoder(WRITERS)).decode(
        topic, 0, np.frombuffer(data, np.uint8), ends - sizes, ends, offsets, offsets
    )


def values(batch: Batch) -> list[Any]:
    """Every record of a batch as a value; None where it was refused."""
    return [
        None if kind < 0 else value(rows_of(batch, catalogue.RECORDS[kind]), int(row))
        for kind, row in zip(batch.kind, batch.row, strict=True)
    ]


def rows_of(batch: Batch, record: str) -> Rows:
    """One record's table of a batch."""
    return Rows("any", record, batch.tables[record], batch.items, batch.text)


def value(rows: Rows, row: int) -> Any:
    """One row as a value."""
    schema = catalogue.schema(rows.record)
    return _read(schema, named_types(schema, {}), rows, rows.table[row], "")


def _read(avro: Any, named: dict[str, Any], rows: Rows, cells: Any, name: str) -> Any:
    kind, definition = kind_of(avro, named)
    if kind == "union":
        return _read_nullable(definition, named, rows, cells, name)
    if kind == "record":
        prefix = f"{name}_" if name else ""
        return {
            f["name"]: _read(f["type"], named, rows, cells, prefix + f["name"])
            for f in definition["fields"]
        }
    if kind == "array":
        return _read_array(definition["items"], named, rows, cells, name)
    return _read_scalar(kind, definition, rows, cells, name)


def _read_nullable(
    union: list[Any], named: dict[str, Any], rows: Rows, cells: Any, name: str
) -> Any:
    (inner,) = (branch for branch in union if branch != "null")
    if not cells[f"{name}_null"]:
        return _read(inner, named, rows, cells, name)
    columns = [c for c in cells.dtype.names if c in {name, f"{name}_start", f"{name}_length"}]
    assert not any(cells[column] for column in columns)
    return None


def _read_array(item: Any, named: dict[str, Any], rows: Rows, cells: Any, name: str) -> Any:
    table = rows.items[f"{rows.record}.{name}"]
    start, count = cells[f"{name}_start"], cells[f"{name}_count"]
    inside = "" if kind_of(item, named)[0] == "record" else "value"
    assert 0 <= start <= start + count <= len(table)
    return [_read(item, named, rows, one, inside) for one in table[start : start + count]]


def _read_scalar(kind: str, definition: Any, rows: Rows, cells: Any, name: str) -> Any:
    if kind in {"string", "bytes"}:
        start, length = cells[f"{name}_start"], cells[f"{name}_length"]
        data = rows.text[start : start + length].tobytes()
        return data.decode() if kind == "string" else data
    plain = cells[name].item()
    if kind == "enum":
        return definition["symbols"][plain]
    return bool(plain) if kind == "boolean" else plain


def same(one: Any, other: Any) -> bool:
    """Equality of values, where floats are equal when their bits are."""
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[k], other[k]) for k in one)
    if isinstance(one, list):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, float):
        return np.float64(one).tobytes() == np.float64(other).tobytes()
    return bool(one == other)
