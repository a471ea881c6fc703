"""Writes events to a tape as `TapeWriter` does, and to disk while Kafka is away.

A record is acknowledged when Kafka has it on all replicas, or the spool has it on disk. It is
handed to the producer at once. When Kafka falls silent, what it has not acknowledged is copied to
the spool and stays with the producer, whose retries keep the order and send nothing twice;
later records wait in the spool and follow when Kafka answers. Only a process that ends
meanwhile sends some again at its next start: those handed over whose answer it had not seen.
"""

import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from confluent_kafka import KafkaError, KafkaException

from schemas.catalogue import TAPE, kafka_name
from schemas.events import Event
from schemas.registry import SchemaIds
from schemas.rows import encode
from streams.config import KafkaConfig
from streams.drops import ByInstrument, Drops
from streams.flight import Flight
from streams.logs import logger
from streams.producer import EVERYWHERE, TapeRecords
from streams.spool import Spool
from streams.spool_folder import SpoolFolder
from streams.spool_records import Record

_log = logger("spool")

_POLL_EVERY = 500
# The spool hands over while fewer wait for an answer, and for this long at a call.
_WINDOW_RECORDS = 10_000
_DRAIN_S = 0.005
# After an error that ends a producer.
_REST_S = 1.0
# Once full, the spool takes records again when this part of its bound is free.
_FREE = 10
_WHY = "Kafka was away and the spool was full"


class Spooled(NamedTuple):
    """What the spool takes on disk, and the records that wait in it."""

    bytes: int
    records: int


class SpoolingWriter:
    """Puts events on a tape in the order of the calls; they wait on disk while Kafka is away.

    Nothing here blocks or raises because Kafka is away, which it is when it has acknowledged
    nothing for `silence_s`. `spool_folder`, `max_bytes` and `fsync_s` are the spool's
    (ConfigError when it cannot be written). Past the bound the newest events are dropped,
    counted, and told on the tape as gaps; `on_dropped` then gets them by venue and symbol, to
    fetch them anew. `poll` is to be called some 20 times a second. One thread's only.
    """

    def __init__(
        self,
        kafka: KafkaConfig,
        ids: SchemaIds,
        tape: str,
        partitions: int,
        spool_folder: Path,
        max_bytes: int,
        fsync_s: float,
        on_dropped: Callable[[ByInstrument], None] = lambda _: None,
        silence_s: float = 0.5,
    ) -> None:
        self._name = tape
        self._topic = kafka_name(tape, TAPE)
        self._ids = ids
        self._partitions = partitions
        self._records = TapeRecords(ids, partitions)
        self._spool = Spool(SpoolFolder(spool_folder, tape), max_bytes, fsync_s)
        self._flight = Flight(kafka, silence_s)
        self._drops = Drops()
        self._on_dropped = on_dropped
        self._room_again = max_bytes // _FREE
        self._full = False
        self._read = self._spool.start
        self._rest_until = 0.0
        self.away = self._spool.records > 0
        """Whether events go to the spool."""
        self.written = 0
        """Records so far: an event without a symbol is one on every partition."""
        if self.away:
            _log.info("spool_found", **self.spooled._asdict())

    @property
    def spooled(self) -> Spooled:
        """What waits on disk."""
        return Spooled(self._spool.bytes, self._spool.records)

    @property
    def dropped(self) -> int:
        """Records for which there was no room."""
        return self._drops.by_record.total()

    @property
    def dropped_by(self) -> Counter[str]:
        """The same by record type."""
        return self._drops.by_record

    @property
    def refused(self) -> int:
        """Records that Kafka took for wrong; each is logged."""
        return self._flight.refused

    @property
    def acknowledged(self) -> int:
        """Records of `written` that Kafka has, or the disk."""
        waiting = self._flight.in_memory + self._spool.unsynced
        return self.written - self.dropped - waiting

    @property
    def problem(self) -> str:
        """Why the disk takes nothing; empty while it does."""
        return self._spool.problem

    def write(self, event: Event) -> None:
        """Hand over one event."""
        partition, key, value, time_ms = self._records.of(event)
        if partition != EVERYWHERE:
            self._put((self._topic, partition, key, value, time_ms), event)
            return
        for each in range(self._partitions):
            self._put((self._topic, each, key, value, time_ms), event)

    def write_to(self, partition: int, event: Event) -> None:
        """Hand over a global event for one partition only."""
        _, key, value, time_ms = self._records.of(event)
        self._put((self._topic, partition, key, value, time_ms), event)

    def write_beside(self, topic: str, key: bytes, event: Event) -> None:
        """Hand over an event for partition 0 of another topic of this tape, by its logical name."""
        value = encode(event, self._ids.id(topic, type(event).__name__))
        time_ms = event.event_time // 1000  # type: ignore[attr-defined]  # by the callers
        self._put((kafka_name(self._name, topic), 0, key, value, time_ms), event)

    def poll(self) -> None:
        """Take Kafka's answers, notice whether it is away, sync the spool and drain it."""
        self._take_answers()
        if self._flight.answers.failed is not None:
            self._start_again(self._flight.answers.failed)
        elif not self.away and self._flight.is_silent:
            self._leave("Kafka does not answer")
        if self._spool.records:
            self._spool.flush()
        if self.away:
            self._drain()

    def flush(self, timeout_s: float = 10.0) -> int:
        """Wait until all is acknowledged, by Kafka or by the disk; how many records are not."""
        deadline = time.monotonic() + timeout_s
        while self._flight.in_memory and time.monotonic() < deadline:
            self._flight.poll(0.005)
            self.poll()
        self._spool.flush(sync=True)
        return self.written - self.dropped - self.acknowledged

    def close(self) -> None:
        """Flush and end; what waits in the spool is sent by who opens it next."""
        self.flush()
        self._take_answers()
        if self._spool.records:
            _log.info("spool_kept", **self.spooled._asdict())
        self._flight.end()
        self._spool.close()

    def _put(self, record: Record, event: Event) -> None:
        if self.away:
            self._append(record, event)
        else:
            try:
                self._flight.hand(record)
            except (BufferError, KafkaException) as error:
                self._not_taken(record, event, error)
                return
        self.written += 1
        if self.written % _POLL_EVERY == 0:
            self.poll()

    def _not_taken(self, record: Record, event: Event, error: Exception) -> None:
        """Too many wait for a Kafka that is slow, or away; or the record is wrong."""
        if isinstance(error, KafkaException):
            if self._flight.is_refused(error):
                self.written += 1
                return
        else:
            # One that answers has room again at once; another is not waited for.
            self._flight.poll(0.05)
            if not self.away and not self._flight.is_answered:
                self._leave("its queue is full")
        self.poll()
        self._put(record, event)

    def _take_answers(self) -> None:
        self._flight.poll()
        end, count = self._flight.settled()
        if count:
            self._spool.drained(end, count)

    def _leave(self, why: str) -> None:
        """From now on to the spool, beginning with what has no answer."""
        self.away = True
        self._store()
        _log.warning("kafka_away", why=why, **self.spooled._asdict())

    def _store(self) -> None:
        """Copy what is only in memory to the spool, as far as that has room."""
        for chunk in self._flight.unstored():
            if not self._spool.append_all(chunk.records):
                return
            chunk.stored(self._spool.end, len(chunk.records))
            self._read = self._spool.end

    def _start_again(self, error: KafkaError) -> None:
        """Another producer, which sends all that is not acknowledged from the beginning."""
        if not self.away:
            self._leave(error.str())
        # The spool had no room for these; they are with the producer that has failed.
        lost = sum(len(chunk.records) for chunk in self._flight.unstored())
        if lost:
            self._drops.add_unknown(lost, error.str())
        self._flight.renew()
        self._read = self._spool.start
        self._rest_until = time.monotonic() + _REST_S

    def _drain(self) -> None:
        """Hand over what waits; when nothing does, events go to Kafka directly again."""
        deadline = time.monotonic() + _DRAIN_S
        flight, spool = self._flight, self._spool
        if deadline < self._rest_until:
            return
        while self._read < spool.end:
            if flight.outstanding >= _WINDOW_RECORDS or time.monotonic() > deadline:
                return
            placed, after = spool.read(self._read)
            if placed and (after := flight.hand_stored(placed)) < 0:
                return
            self._read = after
        if flight.is_answered:
            if not flight.outstanding:
                spool.drained(spool.end, spool.records)
            self.away = False
            _log.info("kafka_back", dropped=self.dropped, **self.spooled._asdict())
            self._tell_gaps()

    def _append(self, record: Record, event: Event) -> None:
        if self._full and self._spool.room >= self._room_again:
            self._full = False
            self._tell_gaps()
        if self._full or not self._spool.append(record):
            self._full = True
            self._drops.add(event, self._spool.problem or _WHY)

    def _tell_gaps(self) -> None:
        """Say on the tape for which instruments events are missing before what comes next."""
        missing = self._drops.take()
        if not missing:
            return
        self._full = False
        for gap in self._drops.gaps(missing, _WHY):
            self.write(gap)
        self._drops.tell(_WHY)
        self._on_dropped(missing)
