"""A tape with every record on it, written by our own writers, and how to compare what is read."""

import json
import math
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
from confluent_kafka import Producer

from processors.config import ProcessorsConfig
from schemas import catalogue, encode, rows
from schemas.catalogue import Topic
from schemas.columns import Rows
from schemas.decode import Decoder
from schemas.events import EVENTS, Event
from schemas.registry import Registry
from streams import topics
from streams.config import KafkaConfig
from streams.kafka import client_config
from streams.producer import TapeWriter
from tests.conftest import Stack
from tests.interop import examples

PARTITIONS = 2
EACH = 5

# Topic on the broker, and a record's fields as JSON with sorted keys.
Read = tuple[str, str]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass
class Written:
    """What is on a tape."""

    name: str
    stack: Stack
    expected: list[Read]
    """Sorted; a global event is there once a partition."""

    @property
    def topics(self) -> list[str]:
        """All of its topics, as the broker names them."""
        return [catalogue.kafka_name(self.name, topic.name) for topic in catalogue.TOPICS]

    @property
    def count(self) -> int:
        """How many records there are, with the Configured that a new tape's partitions get."""
        return len(self.expected) + PARTITIONS

    def assert_equal(self, read: list[Read]) -> None:
        """Every record came out as it went in."""
        ours = [one for one in read if ProcessorsConfig().hash() not in one[1]]
        assert len(read) - len(ours) == PARTITIONS
        for got, wanted in zip(sorted(ours), self.expected, strict=True):
            assert got == wanted


def write(stack: Stack, name: str) -> Written:
    """Make a tape and write some of every record to the topics where they live."""
    kafka = KafkaConfig(bootstrap=stack.kafka_bootstrap)
    registry = Registry(stack.registry_url)
    ids = topics.create_tape(kafka, registry, name, PARTITIONS, ProcessorsConfig()).ids
    writer = TapeWriter(kafka, ids, name, PARTITIONS)
    beside = Producer(client_config(kafka))
    expected = []
    for record in EVENTS:
        topic = catalogue.topic_of(record)
        on_kafka = catalogue.kafka_name(name, topic.name)
        for number in range(EACH):
            event, plain = examples.of(record, number)
            copies = 1
            if topic.name == catalogue.TAPE:
                writer.write(event)
                copies = 1 if "symbol" in plain else PARTITIONS
            else:
                value = _value(event, ids.id(topic.name, record), topic)
                beside.produce(on_kafka, value, f"{record} {number}", on_delivery=_must_arrive)
            expected += [(on_kafka, as_json(plain))] * copies
    writer.flush()
    assert beside.flush(30) == 0
    return Written(name, stack, sorted(expected))


def _must_arrive(error: object, _message: object) -> None:
    assert error is None, error


def _value(event: Event, schema_id: int, topic: Topic) -> bytes:
    """As its writer would encode it: derived events come out of columns."""
    value = rows.encode(event, schema_id)
    if topic.kind != "derived":
        return value
    record = type(event).__name__
    first = np.zeros(1, np.int64)
    buffer = np.frombuffer(value, np.uint8)
    decoder = Decoder({schema_id: catalogue.schema(record)})
    batch = decoder.decode(topic.name, 0, buffer, first, first + len(value), first, first)
    one = Rows(topic.name, record, batch.tables[record], batch.items, batch.text)
    out, starts, ends = encode.encode(one, schema_id)
    return out[starts[0] : ends[0]].tobytes()


def as_json(value: Any) -> str:
    """Fields that a client read, for comparison: whichever way it has times, bytes, infinity."""
    return json.dumps(_plain(value), sort_keys=True, ensure_ascii=False)


def _plain(value: Any) -> Any:
    match value:
        case dict():
            return {name: _plain(inner) for name, inner in value.items()}
        case list() | tuple():
            return [_plain(inner) for inner in value]
        case datetime():
            return (value - _EPOCH) // timedelta(microseconds=1)
        case bytes():
            return value.hex()
        case float() if not math.isfinite(value):
            return "NaN" if math.isnan(value) else "-Infinity" if value < 0 else "Infinity"
    return value
