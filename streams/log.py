"""Reads a partition in bulk, from any offset to any other, as columns."""

from collections.abc import Iterator
from concurrent.futures import wait

from confluent_kafka import KafkaException

from schemas.catalogue import kafka_name
from schemas.errors import StoreError
from streams.config import KafkaConfig
from streams.history import History
from streams.kafka import connect, unreachable
from streams.partition_fetch import Deleted, PartitionFetch
from streams.records import Records
from streams.topics import end_offsets as _end_offsets

_TIMEOUT_S = 30.0


def read(
    kafka: KafkaConfig,
    tape: str,
    topic: str,
    partition: int,
    start: int,
    end: int | None,
    history: History | None = None,
) -> Iterator[Records]:
    """Records of a partition from offset `start` up to `end` (exclusive), in portions.

    `topic` is the logical name. `end` None: the end as it is now. What the broker has deleted
    comes from `history`, without a seam, also where it is deleted while this reads. What neither
    has at the beginning is left out. StoreError when the broker is away, the topic is not there,
    or history ends before the broker begins.
    """
    fetch = PartitionFetch(kafka, kafka_name(tape, topic), partition)
    try:
        low, high = fetch.bounds()
        end = high if end is None else min(end, high)
        while start < end:
            if start < low:
                begin = first(history, topic, partition, low)
                if history is not None and begin < low:
                    yield from history.read(topic, partition, max(start, begin), min(low, end))
                start = low
            try:
                for records in _portions(fetch, start, end):
                    yield records
                    start = int(records.offsets[-1]) + 1
                return
            except Deleted:
                low, _ = fetch.bounds()
                if history is None or low <= start:
                    raise
    finally:
        fetch.close()


def last(kafka: KafkaConfig, tape: str, topic: str, partition: int, count: int) -> Records | None:
    """At most `count` of a partition's last records; None when it is empty."""
    fetch = PartitionFetch(kafka, kafka_name(tape, topic), partition)
    try:
        low, high = fetch.bounds()
        newest = None
        for records in _portions(fetch, max(low, high - count), high):
            newest = records
    finally:
        fetch.close()
    return newest


def bounds(
    kafka: KafkaConfig, tape: str, topic: str, partition: int, history: History | None = None
) -> tuple[int, int]:
    """The first offset that is still there, and the one that the next record will get.

    With `history` the first that is there or on the broker; StoreError when offsets between
    both are lost.
    """
    fetch = PartitionFetch(kafka, kafka_name(tape, topic), partition)
    try:
        low, high = fetch.bounds()
    finally:
        fetch.close()
    return first(history, topic, partition, low), high


def ends(kafka: KafkaConfig, tape: str, topic: str) -> dict[int, int]:
    """The offset that each partition's next record will get, by partition."""
    name = kafka_name(tape, topic)
    admin = connect(kafka)
    try:
        found = admin.list_topics(name, timeout=_TIMEOUT_S).topics[name]
    except KafkaException as error:
        raise unreachable(kafka, error.args[0]) from None
    if found.error is not None:
        raise StoreError(f"topic {name} is not there: {found.error.str()}")
    return dict(enumerate(_end_offsets(admin, name, len(found.partitions))))


def end_offsets(kafka: KafkaConfig, tape: str, topic: str, partitions: int) -> list[int]:
    """The offset that each partition's next record will get."""
    return _end_offsets(connect(kafka), kafka_name(tape, topic), partitions)


def first(history: History | None, topic: str, partition: int, low: int) -> int:
    """The first offset that history has, or the broker, which begins at `low`.

    StoreError when offsets between both are lost.
    """
    span = history.span(topic, partition) if history is not None and low else None
    if span is None:
        return low
    begin, end = span
    if end < low:
        raise StoreError(
            f"offsets {end} to {low - 1} of {topic} partition {partition} are lost: the archive "
            f"ends before them, and Kafka begins after them"
        )
    return min(begin, low)


def _portions(fetch: PartitionFetch, start: int, end: int) -> Iterator[Records]:
    """Portions up to `end`; the next one is on its way while one is worked on."""
    if start >= end:
        return
    coming = fetch.fetch(start)
    try:
        while start < end:
            records, start = coming.result()
            if start < end:
                coming = fetch.fetch(start)
            if len(records) and records.offsets[-1] >= end:
                records = records.between(0, end)
            if len(records):
                yield records
    finally:
        # A fetch that is left is waited for: its client is closed next.
        wait([coming], _TIMEOUT_S)
