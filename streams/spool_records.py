"""Records as the spool's files hold them: length, CRC-32, then where they go and what they are.

Little-endian: `length` (4 bytes) of what follows the CRC, `crc` (4) of just that; then the lengths
of topic (1) and key (2), the partition (2), the time in ms (8), topic, key and value.
"""

import struct
from collections.abc import Iterator
from itertools import islice
from zlib import crc32

Record = tuple[str, int, bytes, bytes, int]
"""Topic (Kafka's name of it), partition, key, value, time in ms."""

_FRAME = struct.Struct("<II")
_HEAD = struct.Struct("<BHHq")


def packed(record: Record) -> bytes:
    """The bytes of a record."""
    topic, partition, key, value, time_ms = record
    name = topic.encode()
    body = b"".join((_HEAD.pack(len(name), len(key), partition, time_ms), name, key, value))
    return _FRAME.pack(len(body), crc32(body)) + body


def unpacked(data: bytes, most: int | None = None) -> list[tuple[Record, int]]:
    """The whole records that data begins with, each with where it ends; at most so many."""
    view = memoryview(data)
    return [(_record(view[start:end]), end) for start, end in islice(_bodies(view), most)]


def whole(data: bytes, start: int = 0) -> tuple[int, int]:
    """How many whole records follow from a place on, and where the last of them ends."""
    count, last = 0, 0
    for _, end in _bodies(memoryview(data)[start:]):
        count, last = count + 1, end
    return count, start + last


def _bodies(view: memoryview) -> Iterator[tuple[int, int]]:
    """Where each record's bytes after the CRC begin and end; up to one that is cut or damaged."""
    start, size = _FRAME.size, len(view)
    while start <= size:
        length, crc = _FRAME.unpack_from(view, start - _FRAME.size)
        end = start + length
        # A tail of zeros, as a power cut may leave one, would pass as an empty record.
        if length < _HEAD.size or end > size or crc32(view[start:end]) != crc:
            return
        yield start, end
        start = end + _FRAME.size


def _record(body: memoryview) -> Record:
    name_size, key_size, partition, time_ms = _HEAD.unpack_from(body)
    key_at = _HEAD.size + name_size
    value_at = key_at + key_size
    topic = str(body[_HEAD.size : key_at], "utf-8")
    return topic, partition, bytes(body[key_at:value_at]), bytes(body[value_at:]), time_ms
