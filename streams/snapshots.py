"""Snapshots: a partition's state on the compacted topic `state`, made valid by a manifest.

State records have the key `stage/symbol/slot/part`. A (stage, symbol) has two slots that take
turns, so that the records of the newest manifest are never overwritten before a newer manifest
is there. The manifest, written last, says where each of its records lies; a record that lies
elsewhere is another one, and the snapshot is not valid.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from confluent_kafka import Producer

from schemas import rows
from schemas.catalogue import kafka_name
from schemas.errors import SchemaError, StoreError
from schemas.events import Event, StateChunk, StateManifest
from schemas.registry import SchemaIds
from streams import log
from streams.config import KafkaConfig
from streams.producer import producer_config

STATE = "state"
_MANIFEST = b"manifest"
# Below the broker's message limit of 1 MB, whatever the state.
_CHUNK_BYTES = 512 << 10
_FLUSH_S = 60.0

Place = tuple[str, str]
"""Stage and symbol."""


@dataclass(slots=True)
class Snapshot:
    """A valid snapshot of one partition.

    `tape_offset` is the first offset that the state does not contain; `slots` and `chunks`
    (key, offset) say for each place which records hold it.
    """

    tape_offset: int = 0
    event_time: int = 0
    configuration_hash: str = ""
    states: dict[Place, bytes] = field(default_factory=dict)
    slots: dict[Place, int] = field(default_factory=dict)
    chunks: dict[Place, list[tuple[str, int]]] = field(default_factory=dict)


def newest(kafka: KafkaConfig, ids: SchemaIds, tape: str, partition: int) -> Snapshot | None:
    """The newest valid snapshot of a partition; None when there is none."""
    chunks, manifests = _read(kafka, ids, tape, partition)
    for manifest in reversed(manifests):
        snapshot = _assemble(manifest, chunks)
        if snapshot is not None:
            return snapshot
    return None


def processed_offset(kafka: KafkaConfig, ids: SchemaIds, tape: str, partition: int) -> int | None:
    """First tape offset that no worker has processed, by the newest snapshot; None: no snapshot."""
    _, manifests = _read(kafka, ids, tape, partition, only_manifests=True)
    return manifests[-1].tape_offset if manifests else None


def _read(
    kafka: KafkaConfig, ids: SchemaIds, tape: str, partition: int, only_manifests: bool = False
) -> tuple[dict[str, tuple[int, StateChunk]], list[StateManifest]]:
    """The newest record of each key with its offset, and all manifests in their order."""
    values: dict[str, tuple[int, bytes]] = {}
    manifests: list[StateManifest] = []
    for records in log.read(kafka, tape, STATE, partition, 0, None):
        for index, offset in enumerate(records.offsets.tolist()):
            key = records.key(index)
            if key == _MANIFEST:
                manifest = _decoded(records.value(index), ids)
                if isinstance(manifest, StateManifest):
                    manifests.append(manifest)
            elif not only_manifests:
                values[key.decode(errors="replace")] = (offset, records.value(index))
    found = {}
    for name, (offset, value) in values.items():
        chunk = _decoded(value, ids)
        if isinstance(chunk, StateChunk):
            found[name] = (offset, chunk)
    return found, manifests


def _decoded(value: bytes, ids: SchemaIds) -> Event | None:
    try:
        return rows.decode(value, ids.writers)
    except SchemaError:
        return None


def _assemble(
    manifest: StateManifest, chunks: Mapping[str, tuple[int, StateChunk]]
) -> Snapshot | None:
    snapshot = Snapshot(manifest.tape_offset, manifest.event_time, manifest.configuration_hash)
    parts: dict[Place, list[StateChunk]] = {}
    for key, offset in manifest.chunks:
        there, chunk = chunks.get(key, (-1, None))
        if there != offset or chunk is None:
            return None
        place = chunk.stage, chunk.symbol
        parts.setdefault(place, []).append(chunk)
        snapshot.chunks.setdefault(place, []).append((key, offset))
        snapshot.slots[place] = int(key.rsplit("/", 2)[1])
    for place, found in parts.items():
        found.sort(key=lambda chunk: chunk.part)
        if [chunk.part for chunk in found] != list(range(found[0].parts)):
            return None
        snapshot.states[place] = b"".join(chunk.data for chunk in found)
    return snapshot


class SnapshotWriter:
    """Writes the snapshots of the partitions that a worker owns."""

    def __init__(self, kafka: KafkaConfig, ids: SchemaIds, tape: str) -> None:
        self._topic = kafka_name(tape, STATE)
        self._ids = (ids.id(STATE, "StateChunk"), ids.id(STATE, "StateManifest"))
        self._producer = Producer(producer_config(kafka, 0) | {"delivery.report.only.error": False})

    def write(
        self,
        partition: int,
        before: Snapshot,
        tape_offset: int,
        event_time: int,
        configuration_hash: str,
        changed: Mapping[Place, bytes],
    ) -> Snapshot:
        """Write what changed since `before`, then the manifest; the new snapshot.

        Returns when all is acknowledged (StoreError when it is not). The snapshot that is
        given back holds no states.
        """
        after = Snapshot(
            tape_offset,
            event_time,
            configuration_hash,
            slots={**before.slots, **{place: 1 - before.slots.get(place, 1) for place in changed}},
            chunks={**before.chunks, **{place: [] for place in changed}},
        )
        written = [
            (place, key, self._send(partition, key, chunk, self._ids[0], event_time))
            for place, data in changed.items()
            for key, chunk in _chunks(place, after.slots[place], data)
        ]
        self._wait(report for _, _, report in written)
        for place, key, report in written:
            after.chunks[place].append((key, report.offset))
        manifest = StateManifest(
            tape_offset=tape_offset,
            event_time=event_time,
            configuration_hash=configuration_hash,
            chunks=[one for place in sorted(after.chunks) for one in after.chunks[place]],
        )
        self._wait([self._send(partition, _MANIFEST.decode(), manifest, self._ids[1], event_time)])
        return after

    def _send(
        self, partition: int, key: str, event: Event, schema_id: int, event_time: int
    ) -> "_Report":
        report = _Report()
        self._producer.produce(
            self._topic,
            rows.encode(event, schema_id),
            key.encode(),
            partition,
            timestamp=max(event_time // 1000, 0),
            on_delivery=report.take,
        )
        return report

    def _wait(self, reports: "Iterable[_Report]") -> None:
        self._producer.flush(_FLUSH_S)
        for report in reports:
            if report.offset < 0:
                raise StoreError(
                    f"a snapshot could not be written to {self._topic}: "
                    f"{report.error or 'not acknowledged in time'}; is Kafka up?"
                )


@dataclass(slots=True)
class _Report:
    """What became of one record."""

    offset: int = -1
    error: str = ""

    def take(self, error: Any, message: Any) -> None:
        if error is None:
            self.offset = int(message.offset())
        else:
            self.error = str(error)


def _chunks(place: Place, slot: int, data: bytes) -> list[tuple[str, StateChunk]]:
    stage, symbol = place
    parts = max(1, -(-len(data) // _CHUNK_BYTES))
    return [
        (
            f"{stage}/{symbol}/{slot}/{part}",
            StateChunk(
                stage=stage,
                symbol=symbol,
                part=part,
                parts=parts,
                data=data[part * _CHUNK_BYTES : (part + 1) * _CHUNK_BYTES],
            ),
        )
        for part in range(parts)
    ]
