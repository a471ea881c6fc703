"""Manifests: what a segment of the archive holds, by offsets, counts and hashes.

A segment is what was archived of one partition at once, the offsets from `start` up to `end`. Its
manifest is written last and makes it valid; it names the manifest before it by its hash, so that
the manifests of a partition are a chain in which none can be altered, cut or left out.
"""

import hashlib

import msgspec
from msgspec.structs import replace

from schemas.errors import StoreError

VERSION = 1


class File(msgspec.Struct, frozen=True, kw_only=True):
    """A Parquet file: the segment's records of one day and key."""

    path: str
    day: str
    key: str
    """In percent form (`layout.key_name`)."""
    records: int
    first_offset: int
    last_offset: int
    size: int
    sha256: str


class Segment(msgspec.Struct, frozen=True, kw_only=True):
    """A manifest."""

    version: int = VERSION
    tape: str
    topic: str
    topic_id: str
    """Kafka's own id of the topic: one that is made anew under the same name is another."""
    partition: int
    start: int
    end: int
    """The first offset that is not in the segment."""
    records: int
    value_bytes: int
    records_sha256: str
    """Of the canonical records (streams/canonical.py) in the order of their offsets."""
    offsets_sha256: str
    """Of the offsets as little-endian 64-bit integers."""
    first_timestamp_ms: int
    last_timestamp_ms: int
    schemas: dict[str, str]
    """Id -> SHA-256 of its file in `_schemas`."""
    previous: str
    """SHA-256 of the manifest of the segment before; empty in the first one."""
    files: list[File]
    sha256: str = ""
    """Of this manifest with this field empty."""


def sealed(segment: Segment) -> tuple[Segment, bytes]:
    """The segment with its own hash, and its file."""
    signed = replace(segment, sha256=_digest(segment))
    return signed, _encode(signed)


def parse(path: str, data: bytes) -> Segment:
    """A manifest from its file; StoreError when one byte is not as it was written."""
    try:
        segment = msgspec.json.decode(data, type=Segment)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise StoreError(f"{path} is no manifest of the archive: {error}") from None
    if segment.version != VERSION:
        raise StoreError(
            f"{path} is of version {segment.version}; this tape reads {VERSION}: use a newer one"
        )
    if segment.sha256 != _digest(segment) or data != _encode(segment):
        raise StoreError(f"{path} was altered: its content does not have the hash that it names")
    return segment


def _digest(segment: Segment) -> str:
    return hashlib.sha256(_encode(replace(segment, sha256=""))).hexdigest()


def _encode(segment: Segment) -> bytes:
    return msgspec.json.format(msgspec.json.encode(segment), indent=1)
