"""Writes topics to the archive, segment after segment, each exactly once.

Where to go on is what the manifests say. A segment's files are named by their content and written
first, its manifest last: what a process that died had written without a manifest counts for
nothing, and is removed.
"""

import hashlib
import json
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from threading import Event
from typing import Any, Protocol

import numpy as np
from confluent_kafka import KafkaException, TopicCollection

from schemas.catalogue import kafka_name
from schemas.errors import SchemaError, StoreError
from schemas.registry import SchemaIds
from sinks.archive.digest import Digest
from sinks.archive.readable import readable
from streams import log
from streams.archive import layout, parquet
from streams.archive.config import ArchiveConfig
from streams.archive.gather_kernel import schema_ids
from streams.archive.manifest import File, Segment, sealed
from streams.archive.reader import Archive, without_docs
from streams.config import KafkaConfig
from streams.decoding import BatchDecoder
from streams.kafka import connect
from streams.records import Records

_POLL_S = 2.0
# Without a lock (S3) a file that no manifest names may be one that is being written.
_ORPHAN_S = 86_400.0

Position = tuple[str, int]


class Observer(Protocol):
    """Is told what the archiver does."""

    def archived(self, segment: Segment, seconds: float) -> None:
        """A segment is in the archive."""

    def cleaned(self, paths: int) -> None:
        """So many files that no manifest names were removed."""


@dataclass(slots=True)
class _Place:
    """Where a partition is."""

    next_offset: int
    previous: str
    since: float | None = None
    """When records beyond `next_offset` were first seen."""


@dataclass(slots=True)
class Archiver:
    """Archives topics of a tape; the schemas of their records come from `ids`."""

    kafka: KafkaConfig
    ids: SchemaIds
    config: ArchiveConfig
    tape: str
    observer: Observer
    _archive: Archive = field(init=False)
    _topic_ids: dict[str, str] = field(init=False, default_factory=dict)
    _written_schemas: dict[int, str] = field(init=False, default_factory=dict)
    _decoders: dict[str, BatchDecoder] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        self._archive = Archive(self.config, self.tape)

    def run(self, stop: Event, once: bool = False) -> None:
        """Archive until `stop` is set; `once`: only what is there now, in segments of any size.

        StoreError when Kafka or the store is away, when Kafka has deleted what is not archived,
        or when what is in the archive is damaged.
        """
        with self._archive.store.alone(self.tape):
            places = {
                (topic, partition): self._begin(topic, partition)
                for topic in self.config.topics
                for partition in sorted(log.ends(self.kafka, self.tape, topic))
            }
            while not stop.is_set():
                for topic in self.config.topics:
                    for partition, end in log.ends(self.kafka, self.tape, topic).items():
                        self._advance(topic, partition, places[topic, partition], end, once, stop)
                if once or stop.wait(_POLL_S):
                    return

    def _begin(self, topic: str, partition: int) -> _Place:
        """Find out where the archive of a partition ends; remove what has no manifest."""
        if topic not in self._topic_ids:
            self._topic_ids[topic] = _topic_id(self.kafka, self.tape, topic)
        low, high = log.bounds(self.kafka, self.tape, topic, partition)
        starts = self._archive.starts(topic, partition)
        last = self._archive.segment(topic, partition, starts[-1]) if starts else None
        place = _Place(last.end, last.sha256) if last else _Place(low, "")
        what = f"{topic} partition {partition} of tape {self.tape}"
        if last is not None and (last.topic_id != self._topic_ids[topic] or high < last.end):
            raise StoreError(
                f"the archive {self.config.url} of {what} is of another topic of this name (it "
                "was made anew): give archive.url another folder, or the tape another name"
            )
        if low > place.next_offset:
            raise StoreError(
                f"Kafka has deleted offsets {place.next_offset} to {low - 1} of {what} before they "
                "were archived: go on in an archive of its own (archive.url)"
            )
        self._clean(topic, partition, starts)
        return place

    def _clean(self, topic: str, partition: int, starts: Sequence[int]) -> None:
        named = {
            file.path
            for start in starts
            for file in self._archive.segment(topic, partition, start).files
        }
        store = self._archive.store
        removed = 0
        for path in store.files(layout.partition_folder(self.tape, topic, partition)):
            if _is_orphan(path, named) and (store.is_local or store.age_s(path) > _ORPHAN_S):
                store.remove(path)
                removed += 1
        if removed:
            self.observer.cleaned(removed)

    def _advance(
        self, topic: str, partition: int, place: _Place, end: int, once: bool, stop: Event
    ) -> None:
        """Write the segments that are due."""
        while place.next_offset < end and not stop.is_set():
            now = time.monotonic()
            place.since = place.since or now
            full = end - place.next_offset >= self.config.segment_records
            if not (once or full or now - place.since >= self.config.segment_age_s):
                return
            self._write(topic, partition, place, end)
            place.since = None

    def _write(self, topic: str, partition: int, place: _Place, end: int) -> None:
        began = time.perf_counter()
        records, digest, end = self._read(topic, partition, place.next_offset, end)
        files = self._write_files(topic, partition, records)
        times = records.timestamps_ms
        segment, data = sealed(
            Segment(
                tape=self.tape,
                topic=topic,
                topic_id=self._topic_ids[topic],
                partition=partition,
                start=place.next_offset,
                end=end,
                records=digest.count,
                value_bytes=int((records.value_ends - records.value_starts).sum()),
                records_sha256=digest.records,
                offsets_sha256=digest.offsets,
                first_timestamp_ms=int(times.min()) if len(times) else 0,
                last_timestamp_ms=int(times.max()) if len(times) else 0,
                schemas=self._write_schemas(records),
                previous=place.previous,
                files=files,
            )
        )
        path = layout.manifest_path(self.tape, topic, partition, segment.start)
        if not self._archive.store.create(path, data):
            raise StoreError(
                f"{path} is there already: another process archives tape {self.tape}; end one"
            )
        place.next_offset, place.previous = end, segment.sha256
        self.observer.archived(segment, time.perf_counter() - began)

    def _read(
        self, topic: str, partition: int, start: int, end: int
    ) -> tuple[Records, Digest, int]:
        """The next segment's records, their hashes, and where it ends."""
        most = self.config.segment_mb << 20
        end = min(end, start + self.config.segment_records)
        digest, size = Digest(), 0
        parts: list[Records] = []
        for records in log.read(self.kafka, self.tape, topic, partition, start, end):
            lengths = records.value_ends - records.value_starts
            room = int(np.searchsorted(np.cumsum(lengths), most - size, "right"))
            if room < len(records):
                # One record is always taken, however large.
                records = records.part(0, max(room, 0 if parts else 1))  # noqa: PLW2901
                end = int(records.offsets[-1]) + 1 if len(records) else _after(parts)
            if len(records):
                parts.append(records)
                digest.add(records)
            if room < len(lengths):
                break
            size += int(lengths.sum())
        return _joined(parts), digest, end

    def _write_files(self, topic: str, partition: int, records: Records) -> list[File]:
        decoder = self._decoders.setdefault(topic, BatchDecoder(topic, self.ids))
        columns = readable(decoder.decode(partition, records)) if len(records) else {}
        names = {number: _name(schema) for number, schema in self.ids.writers.items()}
        found = []
        for day, key, indexes in parquet.split(records):
            data = parquet.encode(records, indexes, names, columns)
            digest = hashlib.sha256(data).hexdigest()
            first, last = records.offsets[indexes[[0, -1]]].tolist()
            path = layout.data_path(self.tape, topic, partition, day, key, first, digest)
            self._archive.store.write(path, data)
            found.append(
                File(
                    path=path,
                    day=layout.day_name(day),
                    key=layout.key_name(key),
                    records=len(indexes),
                    first_offset=first,
                    last_offset=last,
                    size=len(data),
                    sha256=digest,
                )
            )
        return found

    def _write_schemas(self, records: Records) -> dict[str, str]:
        """The schemas that these records were written by, in the archive; their hashes by id."""
        used = np.unique(schema_ids(records.buffer, records.value_starts, records.value_ends))
        for number in used.tolist():
            if number < 0 or number in self._written_schemas:
                continue
            try:
                schema = self.ids.fetch(number)
            except SchemaError:
                continue  # Foreign bytes that look like a frame.
            self._written_schemas[number] = self._write_schema(number, schema)
        return {
            str(number): self._written_schemas[number]
            for number in used.tolist()
            if number in self._written_schemas
        }

    def _write_schema(self, number: int, schema: dict[str, Any]) -> str:
        """Put a schema there, unless one that means the same is; the hash of its file."""
        store, path = self._archive.store, layout.schema_path(self.tape, number)
        data = json.dumps(schema, indent=1, sort_keys=True).encode()
        if not store.create(path, data):
            there = store.read(path)
            if without_docs(json.loads(there)) != without_docs(schema):
                raise StoreError(
                    f"{path} of the archive {self.config.url} is another schema than the registry "
                    f"has as id {number}: the registry was made anew; give archive.url another "
                    "folder"
                )
            data = there
        return hashlib.sha256(data).hexdigest()


def orphans(archive: Archive, topic: str, partition: int, named: set[str]) -> Iterator[str]:
    """Files of a partition that no manifest names: of a process that died, or runs just now."""
    for path in archive.store.files(layout.partition_folder(archive.tape, topic, partition)):
        if _is_orphan(path, named):
            yield path


def _is_orphan(path: str, named: set[str]) -> bool:
    name = path.rsplit("/", 1)[-1]
    is_data = name.endswith(".parquet") and path not in named
    return is_data or name.endswith(".tmp")


def _name(schema: dict[str, Any]) -> str:
    return str(schema.get("name", "")).rsplit(".", 1)[-1]


def _after(parts: Sequence[Records]) -> int:
    return int(parts[-1].offsets[-1]) + 1


def _joined(parts: Sequence[Records]) -> Records:
    """Consecutive portions as one, over one buffer."""
    bases = np.cumsum([0, *(len(part.buffer) for part in parts)])
    empty = np.empty(0, np.int64)

    def column(take: Callable[[Records], Any], moved: bool) -> Any:
        return np.concatenate(
            [empty]
            + [
                take(part) + (base if moved else 0)
                for part, base in zip(parts, bases[:-1], strict=True)
            ]
        )

    return Records(
        np.concatenate([np.empty(0, np.uint8), *(part.buffer for part in parts)]),
        column(lambda part: part.key_starts, True),
        column(lambda part: part.key_ends, True),
        column(lambda part: part.value_starts, True),
        column(lambda part: part.value_ends, True),
        column(lambda part: part.offsets, False),
        column(lambda part: part.timestamps_ms, False),
    )


def _topic_id(kafka: KafkaConfig, tape: str, topic: str) -> str:
    name = kafka_name(tape, topic)
    admin = connect(kafka)  # Held until the answer is there.
    try:
        found = admin.describe_topics(TopicCollection([name]))[name].result(30.0)
    except KafkaException as error:
        raise StoreError(f"{name} could not be looked up: {error.args[0].str()}") from None
    return str(found.topic_id)
