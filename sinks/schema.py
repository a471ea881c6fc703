"""The database schema of a tape: created, brought forward by migrations, refused when newer."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

import psycopg
from psycopg import sql

from schemas.errors import ConfigError, StoreError
from sinks import indexes, storage
from sinks.config import DatabaseConfig
from sinks.storage import Connection, Storage
from sinks.tables import Table, tables


@dataclass(frozen=True, slots=True)
class Migration:
    """One step of the bookkeeping tables: its number, name and SQL with `{schema}`."""

    version: int
    name: str
    text: str


@dataclass(frozen=True, slots=True)
class Stored:
    """A table as it is in the database."""

    table: Table
    storage: Storage
    chunk_interval_hours: int
    quote_interval_ms: int | None
    oid: int
    """The database's number of the table; one rebuilt in its place has another."""


def migrations() -> list[Migration]:
    """All steps, from the files of `sinks/migrations`, in their order."""
    found = []
    for path in files("sinks").joinpath("migrations").iterdir():
        number, _, rest = path.name.partition("_")
        if number.isdigit() and rest.endswith(".sql"):
            found.append(Migration(int(number), rest.removesuffix(".sql"), path.read_text()))
    return sorted(found, key=lambda step: step.version)


def ensure(
    connection: Connection,
    tape: str,
    config: DatabaseConfig,
    schema: str = "",
    specs: Sequence[Table] | None = None,
    steps: Sequence[Migration] = (),
    indexed: bool = True,
) -> dict[str, Stored]:
    """Create what is missing and bring forward what is older; the tables by name.

    `schema` (default: the tape's name) is where; the tape's own or the one of a rebuild.
    Without `indexed` new tables are to get the index of queries later (sinks/indexes.py).
    Needs a connection in autocommit. Raises StoreError where the database is of a newer
    version, or of one from which only a rebuild leads here.
    """
    schema = schema or tape
    specs = tables() if specs is None else specs
    kind = storage.available(connection)
    with connection.transaction():
        # One at a time: processes that start together would both create the same.
        connection.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", (schema,))
        for name in (schema, storage.chunk_schema(tape)):
            connection.execute(
                sql.SQL("CREATE SCHEMA IF NOT EXISTS {}").format(sql.Identifier(name))
            )
        _migrate(connection, schema, steps or migrations())
        stored = _definitions(connection, schema)
        for table in specs:
            if table.name not in stored:
                storage.create(connection, schema, table, kind, config.chunk_hours(table.sparse))
                if indexed:
                    indexes.create(connection, schema, table)
                _define(connection, schema, table, kind, config)
            elif stored[table.name]["columns"] != _described(table):
                _alter(connection, schema, table, stored[table.name]["columns"])
        _grant(connection, schema, config)
        rows = _definitions(connection, schema)
        oids = {
            str(name): int(str(oid))
            for name, oid in connection.execute(
                "SELECT relname, oid::bigint FROM pg_class WHERE relnamespace = %s::regnamespace",
                (sql.Identifier(schema).as_string(connection),),
            )
        }
    return {
        table.name: Stored(
            table,
            rows[table.name]["storage"],
            rows[table.name]["chunk_interval_hours"],
            rows[table.name]["quote_interval_ms"],
            oids[table.name],
        )
        for table in specs
    }


def as_new(
    connection: Connection, schema: str, config: DatabaseConfig, specs: Sequence[Table]
) -> bool:
    """Whether the tables that a schema has are as they would be made today."""
    steps = [step.version for step in migrations()]
    try:
        found = _definitions(connection, schema)
        versions = connection.execute(
            sql.SQL("SELECT version FROM {} ORDER BY 1").format(
                sql.Identifier(schema, "schema_version")
            )
        ).fetchall()
    except psycopg.errors.UndefinedTable:
        return False
    kind = storage.available(connection)
    wanted = {table.name: _definition(table, kind, config) for table in specs}
    return [(step,) for step in steps] == versions and all(
        found[name][key] == value
        for name, definition in wanted.items()
        if name in found
        for key, value in definition.items()
    )


def check_sampling(schema: str, stored: Mapping[str, Stored], config: DatabaseConfig) -> None:
    """Raise ConfigError where a table was sampled at another interval than is configured."""
    for name, table in stored.items():
        was = table.quote_interval_ms
        if table.table.sampled and was != config.quote_interval_ms:
            raise ConfigError(
                f"{schema}.{name} was sampled every {was} ms, and database.quote_interval_ms is"
                f" {config.quote_interval_ms}: set it back, or make the table anew with"
                f" `tape --tape {schema} rebuild {table.table.topic}`"
            )


def _migrate(connection: Connection, schema: str, steps: Sequence[Migration]) -> None:
    name = sql.Identifier(schema, "schema_version")
    connection.execute(
        sql.SQL(
            "CREATE TABLE IF NOT EXISTS {} (version integer PRIMARY KEY, name text NOT NULL,"
            " applied_at timestamptz NOT NULL DEFAULT now())"
        ).format(name)
    )
    row = connection.execute(sql.SQL("SELECT coalesce(max(version), 0) FROM {}").format(name))
    current = int(str((row.fetchone() or (0,))[0]))
    if current > steps[-1].version:
        raise StoreError(
            f"the database schema {schema!r} is of version {current}, newer than this Tape's"
            f" {steps[-1].version}: use the newer Tape, or another tape"
        )
    for step in steps:
        if step.version > current:
            connection.execute(sql.SQL(step.text).format(schema=sql.Identifier(schema)))
            connection.execute(
                sql.SQL("INSERT INTO {} (version, name) VALUES (%s, %s)").format(name),
                (step.version, step.name),
            )


def _described(table: Table) -> list[dict[str, object]]:
    return [
        {"name": column.name, "type": column.sql_type, "nullable": column.nullable}
        for column in table.columns
    ]


def _definitions(connection: Connection, schema: str) -> dict[str, dict[str, Any]]:
    with connection.cursor(row_factory=psycopg.rows.dict_row) as cursor:
        cursor.execute(
            sql.SQL("SELECT * FROM {}").format(sql.Identifier(schema, "table_definitions"))
        )
        return {str(row["name"]): row for row in cursor}


def _definition(table: Table, kind: Storage, config: DatabaseConfig) -> dict[str, object]:
    """What is kept of a table that is made today."""
    return {
        "name": table.name,
        "topic": table.topic,
        "record": table.record,
        "columns": _described(table),
        "storage": kind,
        "chunk_interval_hours": config.chunk_hours(table.sparse),
        "quote_interval_ms": config.quote_interval_ms if table.sampled else None,
    }


def _define(
    connection: Connection, schema: str, table: Table, kind: Storage, config: DatabaseConfig
) -> None:
    definition = _definition(table, kind, config)
    connection.execute(
        sql.SQL("INSERT INTO {} ({}) VALUES ({})").format(
            sql.Identifier(schema, "table_definitions"),
            sql.SQL(", ").join(map(sql.Identifier, definition)),
            sql.SQL(", ").join(map(sql.Placeholder, definition)),
        ),
        {**definition, "columns": json.dumps(definition["columns"])},
    )


def _alter(connection: Connection, schema: str, table: Table, was: list[dict[str, object]]) -> None:
    """Add the columns of fields that the record has got since; anything else is refused."""
    name = f"{schema}.{table.name}"
    old = {str(column["name"]): column for column in was}
    now = {str(column["name"]): column for column in _described(table)}
    if unknown := [column for column in old if column not in now]:
        raise StoreError(
            f"{name} has columns that this Tape does not know ({', '.join(unknown)}): it is of a"
            " newer version; use that, or another tape"
        )
    for column in table.columns:
        if column.name in old and old[column.name] != now[column.name]:
            raise StoreError(
                f"{name}.{column.name} was {_words(old[column.name])} and is now"
                f" {_words(now[column.name])}:"
                f" make the table anew with `tape --tape {schema} rebuild {table.topic}`"
            )
        if column.name not in old:
            _add_column(connection, schema, table, column.name)
    connection.execute(
        sql.SQL("UPDATE {} SET columns = %s WHERE name = %s").format(
            sql.Identifier(schema, "table_definitions")
        ),
        (json.dumps(_described(table)), table.name),
    )
    storage.comment(connection, schema, table)


def _words(column: Mapping[str, object]) -> str:
    return f"{column['type']}{'' if column['nullable'] else ' NOT NULL'}"


def _add_column(connection: Connection, schema: str, table: Table, name: str) -> None:
    (column,) = (column for column in table.columns if column.name == name)
    if column.default is None:
        raise StoreError(
            f"{schema}.{table.name} lacks column {name}, whose field has no default: make the"
            f" table anew with `tape --tape {schema} rebuild {table.topic}`"
        )
    connection.execute(
        sql.SQL("ALTER TABLE {} ADD COLUMN {} {} {} DEFAULT {}").format(
            sql.Identifier(schema, table.name),
            sql.Identifier(name),
            sql.SQL(column.sql_type),
            sql.SQL("" if column.nullable else "NOT NULL"),
            sql.SQL(column.default),
        )
    )


def _grant(connection: Connection, schema: str, config: DatabaseConfig) -> None:
    """Let the reader role, if there is one, read all tables of the schema."""
    password = config.reader_password.get_secret_value()
    role = sql.Identifier(config.reader_role)
    exists = connection.execute(
        "SELECT 1 FROM pg_roles WHERE rolname = %s", (config.reader_role,)
    ).fetchone()
    if not exists and not password:
        return
    if password:
        connection.execute(
            sql.SQL("{} ROLE {} LOGIN PASSWORD {}").format(
                sql.SQL("ALTER" if exists else "CREATE"), role, sql.Literal(password)
            )
        )
    own = sql.Identifier(schema)
    connection.execute(sql.SQL("GRANT USAGE ON SCHEMA {} TO {}").format(own, role))
    connection.execute(sql.SQL("GRANT SELECT ON ALL TABLES IN SCHEMA {} TO {}").format(own, role))
