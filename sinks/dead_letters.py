"""Dead letters of the sink: each refused record is announced once, whatever restarts happen."""

from collections.abc import Iterable

from confluent_kafka import KafkaException, Producer

from schemas import rows
from schemas.catalogue import kafka_name
from schemas.errors import SchemaError, StoreError
from schemas.events import DeadLetter
from schemas.registry import SchemaIds
from sinks.reading import Fetched, TopicReader, read_until
from sinks.rows import Refused
from streams.config import KafkaConfig
from streams.kafka import client_config

SOURCE = "sink"
TOPIC = "dead_letters"
_MOST_PAYLOAD = 65_536

_Place = tuple[str, int, int]
"""Topic, partition and offset of the refused record."""


class DeadLetters:
    """Writes dead letters before the offsets that pass them are stored, and none twice.

    What a process that died had written already is found by reading the topic, once, when
    the first record is refused.
    """

    def __init__(self, kafka: KafkaConfig, tape: str, ids: SchemaIds) -> None:
        self._kafka, self._tape, self._ids = kafka, tape, ids
        self._producer: Producer | None = None
        self._written: set[_Place] = set()

    def write(self, fetched: Fetched, refused: Iterable[Refused]) -> int:
        """Announce the refused records and wait for the acknowledgement; how many were new."""
        letters = [
            DeadLetter(
                source=SOURCE,
                topic=fetched.topic,
                partition=fetched.partition,
                offset=int(fetched.offsets[one.index]),
                event_time=int(fetched.timestamps_ms[one.index]) * 1_000,
                reason=one.reason,
                payload=fetched.payload(one.index)[:_MOST_PAYLOAD],
            )
            for one in refused
        ]
        if not letters:
            return 0
        producer = self._start()
        new = [letter for letter in letters if _place(letter) not in self._written]
        failed: list[str] = []
        for letter in new:
            producer.produce(
                kafka_name(self._tape, TOPIC),
                rows.encode(letter, self._ids.id(TOPIC, "DeadLetter")),
                fetched.topic.encode(),
                timestamp=max(letter.event_time // 1_000, 0),
                on_delivery=lambda error, _: failed.append(str(error)) if error else None,
            )
        left = producer.flush(30.0)
        if left or failed:
            reason = failed[0] if failed else f"{left} not acknowledged in 30 s"
            raise StoreError(f"dead letters could not be written: {reason}; is Kafka up?")
        self._written.update(map(_place, new))
        return len(new)

    def _start(self) -> Producer:
        if self._producer is None:
            self._written = self._read()
            self._producer = Producer(
                client_config(self._kafka) | {"enable.idempotence": True, "acks": "all"}
            )
        return self._producer

    def _read(self) -> set[_Place]:
        """The places of the sink's dead letters that are on the topic."""
        reader = TopicReader(self._kafka, self._tape)
        found = set()
        try:
            low, high = reader.watermarks(TOPIC, 0)
            for fetched in read_until(reader, {(TOPIC, 0): low}, {(TOPIC, 0): high}):
                for index in range(len(fetched)):
                    try:
                        letter = rows.decode(fetched.payload(index), self._ids.writers)
                    except SchemaError:
                        continue
                    if isinstance(letter, DeadLetter) and letter.source == SOURCE:
                        found.add(_place(letter))
        except KafkaException as error:
            raise StoreError(f"dead letters could not be read: {error}") from error
        finally:
            reader.close()
        return found


def _place(letter: DeadLetter) -> _Place:
    return letter.topic, letter.partition, letter.offset
