"""Kafka's record batches, as the broker sends them, into columns: no object for a record."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from aiokafka import codec
from numpy.typing import NDArray

from schemas.errors import StoreError
from streams.record_batch_kernel import (
    ATTRIBUTES,
    BAD_CRC,
    BAD_LENGTH,
    BAD_MAGIC,
    BASE_OFFSET,
    COLUMNS,
    COUNT,
    END,
    HEADER,
    LAST_DELTA,
    PRODUCER,
    START,
    read_headers,
    read_records,
)
from streams.records import Records

_COMPRESSION, _TRANSACTIONAL, _CONTROL = 0x07, 0x10, 0x20
_DECODERS: dict[int, Callable[[Any], Any]] = {
    1: codec.gzip_decode,
    2: codec.snappy_decode,
    3: codec.lz4_decode,
    4: codec.zstd_decode,
}
# Type of a control record, after two bytes of version: transactions end with one of both.
_ABORT = 0
# (producer id, first offset) of a transaction that was aborted, as a fetch response names them.
Aborted = tuple[int, int]


def whole_batches(data: bytes) -> bool:
    """Whether there is at least one whole batch; the broker may cut the last one off."""
    return len(data) >= HEADER and len(data) >= 12 + int.from_bytes(data[8:12], "big")


def parse(
    data: bytes,
    from_offset: int,
    aborted: Sequence[Aborted] | None = None,
    check_crc: bool = True,
) -> tuple[Records, int]:
    """The records of a fetch response's batches, and the offset to fetch next.

    Leaves out records before `from_offset`, control records and, where `aborted` is given
    (a reader of committed records only), those of aborted transactions. StoreError when the
    bytes are damaged: fetch again.
    """
    source = np.frombuffer(data, np.uint8)
    batches = _headers(source, check_crc)
    if not len(batches):
        return _records(source, batches, from_offset), from_offset
    last = batches[-1]
    next_offset = max(from_offset, int(last[BASE_OFFSET] + last[LAST_DELTA]) + 1)
    attributes = batches[:, ATTRIBUTES]
    keep = (attributes & _CONTROL) == 0
    if aborted:
        keep &= ~_in_aborted(source, batches, aborted)
    if not keep.all():
        batches = batches[keep]
    if (batches[:, ATTRIBUTES] & _COMPRESSION).any():
        source, batches = _decompress(memoryview(data), batches)
    return _records(source, batches, from_offset), next_offset


def _headers(source: NDArray[np.uint8], check_crc: bool) -> NDArray[np.int64]:
    rows = np.empty((max(1, len(source) // HEADER), COLUMNS), np.int64)
    count = read_headers(source, check_crc, rows)
    if count < 0:
        problem = {
            BAD_MAGIC: "is not of format v2",
            BAD_CRC: "has a wrong CRC",
            BAD_LENGTH: "has an impossible length",
        }[count]
        raise StoreError(f"a record batch from Kafka (byte {rows[0, START]}) {problem}")
    return rows[:count]


def _records(source: NDArray[np.uint8], batches: NDArray[np.int64], from_offset: int) -> Records:
    # A record takes some bytes: a damaged count cannot ask for more room than that.
    room = int(np.minimum(batches[:, COUNT], batches[:, END] - batches[:, START]).clip(0).sum())
    columns = [np.empty(room, np.int64) for _ in range(6)]
    count = read_records(source, batches, from_offset, *columns)
    if count < 0:
        raise StoreError("a record batch from Kafka holds a damaged record")
    return Records(source, *(column[:count] for column in columns))


def _decompress(
    view: memoryview, batches: NDArray[np.int64]
) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """All batches' records one after the other, uncompressed, and rows that say where."""
    parts: list[Any] = []
    batches = batches.copy()
    at = 0
    for row in batches:
        body: Any = view[row[START] : row[END]]
        if kind := int(row[ATTRIBUTES] & _COMPRESSION):
            try:
                body = _DECODERS[kind](body)
            except Exception as error:  # each codec has errors of its own
                raise StoreError(
                    f"a record batch from Kafka (offset {row[BASE_OFFSET]}) could not be "
                    f"decompressed (codec {kind}): {error}"
                ) from error
        parts.append(body)
        row[START], at = at, at + len(body)
        row[END] = at
    return np.frombuffer(b"".join(parts), np.uint8), batches


def _in_aborted(
    source: NDArray[np.uint8], batches: NDArray[np.int64], aborted: Sequence[Aborted]
) -> NDArray[np.bool_]:
    """Which batches belong to aborted transactions; a producer's ends at its abort marker."""
    waiting = sorted(aborted, key=lambda one: one[1])
    open_: set[int] = set()
    found = np.zeros(len(batches), np.bool_)
    for index, row in enumerate(batches):
        while waiting and waiting[0][1] <= row[BASE_OFFSET]:
            open_.add(waiting.pop(0)[0])
        producer, attributes = int(row[PRODUCER]), int(row[ATTRIBUTES])
        if attributes & _CONTROL:
            if _is_abort(source, row):
                open_.discard(producer)
        elif attributes & _TRANSACTIONAL:
            found[index] = producer in open_
    return found


def _is_abort(source: NDArray[np.uint8], row: NDArray[np.int64]) -> bool:
    marker = _records(source, row[None, :], 0)
    return len(marker) == 1 and int.from_bytes(marker.key(0)[2:4], "big") == _ABORT
