"""Reading topics for sinks: from given offsets, many records at a time, as decoded batches."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from confluent_kafka import (
    Consumer,
    KafkaError,
    KafkaException,
    Message,
    TopicCollection,
    TopicPartition,
)
from numpy.typing import NDArray

from schemas.catalogue import kafka_name
from schemas.errors import StoreError
from sinks.rows import Position
from streams import log
from streams.config import KafkaConfig
from streams.history import History
from streams.kafka import client_config, connect
from streams.records import Records

_MOST_AT_ONCE = 20_000
_POLL_S = 0.2


class Deleted(StoreError):
    """The broker no longer has the next record: its retention let it go."""


@dataclass(frozen=True, slots=True)
class Fetched:
    """Consecutive records of one partition, as they came."""

    topic: str
    partition: int
    buffer: NDArray[np.uint8]
    starts: NDArray[np.int64]
    ends: NDArray[np.int64]
    offsets: NDArray[np.int64]
    timestamps_ms: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.offsets)

    def payload(self, index: int) -> bytes:
        """The bytes of one record."""
        return self.buffer[self.starts[index] : self.ends[index]].tobytes()

    def part(self, begin: int, end: int) -> "Fetched":
        """The records from `begin` up to `end` (exclusive)."""
        span = slice(begin, end)
        return Fetched(
            self.topic, self.partition, self.buffer, self.starts[span], self.ends[span],
            self.offsets[span], self.timestamps_ms[span],
        )  # fmt: skip

    def pieces(self, width_ms: int, most: int) -> "list[Fetched]":
        """Cut so that the timestamps of a piece lie in about `most` intervals of `width_ms`."""
        _, first = np.unique(self.timestamps_ms // width_ms, return_index=True)
        cuts = [0, *np.sort(first)[most::most].tolist(), len(self)]
        return [self.part(begin, end) for begin, end in pairwise(cuts)]


class TopicReader:
    """Reads topics of a tape from offsets that the caller gives; commits nothing to Kafka.

    What Kafka has deleted and `history` holds counts as there: `watermarks` and `read_until` go
    on from one to the other. StoreError when Kafka does not answer, or refuses us.
    """

    def __init__(self, kafka: KafkaConfig, tape: str, history: History | None = None) -> None:
        # A consumer would only say that time ran out; this says why.
        self._admin = connect(kafka)
        self._kafka, self._tape, self._history = kafka, tape, history
        self._consumer = Consumer(
            client_config(kafka)
            | {
                "group.id": f"{tape}.sink",
                "enable.auto.commit": False,
                "enable.partition.eof": True,
                # Never skip in silence: `begin` decides where a topic's start was deleted.
                "auto.offset.reset": "error",
                "fetch.min.bytes": 1,
                "fetch.wait.max.ms": 100,
                "queued.min.messages": 200_000,
                "queued.max.messages.kbytes": 131_072,
            }
        )
        self.ended: dict[Position, int] = {}
        """Offsets at which partitions ended when they had been read that far."""

    def close(self) -> None:
        """Leave the broker."""
        self._consumer.close()

    def partitions(self, topic: str, timeout_s: float = 10.0) -> int:
        """How many partitions a logical topic has; StoreError where it is not there."""
        name = kafka_name(self._tape, topic)
        try:
            found = self._consumer.list_topics(name, timeout=timeout_s).topics[name]
        except KafkaException as error:
            raise StoreError(f"Kafka could not be reached: {error}; is it up?") from error
        if found.error is not None or not found.partitions:
            raise StoreError(f"topic {name} is not there: create the tape with `tape up`")
        return len(found.partitions)

    def topic_id(self, topic: str, timeout_s: float = 10.0) -> str:
        """Kafka's id of a logical topic, another after it was made anew; empty: it has none."""
        name = kafka_name(self._tape, topic)
        try:
            found = self._admin.describe_topics(TopicCollection([name]), request_timeout=timeout_s)[
                name
            ].result(timeout_s)
        except (KafkaException, TimeoutError) as error:
            raise StoreError(f"topic {name} could not be looked at: {error}") from error
        return str(found.topic_id or "")

    def watermarks(self, topic: str, partition: int, timeout_s: float = 10.0) -> tuple[int, int]:
        """First offset that there is, and the one that the next record will get."""
        low, high = self._on_broker(topic, partition, timeout_s)
        return log.first(self._history, topic, partition, low), high

    def archived(self, topic: str, partition: int, begin: int, end: int) -> "Iterator[Fetched]":
        """The records from `begin` up to `end` that only history has."""
        if self._history is None:
            return
        low, _ = self._on_broker(topic, partition)
        for records in self._history.read(topic, partition, begin, min(low, end)):
            yield _of(topic, partition, records)

    def bulk(self, topic: str, partition: int, begin: int, end: int) -> "Iterator[Fetched]":
        """The broker's records from `begin` up to `end`, without an object for each of them.

        It connects anew, so it is for many.
        """
        for records in log.read(self._kafka, self._tape, topic, partition, begin, end):
            for first in range(0, len(records), _MOST_AT_ONCE):
                part = records.part(first, min(first + _MOST_AT_ONCE, len(records)))
                yield _of(topic, partition, part)

    def _on_broker(self, topic: str, partition: int, timeout_s: float = 10.0) -> tuple[int, int]:
        at = TopicPartition(kafka_name(self._tape, topic), partition)
        try:
            low, high = self._consumer.get_watermark_offsets(at, timeout=timeout_s)
        except KafkaException as error:
            raise StoreError(f"offsets of {at.topic} could not be read: {error}") from error
        return int(low), int(high)

    def known_end(self, topic: str, partition: int) -> int:
        """A partition's end as the last fetch told it; asks nobody."""
        at = TopicPartition(kafka_name(self._tape, topic), partition)
        marks = self._consumer.get_watermark_offsets(at, cached=True)
        return int(marks[1]) if marks else 0

    def assign(self, offsets: Mapping[Position, int]) -> None:
        """Read these partitions from these offsets on, and no others."""
        self.ended = {}
        self._consumer.assign(
            [
                TopicPartition(kafka_name(self._tape, topic), partition, offset)
                for (topic, partition), offset in offsets.items()
            ]
        )

    def fetch(self, most: int, timeout_s: float) -> list[Fetched]:
        """Up to `most` records that come within `timeout_s`, grouped by partition.

        Raises StoreError when a partition cannot be read on, which no retry would heal.
        """
        groups: dict[tuple[str, int], list[Message]] = {}
        for message in self._consumer.consume(most, timeout_s):
            error = message.error()
            position = (str(message.topic()), int(message.partition() or 0))
            if error is None:
                groups.setdefault(position, []).append(message)
            elif error.code() == KafkaError._PARTITION_EOF:
                self.ended[self._logical(position[0]), position[1]] = int(message.offset() or 0)
            elif error.code() == KafkaError._AUTO_OFFSET_RESET:
                raise Deleted(f"{position[0]} partition {position[1]}: {error.str()}")
            elif error.fatal():
                raise StoreError(f"{position[0]} partition {position[1]}: {error.str()}")
        return [self._fetched(*position, found) for position, found in groups.items()]

    def _logical(self, name: str) -> str:
        return name.removeprefix(f"{self._tape}.")

    def _fetched(self, name: str, partition: int, messages: list[Message]) -> Fetched:
        values = [message.value() or b"" for message in messages]
        count = len(values)
        ends = np.cumsum(np.fromiter(map(len, values), np.int64, count))
        starts = np.concatenate((np.zeros(1, np.int64), ends[:-1]))
        return Fetched(
            self._logical(name),
            partition,
            np.frombuffer(b"".join(values), np.uint8),
            starts,
            ends,
            np.fromiter((message.offset() for message in messages), np.int64, count),
            np.fromiter((message.timestamp()[1] for message in messages), np.int64, count),
        )


def _of(topic: str, partition: int, records: Records) -> Fetched:
    return Fetched(
        topic, partition, records.buffer, records.value_starts, records.value_ends,
        records.offsets, records.timestamps_ms,
    )  # fmt: skip


def read_until(
    reader: TopicReader,
    begins: Mapping[Position, int],
    ends: Mapping[Position, int],
    patience_s: float = 60.0,
) -> Iterator[Fetched]:
    """The records of partitions from their begin up to their end, which must exist.

    Raises StoreError when nothing comes for `patience_s`.
    """
    for fetched in fetches_until(reader, begins, ends, patience_s):
        yield from fetched


def fetches_until(
    reader: TopicReader,
    begins: Mapping[Position, int],
    ends: Mapping[Position, int],
    patience_s: float = 60.0,
) -> Iterator[list[Fetched]]:
    """The same, with all that came at once in one list."""
    todo = {at: begins[at] for at, end in ends.items() if begins[at] < end}
    for at, begin in todo.items():
        for old in reader.archived(*at, begin, ends[at]):
            todo[at] = int(old.offsets[-1]) + 1
            yield [old]
        if ends[at] - todo[at] >= _MOST_AT_ONCE:
            for many in reader.bulk(*at, todo[at], ends[at]):
                yield [many]
            todo[at] = ends[at]
    todo = {at: begin for at, begin in todo.items() if begin < ends[at]}
    reader.assign(todo)
    idle_s = 0.0
    while todo:
        # Asking for no more than there is brings the answer as soon as all is there.
        left = sum(ends[at] - offset for at, offset in todo.items())
        fetched = reader.fetch(min(_MOST_AT_ONCE, left), _POLL_S)
        idle_s = 0.0 if fetched else idle_s + _POLL_S
        if idle_s > patience_s:
            raise StoreError(f"Kafka sent nothing for {patience_s:.0f} s; is it up?")
        found = []
        for one in fetched:
            at = (one.topic, one.partition)
            below = int(np.searchsorted(one.offsets, ends[at]))
            if at in todo and below:
                todo[at] = int(one.offsets[below - 1]) + 1
                found.append(one.part(0, below))
        if found:
            yield found
        # An end is also reached where the last offsets hold no record.
        seen = reader.ended
        todo = {at: next_ for at, next_ in todo.items() if max(next_, seen.get(at, 0)) < ends[at]}
