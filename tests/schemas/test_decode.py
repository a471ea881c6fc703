"""Columnar decoding: fastavro's values for every schema; foreign bytes are refused, not misread."""

import io
from typing import Any

import fastavro
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from schemas import catalogue
from schemas.decode import Decoder
from tests.schemas import records
from tests.schemas.records import IDS, WRITERS, decoded, framed, same, values, written

DECODER = Decoder(WRITERS)


@st.composite
def mixed(draw: st.DrawFn) -> list[tuple[str, Any]]:
    """Records of several kinds in any order."""
    names = draw(st.lists(st.sampled_from(catalogue.RECORDS), max_size=6))
    return [(name, draw(records.values_of(catalogue.schema(name)))) for name in names]


def frame_of(record: str, value: Any) -> bytes:
    return framed(IDS[record], written(catalogue.schema(record), value))


@pytest.mark.parametrize("record", catalogue.RECORDS)
@settings(max_examples=20, deadline=None)
@given(data=st.data())
def test_columns_hold_what_fastavro_reads(record: str, data: st.DataObject) -> None:
    schema = catalogue.schema(record)
    wanted = data.draw(st.lists(records.values_of(schema), min_size=1, max_size=3))
    batch = decoded([frame_of(record, value) for value in wanted], DECODER)
    assert batch.refused == []
    reread = [records.read(written(schema, value), schema) for value in wanted]
    assert same(values(batch), reread)


@settings(max_examples=40, deadline=None)
@given(mixed())
def test_records_of_many_kinds_keep_their_order(wanted: list[tuple[str, Any]]) -> None:
    batch = decoded([frame_of(*one) for one in wanted], DECODER)
    assert [catalogue.RECORDS[kind] for kind in batch.kind] == [record for record, _ in wanted]
    assert same(values(batch), [value for _, value in wanted])


@pytest.mark.parametrize("record", catalogue.RECORDS)
@settings(max_examples=3, deadline=None)
@given(data=st.data())
def test_bytes_cut_anywhere_are_refused_and_harm_no_others(
    record: str, data: st.DataObject
) -> None:
    value = data.draw(records.values_of(catalogue.schema(record)))
    frame = frame_of(record, value)
    batch = decoded([frame, *(frame[:end] for end in range(len(frame))), frame], DECODER)
    assert [index for index, _ in batch.refused] == list(range(1, len(frame) + 1))
    assert all(reason for _, reason in batch.refused)
    assert same(values(batch), [value, *[None] * len(frame), value])
    assert len(batch.tables[record]) == 2


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(catalogue.RECORDS), st.binary(max_size=120), st.integers(0, 2**32 - 1))
@example("Trade", b"", 0)
def test_foreign_bytes_never_harm_their_neighbours(
    record: str, noise: bytes, schema_id: int
) -> None:
    clock = frame_of("Clock", {"event_time": 5, "receive_time": -6})
    frames = [noise, clock, framed(IDS[record], noise), framed(schema_id, noise), clock]
    batch = decoded(frames, DECODER)
    found = values(batch)
    assert found[1] == found[4] == {"event_time": 5, "receive_time": -6}
    assert {index for index, _ in batch.refused} == {i for i, v in enumerate(found) if v is None}
    for index, value in enumerate(found):
        if value is not None and index in {0, 2}:
            # What was accepted is what its bytes say, by fastavro too.
            schema_id = int.from_bytes(frames[index][1:5], "big")
            assert same(value, records.read(frames[index][5:], WRITERS[schema_id]))


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_one_flipped_byte_is_refused_or_read_as_fastavro_reads_it(data: st.DataObject) -> None:
    record = data.draw(st.sampled_from(catalogue.RECORDS))
    frame = bytearray(frame_of(record, data.draw(records.values_of(catalogue.schema(record)))))
    frame[data.draw(st.integers(5, len(frame) - 1))] ^= data.draw(st.integers(1, 255))
    (value,) = values(decoded([bytes(frame)], DECODER))
    if value is not None:
        assert same(value, records.read(bytes(frame[5:]), WRITERS[IDS[record]]))


def configured(**changed: bytes) -> bytes:
    """A Configured record's frame, some of its fields as these bytes."""
    fields = {
        "event_time": b"\x02",
        "receive_time": b"\x02",
        "version": b"\x02v",
        "hash": b"\x02a",
        "configuration": b"\x04{}",
    }
    schema = catalogue.schema("Configured")
    parts = {f["name"]: fields[f["name"]] for f in schema["fields"]} | changed
    return framed(IDS["Configured"], b"".join(parts.values()))


LONGEST = b"\xff" * 9 + b"\x01"


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"hash": b"\x02\xff"}, "text is not UTF-8"),
        ({"hash": b"\x04\xc0\x80"}, "text is not UTF-8"),
        ({"hash": b"\x06\xed\xa0\x80"}, "text is not UTF-8"),
        ({"hash": b"\x08\xf4\x90\x80\x80"}, "text is not UTF-8"),
        ({"hash": b"\x04\xe2\x82"}, "text is not UTF-8"),
        ({"hash": b"\x01"}, "a length is negative or beyond the bytes"),
        ({"hash": b"\xfe\xff\xff\xff\xff\xff\xff\xff\xff\x01"}, "a length is negative"),
        ({"hash": LONGEST}, "a length is negative or beyond the bytes"),
        ({"hash": b"\x7e"}, "a length is negative or beyond the bytes"),
        ({"event_time": b"\xff" * 10}, "an integer is longer than 64 bits"),
        ({"event_time": b"\x80" * 9 + b"\x02"}, "an integer is longer than 64 bits"),
        ({"event_time": b"\x80" * 30}, "an integer is longer than 64 bits"),
        ({"configuration": b"\x04{}\0"}, "bytes are left over at the end"),
        ({"configuration": b""}, "the bytes end too early"),
    ],
)
def test_bad_bytes_are_refused_with_their_reason(fields: dict[str, bytes], reason: str) -> None:
    assert values(decoded([configured()], DECODER)) != [None]
    batch = decoded([configured(**fields)], DECODER)
    ((_, said),) = batch.refused
    assert said.startswith(f"Configured (schema id {IDS['Configured']}): {reason}")


@pytest.mark.parametrize(
    ("frame", "reason"),
    [
        (b"", "no Confluent frame: 0 bytes that begin with nothing"),
        (b"{}", "no Confluent frame: 2 bytes that begin with 7b7d"),
        (b"\x01\0\0\0\x05rest", "no Confluent frame: 9 bytes that begin with 0100000005"),
        (b"\0\0\0", "no Confluent frame: 3 bytes"),
        (b"\0\xff\xff\xff\xffrest", "unknown schema id 4294967295"),
        (b"\0\0\0\0\0", "unknown schema id 0"),
    ],
)
def test_what_is_no_frame_of_ours_is_refused_with_its_reason(frame: bytes, reason: str) -> None:
    ((_, said),) = decoded([frame], DECODER).refused
    assert said.startswith(reason)


BARE = {"venue": "V", "symbol": "S", "event_time": 1, "receive_time": 2, "sequence": 3, "depth": 4}
LEVELS = [{"price": float(n), "quantity": n / 8} for n in range(7)]


def packed(levels: list[dict[str, float]]) -> bytes:
    return b"".join(np.array([*level.values()], "<f8").tobytes() for level in levels)


def snapshot(bids: bytes) -> bytes:
    """A BookSnapshot's frame, its bids these bytes."""
    plain = written(catalogue.schema("BookSnapshot"), {**BARE, "bids": [], "asks": LEVELS[:1]})
    asks = b"\x02" + packed(LEVELS[:1]) + b"\0"
    assert plain.endswith(b"\0" + asks)
    return framed(IDS["BookSnapshot"], plain[: -len(asks) - 1] + bids + asks)


@pytest.mark.parametrize(
    "bids",
    [
        b"\x0e" + packed(LEVELS) + b"\0",
        b"\x06" + packed(LEVELS[:3]) + b"\x08" + packed(LEVELS[3:]) + b"\0",
        b"\x05\x60" + packed(LEVELS[:3]) + b"\x08" + packed(LEVELS[3:]) + b"\0",
        b"\x0d\xe0\x01" + packed(LEVELS) + b"\0",
    ],
)
def test_an_array_may_come_in_blocks_with_and_without_their_sizes(bids: bytes) -> None:
    batch = decoded([snapshot(bids), snapshot(b"\0"), snapshot(bids)], DECODER)
    wanted = [{**BARE, "bids": levels, "asks": LEVELS[:1]} for levels in (LEVELS, [], LEVELS)]
    assert values(batch) == wanted


@pytest.mark.parametrize(
    "bids",
    [
        b"\x0e" + packed(LEVELS[:2]),
        b"\xfe\xff\xff\xff\xff\xff\xff\xff\xff\x01",  # the most positive count
        LONGEST + b"\x02",  # the most negative one, whose absolute value is none
        b"\x05\x62" + packed(LEVELS[:3]) + b"\0\0",
        b"\x05\x5e" + packed(LEVELS[:3]) + b"\0",
        b"\x05\x01" + packed(LEVELS[:3]) + b"\0",
        b"\x05" + LONGEST + packed(LEVELS[:3]) + b"\0",
        b"\x02" + packed(LEVELS[:1]) + b"\x80",
    ],
)
def test_a_refused_record_leaves_no_items(bids: bytes) -> None:
    good = snapshot(b"\x02" + packed(LEVELS[:1]) + b"\0")
    batch = decoded([good, snapshot(bids), good], DECODER)
    assert [index for index, _ in batch.refused] == [1]
    assert len(batch.items["BookSnapshot.bids"]) == len(batch.items["BookSnapshot.asks"]) == 2
    wanted = {**BARE, "bids": LEVELS[:1], "asks": LEVELS[:1]}
    assert values(batch) == [wanted, None, wanted]


def test_a_record_that_does_not_belong_on_a_topic_is_refused() -> None:
    clock = frame_of("Clock", {"event_time": 1, "receive_time": 1})
    assert decoded([clock], DECODER, "tape").refused == []
    ((_, reason),) = decoded([clock], DECODER, "bars").refused
    assert reason.endswith("a record that does not belong on this topic")


def test_text_is_not_copied() -> None:
    frame = configured()
    batch = decoded([frame], DECODER)
    row = batch.tables["Configured"][0]
    start, length = row["configuration_start"], row["configuration_length"]
    assert batch.text[start : start + length].tobytes() == b"{}"
    assert batch.text.base is not None


def test_an_empty_batch_has_every_table() -> None:
    batch = decoded([], DECODER)
    assert batch.tables.keys() == set(catalogue.RECORDS)
    assert all(len(table) == 0 for table in [*batch.tables.values(), *batch.items.values()])


def test_values_outside_of_the_buffer_are_refused() -> None:
    data = np.frombuffer(configured(), np.uint8)
    ends = np.array([len(data) + 1, len(data), 5], np.int64)
    starts = np.array([0, -1, 7], np.int64)
    batch = DECODER.decode("any", 0, data, starts, ends, ends, ends)
    assert [index for index, _ in batch.refused] == [0, 1, 2]


def fastavro_refuses(data: bytes, schema: Any) -> bool:
    stream = io.BytesIO(data)
    try:
        fastavro.schemaless_reader(stream, fastavro.parse_schema(records.without_units(schema)))
    except Exception:
        return True
    return stream.tell() != len(data)


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=40))
def test_text_is_accepted_exactly_when_python_decodes_it(text: bytes) -> None:
    data = configured(hash=bytes([2 * len(text)]) + text if len(text) < 64 else b"")
    try:
        text.decode()
    except UnicodeDecodeError:
        assert fastavro_refuses(data[5:], catalogue.schema("Configured"))
        assert len(decoded([data], DECODER).refused) == 1
    else:
        assert decoded([data], DECODER).refused == []
