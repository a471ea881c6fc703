"""Hands derived events and dead letters to Kafka: in order, without a hole, none twice."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from confluent_kafka import Producer
from numpy.typing import NDArray

from schemas.catalogue import kafka_name
from schemas.errors import StoreError
from schemas.events import DeadLetter
from schemas.registry import SchemaIds
from schemas.rows import encode
from streams.config import KafkaConfig
from streams.outputs import Outputs
from streams.producer import producer_config

# (origin offset, seq): an event's id within its topic and partition.
Id = tuple[int, int]
BEFORE_ALL: Id = (-1, -1)

DEAD_LETTERS = "dead_letters"
_MOST_WAITING = 200_000
_WAIT_S = 0.05
_MOST_PAYLOAD = 65_536


def newer(outputs: Outputs, last: Id) -> int:
    """Index of the first output whose id is above `last`."""
    origins, seqs = outputs.origin_offsets, outputs.seqs
    begin = int(np.searchsorted(origins, last[0], "left"))
    end = int(np.searchsorted(origins, last[0], "right"))
    return begin + int(np.searchsorted(seqs[begin:end], last[1], "right"))


class Emitter:
    """Writes to a tape's derived topics; StoreError from any call once a record was refused.

    A record that cannot be delivered stops all that follow it: a hole would never be filled,
    since recovery goes on from the last id that is there.
    """

    def __init__(self, kafka: KafkaConfig, ids: SchemaIds, tape: str, linger_ms: float) -> None:
        self._tape, self._ids = tape, ids
        self._failure: str | None = None
        self._producer = Producer(
            producer_config(kafka, linger_ms)
            | {
                "enable.gapless.guarantee": True,
                # It waits for its broker for ever; who waits for it gives up in time.
                "message.timeout.ms": 0,
                "queue.buffering.max.messages": 2 * _MOST_WAITING,
                "queue.buffering.max.kbytes": 2 << 20,
                "on_delivery": self._on_delivery,
                "error_cb": self._on_error,
            }
        )

    def emit(self, outputs: Outputs, partition: int, last: Id) -> Id:
        """Hand over the outputs whose ids are above `last`; the last id that is there then."""
        begin = newer(outputs, last)
        if begin == len(outputs):
            return last
        topic = kafka_name(self._tape, outputs.topic)
        produce = self._producer.produce
        for number, (key, value, timestamp) in enumerate(_records(outputs, begin)):
            if not number % 1_000:
                self._make_room()
            produce(topic, value, key, partition, timestamp=timestamp)
        return int(outputs.origin_offsets[-1]), int(outputs.seqs[-1])

    def dead_letter(self, letter: DeadLetter) -> None:
        """Hand over one dead letter."""
        self._make_room()
        self._producer.produce(
            kafka_name(self._tape, DEAD_LETTERS),
            encode(letter, self._ids.id(DEAD_LETTERS, "DeadLetter")),
            letter.topic.encode(),
            0,
            timestamp=max(letter.event_time // 1000, 0),
        )

    def poll(self) -> None:
        """Take note of what Kafka said; StoreError when it refused something."""
        self._producer.poll(0)
        self._check()

    def flush(self, timeout_s: float = 60.0) -> None:
        """Wait until all is acknowledged; StoreError when it is not in time."""
        left = self._producer.flush(timeout_s)
        self._check()
        if left:
            raise StoreError(
                f"{left} derived events of {self._tape} were not acknowledged in "
                f"{timeout_s:.0f} s: is Kafka up? The worker goes on from its snapshot"
            )

    def _make_room(self) -> None:
        self._producer.poll(0)
        while len(self._producer) > _MOST_WAITING:
            self._producer.poll(_WAIT_S)
            self._check()
        self._check()

    def _on_delivery(self, error: object, message: Any) -> None:
        if error is not None and self._failure is None:
            self._failure = f"{message.topic()}[{message.partition()}]: {error}"

    def _on_error(self, error: Any) -> None:
        if error.fatal() and self._failure is None:
            self._failure = error.str()

    def _check(self) -> None:
        if self._failure is not None:
            raise StoreError(f"Kafka refused derived events: {self._failure}")


def letter_of(
    topic: str, partition: int, offset: int, timestamp_ms: int, reason: str, payload: bytes
) -> DeadLetter:
    """The worker's dead letter of a record; the same bytes whenever it is made again."""
    return DeadLetter(
        source="worker",
        topic=topic,
        partition=partition,
        offset=offset,
        event_time=timestamp_ms * 1000,
        reason=reason,
        payload=payload[:_MOST_PAYLOAD],
    )


def _records(outputs: Outputs, begin: int) -> Iterator[tuple[bytes, bytes, int]]:
    """Key, value and timestamp of each output from `begin` on."""
    keys, values = outputs.keys.tobytes(), outputs.values.tobytes()
    known: dict[tuple[int, int], bytes] = {}
    for key_start, key_end, start, end, timestamp in zip(
        *(
            _list(column, begin)
            for column in (
                outputs.key_starts,
                outputs.key_ends,
                outputs.value_starts,
                outputs.value_ends,
                outputs.timestamps_ms,
            )
        ),
        strict=True,
    ):
        key = known.get((key_start, key_end))
        if key is None:
            key = known[key_start, key_end] = keys[key_start:key_end]
        yield key, values[start:end], timestamp


def _list(column: NDArray[np.int64], begin: int) -> list[int]:
    return column[begin:].tolist()  # type: ignore[no-any-return]  # of int64
