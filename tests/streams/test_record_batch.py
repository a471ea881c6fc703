"""Record batches are read as aiokafka reads them, only without an object for each record."""

from contextlib import suppress
from typing import Any

import pytest
from aiokafka.record.default_records import DefaultRecordBatchBuilder
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.errors import StoreError
from streams.record_batch import parse, whole_batches
from streams.records import Records

CODECS = {"none": 0, "gzip": 1, "snappy": 2, "lz4": 3, "zstd": 4}
Record = tuple[int, bytes | None, bytes | None]

record = st.tuples(
    st.integers(0, 2**41), st.none() | st.binary(max_size=20), st.none() | st.binary(max_size=300)
)


def batch(
    records: list[Record], codec: int = 0, base: int = 0, transactional: bool = False,
    producer: int = -1,
) -> bytes:  # fmt: skip
    builder = DefaultRecordBatchBuilder(
        magic=2, compression_type=codec, is_transactional=transactional, producer_id=producer,
        producer_epoch=0, base_sequence=0, batch_size=1 << 20,
    )  # fmt: skip
    for index, (timestamp, key, value) in enumerate(records):
        builder.append(index, timestamp, key, value, [("h", b"header")])
    data = builder.build()
    # The broker gives a batch its first offset; it is not covered by the CRC.
    return base.to_bytes(8, "big") + bytes(data[8:])


def control(base: int, producer: int, kind: int) -> bytes:
    """A control batch as the broker writes it at a transaction's end: the attribute bit is set."""
    plain = bytearray(batch([(0, (0).to_bytes(2, "big") + kind.to_bytes(2, "big"), b"\0" * 6)],
                            base=base, transactional=True, producer=producer))  # fmt: skip
    plain[22] |= 0x20
    return bytes(plain)


def as_list(records: Records) -> list[tuple[int, int, bytes, bytes]]:
    return [
        (int(records.offsets[i]), int(records.timestamps_ms[i]), records.key(i), records.value(i))
        for i in range(len(records))
    ]


def expected(records: list[Record], base: int) -> list[tuple[int, int, bytes, bytes]]:
    return [
        (base + index, timestamp, key or b"", value or b"")
        for index, (timestamp, key, value) in enumerate(records)
    ]


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.lists(record, min_size=1, max_size=20), min_size=1, max_size=4),
    st.sampled_from(list(CODECS.values())),
    st.integers(0, 2**40),
)
def test_records_are_what_was_written(batches: Any, codec: int, base: int) -> None:
    data, wanted, at = b"", [], base
    for records in batches:
        data += batch(records, codec, at)
        wanted += expected(records, at)
        at += len(records)
    found, next_offset = parse(data, base)
    assert as_list(found) == wanted
    assert next_offset == at


@pytest.mark.parametrize("codec", list(CODECS))
def test_a_batch_that_is_cut_off_is_fetched_again(codec: str) -> None:
    first = batch([(1, b"k", b"v" * 50)] * 10, CODECS[codec])
    second = batch([(2, b"k", b"w" * 50)] * 10, CODECS[codec], base=10)
    for cut in (1, 11, 60, len(second) - 1):
        found, next_offset = parse(first + second[:cut], 0)
        assert len(found) == next_offset == 10
    assert not whole_batches(second[:-1])
    assert whole_batches(second)


def test_records_before_the_asked_offset_are_left_out() -> None:
    found, next_offset = parse(batch([(1, b"k", b"v")] * 10, 3, base=100), 104)
    assert found.offsets.tolist() == [104, 105, 106, 107, 108, 109]
    assert next_offset == 110


def test_a_changed_byte_is_refused() -> None:
    data = bytearray(batch([(1, b"key", b"value")] * 5))
    data[-3] ^= 1
    with pytest.raises(StoreError, match="wrong CRC"):
        parse(bytes(data), 0)


def test_an_old_format_is_refused() -> None:
    data = bytearray(batch([(1, b"key", b"value")]))
    data[16] = 1
    with pytest.raises(StoreError, match="format v2"):
        parse(bytes(data), 0)


def test_control_records_are_skipped_but_passed() -> None:
    data = batch([(1, b"k", b"v")], transactional=True, producer=7) + control(1, 7, 1)
    found, next_offset = parse(data, 0, check_crc=False)
    assert found.offsets.tolist() == [0]
    assert next_offset == 2


def test_aborted_transactions_are_left_out_when_asked() -> None:
    data = (
        batch([(1, b"k", b"aborted")], base=0, transactional=True, producer=7)
        + batch([(1, b"k", b"another")], base=1, transactional=True, producer=8)
        + control(2, 7, 0)
        + batch([(1, b"k", b"committed")], base=3, transactional=True, producer=7)
    )
    found, next_offset = parse(data, 0, aborted=[(7, 0)], check_crc=False)
    assert [found.value(i) for i in range(len(found))] == [b"another", b"committed"]
    assert next_offset == 4
    everything, _ = parse(data, 0, check_crc=False)
    assert len(everything) == 3


@pytest.mark.parametrize("length", [-1, -13, -(1 << 31), 0, 48])
def test_an_impossible_batch_length_is_refused(length: int) -> None:
    whole = bytearray(batch([(1, b"key", b"value")], 0))
    whole[8:12] = length.to_bytes(4, "big", signed=True)
    with pytest.raises(StoreError, match="impossible length"):
        parse(bytes(whole), 0, check_crc=False)


def test_a_length_that_would_overflow_is_refused() -> None:
    huge = b"\xfe" + b"\xff" * 8 + b"\x01"
    whole = bytearray(batch([(1, b"key", b"value" * 8)], 0))
    for at in range(61, len(whole) - len(huge)):
        damaged = whole.copy()
        damaged[at : at + len(huge)] = huge
        with suppress(StoreError):
            found, _ = parse(bytes(damaged), 0, check_crc=False)
            assert (found.key_ends <= len(found.buffer)).all()
            assert (found.value_ends <= len(found.buffer)).all()
            assert (found.key_starts >= 0).all()


@settings(max_examples=1000, deadline=None)
@given(st.data())
def test_damaged_bytes_never_crash(data: st.DataObject) -> None:
    whole = bytearray(batch([(1, b"key", b"value" * 4)] * 5, 0))
    for _ in range(data.draw(st.integers(1, 4))):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    try:
        found, _ = parse(bytes(whole), 0, check_crc=False)
    except StoreError:
        return
    assert (found.value_ends <= len(found.buffer)).all()
    assert (found.value_starts >= 0).all()
