"""Kernels over Kafka's record batches, format v2: headers, CRC-32C, records.

The format is that of Kafka's documentation ("Record Batch"); all integers are big endian,
lengths and deltas of a record are zigzag varints.
"""

import numba
import numpy as np
from numpy.typing import NDArray

# Columns of a header row.
START, END, BASE_OFFSET, ATTRIBUTES, LAST_DELTA, BASE_TIME, MAX_TIME, PRODUCER, COUNT = range(9)
COLUMNS = 9

HEADER = 61  # bytes before a batch's records
PREFIX = 12  # base offset and length, not counted in the length

# What `read_headers` and `read_records` give in place of a count.
BAD_MAGIC, BAD_CRC, BAD_RECORD, BAD_LENGTH = -1, -2, -3, -4


def _tables() -> NDArray[np.uint32]:
    """Tables of CRC-32C (Castagnoli) for eight bytes at a time."""
    tables = np.zeros((8, 256), np.uint32)
    for byte in range(256):
        crc = byte
        for _ in range(8):
            crc = (crc >> 1) ^ (0x82F63B78 if crc & 1 else 0)
        tables[0, byte] = crc
    for row in range(1, 8):
        for byte in range(256):
            before = int(tables[row - 1, byte])
            tables[row, byte] = (before >> 8) ^ int(tables[0, before & 255])
    return tables


_TABLES = _tables()


@numba.njit(cache=True, nogil=True)
def crc32c(data, start, end):  # type: ignore[no-untyped-def]  # numba infers
    """CRC-32C of data[start:end]."""
    crc = np.uint32(0xFFFFFFFF)
    at = start
    while end - at >= 8:
        low = crc ^ (
            np.uint32(data[at])
            | (np.uint32(data[at + 1]) << np.uint32(8))
            | (np.uint32(data[at + 2]) << np.uint32(16))
            | (np.uint32(data[at + 3]) << np.uint32(24))
        )
        crc = (
            _TABLES[7, low & np.uint32(255)]
            ^ _TABLES[6, (low >> np.uint32(8)) & np.uint32(255)]
            ^ _TABLES[5, (low >> np.uint32(16)) & np.uint32(255)]
            ^ _TABLES[4, low >> np.uint32(24)]
            ^ _TABLES[3, data[at + 4]]
            ^ _TABLES[2, data[at + 5]]
            ^ _TABLES[1, data[at + 6]]
            ^ _TABLES[0, data[at + 7]]
        )
        at += 8
    while at < end:
        crc = (crc >> np.uint32(8)) ^ _TABLES[0, (crc ^ data[at]) & np.uint32(255)]
        at += 1
    return crc ^ np.uint32(0xFFFFFFFF)


@numba.njit(cache=True, nogil=True)
def _big_endian(data, at, width):  # type: ignore[no-untyped-def]
    """A signed integer of `width` bytes."""
    value = np.int64(data[at])
    if value >= 128:
        value -= 256
    for i in range(1, width):
        value = (value << 8) | np.int64(data[at + i])
    return value


@numba.njit(cache=True, nogil=True)
def read_headers(data, check_crc, rows):  # type: ignore[no-untyped-def]
    """Fill a row of `rows` for each whole batch in `data`; the number of them, or what is bad.

    A batch that is cut off at the end, as the broker may send it, is left out. When something
    is bad, `rows[0]` says where the batch begins.
    """
    at = 0
    count = 0
    size = len(data)
    while size - at >= HEADER and count < len(rows):
        end = at + PREFIX + _big_endian(data, at + 8, 4)
        if end < at + HEADER:
            rows[0, START] = at
            return BAD_LENGTH
        if end > size:
            break
        if data[at + 16] != 2:
            rows[0, START] = at
            return BAD_MAGIC
        if check_crc:
            stored = np.uint32(_big_endian(data, at + 17, 4) & 0xFFFFFFFF)
            if crc32c(data, at + 21, end) != stored:
                rows[0, START] = at
                return BAD_CRC
        row = rows[count]
        row[START] = at + HEADER
        row[END] = end
        row[BASE_OFFSET] = _big_endian(data, at, 8)
        row[ATTRIBUTES] = _big_endian(data, at + 21, 2)
        row[LAST_DELTA] = _big_endian(data, at + 23, 4)
        row[BASE_TIME] = _big_endian(data, at + 27, 8)
        row[MAX_TIME] = _big_endian(data, at + 35, 8)
        row[PRODUCER] = _big_endian(data, at + 43, 8)
        row[COUNT] = _big_endian(data, at + 57, 4)
        count += 1
        at = end
    return count


@numba.njit(cache=True, nogil=True)
def _varint(data, at, end):  # type: ignore[no-untyped-def]
    """A zigzag varint and where it ends; -1 there when it runs over `end`."""
    value = np.uint64(0)
    shift = np.uint64(0)
    while at < end and shift < 64:
        byte = np.uint64(data[at])
        at += 1
        value |= (byte & np.uint64(127)) << shift
        if byte < 128:
            unsigned = np.int64(value >> np.uint64(1))
            return (unsigned ^ -np.int64(value & np.uint64(1))), at
        shift += np.uint64(7)
    return np.int64(0), -1


@numba.njit(cache=True, nogil=True)
def read_records(  # type: ignore[no-untyped-def]
    data, batches, from_offset,
    key_starts, key_ends, value_starts, value_ends, offsets, timestamps,
):  # fmt: skip
    """Fill the columns with the records of batches that lie uncompressed in `data`.

    Records before `from_offset` are left out. The number of records, or BAD_RECORD.
    """
    count = 0
    for b in range(len(batches)):
        at = batches[b, START]
        batch_end = batches[b, END]
        append_time = (batches[b, ATTRIBUTES] & 8) != 0
        for _ in range(batches[b, COUNT]):
            length, at = _varint(data, at, batch_end)
            # Compared by what is left: adding a huge length would overflow, and pass.
            if at < 0 or length < 0 or length > batch_end - at:
                return BAD_RECORD
            end = at + length
            delta, at = _varint(data, at + 1, end)  # after one byte of unused attributes
            if at < 0:
                return BAD_RECORD
            offset_delta, at = _varint(data, at, end)
            if at < 0:
                return BAD_RECORD
            key_length, at = _varint(data, at, end)
            if at < 0 or key_length > end - at:
                return BAD_RECORD
            key_start = at
            at += max(key_length, 0)
            value_length, at = _varint(data, at, end)
            if at < 0 or value_length > end - at:
                return BAD_RECORD
            offset = batches[b, BASE_OFFSET] + offset_delta
            if offset >= from_offset:
                if count == len(offsets):
                    return BAD_RECORD
                key_starts[count] = key_start
                key_ends[count] = key_start + max(key_length, 0)
                value_starts[count] = at
                value_ends[count] = at + max(value_length, 0)
                offsets[count] = offset
                timestamps[count] = (
                    batches[b, MAX_TIME] if append_time else batches[b, BASE_TIME] + delta
                )
                count += 1
            at = end  # past the headers
    return count
