"""The archive as history: any range of a topic's offsets, in their order, as columns."""

import hashlib
import json
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from schemas.errors import SchemaError, StoreError
from streams.archive import layout, parquet
from streams.archive.config import ArchiveConfig
from streams.archive.manifest import File, Segment, parse
from streams.archive.store import FileStore
from streams.records import Records

# Records handed on at once: what one fetch from Kafka brings, more or less.
_PORTION = 50_000
_REPAIR = "`tape archive verify` tells all that is wrong"


class Archive:
    """A tape's archive. Nothing is written; what is damaged is named in a StoreError."""

    def __init__(self, config: ArchiveConfig, tape: str) -> None:
        self.store, self.tape = FileStore(config), tape
        self._segments: dict[str, Segment] = {}

    def span(self, topic: str, partition: int) -> tuple[int, int] | None:
        """The first offset that is there and the first that is not; None: nothing is."""
        starts = self.starts(topic, partition)
        if not starts:
            return None
        return starts[0], self.segment(topic, partition, starts[-1]).end

    def read(self, topic: str, partition: int, start: int, end: int) -> Iterator[Records]:
        """The records from `start` up to `end` (exclusive), in portions.

        StoreError when one of these offsets is not in the archive, or what is there is damaged.
        """
        if start >= end:
            return
        segments = self._covering(topic, partition, start, end)
        with ThreadPoolExecutor(1, "archive") as worker:
            coming: Future[Records] = worker.submit(self.load, segments[0])
            for _, after in pairwise([*segments, None]):
                records = coming.result()
                if after is not None:
                    coming = worker.submit(self.load, after)
                records = records.between(start, end)
                for begin in range(0, len(records), _PORTION):
                    yield records.part(begin, begin + _PORTION)

    def schemas(self) -> dict[int, dict[str, Any]]:
        """The writers' schemas by id: the archive can be read without the registry."""
        found = {}
        for name in self.store.names(f"{self.tape}/_schemas"):
            number = name.removesuffix(".json")
            if number.isdigit():
                found[int(number)] = json.loads(
                    self.store.read(layout.schema_path(self.tape, int(number)))
                )
        return found

    def complete(self, writers: dict[int, dict[str, Any]]) -> None:
        """Add the schemas that only the archive knows; SchemaError where an id means another."""
        for number, schema in self.schemas().items():
            known = writers.setdefault(number, schema)
            if without_docs(known) != without_docs(schema):
                raise SchemaError(
                    f"schema id {number} is another one in the archive {self.store.url} than in "
                    "the registry: the archive belongs to a tape of another registry"
                )

    def topics(self) -> dict[str, list[int]]:
        """Partitions of each topic that is archived."""
        found = {}
        for topic in self.store.names(self.tape):
            numbers = [
                int(name.removeprefix("partition="))
                for name in self.store.names(f"{self.tape}/{topic}")
                if name.startswith("partition=")
            ]
            if numbers and not topic.startswith("_"):
                found[topic] = sorted(numbers)
        return found

    def starts(self, topic: str, partition: int) -> list[int]:
        """Where the segments of a partition begin, in order."""
        names = self.store.names(layout.manifest_folder(self.tape, topic, partition))
        return [int(stem) for name in names if (stem := name.removesuffix(".json")).isdigit()]

    def segment(self, topic: str, partition: int, start: int) -> Segment:
        """The manifest of the segment that begins at `start`; StoreError when it is damaged."""
        path = layout.manifest_path(self.tape, topic, partition, start)
        if path not in self._segments:
            try:
                found = parse(path, self.store.read(path))
            except FileNotFoundError:
                raise StoreError(f"{path} is missing in {self.store.url}; {_REPAIR}") from None
            place = (found.tape, found.topic, found.partition, found.start)
            if place != (self.tape, topic, partition, start):
                raise StoreError(f"{path} is the manifest of another segment: {place}")
            self._segments[path] = found
        return self._segments[path]

    def load(self, segment: Segment) -> Records:
        """A segment's records in the order of their offsets; StoreError when one is not there."""
        files = [(file, self._columns(file)) for file in segment.files]
        records = _merged(segment, files)
        if len(records) != segment.records:
            at = (self.tape, segment.topic, segment.partition, segment.start)
            raise StoreError(
                f"{layout.manifest_path(*at)} tells of {segment.records} records, "
                f"its files of {len(records)}"
            )
        return records

    def data(self, file: File) -> bytes:
        """A file's bytes, which are as they were written; StoreError when not."""
        try:
            data = self.store.read(file.path)
        except FileNotFoundError:
            raise StoreError(f"{file.path} is missing in {self.store.url}; {_REPAIR}") from None
        if len(data) != file.size or hashlib.sha256(data).hexdigest() != file.sha256:
            raise StoreError(f"{file.path} in {self.store.url} was altered; {_REPAIR}")
        return data

    def _columns(self, file: File) -> parquet.Columns:
        columns = parquet.decode(file.path, self.data(file))
        if len(columns.offsets) != file.records:
            raise StoreError(
                f"{file.path} holds {len(columns.offsets)} records and not {file.records}"
            )
        return columns

    def _covering(self, topic: str, partition: int, start: int, end: int) -> list[Segment]:
        """The segments that hold the offsets, each beginning where the one before ends."""
        starts = self.starts(topic, partition)
        first = bisect_right(starts, start) - 1
        what = f"{topic}[{partition}] of tape {self.tape}"
        if first < 0:
            raise StoreError(f"the archive {self.store.url} holds nothing of {what} at {start}")
        found = [self.segment(topic, partition, starts[first])]
        for after in starts[first + 1 :]:
            if found[-1].end >= end:
                break
            found.append(self.segment(topic, partition, after))
            if after != found[-2].end or found[-1].previous != found[-2].sha256:
                raise StoreError(
                    f"the archive {self.store.url} of {what} has no segment that begins at "
                    f"{found[-2].end}, or another one than was written; {_REPAIR}"
                )
        if found[-1].end < end:
            raise StoreError(
                f"the archive {self.store.url} of {what} ends at offset {found[-1].end}; "
                f"{end} was asked for"
            )
        return found


def without_docs(schema: Any) -> Any:
    """A schema without what does not change what its bytes mean."""
    if isinstance(schema, dict):
        return {name: without_docs(part) for name, part in schema.items() if name != "doc"}
    if isinstance(schema, list):
        return [without_docs(part) for part in schema]
    return schema


def _merged(segment: Segment, files: Sequence[tuple[File, parquet.Columns]]) -> Records:
    """The records of files in the order of their offsets; their bytes lie file after file."""
    buffers: list[NDArray[np.uint8]] = []
    columns: list[list[NDArray[np.int64]]] = [[], [], [], [], [], []]
    at = 0
    for file, found in files:
        key = np.frombuffer(layout.key_of(file.key), np.uint8)
        base = at + len(key)
        buffers += [key, found.values]
        parts = (
            np.full(file.records, at), np.full(file.records, base),
            found.limits[:-1] + base, found.limits[1:] + base,
            found.offsets, found.timestamps_ms,
        )  # fmt: skip
        for column, part in zip(columns, parts, strict=True):
            column.append(part)
        at = base + len(found.values)
    empty = np.empty(0, np.int64)
    joined = [np.concatenate([*parts, empty]) for parts in columns]
    order = _order(joined[4], segment)
    buffer = np.concatenate([*buffers, np.empty(0, np.uint8)])
    return Records(buffer, *(column[order] for column in joined))


def _order(offsets: NDArray[np.int64], segment: Segment) -> NDArray[np.int64]:
    """Which record comes when; a segment without gaps needs no sorting."""
    count = segment.end - segment.start
    places = offsets - segment.start
    if len(offsets) == count and count and places.min() >= 0 and places.max() < count:
        order = np.full(count, -1, np.int64)
        order[places] = np.arange(count)
        if (order >= 0).all():
            return order
    return np.argsort(offsets, kind="stable")
