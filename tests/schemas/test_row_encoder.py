"""Compiled encoders: the bytes of fastavro for every record."""

import io
from typing import Any

import fastavro
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas import catalogue
from schemas.events import EVENTS, Event, Origin
from schemas.row_encoder import compiled

LONG = st.integers(-(2**63), 2**63 - 1)
INT = st.integers(-(2**31), 2**31 - 1)
TEXT = st.text(st.characters(exclude_categories=("Cs",)), max_size=200)


def values(avro: Any, named: dict[str, Any]) -> st.SearchStrategy[Any]:
    if isinstance(avro, list):
        return st.one_of([values(branch, named) for branch in avro])
    avro = named.get(avro, avro) if isinstance(avro, str) else avro
    kind = avro if isinstance(avro, str) else avro["type"]
    if kind == "enum":
        named[avro["name"]] = avro
        return st.sampled_from(avro["symbols"])
    if kind == "array":
        return st.lists(values(avro["items"], named), max_size=5)
    if kind == "record":
        named[avro["name"]] = avro
        parts = [values(field["type"], named) for field in avro["fields"]]
        made = st.tuples(*parts)
        return made.map(lambda parts: Origin(*parts)) if avro["name"] == "Origin" else made
    return {
        "null": st.none(),
        "long": LONG,
        "int": INT,
        "double": st.floats(width=64),
        "boolean": st.booleans(),
        "string": TEXT,
        "bytes": st.binary(max_size=200),
    }[kind]


def plain(avro: Any, value: Any, named: dict[str, Any]) -> Any:
    """A value as fastavro takes it: records as dicts."""
    if isinstance(avro, list):
        inner = next(branch for branch in avro if branch != "null")
        return None if value is None else plain(inner, value, named)
    avro = named.get(avro, avro) if isinstance(avro, str) else avro
    kind = avro if isinstance(avro, str) else avro["type"]
    if kind == "array":
        return [plain(avro["items"], item, named) for item in value]
    if kind == "record":
        named[avro["name"]] = avro
        parts = (value.topic, value.partition, value.offset) if isinstance(value, Origin) else value
        return {
            field["name"]: plain(field["type"], part, named)
            for field, part in zip(avro["fields"], parts, strict=True)
        }
    return value


@pytest.mark.parametrize("record", catalogue.RECORDS)
@settings(max_examples=25)
@given(data=st.data())
def test_bytes_are_those_of_fastavro(record: str, data: st.DataObject) -> None:
    schema = catalogue.schema(record)
    named: dict[str, Any] = {}
    fields = {
        field["name"]: data.draw(values(field["type"], named), label=field["name"])
        for field in schema["fields"]
    }
    event: Event = EVENTS[record](**fields)
    out = io.BytesIO()
    reference = {
        field["name"]: plain(field["type"], fields[field["name"]], named)
        for field in schema["fields"]
    }
    fastavro.schemaless_writer(out, fastavro.parse_schema(schema), reference)
    assert compiled(record)(event, b"head") == b"head" + out.getvalue()
