"""One partition of the tape being derived: its pipeline, position, and what is emitted already."""

import time
from dataclasses import dataclass

import numpy as np
from prometheus_client import Counter

from processors.config import VERSION
from processors.pipeline import Pipeline
from schemas import catalogue
from schemas.columns import Batch
from schemas.errors import SchemaError
from schemas.registry import SchemaIds
from streams import log, recovery, snapshots
from streams.config import KafkaConfig
from streams.decoding import BatchDecoder
from streams.emitter import Emitter, letter_of, newer
from streams.logs import logger
from streams.outputs import outputs_of
from streams.records import Records
from streams.snapshots import Place, Snapshot
from streams.telemetry import Metrics

_log = logger("streams.derivation")


@dataclass(slots=True)
class Expectation:
    """Which configuration this worker works by; it switches with the tape while it runs."""

    configuration_hash: str


@dataclass(frozen=True, slots=True)
class Tools:
    """What a worker's partitions share."""

    kafka: KafkaConfig
    ids: SchemaIds
    tape: str
    decoder: BatchDecoder
    emitter: Emitter
    metrics: Metrics
    expected: Expectation


class Derivation:
    """Derives one partition from where the newest snapshot ends; emits what is not there yet.

    `next_offset` is the first tape offset that is not processed. `blocked`, where it is not
    None, says why the partition is not processed.
    """

    def __init__(self, tools: Tools, partition: int) -> None:
        self._tools, self.partition = tools, partition
        self._letters: int | None = None
        self._counters: dict[str, Counter] = {}
        self.pipeline = Pipeline()
        self.blocked: str | None = None
        kafka, ids, tape = tools.kafka, tools.ids, tools.tape
        self.snapshot = snapshots.newest(kafka, ids, tape, partition) or Snapshot()
        self._restore()
        self.snapshot_at = time.monotonic()
        self.event_time = self.snapshot.event_time
        first, self._checked_to = log.bounds(kafka, tape, catalogue.TAPE, partition)
        self.next_offset = max(self.snapshot.tape_offset, first)
        if first > self.snapshot.tape_offset:
            _log.warning(
                "tape_begins_later",
                partition=partition, first=first, wanted=self.snapshot.tape_offset,
            )  # fmt: skip
        self._last = recovery.last_ids(kafka, ids, tape, partition)
        self._compare_configuration()

    def process(self, records: Records, end: int) -> None:
        """Derive records that begin at `next_offset` and end at `end` (exclusive)."""
        if self.blocked is not None:
            self._look_for_configuration(records)
            return
        if len(records):
            batch = self._tools.decoder.decode(self.partition, records)
            if len(batch.tables["Configured"]):
                self._process_configured(records, end)
                return
            self._derive(batch, records)
        self.next_offset = end

    def _process_configured(self, records: Records, end: int) -> None:
        """Derive records among which the configuration changes; none after a foreign version."""
        configured = recovery.configured_in(records, self._tools.ids)
        foreign = next((one for one in configured if one.event.version != VERSION), None)
        if foreign is not None:
            records, end = records.between(0, foreign.offset), foreign.offset
        if len(records):
            self._derive(self._tools.decoder.decode(self.partition, records), records)
        self.next_offset = end
        for one in configured:
            if self._checked_to <= one.offset < end:
                self._switch(one)
        if foreign is not None:
            self._blocked_by(foreign.event.hash, foreign.event.version)

    def due(self, interval_s: float) -> bool:
        """Whether there is something to snapshot and the last one is old enough."""
        return (
            self.next_offset > self.snapshot.tape_offset
            and time.monotonic() - self.snapshot_at >= interval_s
        )

    def changes(self) -> dict[Place, bytes]:
        """The states that changed since the last call."""
        return {
            (stage, symbol): self.pipeline.snapshot(stage, symbol)
            for stage, symbol in sorted(self.pipeline.changed())
        }

    def reconsider(self) -> None:
        """Compare the configuration again: the worker's own may have changed."""
        if self.blocked is not None:
            self.blocked = None
            self._compare_configuration()

    def _restore(self) -> None:
        """Take over the snapshot's states; begin anew where this version cannot read them."""
        try:
            for (stage, symbol), state in self.snapshot.states.items():
                self.pipeline.restore(stage, symbol, state)
        except SchemaError as error:
            _log.warning("snapshot_unreadable", partition=self.partition, reason=str(error))
            self.pipeline = Pipeline()
            self.snapshot.tape_offset = 0
        self.snapshot.states.clear()

    def _derive(self, batch: Batch, records: Records) -> None:
        tools = self._tools
        for index, reason in batch.refused:
            self._refuse(records, index, reason)
        for rows in self.pipeline.process(batch):
            outputs = outputs_of(rows, tools.ids.id(rows.topic, rows.record))
            before = self._last[rows.topic]
            self._last[rows.topic] = tools.emitter.emit(outputs, self.partition, before)
            if self._last[rows.topic] != before:
                emitted = len(outputs) - newer(outputs, before)
                tools.metrics.events_out.labels(rows.topic, rows.record).inc(emitted)
                received = rows.table["receive_time"].astype(np.float64) / 1e6
                tools.metrics.latency.observe(rows.topic, np.maximum(time.time() - received, 0.0))
        self._count(batch)

    def _count(self, batch: Batch) -> None:
        metrics = self._tools.metrics
        for record, table in batch.tables.items():
            if len(table):
                counter = self._counters.get(record)
                if counter is None:
                    counter = metrics.events_in.labels(batch.topic, record)
                    self._counters[record] = counter
                counter.inc(len(table))
        if len(batch):
            self.event_time = max(self.event_time, int(batch.timestamps_ms.max()) * 1000)

    def _refuse(self, records: Records, index: int, reason: str) -> None:
        """Announce a refused record, unless it was announced before a crash."""
        tools, offset = self._tools, int(records.offsets[index])
        if self._letters is None:
            found = recovery.last_dead_letters(tools.kafka, tools.ids, tools.tape)
            self._letters = found.get(self.partition, -1)
        if offset <= self._letters:
            return
        self._letters = offset
        timestamp, value = int(records.timestamps_ms[index]), records.value(index)
        tools.emitter.dead_letter(
            letter_of(catalogue.TAPE, self.partition, offset, timestamp, reason, value)
        )
        tools.metrics.dead_letters.labels(catalogue.TAPE, "worker").inc()
        _log.warning("refused", partition=self.partition, offset=offset, reason=reason)

    def _compare_configuration(self) -> None:
        """Block unless the newest configuration on the partition is what the worker works by."""
        tools = self._tools
        newest = recovery.newest_configured(
            tools.kafka, tools.ids, tools.tape, self.partition, self.next_offset
        )
        found = newest.event.hash if newest else self.snapshot.configuration_hash
        if found and found != tools.expected.configuration_hash:
            version = newest.event.version if newest else VERSION
            self._blocked_by(found, version)

    def _look_for_configuration(self, records: Records) -> None:
        """Go on when the newest Configured event, among those that are new, is the worker's."""
        found = [
            one
            for one in recovery.configured_in(records, self._tools.ids)
            if one.offset >= self._checked_to
        ]
        if found:
            self._checked_to = found[-1].offset + 1
            if found[-1].event.hash == self._tools.expected.configuration_hash:
                self.blocked = None
                _log.info("configuration_found", partition=self.partition, offset=found[-1].offset)

    def _switch(self, found: recovery.Found) -> None:
        """Work by the tape's new configuration from here on: `tape configure` told so."""
        if found.event.hash != self._tools.expected.configuration_hash:
            self._tools.expected.configuration_hash = found.event.hash
            _log.info(
                "configuration_switched",
                partition=self.partition, offset=found.offset, hash=found.event.hash,
            )  # fmt: skip

    def _blocked_by(self, found: str, version: str) -> None:
        own = self._tools.expected.configuration_hash
        self.blocked = (
            f"partition {self.partition} of tape {self._tools.tape} is configured otherwise "
            f"(version {version}, hash {found[:12]}) than this worker (version {VERSION}, hash "
            f"{own[:12]}): `tape configure` writes this one, or start the worker with that one"
        )
        _log.error(
            "configuration_differs",
            partition=self.partition, tape_version=version, tape_hash=found, own_hash=own,
        )  # fmt: skip
