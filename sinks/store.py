"""The database side of a sink: rows and offsets in one transaction, and the state they restore."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import psycopg
from psycopg import sql

from schemas.errors import StoreError
from sinks import schema as database_schema
from sinks.config import DatabaseConfig
from sinks.encoding import COPY_HEADER, COPY_TRAILER
from sinks.rows import Id, PartitionRows, Position, TableRows
from sinks.sampling import Sampler
from sinks.schema import Stored
from sinks.storage import Connection, NativeChunks, OffsetsMoved
from sinks.tables import Table

# A transaction locks the chunks that it writes to, and locks are few: 64 a connection.
MOST_CHUNKS = 64


@dataclass(slots=True)
class State:
    """How far a partition is in the tables, and what its next rows depend on."""

    rows: PartitionRows
    next_offset: int
    generation: str
    topic_id: str = ""
    """Kafka's id of the topic that the rows came from; empty where it is not known."""


@dataclass(slots=True)
class Update:
    """The rows of one partition's records below `next_offset`, which are not yet stored.

    Holds what the partition's state was when it was made, right after its rows were: those of
    the next update may be made before this one is stored.
    """

    state: State
    rows: Sequence[TableRows]
    next_offset: int
    records: Mapping[str, int] = field(default_factory=dict)
    """How many records of each type were read for it."""
    last_id: Id = field(init=False)
    samples: list[tuple[str, str, int]] = field(init=False)
    """Venue, symbol and time (µs) of the newest kept quote, where that changed."""

    def __post_init__(self) -> None:
        sampler = self.state.rows.sampler
        self.last_id = self.state.rows.last_id
        self.samples = [(*series, sampler.last[series]) for series in sorted(sampler.changed)]
        sampler.changed.clear()


def connect(url: str, **options: object) -> Connection:
    """Connect, in autocommit and in UTC; StoreError says why not."""
    try:
        return psycopg.connect(
            url,
            autocommit=True,
            application_name="tape sink",
            connect_timeout=10,
            keepalives_idle=10,
            keepalives_interval=5,
            keepalives_count=3,
            tcp_user_timeout=30_000,
            **options,  # type: ignore[arg-type]  # psycopg passes them on to libpq
        )
    except psycopg.OperationalError as error:
        raise StoreError(f"the database could not be reached: {str(error).strip()}") from error


class Store:
    """The tables of some topics in one schema, over one connection in autocommit."""

    def __init__(
        self,
        connection: Connection,
        tape: str,
        schema: str,
        stored: Mapping[str, Stored],
        quote_interval_ms: int,
    ) -> None:
        self.connection = connection
        self.schema = schema
        self._interval_us = quote_interval_ms * 1_000
        self.stored = stored
        self._chunks = {
            name: NativeChunks(tape, schema, one.table, one.chunk_interval_hours, one.oid)
            for name, one in stored.items()
            if one.storage == "native"
        }

    @classmethod
    def open(
        cls,
        connection: Connection,
        tape: str,
        config: DatabaseConfig,
        schema: str = "",
        specs: Sequence[Table] | None = None,
        indexed: bool = True,
    ) -> "Store":
        """The tables of a schema (the tape's own by default), created or brought forward."""
        schema = schema or tape
        stored = database_schema.ensure(connection, tape, config, schema, specs, indexed=indexed)
        database_schema.check_sampling(schema, stored, config)
        return cls(connection, tape, schema, stored, config.quote_interval_ms)

    def chunk_width_ms(self) -> int:
        """Time that the narrowest table's chunks cover, milliseconds."""
        return min(one.chunk_interval_hours for one in self.stored.values()) * 3_600_000

    def states(self, positions: Sequence[Position]) -> dict[Position, State]:
        """The states of these partitions, created where they are new."""
        offsets, samples = (
            sql.Identifier(self.schema, name) for name in ("offsets", "quote_samples")
        )
        topics = [topic for topic, _ in positions]
        partitions = [partition for _, partition in positions]
        self.connection.execute(
            sql.SQL(
                "INSERT INTO {} (topic, partition, next_offset)"
                " SELECT *, 0 FROM unnest(%s::text[], %s::integer[]) ON CONFLICT DO NOTHING"
            ).format(offsets),
            (topics, partitions),
        )
        # In one snapshot, so that offsets and samples belong together.
        with self.connection.transaction():
            self.connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            rows = self.connection.execute(
                sql.SQL(
                    "SELECT topic, partition, next_offset, last_origin_offset, last_seq,"
                    " generation::text, topic_id FROM {}"
                ).format(offsets)
            ).fetchall()
            sampled = self.connection.execute(
                sql.SQL("SELECT partition, venue, symbol, event_time_us FROM {}").format(samples)
            ).fetchall()
        last: dict[int, dict[tuple[str, str], int]] = {}
        for partition, venue, symbol, time in sampled:
            last.setdefault(int(str(partition)), {})[str(venue), str(symbol)] = int(str(time))
        found = {}
        for topic, partition, offset, origin, seq, generation, topic_id in rows:
            position = (str(topic), int(str(partition)))
            if position in positions:
                found[position] = State(
                    PartitionRows(
                        *position,
                        Sampler(self._interval_us, last.get(position[1], {})),
                        (int(str(origin)), int(str(seq))),
                    ),
                    int(str(offset)),
                    str(generation),
                    str(topic_id),
                )
        return found

    def name_topics(self, ids: Mapping[str, str]) -> None:
        """Note Kafka's ids of topics whose rows these tables hold, by the topics' names."""
        self.connection.execute(
            sql.SQL(
                "UPDATE {} o SET topic_id = w.id"
                " FROM unnest(%s::text[], %s::text[]) AS w(topic, id)"
                " WHERE o.topic = w.topic AND o.topic_id IS DISTINCT FROM w.id"
            ).format(sql.Identifier(self.schema, "offsets")),
            (list(ids), list(ids.values())),
        )

    def write(self, updates: Sequence[Update]) -> int:
        """Store rows, offsets and sampling state in one transaction; the number of rows.

        Raises OffsetsMoved, with nothing stored, where the database is not at the offsets that
        the states say. After any error the states are spent: take new ones.
        """
        by_table: dict[str, list[TableRows]] = {}
        for update in updates:
            for rows in update.rows:
                by_table.setdefault(rows.table.name, []).append(rows)
        for name, parts in by_table.items():
            if name in self._chunks:
                times = np.concatenate([rows.times for rows in parts])
                self._chunks[name].ensure(self.connection, times)
        try:
            with self.connection.transaction():
                self._lock(updates)
                for parts in by_table.values():
                    self._copy(parts[0].table, parts)
                self._advance(updates)
        except psycopg.errors.CheckViolation as error:
            # Retention has dropped a partition that we know.
            raise OffsetsMoved from error
        for update in updates:
            update.state.next_offset = update.next_offset
        return sum(len(rows.encoded) for parts in by_table.values() for rows in parts)

    def _lock(self, updates: Sequence[Update]) -> None:
        """Lock the partitions' offsets and make sure that they are as we know them."""
        expected = {
            (update.state.rows.topic, update.state.rows.partition): (
                update.state.next_offset,
                update.state.generation,
            )
            for update in updates
        }
        rows = self.connection.execute(
            sql.SQL(
                "SELECT o.topic, o.partition, o.next_offset, o.generation::text FROM {} o"
                " JOIN unnest(%s::text[], %s::integer[]) AS w(topic, partition)"
                " USING (topic, partition) ORDER BY o.topic, o.partition FOR UPDATE OF o"
            ).format(sql.Identifier(self.schema, "offsets")),
            ([topic for topic, _ in expected], [partition for _, partition in expected]),
        ).fetchall()
        found = {(topic, partition): (offset, gen) for topic, partition, offset, gen in rows}
        if found != expected:
            raise OffsetsMoved

    def _copy(self, table: Table, parts: Sequence[TableRows]) -> None:
        statement = sql.SQL("COPY {} ({}) FROM STDIN (FORMAT BINARY)").format(
            sql.Identifier(self.schema, table.name),
            sql.SQL(", ").join(sql.Identifier(column.name) for column in table.columns),
        )
        with self.connection.cursor() as cursor, cursor.copy(statement) as copy:
            copy.write(COPY_HEADER)
            for rows in parts:
                copy.write(rows.encoded.data.data)
            copy.write(COPY_TRAILER)

    def _advance(self, updates: Sequence[Update]) -> None:
        states = [update.state.rows for update in updates]
        self.connection.execute(
            sql.SQL(
                "UPDATE {} o SET next_offset = w.next, last_origin_offset = w.origin,"
                " last_seq = w.seq, updated_at = now() FROM unnest(%s::text[], %s::integer[],"
                " %s::bigint[], %s::bigint[], %s::integer[]) AS w(topic, partition, next, origin,"
                " seq) WHERE o.topic = w.topic AND o.partition = w.partition"
            ).format(sql.Identifier(self.schema, "offsets")),
            (
                [state.topic for state in states],
                [state.partition for state in states],
                [update.next_offset for update in updates],
                [update.last_id[0] for update in updates],
                [update.last_id[1] for update in updates],
            ),
        )
        samples = [
            (update.state.rows.partition, *sample)
            for update in updates
            for sample in update.samples
        ]
        if samples:
            self.connection.execute(
                sql.SQL(
                    "INSERT INTO {} (partition, venue, symbol, event_time_us) SELECT *"
                    " FROM unnest(%s::integer[], %s::text[], %s::text[], %s::bigint[])"
                    " ON CONFLICT (partition, venue, symbol)"
                    " DO UPDATE SET event_time_us = EXCLUDED.event_time_us"
                ).format(sql.Identifier(self.schema, "quote_samples")),
                [list(column) for column in zip(*samples, strict=True)],
            )
