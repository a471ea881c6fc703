"""What a new owner of a partition finds out before it goes on: what is there already."""

from dataclasses import dataclass

import numpy as np

from schemas import catalogue, rows
from schemas.errors import SchemaError
from schemas.events import Configured, DeadLetter
from schemas.registry import SchemaIds
from streams import log
from streams.config import KafkaConfig
from streams.emitter import BEFORE_ALL, DEAD_LETTERS, Id
from streams.records import Records

# How many of a topic's last records are looked at. The very last has the highest id, but for
# repeats that a worker wrote which did not know yet that it had lost the partition.
_LAST = 200


@dataclass(frozen=True, slots=True)
class Found:
    """A Configured event and its offset."""

    offset: int
    event: Configured


def last_ids(kafka: KafkaConfig, ids: SchemaIds, tape: str, partition: int) -> dict[str, Id]:
    """The last id that is on each derived topic in this partition, by logical topic."""
    return {
        topic.name: _last_id(log.last(kafka, tape, topic.name, partition, _LAST), ids)
        for topic in catalogue.DERIVED
    }


def _last_id(records: Records | None, ids: SchemaIds) -> Id:
    last = BEFORE_ALL
    for index in range(len(records) if records is not None else 0):
        try:
            event = rows.decode(records.value(index), ids.writers)  # type: ignore[union-attr]
        except SchemaError:
            # Not of ours: it has no id.
            continue
        origin, seq = getattr(event, "origin", None), getattr(event, "seq", -1)
        if origin is not None:
            last = max(last, (origin.offset, seq))
    return last


def last_dead_letters(kafka: KafkaConfig, ids: SchemaIds, tape: str) -> dict[int, int]:
    """The highest tape offset that is announced as a dead letter, by partition.

    A worker announces a partition's refused records in their order, so all before it are
    announced too.
    """
    found: dict[int, int] = {}
    for records in log.read(kafka, tape, DEAD_LETTERS, 0, 0, None):
        for index in range(len(records)):
            try:
                letter = rows.decode(records.value(index), ids.writers)
            except SchemaError:
                continue
            if (
                isinstance(letter, DeadLetter)
                and letter.source == "worker"
                and letter.topic == catalogue.TAPE
            ):
                found[letter.partition] = max(found.get(letter.partition, -1), letter.offset)
    return found


def configured_in(records: Records, ids: SchemaIds) -> list[Found]:
    """The Configured events among tape records."""
    starts, buffer = records.value_starts, records.buffer
    framed = np.flatnonzero(records.value_ends - starts > 5)
    if not len(framed):
        return []
    head = buffer[starts[framed, None] + np.arange(5)].astype(np.int64)
    schema_ids = head[:, 1:] @ (256 ** np.arange(3, -1, -1))
    wanted = [
        number
        for number, writer in ids.writers.items()
        if writer.get("name", "").rsplit(".", 1)[-1] == "Configured"
    ]
    found = []
    for index in framed[(head[:, 0] == 0) & np.isin(schema_ids, wanted)].tolist():
        try:
            event = rows.decode(records.value(index), ids.writers)
        except SchemaError:
            continue
        if isinstance(event, Configured):
            found.append(Found(int(records.offsets[index]), event))
    return found


def newest_configured(
    kafka: KafkaConfig, ids: SchemaIds, tape: str, partition: int, start: int
) -> Found | None:
    """The last Configured event on the tape's partition from `start` on; None: none there."""
    newest: Found | None = None
    for records in log.read(kafka, tape, catalogue.TAPE, partition, start, None):
        for found in configured_in(records, ids):
            newest = found
    return newest
