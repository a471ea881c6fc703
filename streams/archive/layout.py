"""Where things lie in the archive: paths, relative to its root.

    TAPE/TOPIC/partition=N/day=2026-11-25/symbol=BTC-USDT/FIRST-DIGEST.parquet   data
    TAPE/TOPIC/partition=N/_manifest/START.json                                  one a segment
    TAPE/TOPIC/partition=N/_verified.json                                        what was verified
    TAPE/_schemas/ID.json                                                        writers' schemas

Hive's form of partitions, which query engines know; they skip what begins with `_`.
"""

import hashlib
from urllib.parse import quote_from_bytes, unquote_to_bytes

import numpy as np

_NO_KEY = "__HIVE_DEFAULT_PARTITION__"
_LONGEST_NAME = 180
_MS_A_DAY = 86_400_000


def partition_folder(tape: str, topic: str, partition: int) -> str:
    """The folder of a topic's partition."""
    return f"{tape}/{topic}/partition={partition}"


def manifest_folder(tape: str, topic: str, partition: int) -> str:
    """The folder of a partition's manifests."""
    return f"{partition_folder(tape, topic, partition)}/_manifest"


def manifest_path(tape: str, topic: str, partition: int, start: int) -> str:
    """The manifest of the segment that begins at an offset."""
    return f"{manifest_folder(tape, topic, partition)}/{start:020d}.json"


def verified_path(tape: str, topic: str, partition: int) -> str:
    """What has been verified of a partition."""
    return f"{partition_folder(tape, topic, partition)}/_verified.json"


def schema_path(tape: str, schema_id: int) -> str:
    """The Avro schema of an id."""
    return f"{tape}/_schemas/{schema_id}.json"


def data_path(
    tape: str, topic: str, partition: int, day: int, key: bytes, first: int, digest: str
) -> str:
    """A file of one day (since 1970) and key; its name tells its first offset and its content."""
    folder = partition_folder(tape, topic, partition)
    name = f"{first:020d}-{digest[:16]}.parquet"
    return f"{folder}/day={day_name(day)}/symbol={_folder_of(key)}/{name}"


def day_of(timestamp_ms: int) -> int:
    """The day (UTC, since 1970) of a record's timestamp."""
    return timestamp_ms // _MS_A_DAY


def day_name(day: int) -> str:
    """A day as 2026-11-25."""
    return str(np.datetime64(day, "D"))


def key_name(key: bytes) -> str:
    """A key as text, bytes other than letters, digits and `-._~` in percent form."""
    return quote_from_bytes(key, safe="")


def key_of(name: str) -> bytes:
    """The key that `key_name` made a name of."""
    return unquote_to_bytes(name)


def _folder_of(key: bytes) -> str:
    name = key_name(key)
    # Names that mean another folder.
    if name in {".", ".."}:
        return name.replace(".", "%2E")
    if len(name) > _LONGEST_NAME:
        return f"~{hashlib.sha256(key).hexdigest()}"
    return name or _NO_KEY
