"""Proving tables equal to their topics, row for row, every column."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import psycopg

from schemas.errors import StoreError
from schemas.registry import Registry
from sinks.config import DatabaseConfig
from sinks.decoding import BatchDecoder
from sinks.instant import Instant
from sinks.proof import TableProof, TopicProof
from sinks.reading import TopicReader
from sinks.rows import Position
from sinks.storage import Connection
from sinks.store import connect
from streams.config import KafkaConfig
from streams.history import History

_POLL_S = 0.2


@dataclass(slots=True)
class Report:
    """The outcome of a verification."""

    tables: list[TableProof] = field(default_factory=list)
    behind: int = 0
    """Events that the topics held at the start and the sink had not stored in time."""

    @property
    def equal(self) -> bool:
        """Whether every table is its topic, up to the topic's end."""
        return not self.behind and not any(proof.difference for proof in self.tables)


Progress = Callable[[int, int], None]
"""Is told events done and events in all."""


@dataclass(frozen=True, slots=True)
class Verification:
    """Compares the tables of topics with the topics."""

    kafka: KafkaConfig
    registry: Registry
    config: DatabaseConfig
    url: str
    tape: str
    topics: Sequence[str]
    history: History | None = None
    """What Kafka has deleted."""

    def run(self, wait_s: float = 30.0, on_progress: Progress = lambda done, total: None) -> Report:
        """Compare, once the sink has stored what is there now, or `wait_s` have passed.

        The tables are seen as of one instant; a sink that runs on does not disturb.
        Raises StoreError when something needed cannot be reached.
        """
        reader = TopicReader(self.kafka, self.tape, self.history)
        try:
            marks = {
                (topic, partition): reader.watermarks(topic, partition)
                for topic in self.topics
                for partition in range(reader.partitions(topic))
            }
            with connect(self.url) as connection:
                behind = self._await(connection, marks, wait_s)
                with Instant.of(connection, self.url, self.tape) as instant:
                    return Report(self._compare(instant, reader, marks, on_progress), behind)
        except psycopg.Error as error:
            raise StoreError(f"the tables could not be read: {str(error).strip()}") from error
        finally:
            reader.close()

    def _await(
        self, connection: Connection, marks: dict[Position, tuple[int, int]], wait_s: float
    ) -> int:
        """Wait for the sink; how many events it is behind when patience ends."""
        deadline = time.monotonic() + wait_s
        while True:
            offsets = Instant.offsets_of(connection, self.tape)
            behind = sum(max(high - offsets.get(at, 0), 0) for at, (_, high) in marks.items())
            if not behind or time.monotonic() > deadline:
                return behind
            time.sleep(_POLL_S)

    def _compare(
        self,
        instant: Instant,
        reader: TopicReader,
        marks: dict[Position, tuple[int, int]],
        on_progress: Progress,
    ) -> list[TableProof]:
        decoder = BatchDecoder(self.registry, self.tape)
        spans = {at: (low, instant.offsets.get(at, 0)) for at, (low, _) in marks.items()}
        total = sum(max(end - low, 0) for low, end in spans.values())
        done = 0
        proofs = []
        for topic in self.topics:
            proof = TopicProof(instant, topic)
            of_topic = {
                partition: span for (name, partition), span in spans.items() if name == topic
            }
            for count in proof.run(reader, decoder, of_topic):
                done += count
                on_progress(done, total)
            proofs += proof.tables()
        return proofs
