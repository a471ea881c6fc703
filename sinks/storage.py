"""How a table is stored: as a hypertable of TimescaleDB, or natively partitioned by time."""

from collections.abc import Iterable
from typing import Literal

import psycopg
from psycopg import sql

from sinks.tables import TIME, Table

Storage = Literal["hypertable", "native"]
Connection = psycopg.Connection[tuple[object, ...]]

US_PER_HOUR = 3_600_000_000
# Locks of one transaction: PostgreSQL counts on 64 a connection.
_MOST_LOCKED = 256


class OffsetsMoved(Exception):
    """Another process wrote, or a rebuilt table came: what we hold is old; read it again."""


def chunk_schema(tape: str) -> str:
    """The schema of native partitions; a tape's name has no `$`, so none is called like that."""
    return f"{tape}$chunks"


def available(connection: Connection) -> Storage:
    """Hypertables where the server has TimescaleDB and lets us use it, else native partitions."""
    if connection.execute("SELECT 1 FROM pg_extension WHERE extname = 'timescaledb'").fetchone():
        return "hypertable"
    # Creating the extension where it is not preloaded would end the connection.
    preloaded = connection.execute(
        "SELECT current_setting('timescaledb.disable_load', true) IS NOT NULL AND EXISTS"
        " (SELECT 1 FROM pg_available_extensions WHERE name = 'timescaledb')"
    ).fetchone()
    if preloaded is None or not preloaded[0]:
        return "native"
    try:
        with connection.transaction():
            connection.execute("CREATE EXTENSION IF NOT EXISTS timescaledb")
    except psycopg.errors.InsufficientPrivilege:
        return "native"
    return "hypertable"


def create(connection: Connection, schema: str, table: Table, storage: Storage, hours: int) -> None:
    """Create a table with its key and comments."""
    name = sql.Identifier(schema, table.name)
    columns = [
        sql.SQL("{} {} {}").format(
            sql.Identifier(column.name),
            sql.SQL(column.sql_type),
            sql.SQL("" if column.nullable else "NOT NULL"),
        )
        for column in table.columns
    ]
    key = sql.SQL(", ").join(map(sql.Identifier, (*table.id_columns, TIME)))
    connection.execute(
        sql.SQL("CREATE TABLE {} ({}, PRIMARY KEY ({})) {}").format(
            name,
            sql.SQL(", ").join(columns),
            key,
            sql.SQL("PARTITION BY RANGE (event_time)" if storage == "native" else ""),
        )
    )
    if storage == "hypertable":
        connection.execute(
            "SELECT create_hypertable(%s::regclass, by_range(%s, make_interval(hours => %s)),"
            " create_default_indexes => false)",
            (name.as_string(connection), TIME, hours),
        )
    comment(connection, schema, table)


def comment(connection: Connection, schema: str, table: Table) -> None:
    """Put the schema's docs on table and columns."""
    name = sql.Identifier(schema, table.name)
    connection.execute(sql.SQL("COMMENT ON TABLE {} IS {}").format(name, sql.Literal(table.doc)))
    for column in table.columns:
        connection.execute(
            sql.SQL("COMMENT ON COLUMN {} IS {}").format(
                sql.Identifier(schema, table.name, column.name), sql.Literal(column.doc)
            )
        )


def partitions(connection: Connection, schema: str, name: str) -> list[tuple[str, int]]:
    """The native partitions of a table, each with the hour since 1970 that it begins with."""
    rows = connection.execute(
        "SELECT i.inhrelid::regclass::text, c.relname FROM pg_inherits i"
        " JOIN pg_class c ON c.oid = i.inhrelid WHERE i.inhparent = %s::regclass",
        (f'"{schema}"."{name}"',),
    ).fetchall()
    return [(str(child), int(str(last).rpartition("_")[2])) for child, last in rows]


class NativeChunks:
    """The partitions of a natively partitioned table, made as rows need them.

    Each is created in a transaction of its own, so that no transaction locks many.
    """

    def __init__(
        self, tape: str, schema: str, table: Table, hours: int, parent_oid: int = 0
    ) -> None:
        self._schema, self._table, self._tape = schema, table, tape
        self._width = hours * US_PER_HOUR
        self._oid = parent_oid
        self._known: set[int] = set()

    def ensure(self, connection: Connection, times_us: Iterable[int]) -> None:
        """Create the partitions that rows of these event times go to; needs autocommit.

        Raises OffsetsMoved where a rebuilt table has taken the place of the one we know.
        """
        for index in sorted({time // self._width for time in times_us} - self._known):
            with connection.transaction():
                self._create(connection, index)
            self._known.add(index)

    def _create(self, connection: Connection, index: int) -> None:
        parent = sql.Identifier(self._schema, self._table.name)
        # Until the partition is there, no other table takes this one's name.
        connection.execute(
            sql.SQL("LOCK TABLE ONLY {} IN SHARE UPDATE EXCLUSIVE MODE").format(parent)
        )
        row = connection.execute(
            "SELECT %s::regclass::oid", (parent.as_string(connection),)
        ).fetchone()
        assert row is not None
        oid = int(str(row[0]))
        if oid != (self._oid or oid):
            raise OffsetsMoved
        self._oid = oid
        # The parent's number is part of the name: a table rebuilt beside it has its own.
        name = f"{self._table.name}_{self._oid}_{index * self._width // US_PER_HOUR}"
        chunk = sql.Identifier(chunk_schema(self._tape), name)
        there = connection.execute(
            "SELECT to_regclass(%s) IS NOT NULL", (chunk.as_string(connection),)
        ).fetchone()
        if there is not None and there[0]:
            return
        # Attached rather than created in place: that lock lets readers go on.
        connection.execute(
            sql.SQL("CREATE TABLE {} (LIKE {} INCLUDING DEFAULTS INCLUDING CONSTRAINTS)").format(
                chunk, parent
            )
        )
        connection.execute(
            sql.SQL("ALTER TABLE {} ATTACH PARTITION {} FOR VALUES FROM ({}) TO ({})").format(
                parent,
                chunk,
                sql.SQL(_timestamp(index * self._width)),
                sql.SQL(_timestamp((index + 1) * self._width)),
            )
        )


def _timestamp(us: int) -> str:
    seconds = us // 1_000_000
    return f"(timestamptz 'epoch' + {seconds} * interval '1 second')"


def analyze(connection: Connection, schema: str, table: Table) -> None:
    """Gather statistics of the columns that queries and keys name.

    Chunk by chunk where there are too many to lock at once. The others' come by autovacuum.
    """
    children = _children(connection, schema, table.name)
    of = children if len(children) > _MOST_LOCKED else [f'"{schema}"."{table.name}"']
    names = dict.fromkeys((*table.id_columns, *table.query_columns, TIME))
    columns = sql.SQL(", ").join(map(sql.Identifier, names))
    for relation in of:
        connection.execute(sql.SQL("ANALYZE {} ({})").format(sql.SQL(relation), columns))


def _children(connection: Connection, schema: str, name: str) -> list[str]:
    rows = connection.execute(
        "SELECT i.inhrelid::regclass::text FROM pg_inherits i JOIN pg_class c"
        " ON c.oid = i.inhparent JOIN pg_namespace n ON n.oid = c.relnamespace"
        " WHERE n.nspname = %s AND c.relname = %s",
        (schema, name),
    ).fetchall()
    return [str(child) for (child,) in rows]


def drop(connection: Connection, schema: str, name: str) -> None:
    """Drop a table, its chunks one transaction at a time before it (each drop takes locks)."""
    for child in _children(connection, schema, name):
        connection.execute(sql.SQL("DROP TABLE {}").format(sql.SQL(child)))
    connection.execute(sql.SQL("DROP TABLE IF EXISTS {}").format(sql.Identifier(schema, name)))


def drop_schema(connection: Connection, schema: str) -> None:
    """Drop a schema with its tables, if it is there."""
    names = connection.execute(
        "SELECT tablename FROM pg_tables WHERE schemaname = %s", (schema,)
    ).fetchall()
    for (name,) in names:
        drop(connection, schema, str(name))
    connection.execute(sql.SQL("DROP SCHEMA IF EXISTS {} CASCADE").format(sql.Identifier(schema)))
