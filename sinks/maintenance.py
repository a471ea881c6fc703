"""What tables need with time: partitions ahead, retention, compression."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

import psycopg
from psycopg import sql

from schemas.errors import ConfigError
from sinks import columnstore
from sinks.config import DatabaseConfig
from sinks.schema import Stored
from sinks.storage import US_PER_HOUR, Connection, NativeChunks, partitions
from sinks.tables import tables

_US_PER_DAY = 24 * US_PER_HOUR
# New readers wait behind a drop that waits for older ones.
_LOCK_TIMEOUT = "500ms"
# So many chunks of a hypertable are dropped in one transaction (each takes locks).
_AT_ONCE = 64


@dataclass(slots=True)
class Maintained:
    """What was done to one table."""

    table: str
    created: int = 0
    """Partitions made ahead."""
    dropped: int = 0
    """Chunks that retention dropped."""
    dropped_before: datetime | None = None
    """Rows of earlier event times are not kept."""
    compress_after_days: int | None = None
    """Age at which chunks are compressed; None: they are not."""
    note: str = ""
    """What was left undone, and why."""


def retention_days(config: DatabaseConfig) -> dict[str, int]:
    """Days that each table's rows are kept, 0: for ever; ConfigError for an unknown table."""
    names = [table.name for table in tables()]
    for name in config.retention_days_of:
        if name not in names:
            raise ConfigError(
                f"database.retention_days_of: no table {name!r}; there are {', '.join(names)}"
            )
    return {name: config.retention_days_of.get(name, config.retention_days) for name in names}


@dataclass(frozen=True, slots=True)
class Maintenance:
    """Upkeep of some tables of a tape, over a connection in autocommit.

    Retention drops whole chunks by the present time; that they may be gone is noted before the
    first is dropped, so that a proof at any instant knows what to expect. It is done here on
    TimescaleDB too: its own policy would note nothing, and needs its own licence.
    """

    connection: Connection
    tape: str
    config: DatabaseConfig
    stored: Mapping[str, Stored]

    def run(self, now_us: int | None = None) -> list[Maintained]:
        """Do what is due; `now_us` is the present time, microseconds UTC."""
        now_us = time.time_ns() // 1_000 if now_us is None else now_us
        days = retention_days(self.config)
        cannot = columnstore.unavailable(self.connection) if self.stored else ""
        return [
            self._maintain(one, now_us, days[name], cannot) for name, one in self.stored.items()
        ]

    def _maintain(self, one: Stored, now_us: int, days: int, cannot: str) -> Maintained:
        done = Maintained(one.table.name)
        try:
            if one.storage == "native":
                done.created = self._ahead(one, now_us)
            if days:
                self._retain(one, now_us - days * _US_PER_DAY, done)
        except psycopg.errors.LockNotAvailable:
            done.note = "readers are in the way; the rest is for the next time"
        if cannot:
            done.note = done.note or (cannot if self.config.compress_after_days else "")
        else:
            self._compress(one, done)
        return done

    def _ahead(self, one: Stored, now_us: int) -> int:
        """Make the next partition of a table that has one for the present."""
        width = one.chunk_interval_hours * US_PER_HOUR
        hours = {hour for _, hour in partitions(self.connection, self.tape, one.table.name)}
        present = now_us // width * one.chunk_interval_hours
        following = present + one.chunk_interval_hours
        if present not in hours or following in hours:
            return 0
        chunks = NativeChunks(self.tape, self.tape, one.table, one.chunk_interval_hours, one.oid)
        chunks.ensure(self.connection, [following * US_PER_HOUR])
        return 1

    def _retain(self, one: Stored, cutoff_us: int, done: Maintained) -> None:
        width = one.chunk_interval_hours * US_PER_HOUR
        before = datetime.fromtimestamp(cutoff_us // width * width / 1_000_000, UTC)
        row = self.connection.execute(
            sql.SQL(
                "UPDATE {} SET dropped_before = greatest(dropped_before, %s) WHERE name = %s"
                " RETURNING dropped_before"
            ).format(sql.Identifier(self.tape, "table_definitions")),
            (before, one.table.name),
        ).fetchone()
        if row is None or not isinstance(row[0], datetime):
            return
        done.dropped_before = row[0]
        if one.storage == "native":
            done.dropped = self._drop_partitions(one, row[0])
        else:
            done.dropped = self._drop_chunks(one, row[0])

    def _drop_partitions(self, one: Stored, before: datetime) -> int:
        last = int(before.timestamp()) // 3_600 - one.chunk_interval_hours
        old = [
            name
            for name, hour in partitions(self.connection, self.tape, one.table.name)
            if hour <= last
        ]
        for name in old:
            with self.connection.transaction():
                self.connection.execute(f"SET LOCAL lock_timeout = '{_LOCK_TIMEOUT}'")
                self.connection.execute(sql.SQL("DROP TABLE {}").format(sql.SQL(name)))
        return len(old)

    def _drop_chunks(self, one: Stored, before: datetime) -> int:
        count = 0
        while True:
            row = self.connection.execute(
                "SELECT count(*), max(range_end) FROM (SELECT range_end"
                " FROM timescaledb_information.chunks WHERE hypertable_schema = %s"
                " AND hypertable_name = %s AND range_end <= %s ORDER BY range_end LIMIT %s) c",
                (self.tape, one.table.name, before, _AT_ONCE),
            ).fetchone()
            if row is None or not row[0]:
                return count
            with self.connection.transaction():
                self.connection.execute(f"SET LOCAL lock_timeout = '{_LOCK_TIMEOUT}'")
                dropped = self.connection.execute(
                    "SELECT drop_chunks(%s::regclass, older_than => %s::timestamptz)",
                    (f'"{self.tape}"."{one.table.name}"', row[1]),
                ).rowcount
            if not dropped:
                return count
            count += dropped

    def _compress(self, one: Stored, done: Maintained) -> None:
        definitions = sql.Identifier(self.tape, "table_definitions")
        row = self.connection.execute(
            sql.SQL("SELECT compress_after_days FROM {} WHERE name = %s").format(definitions),
            (one.table.name,),
        ).fetchone()
        was, days = (row or (None,))[0], self.config.compress_after_days
        done.compress_after_days = days or None
        if was == (days or None):
            return
        of = columnstore.version(self.connection)
        for statement in columnstore.statements(
            self.tape, one.table, days, of, had_policy=was is not None
        ):
            self.connection.execute(statement)
        self.connection.execute(
            sql.SQL("UPDATE {} SET compress_after_days = %s WHERE name = %s").format(definitions),
            (days or None, one.table.name),
        )
