"""Rows: one event to and from Confluent-framed Avro bytes."""

import io
import struct
from collections.abc import Mapping
from functools import cache
from typing import Any

import fastavro
import msgspec

from schemas import catalogue
from schemas.errors import SchemaError
from schemas.events import EVENTS, Event
from schemas.row_encoder import compiled

_HEADER = struct.Struct(">bI")


@cache
def _parsed(record: str) -> Any:
    return fastavro.parse_schema(catalogue.schema(record))


@cache
def _tuple_arrays(record: str) -> tuple[tuple[str, tuple[str, ...]], ...]:
    named: dict[str, tuple[str, ...]] = {}
    found = []
    for field in catalogue.schema(record)["fields"]:
        avro = field["type"]
        if isinstance(avro, dict) and avro["type"] == "array":
            item = avro["items"]
            if isinstance(item, dict):
                named[item["name"]] = tuple(f["name"] for f in item["fields"])
                item = item["name"]
            if item in named:
                found.append((field["name"], named[item]))
    return tuple(found)


def encode(event: Event, schema_id: int) -> bytes:
    """The event as a Kafka value: 0, the schema id (4 bytes), Avro."""
    return compiled(type(event).__name__)(event, _HEADER.pack(0, schema_id))


def decode(data: bytes, writers: Mapping[int, dict[str, Any]]) -> Event:
    """The event in a Kafka value; SchemaError says what is wrong with the bytes."""
    if len(data) < 5 or data[0]:
        raise SchemaError("no Confluent frame: the first byte is not 0 or the id is cut")
    (_, schema_id) = _HEADER.unpack_from(data)
    if schema_id not in writers:
        raise SchemaError(f"unknown schema id {schema_id}")
    writer = writers[schema_id]
    name = str(writer["name"]).rpartition(".")[2]
    stream = io.BytesIO(data[5:])
    try:
        fields = fastavro.schemaless_reader(stream, writer, _parsed(name))
    except Exception as error:
        raise SchemaError(f"not a {name}: {error}") from error
    if stream.tell() != len(data) - 5:
        raise SchemaError(f"{len(data) - 5 - stream.tell()} bytes after a {name}")
    for field in catalogue.schema(name)["fields"]:
        avro = field["type"]
        if (isinstance(avro, dict) and avro.get("logicalType")) or isinstance(avro, list):
            value = fields[field["name"]]
            if hasattr(value, "timestamp"):
                fields[field["name"]] = _us(value)
    for array, names in _tuple_arrays(name):
        fields[array] = [tuple(item[n] for n in names) for item in fields[array]]
    event: Event = msgspec.convert(fields, EVENTS[name])
    return event


def _us(value: Any) -> int:
    import datetime as d

    delta = value - d.datetime(1970, 1, 1, tzinfo=d.UTC)
    return (delta.days * 86_400 + delta.seconds) * 1_000_000 + delta.microseconds
