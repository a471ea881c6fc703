"""One instant of a tape's tables, seen alike over several connections."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from psycopg import sql

from schemas.errors import StoreError
from sinks.rows import Position
from sinks.storage import Connection
from sinks.store import connect

_BEGIN = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"


@dataclass(frozen=True, slots=True)
class Instant:
    """The tables of a tape as of one snapshot, and how far they were then."""

    connection: Connection
    url: str
    tape: str
    snapshot: str
    offsets: dict[Position, int]
    quote_interval_ms: int
    """The interval that the tables were sampled at."""
    kept_from_us: dict[str, int]
    """By table the event time (µs) before which retention may have dropped rows, if it has."""

    @classmethod
    @contextmanager
    def of(cls, connection: Connection, url: str, tape: str) -> Iterator["Instant"]:
        """Hold the present instant, in a transaction of this connection."""
        connection.execute(_BEGIN)
        offsets = cls.offsets_of(connection, tape)
        if not offsets:
            raise StoreError(f"tape {tape!r} has no tables: run `tape sink`")
        intervals = connection.execute(
            sql.SQL("SELECT coalesce(max(quote_interval_ms), 0) FROM {}").format(
                sql.Identifier(tape, "table_definitions")
            )
        ).fetchone()
        kept = connection.execute(
            sql.SQL(
                "SELECT name, (extract(epoch FROM dropped_before) * 1000000)::bigint FROM {}"
                " WHERE dropped_before IS NOT NULL"
            ).format(sql.Identifier(tape, "table_definitions"))
        ).fetchall()
        snapshot = connection.execute("SELECT pg_export_snapshot()").fetchone()
        assert snapshot is not None
        assert intervals is not None
        try:
            yield cls(
                connection, url, tape, str(snapshot[0]), offsets, int(str(intervals[0])),
                {str(name): int(str(time)) for name, time in kept},
            )  # fmt: skip
        finally:
            connection.rollback()

    @staticmethod
    def offsets_of(connection: Connection, tape: str) -> dict[Position, int]:
        """The next offset of each partition; nothing where the tape has no tables."""
        name = sql.Identifier(tape, "offsets")
        there = connection.execute("SELECT to_regclass(%s)", (name.as_string(connection),))
        if there.fetchone() == (None,):
            return {}
        rows = connection.execute(
            sql.SQL("SELECT topic, partition, next_offset FROM {}").format(name)
        )
        return {(str(t), int(str(p))): int(str(offset)) for t, p, offset in rows}

    @contextmanager
    def connections(self, names: list[str]) -> Iterator[dict[str, Connection]]:
        """A connection for each name that sees the tables as of this instant."""
        with ExitStack() as stack:
            found = {}
            for name in names:
                found[name] = connect(self.url)
                stack.callback(found[name].close)
                found[name].execute(_BEGIN)
                found[name].execute(
                    sql.SQL("SET TRANSACTION SNAPSHOT {}").format(sql.Literal(self.snapshot))
                )
            yield found
