"""Writes input events to a tape: the one way in for collectors, import and operators."""

from collections.abc import Callable
from typing import Any

from confluent_kafka import KafkaException, Producer

from schemas.catalogue import EVERY_SYMBOL, TAPE, kafka_name
from schemas.errors import StoreError
from schemas.events import Event
from schemas.registry import SchemaIds
from schemas.row_encoder import Encode, compiled, header
from schemas.rows import encode
from streams.config import KafkaConfig
from streams.kafka import client_config
from streams.partition import partition_of

_POLL_EVERY = 500
_WAIT_S = 0.05
_FLUSH_S = 60.0

EVERYWHERE = -1
_EVERY = EVERY_SYMBOL.encode()

Skip = Callable[[int, bytes, bytes, int], bool]


def producer_config(kafka: KafkaConfig, linger_ms: float = 0.0) -> dict[str, Any]:
    """An idempotent producer that keeps order and whose records are on all replicas."""
    return client_config(kafka) | {
        "enable.idempotence": True,
        "acks": "all",
        "compression.type": "lz4",
        "linger.ms": linger_ms,
        "batch.size": 1 << 20,
        "queue.buffering.max.messages": 500_000,
        "queue.buffering.max.kbytes": 256 << 10,
        "delivery.report.only.error": True,
        # A topic that is not there is an error soon: topics are made before they are written.
        "topic.metadata.propagation.max.ms": 5_000,
    }


class TapeRecords:
    """Which record an event is: its key, its bytes, its partition and its time in ms."""

    def __init__(self, ids: SchemaIds, partitions: int) -> None:
        self._ids = ids
        self._partitions = partitions
        self._encoders: dict[type[Event], tuple[Encode, bytes]] = {}
        self._keys: dict[str, tuple[bytes, int]] = {}

    def of(self, event: Event) -> tuple[int, bytes, bytes, int]:
        """Partition (`EVERYWHERE` for an event without a symbol), key, value, time in ms."""
        kind = type(event)
        known = self._encoders.get(kind)
        if known is None:
            name = kind.__name__
            known = (compiled(name), header(self._ids.id(TAPE, name)))
            self._encoders[kind] = known
        encode_one, head = known
        value = encode_one(event, head)
        time_ms = event.event_time // 1000  # type: ignore[attr-defined]  # all of the tape's have
        symbol = getattr(event, "symbol", EVERY_SYMBOL)
        if symbol == EVERY_SYMBOL:
            return EVERYWHERE, _EVERY, value, time_ms
        place = self._keys.get(symbol)
        if place is None:
            key = symbol.encode()
            place = self._keys[symbol] = (key, partition_of(key, self._partitions))
        return place[1], place[0], value, time_ms


class TapeWriter:
    """Puts events on a tape, each on its symbol's partition, in the order of the calls.

    Events without a symbol concern every symbol and go to every partition. `skip`, asked with
    partition, key, value and time in ms, may leave out a record: an import that goes on after
    an interruption leaves out what is there.
    """

    def __init__(
        self,
        kafka: KafkaConfig,
        ids: SchemaIds,
        tape: str,
        partitions: int,
        skip: Skip | None = None,
    ) -> None:
        self._name = tape
        self._topic = kafka_name(tape, TAPE)
        self._bootstrap = kafka.bootstrap
        self._partitions = partitions
        self._ids = ids
        self._records = TapeRecords(ids, partitions)
        self._failed: list[str] = []
        self._skip = skip
        self.written = 0
        self._producer = Producer(producer_config(kafka) | {"on_delivery": self._on_delivery})

    def write(self, event: Event) -> None:
        """Hand one event to the producer; StoreError when an earlier one was refused."""
        partition, key, value, time_ms = self._records.of(event)
        if partition != EVERYWHERE:
            self._produce(partition, key, value, time_ms)
            return
        for each in range(self._partitions):
            self._produce(each, key, value, time_ms)

    def write_to(self, partition: int, event: Event) -> None:
        """Write a global event to one partition only."""
        _, _, value, time_ms = self._records.of(event)
        self._produce(partition, _EVERY, value, time_ms)

    def write_beside(self, topic: str, key: bytes, event: Event) -> None:
        """Write an event to partition 0 of another topic of this tape, by its logical name."""
        value = encode(event, self._ids.id(topic, type(event).__name__))
        time_ms = event.event_time // 1000  # type: ignore[attr-defined]  # by the callers
        self._send(kafka_name(self._name, topic), 0, key, value, time_ms)

    def flush(self) -> None:
        """Wait until all is acknowledged; StoreError when something was not."""
        left = self._producer.flush(_FLUSH_S)
        if left and not self._failed:
            self._failed.append(f"{left} without an answer for {_FLUSH_S:.0f} s")
        self._check()

    def _produce(self, partition: int, key: bytes, value: bytes, time_ms: int) -> None:
        if self._skip is not None and self._skip(partition, key, value, time_ms):
            return
        self._send(self._topic, partition, key, value, time_ms)

    def _send(self, topic: str, partition: int, key: bytes, value: bytes, time_ms: int) -> None:
        while True:
            try:
                self._producer.produce(topic, value, key, partition, timestamp=time_ms)
                break
            except BufferError:
                # The broker is slower than we are: wait for its acknowledgements.
                self._producer.poll(_WAIT_S)
                self._check()
            except KafkaException as error:
                raise StoreError(f"{topic}: Kafka refused a record: {error}") from None
        self.written += 1
        if self.written % _POLL_EVERY == 0:
            self._producer.poll(0)
            self._check()

    def _on_delivery(self, error: object, _message: object) -> None:
        if error is not None:
            self._failed.append(str(error))

    def _check(self) -> None:
        if self._failed:
            count, first = len(self._failed), self._failed[0]
            self._failed = []
            raise StoreError(
                f"{self._topic}: {count} records were not acknowledged by {self._bootstrap} "
                f"({first}); they are not on the tape"
            )
