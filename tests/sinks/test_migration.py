"""Tables with data, made by each earlier release, are what today's sink goes on with."""

import json
from typing import Any

import pytest
from psycopg import sql

from schemas import catalogue, releases
from schemas.errors import StoreError
from sinks import schema
from sinks.config import DatabaseConfig
from sinks.schema import migrations
from sinks.storage import Connection, NativeChunks, available
from sinks.store import Store, Update
from sinks.tables import NOT_STORED, Column, Table, table_name, table_of, tables
from tests.sinks.batches import batch
from tests.sinks.conftest import on_plain_postgresql

_TIME_US = 1_609_459_200_000_000
_RELEASES = releases.read()
_NEWEST = max(len(of) for of in _RELEASES.values())

# What a row of an older table holds, by the kind of its column.
_VALUES: dict[str, str] = {
    "integer": "0", "bigint": "7", "float": "1.5", "boolean": "true",
    "time": "timestamptz '2021-01-01Z'", "text": "'x'", "bytes": "'\\x01'", "enum": "'x'",
}  # fmt: skip


def tables_of(number: int) -> list[Table]:
    """The tables as the schemas' release of this number made them (or a record's last one)."""
    found = []
    for topic in catalogue.TOPICS:
        if topic.kind not in {"input", "derived"}:
            continue
        for record in topic.records:
            if record in NOT_STORED or record not in _RELEASES:
                continue
            release = _RELEASES[record][min(number, len(_RELEASES[record])) - 1]
            name = table_name(topic.name, record)
            found.append(table_of(topic.name, record, name, release.schema))
    return found


def value(column: Column) -> str:
    if column.nullable:
        return "NULL"
    if column.array:
        return f"ARRAY[{_VALUES[column.kind]}]::{column.sql_type}"
    return _VALUES[column.kind]


def sample(avro: Any, named: dict[str, Any]) -> Any:  # noqa: PLR0911 a case each
    """An event's value of an Avro type."""
    if isinstance(avro, list):
        return None
    if isinstance(avro, str) and avro in named:
        return sample(named[avro], named)
    kind = avro if isinstance(avro, str) else avro["type"]
    if kind == "record":
        named[avro["name"]] = avro
        return {field["name"]: sample(field["type"], named) for field in avro["fields"]}
    if kind == "enum":
        named[avro["name"]] = avro
        return avro["symbols"][0]
    if kind == "array":
        return []
    if isinstance(avro, dict) and avro.get("logicalType") == "timestamp-micros":
        return _TIME_US
    return {"string": "y", "bytes": b"", "double": 2.5, "boolean": False}.get(kind, 3)


def select(connection: Connection, tape: str, name: str, columns: list[str]) -> list[Any]:
    chosen = sql.SQL(", ").join(map(sql.Identifier, columns))
    statement = sql.SQL("SELECT {} FROM {} ORDER BY event_time").format(
        chosen, sql.Identifier(tape, name)
    )
    return connection.execute(statement).fetchall()


def insert(connection: Connection, tape: str, table: Table) -> None:
    connection.execute(
        sql.SQL("INSERT INTO {} ({}) VALUES ({})").format(
            sql.Identifier(tape, table.name),
            sql.SQL(", ").join(sql.Identifier(column.name) for column in table.columns),
            sql.SQL(", ").join(sql.SQL(value(column)) for column in table.columns),
        )
    )


def defaults(record: str, columns: list[Column]) -> list[Any]:
    """What the Avro schema says that earlier events have in these columns."""
    fields = {field["name"]: field for field in catalogue.schema(record)["fields"]}
    return [fields[column.field]["default"] for column in columns]


@pytest.mark.parametrize("number", range(1, _NEWEST + 1))
def test_tables_of_each_release_keep_their_rows_and_take_today_s(
    connection: Connection, tape: str, config: DatabaseConfig, number: int
) -> None:
    old = tables_of(number)
    assert old
    # The first release of the tables knew the first step of the bookkeeping alone.
    schema.ensure(connection, tape, config, specs=old, steps=migrations()[:number])
    before = {}
    for table in old:
        fill(connection, tape, table)
        names = [column.name for column in table.columns]
        before[table.name] = (names, select(connection, tape, table.name, names))
    store = Store.open(connection, tape, config)
    for table in tables():
        if table.name not in before:
            continue
        names, rows = before[table.name]
        assert len(rows) == 1
        assert select(connection, tape, table.name, names) == rows
        added = [column for column in table.columns if column.name not in names]
        found = select(connection, tape, table.name, [column.name for column in added])
        assert [list(row) for row in found] == [defaults(table.record, added)], table.name
        store_today_s(store, table)
        assert len(select(connection, tape, table.name, names)) == 2


def fill(connection: Connection, tape: str, table: Table) -> None:
    """A row in the table, as long as its definition is the old one."""
    if available(connection) == "native":
        row = connection.execute(
            sql.SQL("SELECT chunk_interval_hours FROM {} WHERE name = %s").format(
                sql.Identifier(tape, "table_definitions")
            ),
            (table.name,),
        ).fetchone()
        hours = int(str((row or (24,))[0]))
        NativeChunks(tape, tape, table, hours).ensure(connection, [_TIME_US])
    insert(connection, tape, table)


def store_today_s(store: Store, table: Table) -> None:
    states = store.states([(table.topic, 0)])
    state = states[table.topic, 0]
    event = sample(catalogue.schema(table.record), {})
    if table.derived:
        event["origin"]["offset"], event["origin"]["partition"] = state.next_offset + 10, 0
    made, refused = state.rows.process(
        batch(table.topic, 0, [(table.record, event)], state.next_offset + 10)
    )
    assert not refused
    store.write([Update(state, made, state.next_offset + 11)])


@on_plain_postgresql
def test_a_new_field_without_default_asks_for_a_rebuild(
    connection: Connection, tape: str, config: DatabaseConfig
) -> None:
    avro = json.loads(json.dumps(catalogue.schema("Funding")))
    avro["fields"] = [field for field in avro["fields"] if field["name"] != "symbol"]
    old = table_of("tape", "Funding", "funding", avro)
    schema.ensure(connection, tape, config, specs=[old])
    with pytest.raises(
        StoreError,
        match=r"funding lacks column symbol, whose field has no default: .*"
        r"`tape --tape \w+ rebuild tape`",
    ):
        schema.ensure(connection, tape, config)
