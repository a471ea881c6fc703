"""Writes an import's events to the tape, leaving out what an interrupted run had written."""

from collections import Counter
from dataclasses import dataclass

from confluent_kafka import Producer

from schemas.catalogue import kafka_name
from schemas.errors import StoreError
from schemas.events import DeadLetter, Event
from schemas.registry import SchemaIds
from schemas.rows import encode
from streams.config import KafkaConfig
from streams.producer import TapeWriter, producer_config
from venues.history.existing import Existing
from venues.history.summary import Written

_FLUSH_S = 60.0


@dataclass(frozen=True, slots=True)
class Target:
    """The tape that an import goes to."""

    kafka: KafkaConfig
    ids: SchemaIds
    tape: str
    partitions: int


class ImportWriter:
    """Puts events on the tape and dead letters on their topic.

    `existing` and `letters` are what an interrupted run of the same import left: each record
    that is there already is not written again.
    """

    def __init__(self, target: Target, existing: Existing | None, letters: Counter[bytes]) -> None:
        self._existing = existing
        self._resuming = [existing is not None] * target.partitions
        self._letters = _Letters(target, letters)
        self._already_there = 0
        self._tape = TapeWriter(
            target.kafka,
            target.ids,
            target.tape,
            target.partitions,
            skip=None if existing is None else self._is_there,
        )

    def write(self, event: Event) -> None:
        """Write one event; StoreError when Kafka refused an earlier one."""
        if isinstance(event, DeadLetter):
            self._letters.write(event)
        else:
            self._tape.write(event)

    def finish(self) -> Written:
        """Wait until all is acknowledged; StoreError when something was not."""
        self._tape.flush()
        self._letters.flush()
        return Written(
            records=self._tape.written + self._letters.written,
            already_there=self._already_there + self._letters.already_there,
            foreign=0 if self._existing is None else self._existing.foreign,
        )

    def _is_there(self, partition: int, key: bytes, value: bytes, time_ms: int) -> bool:
        if not self._resuming[partition]:
            return False
        assert self._existing is not None
        if self._existing.take(partition, (key, value, time_ms)):
            self._already_there += 1
            return True
        self._resuming[partition] = False
        return False


class _Letters:
    """Dead letters on their way; those in `there` are there already, each as often as counted."""

    def __init__(self, target: Target, there: Counter[bytes]) -> None:
        self._topic = kafka_name(target.tape, "dead_letters")
        self._schema_id = target.ids.id("dead_letters", "DeadLetter")
        self._there = there
        self._failed: list[str] = []
        self._producer = Producer(
            producer_config(target.kafka) | {"on_delivery": self._on_delivery}
        )
        self.written = 0
        self.already_there = 0

    def write(self, letter: DeadLetter) -> None:
        value = encode(letter, self._schema_id)
        if self._there[value]:
            self._there[value] -= 1
            self.already_there += 1
            return
        time_ms = letter.event_time // 1000
        while True:
            try:
                self._producer.produce(
                    self._topic, value, letter.topic.encode(), 0, timestamp=time_ms
                )
                break
            except BufferError:
                self._producer.poll(0.05)
        self.written += 1

    def flush(self) -> None:
        if self._producer.flush(_FLUSH_S) or self._failed:
            raise StoreError(
                f"{self._topic}: dead letters were not acknowledged ({self._failed[:1]}); when "
                "Kafka is well, run the same import again: it goes on"
            )

    def _on_delivery(self, error: object, _message: object) -> None:
        if error is not None:
            self._failed.append(str(error))
