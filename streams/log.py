"""Reads a partition in bulk, from any offset to any other, as columns."""

import time
from collections.abc import Iterator

import numpy as np
from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from schemas.catalogue import kafka_name
from schemas.errors import StoreError
from streams.config import KafkaConfig
from streams.kafka import client_config, connect, unreachable
from streams.records import Records
from streams.topics import end_offsets as _end_offsets

_TIMEOUT_S = 30.0
_MOST = 50_000


def read(
    kafka: KafkaConfig, tape: str, topic: str, partition: int, start: int, end: int | None
) -> Iterator[Records]:
    """Records of a partition from offset `start` up to `end` (exclusive), in portions.

    `topic` is the logical name. `end` None: the end as it is now. Begins at the first record
    that is still there when `start` was deleted. StoreError when the broker is away or the
    topic is not there.
    """
    name = kafka_name(tape, topic)
    consumer = _consumer(kafka, tape)
    try:
        low, high = _watermarks(consumer, kafka, name, partition)
        position = max(start, low)
        end = high if end is None else min(end, high)
        if position < end:
            consumer.assign([TopicPartition(name, partition, position)])
            yield from _portions(consumer, name, end)
    finally:
        consumer.close()


def last(kafka: KafkaConfig, tape: str, topic: str, partition: int, count: int) -> Records | None:
    """At most `count` of a partition's last records; None when it is empty."""
    name = kafka_name(tape, topic)
    consumer = _consumer(kafka, tape)
    try:
        low, high = _watermarks(consumer, kafka, name, partition)
        start = max(low, high - count)
        if start == high:
            return None
        consumer.assign([TopicPartition(name, partition, start)])
        portions = list(_portions(consumer, name, high))
    finally:
        consumer.close()
    return portions[-1] if portions else None


def bounds(kafka: KafkaConfig, tape: str, topic: str, partition: int) -> tuple[int, int]:
    """The first offset that is still there, and the one that the next record will get."""
    consumer = _consumer(kafka, tape)
    try:
        return _watermarks(consumer, kafka, kafka_name(tape, topic), partition)
    finally:
        consumer.close()


def ends(kafka: KafkaConfig, tape: str, topic: str) -> dict[int, int]:
    """The offset that each partition's next record will get, by partition."""
    name = kafka_name(tape, topic)
    admin = connect(kafka)
    try:
        found = admin.list_topics(name, timeout=_TIMEOUT_S).topics[name]
    except KafkaException as error:
        raise unreachable(kafka, error.args[0].str()) from None
    if found.error is not None:
        raise StoreError(f"topic {name} is not there: {found.error.str()}")
    return dict(enumerate(_end_offsets(admin, name, len(found.partitions))))


def end_offsets(kafka: KafkaConfig, tape: str, topic: str, partitions: int) -> list[int]:
    """The offset that each partition's next record will get."""
    return _end_offsets(connect(kafka), kafka_name(tape, topic), partitions)


def _consumer(kafka: KafkaConfig, tape: str) -> Consumer:
    return Consumer(
        client_config(kafka)
        | {
            "group.id": f"{tape}.reader",
            "enable.auto.commit": False,
            "auto.offset.reset": "error",
            "fetch.wait.max.ms": 50,
            "queued.min.messages": 2 * _MOST,
            "fetch.queue.backoff.ms": 10,
        }
    )


def _watermarks(
    consumer: Consumer, kafka: KafkaConfig, name: str, partition: int
) -> tuple[int, int]:
    try:
        low, high = consumer.get_watermark_offsets(
            TopicPartition(name, partition), timeout=_TIMEOUT_S
        )
    except KafkaException as error:
        if error.args[0].code() in (
            KafkaError._UNKNOWN_PARTITION,
            KafkaError._UNKNOWN_TOPIC,
            KafkaError.UNKNOWN_TOPIC_OR_PART,
        ):
            raise StoreError(f"{name} has no partition {partition}") from None
        raise unreachable(kafka, error.args[0].str()) from None
    return int(low), int(high)


def _portions(consumer: Consumer, name: str, end: int) -> Iterator[Records]:
    """Portions up to `end`; records may be missing (compaction), so the position tells."""
    heard = time.monotonic()
    while True:
        messages = consumer.consume(_MOST, timeout=0.05)
        good: list[Message] = []
        for message in messages:
            error = message.error()
            if error is None:
                good.append(message)
            elif error.fatal() or error.code() == KafkaError._AUTO_OFFSET_RESET:
                raise StoreError(f"{name} could not be read on: {error.str()}")
        if good:
            heard = time.monotonic()
            done = good[-1].offset() + 1 >= end
            if good[-1].offset() >= end:
                good = [message for message in good if message.offset() < end]
            if good:
                yield records_of(good)
            if done:
                return
        elif consumer.position(consumer.assignment())[0].offset >= end:
            return
        elif time.monotonic() - heard > _TIMEOUT_S:
            raise StoreError(f"{name}: nothing came for {_TIMEOUT_S:.0f} s; is Kafka up?")


def records_of(messages: list[Message]) -> Records:
    """Messages as columns."""
    count = len(messages)
    parts: list[bytes] = []
    for message in messages:
        parts.append(message.key() or b"")
        parts.append(message.value() or b"")
    bounds = np.zeros(2 * count + 1, np.int64)
    np.cumsum(np.fromiter(map(len, parts), np.int64, 2 * count), out=bounds[1:])
    return Records(
        buffer=np.frombuffer(b"".join(parts), np.uint8),
        key_starts=bounds[:-1:2].copy(),
        key_ends=bounds[1::2].copy(),
        value_starts=bounds[1::2].copy(),
        value_ends=bounds[2::2].copy(),
        offsets=np.fromiter((m.offset() for m in messages), np.int64, count),
        timestamps_ms=np.fromiter((m.timestamp()[1] for m in messages), np.int64, count),
    )
