"""What a consumer of the derived topics sees: last bars and books, rates, latency."""

import threading
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from confluent_kafka import OFFSET_BEGINNING, Consumer, TopicPartition

from schemas import catalogue, rows
from schemas.errors import SchemaError
from schemas.events import Bar, Book, Event, ReferencePrice
from streams.config import KafkaConfig
from streams.kafka import client_config

_POLL_S = 0.1
_RATE_WINDOW_S = 5.0


@dataclass(slots=True)
class Seen:
    """The newest of each, by symbol and venue."""

    bars: dict[tuple[str, str], Bar] = field(default_factory=dict)
    books: dict[tuple[str, str], Book] = field(default_factory=dict)
    reference: dict[str, ReferencePrice] = field(default_factory=dict)
    latencies_ms: list[float] = field(default_factory=list)
    """From the receive time that an event carries (when the input that caused it reached our
    process) to when this consumer had it."""


class Observer(threading.Thread):
    """Reads the derived topics of a tape from their start, as any consumer can."""

    def __init__(
        self, kafka: KafkaConfig, writers: Mapping[int, dict[str, Any]], tape: str, partitions: int
    ) -> None:
        super().__init__(name="observer", daemon=True)
        self.seen = Seen()
        self.origin: dict[int, int] = {}
        self.failure: str | None = None
        self._writers, self._tape = writers, tape
        self._over = threading.Event()
        self._consumer = Consumer(
            client_config(kafka)
            | {
                "group.id": f"{tape}.demo-view",
                "enable.auto.commit": False,
                "fetch.wait.max.ms": 10,
            }
        )
        self._consumer.assign(
            [
                TopicPartition(catalogue.kafka_name(tape, topic.name), partition, OFFSET_BEGINNING)
                for topic in catalogue.DERIVED
                for partition in range(partitions)
            ]
        )

    def run(self) -> None:
        """Read until `stop`."""
        try:
            while not self._over.is_set():
                # `consume` would wait to fill its number; `poll` gives what is there at once.
                message = self._consumer.poll(_POLL_S)
                if message is not None and message.error() is None and message.value():
                    self._take(message.value(), message.partition())
        except SchemaError as error:
            self.failure = str(error)
        finally:
            self._consumer.close()

    @property
    def processed(self) -> int:
        """Tape events up to the newest that caused something seen, over all partitions."""
        return sum(offset + 1 for offset in self.origin.values())

    def stop(self) -> None:
        """End the thread and wait for it."""
        self._over.set()
        self.join()

    def _take(self, value: bytes, partition: int) -> None:
        now_us = time.time_ns() // 1000
        event: Any = rows.decode(value, self._writers)
        self.seen.latencies_ms.append((now_us - event.receive_time) / 1000)
        self.origin[partition] = event.origin.offset
        self._keep(event)

    def _keep(self, event: Event) -> None:
        match event:
            case Bar(interval="1s"):
                self.seen.bars[event.symbol, event.venue] = event
            case Book():
                self.seen.books[event.symbol, event.venue] = event
            case ReferencePrice():
                self.seen.reference[event.symbol] = event


class Rate:
    """Events per second over the last seconds, from a growing total."""

    def __init__(self) -> None:
        self._seen: deque[tuple[float, int]] = deque()

    def update(self, total: int) -> float:
        """Take the total of now; the rate since some seconds ago."""
        now = time.monotonic()
        self._seen.append((now, total))
        while now - self._seen[0][0] > _RATE_WINDOW_S:
            self._seen.popleft()
        elapsed = now - self._seen[0][0]
        return (total - self._seen[0][1]) / elapsed if elapsed else 0.0


def percentile(values: list[float], share: float) -> float | None:
    """The value below which that share of the values lies; None of none."""
    if not values:
        return None
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]
