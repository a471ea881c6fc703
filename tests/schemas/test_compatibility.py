"""Compatibility: which changes are refused, by field and reason; what is accepted can be read."""

import io
from copy import deepcopy
from typing import Any

import fastavro
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from schemas import catalogue
from schemas.columns import Rows
from schemas.compatibility import unreadable, unsupported
from schemas.decode import Decoder
from schemas.encode import encode
from schemas.rows import decode
from tests.schemas import evolution

SIDE: dict[str, Any] = {
    "type": "enum",
    "name": "Side",
    "symbols": ["BUY", "SELL"],
    "default": "SELL",
}
LEVEL: dict[str, Any] = {
    "type": "record",
    "name": "Level",
    "fields": [{"name": "price", "type": "double", "doc": "p"}],
}
BASE: dict[str, Any] = {
    "type": "record",
    "name": "Thing",
    "namespace": "tape",
    "fields": [
        {"name": "name", "type": "string", "doc": "d"},
        {"name": "price", "type": "double", "doc": "d"},
        {"name": "count", "type": "long", "doc": "d", "default": 0},
        {"name": "url", "type": ["null", "string"], "doc": "d", "default": None},
        {"name": "time", "type": {"type": "long", "logicalType": "timestamp-micros"}, "doc": "d"},
        {"name": "side", "type": SIDE, "doc": "d"},
        {"name": "bids", "type": {"type": "array", "items": LEVEL}, "doc": "d", "default": []},
        {"name": "asks", "type": {"type": "array", "items": "Level"}, "doc": "d"},
    ],
}


def changed(field: str, **changes: Any) -> dict[str, Any]:
    """The base with other properties of a field."""
    schema = deepcopy(BASE)
    (found,) = (one for one in schema["fields"] if one["name"] == field)
    found |= changes
    return schema


def without(*names: str) -> dict[str, Any]:
    """The base without these fields."""
    fields = [field for field in deepcopy(BASE["fields"]) if field["name"] not in names]
    return {**BASE, "fields": fields}


def with_field(**field: Any) -> dict[str, Any]:
    """The base and one more field."""
    return {**BASE, "fields": [*BASE["fields"], {"doc": "d", **field}]}


def both_ways(schema: dict[str, Any]) -> list[str]:
    """What stands against a change of the base to this."""
    found = [*unreadable(BASE, schema), *unreadable(schema, BASE)]
    return [str(problem) for problem in found]


@pytest.mark.parametrize(
    "schema",
    [
        BASE,
        {**BASE, "doc": "another text"},
        without("count"),
        without("url"),
        {**BASE, "fields": [*BASE["fields"][2:], *BASE["fields"][:2]]},
        with_field(name="note", type="string", default=""),
        with_field(name="fee", type=["null", "double"], default=None),
        with_field(name="kind", type={**SIDE, "name": "Kind"}, default="BUY"),
        changed("side", type={**SIDE, "symbols": ["BUY", "SELL", "UNKNOWN"]}),
        changed("side", type={**SIDE, "symbols": ["SELL"]}),
    ],
)
def test_a_change_that_both_sides_can_read_is_accepted(schema: dict[str, Any]) -> None:
    assert both_ways(schema) == []
    assert unsupported(schema) == []


@pytest.mark.parametrize(
    ("schema", "says"),
    [
        (without("price"), "Thing.price: the reader has this field, the writer has not"),
        (with_field(name="fee", type="double"), "Thing.fee: the reader has this field"),
        (changed("price", type="string"), "Thing.price: double cannot be read as string"),
        (changed("price", type="long"), "Thing.price: long cannot be read as double"),
        (changed("count", type="int"), "Thing.count: long cannot be read as int"),
        (changed("name", type="bytes"), "Thing.name: string cannot be read as bytes"),
        (changed("url", type="string"), "Thing.url: null was written and cannot be read"),
        (changed("name", type=["null", "string"]), "Thing.name: null was written"),
        (changed("time", type="long"), "Thing.time: timestamp-micros read as a plain number"),
        (
            changed("time", type={"type": "long", "logicalType": "timestamp-millis"}),
            "Thing.time: timestamp-micros read as timestamp-millis",
        ),
        (
            changed("side", type={"type": "enum", "name": "Side", "symbols": ["BUY"]}),
            "Thing.side: the reader has no symbol SELL",
        ),
        (changed("side", type={**SIDE, "name": "Way"}), "Thing.side: enum Side was renamed to Way"),
        (
            changed("bids", type={"type": "array", "items": "double"}),
            "Thing.bids[]: record cannot be read as double",
        ),
        (
            changed(
                "bids",
                type={
                    "type": "array",
                    "items": {
                        **LEVEL,
                        "fields": [
                            *LEVEL["fields"],
                            {"name": "count", "type": "long", "doc": "c", "default": 0},
                        ],
                    },
                },
            ),
            "Thing.bids[].count: the writer lacks this field, and columns have no default",
        ),
        ({**BASE, "name": "Other"}, "Other: Thing cannot be read as Other"),
    ],
)
def test_a_change_that_one_side_cannot_read_is_refused_by_field_and_reason(
    schema: dict[str, Any], says: str
) -> None:
    assert any(problem.startswith(says) for problem in both_ways(schema)), both_ways(schema)


@pytest.mark.parametrize(
    ("schema", "says"),
    [
        (changed("price", doc=""), "Thing.price: it has no `doc`"),
        (changed("price", aliases=["cost"]), "Thing.price: aliases are not supported"),
        (changed("price", type="float"), "Thing.price: type float is not supported"),
        (changed("price", type={"type": "map", "values": "long"}), "Thing.price: type map"),
        (changed("price", type=["long", "string"]), "Thing.price: only unions of null"),
        (changed("price", type=["null", LEVEL]), "Thing.price: only scalars and enums may be null"),
        (changed("price", type="Nothing"), "Thing.price: type Nothing is not supported"),
        (changed("count", default="0"), "Thing.count: default '0' does not fit long"),
        (changed("count", default=1 << 63), "Thing.count: default 9223372036854775808 does not"),
        (changed("count", default=True), "Thing.count: default True does not fit long"),
        (changed("url", default=""), "Thing.url: default '' does not fit union"),
        (changed("url", type=["string", "null"]), "Thing.url: default None does not fit union"),
        (changed("side", default="HOLD"), "Thing.side: default 'HOLD' does not fit enum"),
        (changed("name", default="x"), "Thing.name: columns hold only an empty default"),
        (
            changed("bids", type={"type": "array", "items": {"type": "array", "items": "long"}}),
            "Thing.bids: arrays of arrays are not supported",
        ),
    ],
)
def test_a_schema_that_the_codecs_could_not_hold_is_refused(
    schema: dict[str, Any], says: str
) -> None:
    found = [str(problem) for problem in unsupported(schema)]
    assert any(problem.startswith(says) for problem in found), found


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.data(), st.sampled_from(catalogue.RECORDS))
def test_what_is_accepted_is_read_alike_by_fastavro_rows_and_columns(
    data: st.DataObject, record: str
) -> None:
    reader = catalogue.schema(record)
    writer = data.draw(evolution.changes_of(reader))
    if unsupported(writer) or unreadable(writer, reader):
        return
    value = data.draw(evolution.values_of(writer))
    out = io.BytesIO()
    fastavro.schemaless_writer(out, fastavro.parse_schema(writer), value)
    expected = evolution.plain(_read(out.getvalue(), writer, reader))
    frame = b"\0" + (7).to_bytes(4, "big") + out.getvalue()
    assert type(decode(frame, {7: writer})).__name__ == record
    again = _through_columns(frame, record, writer)
    assert again[:5] == frame[:5]
    assert evolution.plain(_read(again[5:], reader, reader)) == expected


def _read(data: bytes, writer: dict[str, Any], reader: dict[str, Any]) -> Any:
    parsed = (fastavro.parse_schema(writer), fastavro.parse_schema(reader))
    return fastavro.schemaless_reader(io.BytesIO(data), *parsed)


def _through_columns(frame: bytes, record: str, writer: dict[str, Any]) -> bytes:
    """Decode from the writer's schema into columns, encode those under ours."""
    one = np.array([0], np.int64)
    buffer = np.frombuffer(frame, np.uint8)
    topic = catalogue.topic_of(record).name
    batch = Decoder({7: writer}).decode(topic, 0, buffer, one, one + len(frame), one, one)
    assert batch.refused == []
    rows = Rows(topic, record, batch.tables[record], batch.items, batch.text)
    out, starts, ends = encode(rows, 7)
    return out[starts[0] : ends[0]].tobytes()
