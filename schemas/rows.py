"""Rows: one event to and from Confluent-framed Avro bytes."""

import struct
from collections.abc import Mapping
from typing import Any

from schemas.errors import SchemaError
from schemas.events import Event
from schemas.refusals import NO_FRAME, REASONS, TRUNCATED, UNKNOWN_ID
from schemas.row_decoder import decoder_of
from schemas.row_encoder import compiled

_HEADER = struct.Struct(">bI")


def encode(event: Event, schema_id: int) -> bytes:
    """The event as a Kafka value: 0, the schema id (4 bytes), Avro."""
    return compiled(type(event).__name__)(event, _HEADER.pack(0, schema_id))


def decode(data: bytes, writers: Mapping[int, dict[str, Any]]) -> Event:
    """The event in a Kafka value; SchemaError says what is wrong with the bytes."""
    if len(data) < _HEADER.size or data[0]:
        begin = data[: _HEADER.size].hex() or "nothing"
        raise SchemaError(f"{REASONS[NO_FRAME]}: {len(data)} bytes that begin with {begin}")
    (_, schema_id) = _HEADER.unpack_from(data)
    writer = writers.get(schema_id)
    if writer is None:
        raise SchemaError(f"{REASONS[UNKNOWN_ID]} {schema_id}")
    read = decoder_of(writer)
    try:
        return read(data, _HEADER.size)
    except SchemaError as error:
        reason = str(error)
    except (IndexError, struct.error):
        reason = REASONS[TRUNCATED]
    record = str(writer["name"]).rpartition(".")[2]
    raise SchemaError(f"{record} (schema id {schema_id}): {reason}")
