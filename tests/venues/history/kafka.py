"""What the import tests share: a tape of the test's own, and everything that is on it."""

from processors.config import ProcessorsConfig
from schemas.registry import Registry
from streams import log
from streams.config import KafkaConfig
from streams.topics import create_tape
from tests.conftest import Stack
from venues.history.writer import Target

Record = tuple[bytes, str, bytes, int]


def target_of(stack: Stack, tape: str, partitions: int = 4) -> Target:
    """The tape of this name, made if it is not there."""
    kafka = KafkaConfig(bootstrap=stack.kafka_bootstrap)
    registry = Registry(stack.registry_url, "", "")
    made = create_tape(kafka, registry, tape, partitions, ProcessorsConfig())
    return Target(kafka, made.ids, tape, made.partitions)


def records(target: Target, topic: str = "tape") -> list[list[Record]]:
    """All records of a topic by partition: key, record type, Avro bytes, time in ms.

    Without Configured, which every tape has of its own.
    """
    ends = log.ends(target.kafka, target.tape, topic)
    return [
        [
            record
            for batch in log.read(target.kafka, target.tape, topic, partition, 0, end)
            for record in _records(target, batch)
            if record[1] != "Configured"
        ]
        for partition, end in ends.items()
    ]


def _records(target: Target, batch: log.Records) -> list[Record]:
    found = []
    for index in range(len(batch)):
        value = batch.value(index)
        name = target.ids.writers[int.from_bytes(value[1:5], "big")]["name"]
        time_ms = int(batch.timestamps_ms[index])
        found.append((batch.key(index), name.rpartition(".")[2], value[5:], time_ms))
    return found
