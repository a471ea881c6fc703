"""A tape's topics on the broker: made as the catalogue says, counted, deleted."""

import time
from collections.abc import Iterable
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

from confluent_kafka import KafkaError, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic, OffsetSpec

from processors.config import VERSION, ProcessorsConfig
from schemas import catalogue
from schemas.catalogue import Topic, kafka_name
from schemas.errors import StoreError
from schemas.events import Configured
from schemas.registry import Registry, SchemaIds
from streams.config import KafkaConfig
from streams.kafka import connect, unreachable
from streams.producer import TapeWriter

_TIMEOUT_S = 30.0
_FOREVER_MS = 2**63 - 1
# A segment rolls by size alone: by time it would roll at every old event of an import.
_SEGMENT_MS = 10 * 365 * 86_400_000
_LEADERLESS = (
    KafkaError.NOT_LEADER_FOR_PARTITION, KafkaError.LEADER_NOT_AVAILABLE,
    KafkaError.UNKNOWN_LEADER_EPOCH, KafkaError.FENCED_LEADER_EPOCH,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Created:
    """What `create_tape` found or made."""

    partitions: int
    topics: tuple[str, ...]
    """Logical names of the topics that were not there."""
    configured: tuple[int, ...]
    """Partitions that were empty and got their first Configured event."""
    ids: SchemaIds


def create_tape(
    kafka: KafkaConfig,
    registry: Registry,
    tape: str,
    partitions: int,
    processors: ProcessorsConfig,
) -> Created:
    """Make what is missing of a tape: topics, schemas, the first Configured event.

    A tape that is there keeps its partition count, and its configuration (`tape configure`
    changes that). StoreError when Kafka or the registry is away.
    """
    admin = connect(kafka)
    ids = registry.register_missing(tape)
    there = _partition_counts(admin, kafka)
    partitions = there.get(kafka_name(tape, catalogue.TAPE), partitions)
    missing = [t for t in catalogue.TOPICS if kafka_name(tape, t.name) not in there]
    _create(admin, kafka, tape, partitions, missing)
    ends = end_offsets(admin, kafka_name(tape, catalogue.TAPE), partitions)
    empty = tuple(partition for partition, end in enumerate(ends) if end == 0)
    if empty:
        configure(kafka, ids, tape, partitions, processors, only=empty)
    return Created(partitions, tuple(topic.name for topic in missing), empty, ids)


def configure(
    kafka: KafkaConfig,
    ids: SchemaIds,
    tape: str,
    partitions: int,
    processors: ProcessorsConfig,
    only: Iterable[int] | None = None,
) -> Configured:
    """Write a Configured event to every partition (or only to some) and give it back."""
    now = time.time_ns() // 1000
    event = Configured(
        event_time=now,
        receive_time=now,
        version=VERSION,
        hash=processors.hash(),
        configuration=processors.canonical_json(),
    )
    writer = TapeWriter(kafka, ids, tape, partitions)
    for partition in range(partitions) if only is None else only:
        writer.write_to(partition, event)
    writer.flush()
    return event


def partitions_of(kafka: KafkaConfig, tape: str) -> int:
    """How many partitions the tape has; StoreError when there is no such tape."""
    name = kafka_name(tape, catalogue.TAPE)
    count = _partition_counts(connect(kafka), kafka).get(name)
    if count is None:
        raise StoreError(
            f"there is no tape {tape!r} on {kafka.bootstrap} (no topic {name}): `tape up` "
            "makes it on the local stack, `tape import` makes it for history"
        )
    return count


def count_of(admin: AdminClient, topic: str) -> int:
    """How many partitions a topic has; `topic` as Kafka names it. StoreError: it is not there."""
    try:
        found = admin.list_topics(topic, timeout=_TIMEOUT_S).topics[topic]
    except KafkaException as error:
        raise StoreError(f"{topic} could not be looked up: {error.args[0].str()}") from None
    if found.error is not None or not found.partitions:
        raise StoreError(f"topic {topic} is not there: `tape up` makes what is missing")
    return len(found.partitions)


def end_offsets(admin: AdminClient, topic: str, partitions: int) -> list[int]:
    """The offset that each partition's next record will get; `topic` as Kafka names it."""
    return _offsets(admin, topic, partitions, OffsetSpec.latest())


def start_offsets(admin: AdminClient, topic: str, partitions: int) -> list[int]:
    """Each partition's first offset that is still there; `topic` as Kafka names it."""
    return _offsets(admin, topic, partitions, OffsetSpec.earliest())


def _offsets(admin: AdminClient, topic: str, partitions: int, spec: OffsetSpec) -> list[int]:
    """Offsets of all partitions; asked again while a new topic's leader does not know its part."""
    deadline = time.monotonic() + _TIMEOUT_S
    places = [TopicPartition(topic, partition) for partition in range(partitions)]
    while True:
        found = admin.list_offsets(dict.fromkeys(places, spec), request_timeout=_TIMEOUT_S)
        try:
            return [int(found[place].result(_TIMEOUT_S).offset) for place in places]
        except KafkaException as error:
            reason = error.args[0]
            if reason.code() not in _LEADERLESS or time.monotonic() > deadline:
                raise StoreError(f"offsets of {topic} could not be read: {reason.str()}") from None
            time.sleep(0.05)


def delete_tape(kafka: KafkaConfig, tape: str) -> tuple[str, ...]:
    """Delete a tape's topics and consumer groups; the logical names of those that were there."""
    admin = connect(kafka)
    there = _partition_counts(admin, kafka)
    topics = [topic for topic in catalogue.TOPICS if kafka_name(tape, topic.name) in there]
    names = [kafka_name(tape, topic.name) for topic in topics]
    gone = (KafkaError.UNKNOWN_TOPIC_OR_PART,)
    if names:
        _wait(admin.delete_topics(names, operation_timeout=_TIMEOUT_S), "deleted", ignore=gone)
    groups = admin.list_consumer_groups(request_timeout=_TIMEOUT_S).result(_TIMEOUT_S).valid
    ours = [group.group_id for group in groups if group.group_id.startswith(f"{tape}.")]
    if ours:
        busy = (KafkaError.NON_EMPTY_GROUP, KafkaError.GROUP_ID_NOT_FOUND)
        _wait(admin.delete_consumer_groups(ours), "deleted", ignore=busy)
    return tuple(topic.name for topic in topics)


def topic_config(topic: Topic, kafka: KafkaConfig) -> dict[str, str]:
    """Kafka's settings of a topic.

    Nothing may go by the records' timestamps, which are event times: they may be years old,
    or ahead of the broker's clock.
    """
    config = {
        "cleanup.policy": topic.cleanup,
        "message.timestamp.type": "CreateTime",
        "message.timestamp.before.max.ms": str(_FOREVER_MS),
        "message.timestamp.after.max.ms": str(_FOREVER_MS),
        "segment.ms": str(_SEGMENT_MS),
        "retention.ms": "-1",
        "retention.bytes": str(kafka.retention_bytes),
    }
    if topic.cleanup == "compact":
        # Only closed segments are compacted, so they are small.
        config |= {
            "segment.bytes": str(16 << 20),
            "min.cleanable.dirty.ratio": "0.1",
            "retention.bytes": "-1",
        }
    if kafka.replication >= 3:
        config["min.insync.replicas"] = "2"
    return config


def _create(
    admin: AdminClient, kafka: KafkaConfig, tape: str, partitions: int, topics: list[Topic]
) -> None:
    if not topics:
        return
    new = [
        NewTopic(
            kafka_name(tape, topic.name),
            num_partitions=partitions if topic.partitions == "tape" else topic.partitions,
            replication_factor=kafka.replication,
            config=topic_config(topic, kafka),
        )
        for topic in topics
    ]
    # Another process may make the same tape at the same time.
    there = (KafkaError.TOPIC_ALREADY_EXISTS,)
    _wait(admin.create_topics(new, operation_timeout=_TIMEOUT_S), "made", ignore=there)
    _await_leaders(admin, kafka, [topic.topic for topic in new])


def _wait(futures: dict[str, Future[Any]], done: str, ignore: tuple[int, ...]) -> None:
    for name, future in futures.items():
        try:
            future.result(_TIMEOUT_S)
        except KafkaException as error:
            if error.args[0].code() not in ignore:
                raise StoreError(f"{name} could not be {done}: {error.args[0].str()}") from None


def _await_leaders(admin: AdminClient, kafka: KafkaConfig, names: list[str]) -> None:
    """A new topic is usable when each of its partitions has a leader."""
    deadline = time.monotonic() + _TIMEOUT_S
    while True:
        found = _metadata(admin, kafka).topics
        waiting = [
            name
            for name in names
            if name not in found
            or not found[name].partitions
            or any(p.leader < 0 for p in found[name].partitions.values())
        ]
        if not waiting:
            return
        if time.monotonic() > deadline:
            raise StoreError(f"{', '.join(waiting)}: made, but without a leader; see Kafka's log")
        time.sleep(0.05)


def _partition_counts(admin: AdminClient, kafka: KafkaConfig) -> dict[str, int]:
    return {
        name: len(found.partitions)
        for name, found in _metadata(admin, kafka).topics.items()
        if found.partitions
    }


def _metadata(admin: AdminClient, kafka: KafkaConfig) -> Any:
    try:
        return admin.list_topics(timeout=_TIMEOUT_S)
    except KafkaException as error:
        raise unreachable(kafka, error.args[0]) from None
