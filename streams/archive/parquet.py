"""Records of one day and key as a Parquet file, and back, without an object for a record.

| column | is |
|---|---|
| offset | int64, the record's offset |
| timestamp | timestamp[ms, UTC], the record's timestamp |
| key, value | the bytes as they are on Kafka |
| schema_id, record | what the value's frame names: the writer's schema and its record |
| venue, event_time, receive_time | out of the value, for people; null where it has none |

Only offset, timestamp and value are read back; the key is the file's.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from schemas.errors import StoreError
from streams.archive.gather_kernel import NO_ID, gather, schema_ids
from streams.archive.layout import day_of
from streams.records import Records

_ROW_GROUP = 1 << 20
_DICTIONARIES = ["key", "schema_id", "record", "venue"]
_ENCODINGS = {
    "offset": "DELTA_BINARY_PACKED",
    "timestamp": "DELTA_BINARY_PACKED",
    "value": "PLAIN",
    "event_time": "DELTA_BINARY_PACKED",
    "receive_time": "DELTA_BINARY_PACKED",
}
_READ = ["offset", "timestamp", "value"]


@dataclass(frozen=True, slots=True)
class Columns:
    """What a file holds: value i is `values[limits[i]:limits[i + 1]]`."""

    offsets: NDArray[np.int64]
    timestamps_ms: NDArray[np.int64]
    values: NDArray[np.uint8]
    limits: NDArray[np.int64]


def split(records: Records) -> list[tuple[int, bytes, NDArray[np.int64]]]:
    """Which records belong to which day (since 1970) and key: (day, key, indexes)."""
    if not len(records):
        return []
    keys = pa.DictionaryArray.from_arrays(
        *_encoded(_binary(records.buffer, records.key_starts, records.key_ends))
    )
    number = keys.indices.to_numpy(zero_copy_only=False).astype(np.int64)
    days, day = np.unique(day_of_all(records.timestamps_ms), return_inverse=True)
    group = number * len(days) + day
    order = np.argsort(group, kind="stable")
    cuts = np.flatnonzero(np.diff(group[order])) + 1
    dictionary = keys.dictionary.to_pylist()
    return [
        (int(days[day[part[0]]]), dictionary[number[part[0]]], part)
        for part in np.split(order, cuts)
    ]


def day_of_all(timestamps_ms: NDArray[np.int64]) -> NDArray[np.int64]:
    """`layout.day_of` of many."""
    days: NDArray[np.int64] = day_of(timestamps_ms)  # type: ignore[arg-type, assignment]
    return days


def encode(
    records: Records,
    indexes: NDArray[np.int64],
    names: Mapping[int, str],
    readable: Mapping[str, pa.Array],
) -> bytes:
    """The file of some of the records.

    `names` are the records' names by schema id; `readable` are further columns of all records.
    """
    key_starts, key_ends = records.key_starts[indexes], records.key_ends[indexes]
    value_starts, value_ends = records.value_starts[indexes], records.value_ends[indexes]
    ids = schema_ids(records.buffer, value_starts, value_ends)
    known, number = np.unique(ids, return_inverse=True)
    record = pa.array([names.get(int(one)) for one in known], pa.string())
    columns = {
        "offset": pa.array(records.offsets[indexes]),
        "timestamp": pa.array(records.timestamps_ms[indexes]).cast(pa.timestamp("ms", "UTC")),
        "key": _binary(records.buffer, key_starts, key_ends),
        "schema_id": pa.array(ids, mask=ids == NO_ID),
        "record": record.take(pa.array(number)),
        "value": _binary(records.buffer, value_starts, value_ends),
    }
    where = pa.array(indexes)
    columns |= {name: column.take(where) for name, column in readable.items()}
    sink = pa.BufferOutputStream()
    pq.write_table(
        pa.table(columns),
        sink,
        compression="zstd",
        row_group_size=_ROW_GROUP,
        use_dictionary=[name for name in _DICTIONARIES if name in columns],
        column_encoding={name: way for name, way in _ENCODINGS.items() if name in columns},
        write_page_index=True,
    )
    return bytes(sink.getvalue())


def decode(path: str, data: bytes) -> Columns:
    """What a file holds; StoreError when it is none of ours."""
    table = _table(path, data, _READ)
    values, limits = _bytes_of(table["value"])
    return Columns(
        _integers(table["offset"]),
        _integers(table["timestamp"].cast(pa.int64())),
        values,
        limits,
    )


def keys(path: str, data: bytes) -> set[bytes]:
    """The distinct keys in a file."""
    return set(_table(path, data, ["key"])["key"].unique().to_pylist())


def _table(path: str, data: bytes, columns: list[str]) -> Any:
    try:
        return pq.ParquetFile(pa.BufferReader(data)).read(columns, use_threads=False)
    except (pa.ArrowException, OSError, KeyError) as error:
        raise StoreError(f"{path} is no file of the archive: {error}") from None


def _encoded(array: Any) -> tuple[Any, Any]:
    encoded = array.dictionary_encode()
    return encoded.indices, encoded.dictionary


def _binary(
    buffer: NDArray[np.uint8], starts: NDArray[np.int64], ends: NDArray[np.int64]
) -> pa.Array:
    data, limits = gather(buffer, starts, ends)
    return pa.BinaryArray.from_buffers(
        pa.binary(), len(starts), [None, pa.py_buffer(limits), pa.py_buffer(data)]
    )


def _integers(column: Any) -> NDArray[np.int64]:
    found: NDArray[np.int64] = column.combine_chunks().to_numpy(zero_copy_only=False)
    return found


def _bytes_of(column: Any) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """The bytes of a binary column's chunks, and the limits of each value."""
    parts, limits, base = [], [np.zeros(1, np.int64)], 0
    for chunk in column.chunks:
        if not len(chunk):
            continue
        _, where, data = chunk.buffers()
        own = np.frombuffer(where, np.int32)[chunk.offset : chunk.offset + len(chunk) + 1]
        first, last = int(own[0]), int(own[-1])
        if data is not None:
            parts.append(np.frombuffer(data, np.uint8)[first:last])
        limits.append(own[1:].astype(np.int64) + (base - first))
        base += last - first
    joined = parts[0] if len(parts) == 1 else np.concatenate([*parts, np.empty(0, np.uint8)])
    return joined, np.concatenate(limits)
