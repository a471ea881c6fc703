"""Writes an import's events to the tape, leaving out what an interrupted run had written."""

from collections import Counter
from dataclasses import dataclass

from schemas.events import DeadLetter, Event, Import
from schemas.registry import SchemaIds
from schemas.rows import encode
from streams.config import KafkaConfig
from streams.producer import TapeWriter
from venues.history.existing import Existing
from venues.history.summary import Written


@dataclass(frozen=True, slots=True)
class Target:
    """The tape that an import goes to."""

    kafka: KafkaConfig
    ids: SchemaIds
    tape: str
    partitions: int


class ImportWriter:
    """Puts events on the tape, dead letters and the import's own progress on their topics.

    `existing` and `letters` are what an interrupted run of the same import left: each record
    that is there already is not written again.
    """

    def __init__(self, target: Target, existing: Existing | None, letters: Counter[bytes]) -> None:
        self._existing = existing
        self._resuming = [existing is not None] * target.partitions
        self._letters = letters
        self._letter_id = target.ids.id("dead_letters", "DeadLetter")
        self._already_there = 0
        self._beside = 0
        self._tape = TapeWriter(
            target.kafka,
            target.ids,
            target.tape,
            target.partitions,
            skip=None if existing is None else self._is_there,
        )

    def record(self, progress: Import) -> None:
        """Put the import's progress on `imports`, acknowledged when this returns.

        All written before it is acknowledged then, too; StoreError when something was not.
        """
        self._tape.flush()
        self._tape.write_beside("imports", progress.import_id.encode(), progress)
        self._tape.flush()
        self._beside += 1

    def write(self, event: Event) -> None:
        """Write one event; StoreError when Kafka refused an earlier one."""
        if not isinstance(event, DeadLetter):
            self._tape.write(event)
            return
        value = encode(event, self._letter_id)
        if self._letters[value]:
            self._letters[value] -= 1
            self._already_there += 1
        else:
            self._tape.write_beside("dead_letters", event.topic.encode(), event)

    def finish(self) -> Written:
        """Wait until all is acknowledged; StoreError when something was not."""
        self._tape.flush()
        return Written(
            records=self._tape.written - self._beside,
            already_there=self._already_there,
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
