"""Single events to bytes and back: as fastavro, and with the columns' reasons of refusal."""

from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas import catalogue, rows
from schemas.compatibility import unreadable, unsupported
from schemas.decode import Decoder
from schemas.errors import SchemaError
from schemas.events import Clock, Event
from tests.schemas import evolution, records
from tests.schemas.records import IDS, WRITERS, decoded, event_of, framed, same, written

DECODER = Decoder(WRITERS)


def as_fields(event: Event) -> Any:
    """An event's fields with tuples as lists, bytes as they are."""
    return msgspec.to_builtins(event, builtin_types=(bytes,))


def refusal(data: bytes) -> str | None:
    try:
        rows.decode(data, WRITERS)
    except SchemaError as error:
        return str(error)
    return None


@pytest.mark.parametrize("record", catalogue.RECORDS)
@settings(max_examples=20, deadline=None)
@given(data=st.data())
def test_an_event_comes_back_from_its_bytes_which_are_fastavros(
    record: str, data: st.DataObject
) -> None:
    value = data.draw(records.values_of(catalogue.schema(record)))
    event = event_of(record, value)
    frame = rows.encode(event, IDS[record])
    assert frame == framed(IDS[record], written(catalogue.schema(record), value))
    again = rows.decode(frame, WRITERS)
    assert type(again) is type(event)
    assert same(_lists(as_fields(again)), _lists(as_fields(event)))


def _lists(value: Any) -> Any:
    if isinstance(value, list | tuple):
        return [_lists(inner) for inner in value]
    return {k: _lists(v) for k, v in value.items()} if isinstance(value, dict) else value


@pytest.mark.parametrize("record", catalogue.RECORDS)
@settings(max_examples=8, deadline=None)
@given(data=st.data())
def test_damaged_bytes_are_refused_exactly_as_columns_refuse_them(
    record: str, data: st.DataObject
) -> None:
    whole = framed(
        IDS[record],
        written(catalogue.schema(record), data.draw(records.values_of(catalogue.schema(record)))),
    )
    flipped = bytearray(whole)
    flipped[data.draw(st.integers(5, len(whole) - 1))] ^= data.draw(st.integers(1, 255))
    noise = framed(IDS[record], data.draw(st.binary(max_size=60)))
    frames = [bytes(flipped), noise, *(whole[:end] for end in range(len(whole))), whole + b"\0"]
    refused = dict(decoded(frames, DECODER).refused)
    assert [refusal(frame) for frame in frames] == [refused.get(i) for i in range(len(frames))]


@settings(max_examples=100, deadline=None)
@given(st.data(), st.sampled_from(catalogue.RECORDS))
def test_another_version_is_read_as_fastavro_resolves_it(data: st.DataObject, record: str) -> None:
    reader = catalogue.schema(record)
    writer = data.draw(evolution.changes_of(reader))
    if unsupported(writer) or unreadable(writer, reader):
        return
    value = data.draw(evolution.values_of(writer))
    event = rows.decode(framed(7, written(writer, value)), {7: writer})
    wanted = records.read(written(writer, value), writer, reader)
    assert same(_lists(as_fields(event)), _lists(as_fields(event_of(record, wanted))))


@pytest.mark.parametrize(
    ("schema", "reason"),
    [
        ({"type": "record", "name": "Foreign", "fields": []}, "Foreign is no record"),
        ({"type": "record", "name": "tape.Clock", "fields": []}, "Clock.event_time: the writer"),
        ("string", "not the schema of a record"),
    ],
)
def test_a_writer_that_cannot_be_read_is_refused(schema: Any, reason: str) -> None:
    with pytest.raises(SchemaError, match=reason):
        rows.decode(framed(7, b"\0\0"), {7: schema})
    with pytest.raises(SchemaError, match=reason):
        Decoder({}).add(7, schema)
    ((_, said),) = decoded([framed(7, b"\0\0")], Decoder({7: schema})).refused
    assert said.startswith(f"schema id 7: {reason}")


def clock_with(name: str, avro: Any) -> Any:
    """Clock's schema with a field before its own."""
    schema = catalogue.schema("Clock")
    return {**schema, "fields": [{"name": name, "type": avro}, *schema["fields"]]}


LONGS = {"type": "array", "items": "long"}


@pytest.mark.parametrize(
    ("avro", "data"),
    [
        ("long", b"\xfe\x01"),
        ("double", b"12345678"),
        ("boolean", b"\x01"),
        ("string", b"\x06abc"),
        ("bytes", b"\x04\xff\xff"),
        (["null", "string"], b"\x00"),
        (["string", "null"], b"\x00\x06abc"),
        ({"type": "enum", "name": "E", "symbols": ["A", "B"]}, b"\x02"),
        (LONGS, b"\x04\x02\xfe\x01\x02\x02\0"),
        (LONGS, b"\x03\x06\x02\xfe\x01\0"),
        ({"type": "record", "name": "R", "fields": [{"name": "x", "type": "double"}]}, b"12345678"),
    ],
)
def test_what_only_the_writer_has_is_skipped(avro: Any, data: bytes) -> None:
    writer = clock_with("more", avro)
    frame = framed(7, data + b"\x0e\x10")
    assert rows.decode(frame, {7: writer}) == Clock(event_time=7, receive_time=8)
    (value,) = records.values(decoded([frame], Decoder({7: writer})))
    assert value == {"event_time": 7, "receive_time": 8}


@pytest.mark.parametrize(
    "avro",
    [
        {"type": "map", "values": "long"},
        {"type": "fixed", "name": "F", "size": 3},
        "float",
        ["null", "long", "string"],
        {"type": "array", "items": LONGS},
        {"type": "array", "items": "null"},
        ["null", LONGS],
    ],
)
def test_what_cannot_be_skipped_refuses_the_writer_by_its_field(avro: Any) -> None:
    writer = clock_with("more", avro)
    with pytest.raises(SchemaError, match=r"Clock\.more"):
        Decoder({}).add(7, writer)
    with pytest.raises(SchemaError, match=r"Clock\.more"):
        rows.decode(framed(7, b"\0\0\0"), {7: writer})


def nullable_clock() -> Any:
    fields = [{**f, "type": ["null", f["type"]]} for f in catalogue.schema("Clock")["fields"]]
    return {**catalogue.schema("Clock"), "fields": fields}


def test_null_is_refused_where_the_newest_schema_has_none() -> None:
    writers = {7: nullable_clock()}
    good, bad = framed(7, b"\x02\x0e\x02\x10"), framed(7, b"\x02\x0e\x00")
    batch = decoded([good, bad, good], Decoder(writers))
    assert batch.refused == [
        (1, "Clock (schema id 7): null, where the newest schema has none"),
    ]
    assert rows.decode(good, writers) == Clock(event_time=7, receive_time=8)
    with pytest.raises(SchemaError, match="null, where the newest schema has none"):
        rows.decode(bad, writers)


@pytest.mark.parametrize("number", [1 << 63, -(1 << 63) - 1, 1 << 100])
def test_an_integer_beyond_64_bits_is_not_written(number: int) -> None:
    with pytest.raises(SchemaError, match="is no 64-bit integer"):
        rows.encode(Clock(event_time=number, receive_time=0), 7)
