"""The database sink: topics into tables, exactly once, for as long as it is let."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from threading import Event
from time import monotonic, perf_counter
from typing import Protocol

import psycopg

from schemas.errors import ConfigError, StoreError
from schemas.registry import Registry
from sinks.ahead import ahead
from sinks.config import DatabaseConfig
from sinks.dead_letters import DeadLetters
from sinks.decoding import BatchDecoder
from sinks.loading import Loader
from sinks.maintenance import Maintained, Maintenance
from sinks.reading import Deleted, Fetched, TopicReader
from sinks.rows import Position, Refused
from sinks.schema import Stored
from sinks.storage import Connection, OffsetsMoved
from sinks.store import State, Store, Update, connect
from sinks.tables import topics
from streams.config import KafkaConfig

NAME = "timescale"

# One transaction stores at most this many records, or what comes within this time.
_MOST_RECORDS = 50_000
_WINDOW_S = 0.25
_LONGEST_WAIT_S = 10.0
_MAINTENANCE_S = 3_600.0


def topics_of(names: Sequence[str]) -> tuple[str, ...]:
    """The topics that sinks' names stand for: `timescale` for all, or a topic's own name."""
    known = topics()
    for name in names:
        if name != NAME and name not in known:
            raise ConfigError(
                f"no sink {name!r}; there are {NAME} and its parts {', '.join(known)}"
            )
    return tuple(topic for topic in known if not names or NAME in names or topic in names)


class Observer(Protocol):
    """Is told what the sink does; metrics and logs are made of it."""

    def started(self, lost: Mapping[Position, tuple[int, int]]) -> None:
        """It reads on from the database's offsets; `lost` was deleted before it was read."""

    def beat(self) -> None:
        """The main loop went round."""

    def stored(self, updates: Sequence[Update], seconds: float) -> None:
        """A transaction was committed."""

    def lag(self, topic: str, partition: int, events: int) -> None:
        """So many events are there that are not stored."""

    def refused(self, topic: str, count: int) -> None:
        """Dead letters were written."""

    def maintained(self, done: Sequence[Maintained]) -> None:
        """Partitions were made ahead, old ones dropped, compression set."""

    def waiting(self, reason: str, seconds: float) -> None:
        """It tries again after this time."""


@dataclass(slots=True)
class TimescaleSink:
    """Writes the given topics of a tape to the database."""

    kafka: KafkaConfig
    registry: Registry
    config: DatabaseConfig
    url: str
    tape: str
    topics: tuple[str, ...]
    observer: Observer

    def run(self, stop: Event) -> None:
        """Store what comes until `stop` is set.

        Start and recovery are the same path: a session reads the database's offsets and goes on
        from there; when the database fails or its offsets move, the next session does.
        Raises TapeError for what waiting would not heal.
        """
        decoder = BatchDecoder(self.registry, self.tape)
        letters = DeadLetters(self.kafka, self.tape, decoder.ids)
        reader = TopicReader(self.kafka, self.tape)
        failures, wait_s = 0, 0.0
        try:
            positions = [
                (topic, partition)
                for topic in self.topics
                for partition in range(reader.partitions(topic))
            ]
            while not stop.wait(wait_s):
                session = _Session(self, decoder, letters, reader, positions)
                try:
                    session.run(stop)
                    failures, wait_s = 0, 0.0
                except (psycopg.OperationalError, psycopg.InterfaceError, _Away) as error:
                    failures = 1 if session.began else failures + 1
                    wait_s = min(0.25 * 2**failures, _LONGEST_WAIT_S)
                    self.observer.waiting(str(error).strip(), wait_s)
        except psycopg.Error as error:
            raise StoreError(f"the database refused: {str(error).strip()}") from error
        finally:
            reader.close()


class _Away(Exception):
    """The database cannot be reached, or another process is at work: wait."""


class _Session:
    """One connection's life: from the database's offsets on, until something ends it."""

    def __init__(
        self,
        sink: TimescaleSink,
        decoder: BatchDecoder,
        letters: DeadLetters,
        reader: TopicReader,
        positions: Sequence[Position],
    ) -> None:
        self._sink, self._decoder, self._letters = sink, decoder, letters
        self._reader, self._positions = reader, positions
        self._due = 0.0
        self.began = False
        """Whether it came as far as reading."""

    def run(self, stop: Event) -> None:
        """Store until `stop` is set, or until where to read on must be found out again."""
        try:
            connection = connect(self._sink.url)
        except StoreError as error:
            raise _Away(str(error)) from error
        with connection:
            self._own(connection)
            store = Store.open(connection, self._sink.tape, self._sink.config)
            states = store.states(self._positions)
            self._seek(store, states)
            self.began = True
            loader = Loader(self._decoder, states, store.chunk_width_ms(), self._refuse)
            try:
                with ahead(loader.updates(self._fetches(stop))) as made:
                    for updates in made:
                        if updates:
                            self._store(store, updates)
                        self._maintain(store)
            except (OffsetsMoved, Deleted):
                return

    def _maintain(self, store: Store) -> None:
        """Now and then, between transactions."""
        if monotonic() < self._due:
            return
        self._due = monotonic() + _MAINTENANCE_S
        upkeep = Maintenance(
            store.connection, self._sink.tape, self._sink.config, self._of_topics(store)
        )
        self._sink.observer.maintained(upkeep.run())

    def _of_topics(self, store: Store) -> dict[str, Stored]:
        return {
            name: one for name, one in store.stored.items() if one.table.topic in self._sink.topics
        }

    def _own(self, connection: Connection) -> None:
        """Be the only writer of these topics; a second process stands by until this one ends."""
        for topic in self._sink.topics:
            row = connection.execute(
                "SELECT pg_try_advisory_lock(hashtextextended(%s, 1))",
                (f"{self._sink.tape}.{topic}",),
            ).fetchone()
            if row is None or not row[0]:
                raise _Away(f"another sink writes {self._sink.tape}.{topic}; standing by")

    def _seek(self, store: Store, states: dict[Position, State]) -> None:
        lost = {}
        try:
            ids = {topic: self._reader.topic_id(topic) for topic in self._sink.topics}
            marks = {position: self._reader.watermarks(*position) for position in states}
        except StoreError as error:
            raise _Away(str(error)) from error
        for position, state in states.items():
            low, high = marks[position]
            was, now = state.topic_id, ids[position[0]]
            if state.next_offset > high or (was and now and was != now):
                raise StoreError(
                    f"the database is at offset {state.next_offset} of {position[0]} partition"
                    f" {position[1]}, which ends at {high}: the topic was made anew; use another"
                    f" tape, or `tape --tape {self._sink.tape} rebuild {position[0]}`"
                )
            if state.next_offset < low:
                lost[position] = (state.next_offset, low)
        store.name_topics(ids)
        offsets = {
            position: lost.get(position, (0, state.next_offset))[1]
            for position, state in states.items()
        }
        self._reader.assign(offsets)
        self._sink.observer.started(lost)

    def _fetches(self, stop: Event) -> Iterator[list[Fetched]]:
        while not stop.is_set():
            self._sink.observer.beat()
            yield self._reader.fetch(_MOST_RECORDS, _WINDOW_S)

    def _refuse(self, fetched: Fetched, refused: Sequence[Refused]) -> None:
        if count := self._letters.write(fetched, refused):
            self._sink.observer.refused(fetched.topic, count)

    def _store(self, store: Store, updates: Sequence[Update]) -> None:
        began = perf_counter()
        store.write(updates)
        self._sink.observer.stored(updates, perf_counter() - began)
        for update in updates:
            at = update.state.rows.topic, update.state.rows.partition
            high = self._reader.known_end(*at)
            self._sink.observer.lag(*at, max(high - update.next_offset, 0))
