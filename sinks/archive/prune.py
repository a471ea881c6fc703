"""Lets Kafka's copy go: what is archived, verified, and done with by everyone who reads it."""

from collections.abc import Mapping
from dataclasses import dataclass

from confluent_kafka import KafkaException, TopicPartition

from schemas.catalogue import TAPE, kafka_name
from schemas.errors import StoreError
from schemas.registry import SchemaIds
from sinks.archive.verify import verified
from sinks.instant import Instant
from sinks.rows import Position
from sinks.store import connect as connect_database
from sinks.tables import topics as stored_topics
from streams import log, snapshots
from streams.archive.manifest import Segment
from streams.archive.reader import Archive
from streams.config import KafkaConfig
from streams.kafka import connect

_TIMEOUT_S = 30.0


@dataclass(frozen=True, slots=True)
class Pruned:
    """One partition: what Kafka had, up to where it was or would be deleted, and what set that."""

    topic: str
    partition: int
    low: int
    high: int
    cut: int
    """The first offset that stays."""
    because: str
    """What keeps the records from `cut` on."""

    @property
    def deleted(self) -> int:
        """How many offsets go."""
        return self.cut - self.low


@dataclass(frozen=True, slots=True)
class Prune:
    """Deletes from Kafka, partition by partition, never more than the least of these allows.

    What is archived, verified equal to Kafka's records, and still there with the same sizes; the
    newest `keep_records`; of the tape what the newest valid snapshot contains; what the sink has
    stored (`database_url` None: there is no sink).
    """

    archive: Archive
    kafka: KafkaConfig
    ids: SchemaIds
    keep_records: int
    database_url: str | None

    def run(self, dry: bool = False) -> list[Pruned]:
        """Delete; `dry`: only say what would go.

        StoreError, before anything is deleted, when something archived is not verified, or
        something needed cannot be reached.
        """
        stored = self._stored()
        plans = [
            self._plan(topic, partition, stored)
            for topic, partitions in self.archive.topics().items()
            for partition in partitions
        ]
        if not dry:
            self._delete([plan for plan in plans if plan.deleted])
        return plans

    def _plan(self, topic: str, partition: int, stored: Mapping[Position, int] | None) -> Pruned:
        low, high = log.bounds(self.kafka, self.archive.tape, topic, partition)
        bounds = {f"the newest {self.keep_records:,} stay": high - self.keep_records}
        if topic == TAPE:
            snapshot = snapshots.newest(self.kafka, self.ids, self.archive.tape, partition)
            bounds["workers' newest snapshot"] = snapshot.tape_offset if snapshot else 0
        if stored is not None and topic in stored_topics():
            bounds["the sink has not stored more"] = stored.get((topic, partition), 0)
        wanted = min(bounds.values())
        if wanted > low:
            bounds["not archived"] = self._proved(topic, partition, low, wanted)
        because, cut = min(bounds.items(), key=lambda bound: bound[1])
        return Pruned(topic, partition, low, high, max(cut, low), because)

    def _proved(self, topic: str, partition: int, low: int, wanted: int) -> int:
        """Up to where the archive holds, verified, what Kafka has from `low` on.

        Looks no further than `wanted`. StoreError where a segment is not verified.
        """
        archive = self.archive
        notes = verified(archive, topic, partition).segments
        end = low
        for start in archive.starts(topic, partition):
            segment = archive.segment(topic, partition, start)
            if segment.end <= end or start > end or start >= wanted:
                continue
            if notes.get(str(start)) != segment.sha256:
                raise StoreError(
                    f"the archive of {topic} partition {partition} is not verified from offset "
                    f"{start} on; nothing was deleted: run `tape --tape {archive.tape} archive "
                    "verify`"
                )
            self._still_there(segment)
            end = segment.end
        return end

    def _still_there(self, segment: Segment) -> None:
        """A verified file may have gone since."""
        for file in segment.files:
            self.archive.data(file)

    def _stored(self) -> dict[Position, int] | None:
        """How far the sink is; StoreError when the tape has no tables or the database is away."""
        if self.database_url is None:
            return None
        with connect_database(self.database_url) as connection:
            found = Instant.offsets_of(connection, self.archive.tape)
        if not found:
            raise StoreError(
                f"no sink has stored anything of tape {self.archive.tape}; nothing was deleted: "
                "run `tape sink`, or say --without-sink if there is to be none"
            )
        return found

    def _delete(self, plans: list[Pruned]) -> None:
        if not plans:
            return
        wanted = [
            TopicPartition(kafka_name(self.archive.tape, plan.topic), plan.partition, plan.cut)
            for plan in plans
        ]
        admin = connect(self.kafka)  # Held until the answers are there.
        for place, future in admin.delete_records(wanted).items():
            try:
                future.result(_TIMEOUT_S)
            except KafkaException as error:
                raise StoreError(
                    f"{place.topic} partition {place.partition} could not be deleted up to "
                    f"{place.offset}: {error.args[0].str()}"
                ) from None
