"""Any records, split by day and key into files, come back in order and byte for byte."""

import hashlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.errors import StoreError
from streams.archive import layout, parquet
from streams.archive.config import ArchiveConfig
from streams.archive.manifest import File, Segment, parse, sealed
from streams.archive.reader import Archive
from streams.records import Records

_DAY_MS = 86_400_000
_KEYS = st.one_of(
    st.sampled_from([b"", b"*", b"BTC-USDT", b"..", b"a/b", b"\xff\0", b"k" * 400]),
    st.binary(max_size=6),
)
# Around midnights, before 1970, and what a broken clock says.
_TIMES = st.one_of(
    st.builds(lambda day, ms: day * _DAY_MS + ms, st.integers(-2, 3), st.integers(-2, 2)),
    st.sampled_from([-(2**62), 2**62]),
)
_RECORDS = st.lists(st.tuples(_KEYS, st.binary(max_size=9), _TIMES, st.integers(1, 3)), max_size=30)


def records_of(rows: list[tuple[bytes, bytes, int, int]], start: int) -> Records:
    """Records after one another in a buffer with gaps between them, and gaps of offsets."""
    buffer = b"--".join([b"", *(key + b"-" + value for key, value, _, _ in rows), b""])
    at, columns = 0, [[], [], [], []]  # type: ignore[var-annotated]
    for key, value, _, _ in rows:
        at += 2
        places = (at, at + len(key), at + len(key) + 1, at + len(key) + 1 + len(value))
        for column, place in zip(columns, places, strict=True):
            column.append(place)
        at = places[-1]
    offsets = start + np.cumsum([0, *(step for _, _, _, step in rows)])[:-1]
    times = np.array([time for _, _, time, _ in rows], np.int64)
    return Records(
        np.frombuffer(buffer, np.uint8),
        *(np.array(column, np.int64) for column in columns),
        offsets.astype(np.int64),
        times,
    )


def archive_segment(archive: Archive, records: Records, start: int, end: int) -> Segment:
    """Write a segment as the archiver does."""
    files = []
    for day, key, indexes in parquet.split(records):
        data = parquet.encode(records, indexes, {}, {})
        first, last = records.offsets[indexes[[0, -1]]].tolist()
        path = layout.data_path(archive.tape, "tape", 0, day, key, first, "0" * 64)
        archive.store.write(path, data)
        files.append(
            File(
                path=path,
                day=layout.day_name(day),
                key=layout.key_name(key),
                records=len(indexes),
                first_offset=first,
                last_offset=last,
                size=len(data),
                sha256=hashlib.sha256(data).hexdigest(),
            )
        )
    segment, data = sealed(
        Segment(
            tape=archive.tape,
            topic="tape",
            topic_id="",
            partition=0,
            start=start,
            end=end,
            records=len(records),
            value_bytes=0,
            records_sha256="",
            offsets_sha256="",
            first_timestamp_ms=0,
            last_timestamp_ms=0,
            schemas={},
            previous="",
            files=files,
        )
    )
    archive.store.write(layout.manifest_path(archive.tape, "tape", 0, start), data)
    return segment


@settings(max_examples=60, deadline=None)
@given(_RECORDS, st.integers(0, 10**15), st.integers(0, 40), st.integers(0, 40))
def test_records_come_back_whatever_their_days_keys_and_gaps(
    rows: list[tuple[bytes, bytes, int, int]], start: int, begin: int, length: int
) -> None:
    archive = Archive(ArchiveConfig(url="memory://property"), "t")
    for path in archive.store.files(""):
        archive.store.remove(path)
    records = records_of(rows, start)
    end = int(records.offsets[-1]) + 2 if rows else start + 1
    segment = archive_segment(archive, records, start, end)
    assert archive.span("tape", 0) == (start, end)
    wanted = [
        (offset, key, value, time)
        for (key, value, time, _), offset in zip(rows, records.offsets.tolist(), strict=True)
    ]
    assert _plain([archive.load(segment)]) == wanted
    first, last = min(start + begin, end), min(start + begin + length, end)
    part = list(archive.read("tape", 0, first, last))
    assert _plain(part) == [row for row in wanted if first <= row[0] < last]
    for file in segment.files:
        data = archive.store.read(file.path)
        assert parquet.keys(file.path, data) == {layout.key_of(file.key)}
        days = parquet.day_of_all(parquet.decode(file.path, data).timestamps_ms)
        assert {layout.day_name(int(day)) for day in days} == {file.day}


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 255))
def test_no_byte_of_a_manifest_can_be_altered(place: int, change: int) -> None:
    segment, data = sealed(
        Segment(
            tape="t",
            topic="tape",
            topic_id="x",
            partition=0,
            start=5,
            end=9,
            records=4,
            value_bytes=1,
            records_sha256="a",
            offsets_sha256="b",
            first_timestamp_ms=0,
            last_timestamp_ms=1,
            schemas={"1": "c"},
            previous="",
            files=[],
        )
    )
    assert parse("m", data) == segment
    altered = bytearray(data)
    altered[place % len(data)] ^= change
    with pytest.raises(StoreError, match=r"^m "):
        parse("m", bytes(altered))
    with pytest.raises(StoreError, match=r"^m "):
        parse("m", data[: place % len(data)])


def _plain(portions: list[Records]) -> list[tuple[int, bytes, bytes, int]]:
    return [
        (int(one.offsets[i]), one.key(i), one.value(i), int(one.timestamps_ms[i]))
        for one in portions
        for i in range(len(one))
    ]
