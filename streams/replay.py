"""Replay: derive a tape again and compare with what was recorded, byte for byte."""

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from processors.pipeline import Pipeline
from schemas import catalogue, rows
from schemas.errors import SchemaError, StoreError
from schemas.registry import SchemaIds
from streams import log
from streams.canonical import canonical
from streams.config import KafkaConfig
from streams.decoding import BatchDecoder
from streams.history import History
from streams.outputs import Outputs, outputs_of
from streams.records import Records
from streams.snapshots import processed_offset


@dataclass(frozen=True, slots=True)
class Proof:
    """What one partition of one derived topic came to."""

    topic: str
    partition: int
    records: int
    sha256: str
    """Of the canonical records as derived again (streams/canonical.py), lower-case hex."""
    recorded_sha256: str
    duplicates: int
    """Recorded repeats of an id, as a worker that was killed may leave; they do not count."""

    @property
    def identical(self) -> bool:
        """Whether the same bytes were derived as were recorded."""
        return self.sha256 == self.recorded_sha256


@dataclass(frozen=True, slots=True)
class Divergence:
    """The first event that differs, with both sides decoded (None: not there)."""

    topic: str
    partition: int
    offset: int
    """Offset of the recorded event; of the end where none was recorded."""
    recorded: dict[str, Any] | None
    derived: dict[str, Any] | None

    def __str__(self) -> str:
        return (
            f"{self.topic}[{self.partition}] differs at offset {self.offset}:\n"
            f"  recorded {_show(self.recorded)}\n  derived  {_show(self.derived)}"
        )


@dataclass(slots=True)
class Report:
    """The outcome of a replay."""

    proofs: list[Proof] = field(default_factory=list)
    divergence: Divergence | None = None
    events: int = 0
    configurations: list[tuple[int, int, str]] = field(default_factory=list)
    """(partition, offset, hash) of every Configured event met."""

    @property
    def identical(self) -> bool:
        """Whether nothing diverged."""
        return self.divergence is None and all(proof.identical for proof in self.proofs)


Progress = Callable[[int], None]


def replay(
    kafka: KafkaConfig,
    ids: SchemaIds,
    tape: str,
    partitions: int,
    on_progress: Progress = lambda events: None,
    history: History | None = None,
) -> Report:
    """Derive every partition from its start, as far as workers have processed it.

    What Kafka has deleted comes from `history`. Stops at the first divergence. StoreError when
    no worker has processed the tape, or its beginning is nowhere any more.
    """
    report = Report()
    for partition in range(partitions):
        _Partition(Source(kafka, ids, tape, history), partition, report, on_progress).run()
        if report.divergence:
            break
    return report


@dataclass(frozen=True, slots=True)
class Source:
    """Where a replay reads from."""

    kafka: KafkaConfig
    ids: SchemaIds
    tape: str
    history: History | None = None

    def read(self, topic: str, partition: int, end: int | None) -> Iterator[Records]:
        """A partition's records from the very first on, up to `end` (None: all)."""
        first, _ = log.bounds(self.kafka, self.tape, topic, partition, self.history)
        if first:
            where = "in the archive" if self.history else "on Kafka (archive.url names an archive)"
            raise StoreError(
                f"the first {first} events of {topic} partition {partition} of tape {self.tape} "
                f"are no longer {where}: it cannot be replayed from its beginning"
            )
        return log.read(self.kafka, self.tape, topic, partition, 0, end, self.history)


class _Partition:
    """One partition's replay."""

    def __init__(
        self, source: Source, partition: int, report: Report, on_progress: Progress
    ) -> None:
        self._source, self._ids, self._partition = source, source.ids, partition
        self._report, self._on_progress = report, on_progress
        end = processed_offset(source.kafka, source.ids, source.tape, partition)
        if end is None:
            raise StoreError(
                f"no worker has processed partition {partition} of tape {source.tape}: "
                f"run `tape --tape {source.tape} worker`"
            )
        self._end = end
        self._sides = {
            topic.name: _Side(topic.name, partition, Recorded(source, topic.name, partition))
            for topic in catalogue.DERIVED
        }

    def run(self) -> None:
        pipeline = Pipeline()
        decoder = BatchDecoder(catalogue.TAPE, self._ids)
        known = pipeline.configuration_hash
        for records in self._source.read(catalogue.TAPE, self._partition, self._end):
            batch = decoder.decode(self._partition, records)
            for emitted in pipeline.process(batch):
                outputs = outputs_of(emitted, self._ids.id(emitted.topic, emitted.record))
                if self._differs(self._sides[emitted.topic].compare(outputs, self._ids)):
                    return
            if pipeline.configuration_hash != known:
                known = pipeline.configuration_hash
                self._report.configurations.append(
                    (self._partition, int(records.offsets[0]), known)
                )
            self._report.events += len(batch)
            self._on_progress(len(batch))
        for side in self._sides.values():
            if self._differs(side.finish(self._end, self._ids)):
                return
            self._report.proofs.append(side.proof())

    def _differs(self, divergence: Divergence | None) -> bool:
        self._report.divergence = divergence
        return divergence is not None


class Recorded:
    """The recorded records of one topic partition, in any portions, as canonical bytes."""

    def __init__(self, source: Source, topic: str, partition: int) -> None:
        self._batches = source.read(topic, partition, None)
        self._decoder = BatchDecoder(topic, source.ids)
        self._topic, self._partition = topic, partition
        self._last = (-1, -1)
        self.duplicates = 0
        self._pending: list[_Portion] = []
        self._available = 0
        self.end = 0

    def take(self, count: int) -> "list[_Portion]":
        """The next `count` records that are no repeats, or as many as there are."""
        while self._available < count and self._load():
            pass
        taken: list[_Portion] = []
        while count and self._pending:
            portion = self._pending.pop(0)
            if len(portion) > count:
                portion, rest = portion.split(count)
                self._pending.insert(0, rest)
            taken.append(portion)
            count -= len(portion)
            self._available -= len(portion)
        return taken

    def _load(self) -> bool:
        records = next(self._batches, None)
        if records is None:
            return False
        batch = self._decoder.decode(self._partition, records)
        first = self._first_times(batch.kind, batch.tables, len(batch))
        data, ends = canonical(
            records.buffer,
            records.key_starts[first],
            records.key_ends[first],
            records.buffer,
            records.value_starts[first],
            records.value_ends[first],
            records.timestamps_ms[first],
        )
        self.duplicates += len(batch) - int(first.sum())
        self.end = int(records.offsets[-1]) + 1
        if len(ends):
            self._pending.append(_Portion(data, ends, records.offsets[first]))
            self._available += len(ends)
        return True

    def _first_times(
        self, kind: NDArray[np.int64], tables: dict[str, Any], count: int
    ) -> NDArray[np.bool_]:
        """Which records' ids are above all before them; undecodable ones are kept to differ."""
        (record,) = catalogue.BY_NAME[self._topic].records
        first = np.ones(count, np.bool_)
        decoded = np.flatnonzero(kind >= 0)
        if not len(decoded):
            return first
        origins, seqs = tables[record]["origin_offset"], tables[record]["seq"]
        step = np.diff(origins)
        if (origins[0], seqs[0]) > self._last and (
            (step > 0) | ((step == 0) & (np.diff(seqs) > 0))
        ).all():
            self._last = (int(origins[-1]), int(seqs[-1]))
            return first
        for index, origin, seq in zip(
            decoded.tolist(), origins.tolist(), seqs.tolist(), strict=True
        ):
            if (origin, seq) <= self._last:
                first[index] = False
            else:
                self._last = (origin, seq)
        return first


@dataclass(frozen=True, slots=True)
class _Portion:
    """Canonical records, where each ends, and their offsets."""

    data: NDArray[np.uint8]
    ends: NDArray[np.int64]
    offsets: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.ends)

    def split(self, count: int) -> "tuple[_Portion, _Portion]":
        cut = int(self.ends[count - 1])
        return (
            _Portion(self.data[:cut], self.ends[:count], self.offsets[:count]),
            _Portion(self.data[cut:], self.ends[count:] - cut, self.offsets[count:]),
        )

    def records(self) -> Iterator[bytes]:
        start = 0
        for end in self.ends.tolist():
            yield self.data[start:end].tobytes()
            start = end


class _Side:
    """One topic partition: what is derived against what was recorded."""

    def __init__(self, topic: str, partition: int, recorded: Recorded) -> None:
        self._topic, self._partition, self._recorded = topic, partition, recorded
        self._derived_hash, self._recorded_hash = hashlib.sha256(), hashlib.sha256()
        self._records = 0

    def compare(self, outputs: Outputs, ids: SchemaIds) -> Divergence | None:
        data, ends = canonical(
            outputs.keys,
            outputs.key_starts,
            outputs.key_ends,
            outputs.values,
            outputs.value_starts,
            outputs.value_ends,
            outputs.timestamps_ms,
        )
        portions = self._recorded.take(len(ends))
        self._derived_hash.update(data.data)
        for portion in portions:
            self._recorded_hash.update(portion.data.data)
        self._records += len(ends)
        joined = (
            portions[0].data
            if len(portions) == 1
            else np.concatenate([p.data for p in portions] or [np.empty(0, np.uint8)])
        )
        if np.array_equal(joined, data):
            return None
        derived = _Portion(data, ends, ends).records()
        for portion in portions:
            for offset, there in zip(portion.offsets.tolist(), portion.records(), strict=True):
                here = next(derived)
                if here != there:
                    return self._divergence(offset, there, here, ids)
        return self._divergence(self._recorded.end, None, next(derived), ids)

    def finish(self, tape_end: int, ids: SchemaIds) -> Divergence | None:
        """Whatever is left must come from beyond the replayed range."""
        for portion in self._recorded.take(1):
            (there,) = portion.records()
            decoded = _decoded(there, ids)
            if "origin" not in decoded or decoded["origin"]["offset"] < tape_end:
                return self._divergence(int(portion.offsets[0]), there, None, ids)
        return None

    def proof(self) -> Proof:
        return Proof(
            self._topic,
            self._partition,
            self._records,
            self._derived_hash.hexdigest(),
            self._recorded_hash.hexdigest(),
            self._recorded.duplicates,
        )

    def _divergence(
        self, offset: int, there: bytes | None, here: bytes | None, ids: SchemaIds
    ) -> Divergence:
        return Divergence(
            self._topic,
            self._partition,
            offset,
            None if there is None else _decoded(there, ids),
            None if here is None else _decoded(here, ids),
        )


def _decoded(record: bytes, ids: SchemaIds) -> dict[str, Any]:
    """A canonical record's parts, for people; the value undecoded if it cannot be."""
    key_length = int.from_bytes(record[:4], "big")
    key, rest = record[4 : 4 + key_length], record[4 + key_length :]
    timestamp, value = int.from_bytes(rest[:8], "big", signed=True), rest[12:]
    try:
        fields: dict[str, Any] = msgspec.to_builtins(rows.decode(value, ids.writers))
    except SchemaError as error:
        fields = {"undecodable": str(error), "bytes": value.hex()}
    return {"key": key.decode(errors="replace"), "timestamp_ms": timestamp, **fields}


def _show(fields: dict[str, Any] | None) -> str:
    return "nothing" if fields is None else str(fields)
