"""Columnar encoding: the bytes of fastavro for every schema."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas import catalogue
from schemas.columns import Rows
from schemas.decode import Decoder
from schemas.encode import encode
from schemas.errors import SchemaError
from tests.schemas import records
from tests.schemas.records import IDS, WRITERS, decoded, framed, rows_of, written

DECODER = Decoder(WRITERS)


def frames_of(record: str, values: list[Any]) -> list[bytes]:
    schema = catalogue.schema(record)
    return [framed(IDS[record], written(schema, value)) for value in values]


def encoded(rows: Rows, schema_id: int) -> list[bytes]:
    data, starts, ends = encode(rows, schema_id)
    return [data[a:b].tobytes() for a, b in zip(starts, ends, strict=True)]


@pytest.mark.parametrize("record", catalogue.RECORDS)
@settings(max_examples=20, deadline=None)
@given(data=st.data())
def test_bytes_are_those_of_fastavro(record: str, data: st.DataObject) -> None:
    values = data.draw(st.lists(records.values_of(catalogue.schema(record)), max_size=3))
    frames = frames_of(record, values)
    assert encoded(rows_of(decoded(frames, DECODER), record), IDS[record]) == frames


@settings(max_examples=20, deadline=None)
@given(st.data())
def test_rows_may_be_in_any_order_and_share_items(data: st.DataObject) -> None:
    record = data.draw(st.sampled_from(["BookDelta", "Book", "ReferencePrice", "News"]))
    values = data.draw(
        st.lists(records.values_of(catalogue.schema(record)), min_size=1, max_size=3)
    )
    frames = frames_of(record, values)
    rows = rows_of(decoded(frames, DECODER), record)
    order = data.draw(st.lists(st.integers(0, len(frames) - 1), max_size=6))
    rows.table = rows.table[np.array(order, np.int64)]
    assert encoded(rows, IDS[record]) == [frames[index] for index in order]


@pytest.mark.parametrize("schema_id", [0, 1, 255, 256, 2**31, 2**32 - 1])
def test_the_frame_has_the_schema_id(schema_id: int) -> None:
    (frame,) = frames_of("Clock", [{"event_time": 1, "receive_time": 2}])
    rows = rows_of(decoded([frame], DECODER), "Clock")
    assert encoded(rows, schema_id) == [framed(schema_id, frame[5:])]


def test_no_rows_are_no_bytes() -> None:
    assert encoded(rows_of(decoded([], DECODER), "Bar"), 1) == []


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("symbol_start", -1),
        ("symbol_start", 1 << 40),
        ("symbol_start", (1 << 63) - 1),
        ("symbol_length", -1),
        ("symbol_length", (1 << 63) - 1),
        ("bids_start", -1),
        ("bids_count", 2),
        ("asks_start", 1),
        ("asks_count", -1),
    ],
)
def test_a_row_that_refers_beyond_its_text_or_items_is_refused(column: str, value: int) -> None:
    level = [{"price": 1.0, "quantity": 2.0}]
    fields = {"venue": "V", "symbol": "S", "event_time": 1, "receive_time": 2}
    fields |= {"sequence": 3, "depth": 4, "bids": level, "asks": level}
    rows = rows_of(decoded(frames_of("BookSnapshot", [fields, fields]), DECODER), "BookSnapshot")
    rows.table = rows.table.copy()
    rows.items = {name: table[:1] for name, table in rows.items.items()}
    rows.table["bids_start"] = rows.table["asks_start"] = 0
    assert len(encoded(rows, 1)) == 2
    rows.table[column][1] = value
    with pytest.raises(SchemaError, match="row 1 of BookSnapshot"):
        encode(rows, 1)
