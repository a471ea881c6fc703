"""Deriving a sink's tables again beside the live ones, and putting them in their place."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import psycopg
from psycopg import sql

from schemas.errors import StoreError
from schemas.registry import Registry
from sinks import schema as database_schema
from sinks import storage
from sinks.config import DatabaseConfig
from sinks.decoding import BatchDecoder
from sinks.reading import Fetched, TopicReader, read_until
from sinks.rows import Position
from sinks.storage import Connection
from sinks.store import MOST_CHUNKS, State, Store, Update, connect
from sinks.tables import Table, tables
from streams.config import KafkaConfig

# The live sink is held up only while no more than this many events are caught up.
_MOST_IN_SWAP = 10_000
_SWAP_TRIES = 30

Progress = Callable[[int, int], None]
"""Is told events done and events in all."""


@dataclass(frozen=True, slots=True)
class Rebuild:
    """Makes the tables of topics anew, up to where the live sink is.

    They are built in the schema `TAPE$rebuild`, then take the live tables' place, with their
    offsets, in one transaction; readers never see a table that is empty or partly filled. A
    rebuild that was killed leaves the live tables as they were; the next one starts afresh.
    """

    kafka: KafkaConfig
    registry: Registry
    config: DatabaseConfig
    url: str
    tape: str
    topics: Sequence[str]
    allow_loss: bool = False
    """Whether rows may go whose events the topic no longer has."""

    def run(self, on_progress: Progress = lambda done, total: None) -> int:
        """Rebuild and swap; the number of rows. StoreError says why it could not."""
        reader = TopicReader(self.kafka, self.tape)
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
        self._rows = self._done = 0

    def run(self) -> int:
        self._alone()
        self._clear()
        others = [table for table in tables() if table not in self._specs]
        database_schema.ensure(self._connection, self._tape, self._plan.config, specs=others)
        positions = [
            (topic, partition)
            for topic in self._plan.topics
            for partition in range(self._reader.partitions(topic))
        ]
        self._check_complete(positions)
        store = Store.open(
            self._connection, self._tape, self._plan.config, self._shadow, self._specs
        )
        states = store.states(positions)
        for _ in range(_SWAP_TRIES):
            while self._catch_up(store, states, self._live_offsets()) > _MOST_IN_SWAP:
                pass
            try:
                self._swap(store, states)
                break
            except psycopg.errors.LockNotAvailable:
                # A long query reads the table; what the swap had done is undone.
                states = store.states(positions)
        else:
            raise StoreError("the live tables were in use all the time; try again later")
        self._clear()
        return self._rows

    def _alone(self) -> None:
        row = self._connection.execute(
            "SELECT pg_try_advisory_lock(hashtextextended(%s, 2))", (self._tape,)
        ).fetchone()
        if row is None or not row[0]:
            raise StoreError(f"another rebuild of tape {self._tape} runs; wait for it")

    def _clear(self) -> None:
        for schema in (self._shadow, self._trash):
            storage.drop_schema(self._connection, schema)

    def _check_complete(self, positions: Sequence[Position]) -> None:
        for topic, partition in positions:
            low, _ = self._reader.watermarks(topic, partition)
            if low and not self._plan.allow_loss:
                raise StoreError(
                    f"the first {low} events of {topic} partition {partition} are no longer in"
                    " the topic: a rebuild would lose their rows (--allow-loss does it)"
                )

    def _live_offsets(self, lock: bool = False) -> dict[Position, int]:
        rows = self._connection.execute(
            sql.SQL(
                "SELECT topic, partition, next_offset FROM {} WHERE topic = ANY(%s)"
                " ORDER BY topic, partition {}"
            ).format(sql.Identifier(self._tape, "offsets"), sql.SQL("FOR UPDATE" if lock else "")),
            (list(self._plan.topics),),
        ).fetchall()
        return {(str(t), int(str(p))): int(str(offset)) for t, p, offset in rows}

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
        total = self._done + sum(ends[at] - begins[at] for at in ends)
        before = self._done
        for fetched in read_until(self._reader, begins, ends):
            for piece in fetched.pieces(store.chunk_width_ms(), MOST_CHUNKS):
                self._store(store, states[piece.topic, piece.partition], piece)
            self._done += len(fetched)
            self._on_progress(self._done, total)
        return self._done - before

    def _store(self, store: Store, state: State, fetched: Fetched) -> None:
        # What cannot be a row has been announced by the live sink.
        rows, _ = state.rows.process(self._decoder.decode(fetched))
        self._rows += store.write([Update(state, rows, int(fetched.offsets[-1]) + 1)])

    def _swap(self, store: Store, states: dict[Position, State]) -> None:
        """Put the new tables in the live ones' place, as of the live offsets."""
        with self._connection.transaction():
            self._connection.execute("SET LOCAL lock_timeout = '2s'")
            # The live sink takes this lock first, too: it waits, then sees that offsets moved.
            live = self._live_offsets(lock=True)
            self._catch_up(store, states, live)
            self._connection.execute(
                sql.SQL("CREATE SCHEMA {}").format(sql.Identifier(self._trash))
            )
            for table in self._specs:
                self._move(table, self._tape, self._trash)
                self._move(table, self._shadow, self._tape)
            for name, column in (
                ("table_definitions", "topic"),
                ("offsets", "topic"),
                ("quote_samples", ""),
            ):
                self._replace(name, column)

    def _move(self, table: Table, source: str, target: str) -> None:
        self._connection.execute(
            sql.SQL("ALTER TABLE IF EXISTS {} SET SCHEMA {}").format(
                sql.Identifier(source, table.name), sql.Identifier(target)
            )
        )

    def _replace(self, name: str, column: str) -> None:
        """Take over the shadow's bookkeeping of the topics."""
        if not column and not any(table.sampled for table in self._specs):
            return
        live, shadow = sql.Identifier(self._tape, name), sql.Identifier(self._shadow, name)
        topics = (list(self._plan.topics),) if column else ()
        where = (
            sql.SQL("WHERE {} = ANY(%s)").format(sql.Identifier(column)) if column else sql.SQL("")
        )
        self._connection.execute(sql.SQL("DELETE FROM {} {}").format(live, where), topics)
        self._connection.execute(sql.SQL("INSERT INTO {} SELECT * FROM {}").format(live, shadow))
