"""Records as the spool's files hold them: length, CRC-32, then where they go and what they are.

Little-endian: `length` (4 bytes) of what follows the CRC, `crc` (4) of just that; then the lengths
of topic (1) and key (2), the partition (2), the time in ms (8), topic, key and value.
"""

import struct
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


def unpacked(data: bytes | memoryview) -> tuple[list[tuple[Record, int]], int]:
    """The whole records that data begins with, each with where it ends; and why no more follow.

    The second value is how many bytes the next record takes, 0 at the end of the data, and
    -1 where what follows is no record: damaged, or the rest of one that was cut.
    """
    found: list[tuple[Record, int]] = []
    view = memoryview(data)
    at, size = 0, len(view)
    while size - at >= _FRAME.size:
        length, crc = _FRAME.unpack_from(view, at)
        start, end = at + _FRAME.size, at + _FRAME.size + length
        # A tail of zeros, as a power cut may leave one, would pass as an empty record.
        if length < _HEAD.size:
            return found, -1
        if end > size:
            return found, end - at
        body = view[start:end]
        if crc32(body) != crc:
            return found, -1
        found.append((_record(body), end))
        at = end
    return found, _FRAME.size if at < size else 0


def _record(body: memoryview) -> Record:
    name_size, key_size, partition, time_ms = _HEAD.unpack_from(body)
    key_at = _HEAD.size + name_size
    value_at = key_at + key_size
    topic = str(body[_HEAD.size : key_at], "utf-8")
    return topic, partition, bytes(body[key_at:value_at]), bytes(body[value_at:]), time_ms
