"""Deriving a sink's tables again beside the live ones, and putting them in their place."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import psycopg

from schemas.errors import StoreError
from schemas.registry import Registry
from sinks import indexes, storage
from sinks import schema as database_schema
from sinks.ahead import ahead
from sinks.config import DatabaseConfig
from sinks.decoding import BatchDecoder
from sinks.loading import Loader
from sinks.reading import TopicReader, fetches_until
from sinks.rows import Position
from sinks.storage import Connection
from sinks.store import State, Store, connect
from sinks.swap import Busy, Swap, live_offsets
from sinks.tables import tables
from streams.config import KafkaConfig
from streams.history import History

# The live sink is held up only while no more than this many events are caught up.
_MOST_IN_SWAP = 10_000
_LONGEST_PAUSE_S = 5.0
# A process that was killed may hold its lock until the server notices.
_OTHERS_S = 10.0
_LOOK_S = 0.2

Progress = Callable[[int, int], None]
"""Is told events done and events in all."""


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """What a rebuild came to."""

    rows: int
    """Rows that this run stored."""
    events: int
    """Events that this run read."""
    resumed: int
    """Events that a run before, which was ended, had stored."""


@dataclass(frozen=True, slots=True)
class Rebuild:
    """Makes the tables of topics anew, up to where the live sink is.

    They are built in the schema `TAPE$rebuild`, then take the live tables' place, with their
    offsets, in one transaction; readers never see a table that is empty or partly filled. A
    rebuild that was killed leaves the live tables as they were; the next one goes on from there.
    """

    kafka: KafkaConfig
    registry: Registry
    config: DatabaseConfig
    url: str
    tape: str
    topics: Sequence[str]
    allow_loss: bool = False
    """Whether rows may go whose events the topic no longer has."""
    afresh: bool = False
    """Whether to begin from the first event, whatever a run before has done."""
    patience_s: float = 600.0
    """How long readers may keep the new tables from being put in place."""
    history: History | None = None
    """What Kafka has deleted."""

    def run(self, on_progress: Progress = lambda done, total: None) -> Rebuilt:
        """Rebuild and swap. StoreError says why it could not."""
        reader = TopicReader(self.kafka, self.tape, self.history)
        try:
            with connect(self.url) as connection:
                return _Run(self, connection, reader, on_progress).run()
        except psycopg.Error as error:
            raise StoreError(f"the database refused: {str(error).strip()}") from error
        finally:
            reader.close()


class _Run:
    def __init__(
        self, plan: Rebuild, connection: Connection, reader: TopicReader, on_progress: Progress
    ) -> None:
        self._plan, self._connection = plan, connection
        self._reader, self._on_progress = reader, on_progress
        self._tape = plan.tape
        self._shadow, self._trash = f"{plan.tape}$rebuild", f"{plan.tape}$trash"
        self._specs = [table for table in tables() if table.topic in plan.topics]
        self._decoder = BatchDecoder(plan.registry, plan.tape)
        self._rows = self._done = self._resumed = 0

    def run(self) -> Rebuilt:
        self._alone()
        storage.drop_schema(self._connection, self._trash)
        others = [table for table in tables() if table not in self._specs]
        database_schema.ensure(self._connection, self._tape, self._plan.config, specs=others)
        self._refuse_views()
        positions = [
            (topic, partition)
            for topic in self._plan.topics
            for partition in range(self._reader.partitions(topic))
        ]
        self._check_complete(positions)
        store, states = self._open(positions)
        self._resumed = sum(state.next_offset for state in states.values())
        self._catch_up(store, states, self._live_offsets())
        self._finish(store)
        self._swap(store, states)
        self._clear()
        return Rebuilt(self._rows, self._done, self._resumed)

    def _alone(self) -> None:
        deadline = time.monotonic() + _OTHERS_S
        while True:
            row = self._connection.execute(
                "SELECT pg_try_advisory_lock(hashtextextended(%s, 2))", (self._tape,)
            ).fetchone()
            if row is not None and row[0]:
                return
            if time.monotonic() > deadline:
                raise StoreError(f"another rebuild of tape {self._tape} runs; wait for it")
            time.sleep(_LOOK_S)

    def _clear(self) -> None:
        for schema in (self._shadow, self._trash):
            storage.drop_schema(self._connection, schema)

    def _refuse_views(self) -> None:
        """Views would go on showing the tables that were swapped out."""
        rows = self._connection.execute(
            "SELECT DISTINCT r.ev_class::regclass::text FROM pg_depend d"
            " JOIN pg_rewrite r ON r.oid = d.objid AND d.classid = 'pg_rewrite'::regclass"
            " JOIN pg_class c ON c.oid = d.refobjid AND d.refclassid = 'pg_class'::regclass"
            " JOIN pg_namespace n ON n.oid = c.relnamespace"
            " WHERE n.nspname = %s AND c.relname = ANY(%s) AND r.ev_class <> c.oid ORDER BY 1",
            (self._tape, [table.name for table in self._specs]),
        ).fetchall()
        if rows:
            raise StoreError(
                f"views show tables of {self._tape} and would go on showing the old ones:"
                f" {', '.join(str(name) for (name,) in rows)}; drop them, rebuild, make them again"
            )

    def _check_complete(self, positions: Sequence[Position]) -> None:
        for topic, partition in positions:
            low, _ = self._reader.watermarks(topic, partition)
            if low and not self._plan.allow_loss:
                raise StoreError(
                    f"the first {low} events of {topic} partition {partition} are no longer in"
                    " the topic, nor in an archive (archive.url): a rebuild would lose their rows"
                    " (--allow-loss does it)"
                )

    def _open(self, positions: Sequence[Position]) -> tuple[Store, dict[Position, State]]:
        """The new tables: those that a run before has begun, if they can be gone on with."""
        ids = {topic: self._reader.topic_id(topic) for topic in self._plan.topics}
        if self._plan.afresh or not database_schema.as_new(
            self._connection, self._shadow, self._plan.config, self._specs
        ):
            storage.drop_schema(self._connection, self._shadow)
        store, states = self._store(positions)
        for position, state in states.items():
            _, high = self._reader.watermarks(*position)
            other = state.topic_id != ids[position[0]] and state.next_offset
            if other or state.next_offset > high:
                # The topic was made anew meanwhile.
                storage.drop_schema(self._connection, self._shadow)
                store, states = self._store(positions)
                break
        store.name_topics(ids)
        return store, states

    def _store(self, positions: Sequence[Position]) -> tuple[Store, dict[Position, State]]:
        store = Store.open(
            self._connection,
            self._tape,
            self._plan.config,
            self._shadow,
            self._specs,
            indexed=False,
        )
        return store, store.states(positions)

    def _live_offsets(self) -> dict[Position, int]:
        return live_offsets(self._connection, self._tape, self._plan.topics)

    def _catch_up(
        self, store: Store, states: dict[Position, State], live: dict[Position, int]
    ) -> int:
        """Store events up to the live offsets (the topic's end, where it is shorter); how many."""
        begins, ends = {}, {}
        for position, state in states.items():
            low, high = self._reader.watermarks(*position)
            begin, end = max(state.next_offset, low), min(live.get(position, 0), high)
            if begin < end:
                begins[position], ends[position] = begin, end
        total = self._resumed + self._done + sum(ends[at] - begins[at] for at in ends)
        before = self._done
        loader = Loader(self._decoder, states, store.chunk_width_ms())
        with ahead(loader.updates(fetches_until(self._reader, begins, ends))) as made:
            for updates in made:
                self._rows += store.write(updates)
                self._done += sum(sum(update.records.values()) for update in updates)
                self._on_progress(self._resumed + self._done, total)
        return self._done - before

    def _finish(self, store: Store) -> None:
        """What is quicker when the rows are there, and what readers' plans are made by."""
        for one in store.stored.values():
            indexes.complete(self._connection, self._shadow, one.table, one.storage)
            storage.analyze(self._connection, self._shadow, one.table)

    def _swap(self, store: Store, states: dict[Position, State]) -> None:
        deadline = time.monotonic() + self._plan.patience_s
        swap = Swap(
            self._connection, self._plan.url, self._tape, self._shadow, self._trash,
            self._specs, self._plan.topics,
        )  # fmt: skip
        pause_s = _LOOK_S
        while True:
            while self._catch_up(store, states, self._live_offsets()) > _MOST_IN_SWAP:
                pass
            try:
                swap.run(
                    lambda live: self._catch_up(store, states, live),
                    max(deadline - time.monotonic(), 1.0),
                )
            except Busy as busy:
                if time.monotonic() > deadline:
                    raise StoreError(
                        f"readers kept the new tables from their place for"
                        f" {self._plan.patience_s:.0f} s ({busy}); end them and run it again: it"
                        " goes on from here"
                    ) from busy
                time.sleep(pause_s)
                pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)
            else:
                return
