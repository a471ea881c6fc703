"""Trades in a database for the figures of the sinks: a tape of them, and COPY beside it."""

import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Event as Flag
from threading import Thread
from typing import Any

from psycopg import sql
from pydantic import SecretStr

from benchmarks._tapes import BenchTape, bench_tape, fill, market_events
from processors.config import ProcessorsConfig
from schemas.errors import StoreError
from schemas.events import Event, Trade
from sinks import indexes, storage
from sinks.config import DatabaseConfig
from sinks.store import Update, connect
from sinks.tables import Table, tables
from sinks.timescale import TimescaleSink
from sinks.verify import Verification
from tape import config, stack

_ROWS = 600_000
_LOOK_S = 0.002
_PIECE = 1 << 20
TOPIC = "tape"


def trades() -> Table:
    """The table that is filled."""
    return next(table for table in tables() if table.name == "trades")


def database() -> DatabaseConfig:
    """The TimescaleDB that the environment names for tests, else the stack's PostgreSQL."""
    if url := os.environ.get("TAPE_TEST_TIMESCALE_URL", ""):
        return DatabaseConfig(url=SecretStr(url))
    return stack.addresses(config.settings(), only=("postgres",)).database


class Watch:
    """Is told by a sink what it does; notes when it began to read, and each transaction."""

    def __init__(self) -> None:
        self.began = self.ended = 0.0
        self.events = 0

    def started(self, lost: object) -> None:
        """The session begins."""
        self.began = time.perf_counter()

    def stored(self, updates: Sequence[Update], seconds: float) -> None:
        """A transaction was committed."""
        self.events += sum(sum(update.records.values()) for update in updates)
        self.ended = time.perf_counter()

    def beat(self) -> None:
        """Not asked for."""

    def lag(self, topic: str, partition: int, events: int) -> None:
        """Not asked for."""

    def refused(self, topic: str, count: int) -> None:
        """Every record of the tape is sound."""
        raise StoreError(f"{count} records of {topic} were refused")

    def maintained(self, done: object) -> None:
        """Not asked for."""

    def waiting(self, reason: str, seconds: float) -> None:
        """The database is there, or the figure is worth nothing."""
        raise StoreError(reason)


@dataclass(frozen=True, slots=True)
class Stored:
    """A tape of trades, and the database that its tables are in."""

    tape: BenchTape
    database: DatabaseConfig
    events: int
    kind: storage.Storage

    @property
    def url(self) -> str:
        """The database's address."""
        return self.database.url.get_secret_value()

    def sink(self) -> float:
        """Events per second of a sink, from an empty database to the last one stored."""
        self.forget()
        watch, stop = Watch(), Flag()
        sink = TimescaleSink(
            self.tape.kafka, self.tape.registry, self.database, self.url, self.tape.name,
            (TOPIC,), watch,
        )  # fmt: skip
        thread = Thread(target=sink.run, args=(stop,))
        thread.start()
        try:
            while watch.events < self.events:
                if not thread.is_alive():
                    raise StoreError("the sink ended before the tape")
                time.sleep(_LOOK_S)
        finally:
            stop.set()
            thread.join()
        return self.events / (watch.ended - watch.began)

    def rows(self) -> list[bytes]:
        """The stored trades, as a binary COPY gives them, in large pieces."""
        statement = sql.SQL(
            "COPY (SELECT {} FROM {} ORDER BY tape_offset) TO STDOUT (FORMAT BINARY)"
        ).format(_columns(), sql.Identifier(self.tape.name, trades().name))
        with connect(self.url) as connection, connection.cursor().copy(statement) as copy:
            data = b"".join(bytes(part) for part in copy)
        return [data[at : at + _PIECE] for at in range(0, len(data), _PIECE)]

    def copy(self, rows: list[bytes]) -> float:
        """Rows per second of one COPY of these bytes into a table of the same kind, alone."""
        table, schema = trades(), f"{self.tape.name}_copy"
        with connect(self.url) as connection:
            storage.drop_schema(connection, schema)
            storage.drop_schema(connection, storage.chunk_schema(schema))
            for name in (schema, storage.chunk_schema(schema)):
                connection.execute(sql.SQL("CREATE SCHEMA {}").format(sql.Identifier(name)))
            hours = self.database.chunk_hours(table.sparse)
            storage.create(connection, schema, table, self.kind, hours)
            indexes.create(connection, schema, table)
            if self.kind == "native":
                self._partitions(connection, schema, table)
            connection.execute("CHECKPOINT")
            began = time.perf_counter()
            statement = sql.SQL("COPY {} ({}) FROM STDIN (FORMAT BINARY)").format(
                sql.Identifier(schema, table.name), _columns()
            )
            with connection.cursor() as cursor, cursor.copy(statement) as copy:
                for piece in rows:
                    copy.write(piece)
            seconds = time.perf_counter() - began
            (count,) = connection.execute(
                sql.SQL("SELECT count(*) FROM {}").format(sql.Identifier(schema, table.name))
            ).fetchone() or (0,)
            for name in (schema, storage.chunk_schema(schema)):
                storage.drop_schema(connection, name)
        return int(str(count)) / seconds

    def _partitions(self, connection: storage.Connection, schema: str, table: Table) -> None:
        hours = self.database.chunk_hours(table.sparse)
        times = connection.execute(
            sql.SQL("SELECT DISTINCT (extract(epoch FROM event_time)::bigint / %s) FROM {}").format(
                sql.Identifier(self.tape.name, table.name)
            ),
            (hours * 3_600,),
        ).fetchall()
        chunks = storage.NativeChunks(schema, schema, table, hours)
        chunks.ensure(connection, [int(str(t)) * hours * storage.US_PER_HOUR for (t,) in times])

    def forget(self) -> None:
        """Drop the tape's tables."""
        with connect(self.url) as connection:
            for suffix in ("", "$rebuild", "$trash", "$chunks"):
                storage.drop_schema(connection, f"{self.tape.name}{suffix}")
            connection.execute("CHECKPOINT")

    def verify(self) -> None:
        """StoreError where the tables are not their topic, event for event."""
        report = Verification(
            self.tape.kafka, self.tape.registry, self.database, self.url, self.tape.name, [TOPIC]
        ).run()
        if not report.equal:
            raise StoreError(f"the tables differ from the tape: {report}")


def _columns() -> sql.Composed:
    return sql.SQL(", ").join(sql.Identifier(column.name) for column in trades().columns)


@contextmanager
def stored() -> Iterator[Stored]:
    """A tape of trades whose tables are dropped after the measurement."""
    found = database()
    events: list[Event] = [event for event in market_events() if isinstance(event, Trade)]
    with connect(found.url.get_secret_value()) as connection:
        kind = storage.available(connection)
    with bench_tape(ProcessorsConfig()) as tape:
        fill(tape, events, -(-_ROWS // len(events)))
        one = Stored(tape, found, tape.events(), kind)
        try:
            yield one
        finally:
            one.forget()


def described(one: Stored) -> dict[str, Any]:
    """What the figure was measured on."""
    with connect(one.url) as connection:
        (server,) = connection.execute("SHOW server_version").fetchone() or ("",)
        (extension,) = connection.execute(
            "SELECT max(extversion) FROM pg_extension WHERE extname = 'timescaledb'"
        ).fetchone() or ("",)
    return {
        "events": one.events,
        "storage": one.kind,
        "postgresql": server,
        "timescaledb": extension or "none",
    }
