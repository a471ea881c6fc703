"""The schema in the database: made from the catalogue, brought forward, refused when newer."""

from dataclasses import replace

import psycopg
import pytest
from psycopg import sql
from pydantic import SecretStr

from schemas.errors import ConfigError, StoreError
from sinks import schema
from sinks.config import DatabaseConfig
from sinks.schema import Migration, migrations
from sinks.storage import (
    US_PER_HOUR,
    Connection,
    OffsetsMoved,
    available,
    chunk_schema,
    drop,
)
from sinks.store import Store, Update, connect
from sinks.tables import Column, Table, tables
from tests.sinks.batches import batch
from tests.sinks.test_encoding import trade

DAY_US = 24 * US_PER_HOUR
YEAR_2021_US = 1_609_459_200_000_000


def named(name: str) -> Table:
    (table,) = (table for table in tables() if table.name == name)
    return table


def query(connection: Connection, text: str, *values: object) -> list[tuple[object, ...]]:
    return connection.execute(text, values).fetchall()


def store_trades(store: Store, times: list[int]) -> None:
    (state,) = store.states([("tape", 0)]).values()
    found = [("Trade", trade(event_time=time)) for time in times]
    made, _ = state.rows.process(batch("tape", 0, found, state.next_offset))
    store.write([Update(state, made, state.next_offset + len(times))])


def test_tables_are_hypertables_or_natively_partitioned(
    connection: Connection, tape: str, config: DatabaseConfig, request: pytest.FixtureRequest
) -> None:
    stored = schema.ensure(connection, tape, config)
    kind = request.node.callspec.params["database_url"]
    assert available(connection) == kind
    assert {one.storage for one in stored.values()} == {kind}
    kinds = query(
        connection,
        "SELECT relkind FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace"
        " WHERE nspname = %s AND relname = ANY(%s)",
        tape,
        list(stored),
    )
    assert kinds == [("p" if kind == "native" else "r",)] * len(stored)
    if kind == "hypertable":
        found = query(
            connection,
            "SELECT count(*) FROM timescaledb_information.hypertables WHERE hypertable_schema = %s",
            tape,
        )
        assert found == [(len(stored),)]


def test_history_of_years_goes_to_a_chunk_a_day(
    connection: Connection, tape: str, config: DatabaseConfig
) -> None:
    store = Store.open(connection, tape, config)
    times = [YEAR_2021_US + day * DAY_US for day in (0, 400, 1900, 1, 0)]
    store_trades(store, times)
    store_trades(store, times)
    assert query(connection, f"SELECT count(*) FROM {tape}.trades") == [(10,)]
    chunks = query(
        connection,
        "SELECT count(*) FROM pg_inherits WHERE inhparent = %s::regclass",
        f"{tape}.trades",
    )
    assert chunks == [(4,)]
    plan = query(
        connection,
        f"EXPLAIN SELECT * FROM {tape}.trades WHERE event_time >= '2022-02-05'"
        " AND event_time < '2022-02-06'",
    )
    scans = [line for (line,) in plan if "Scan" in str(line) and " on " in str(line)]
    assert len(scans) <= 2, plan  # a bitmap scan has two lines


def test_first_and_last_storable_times_have_chunks(
    connection: Connection, tape: str, config: DatabaseConfig
) -> None:
    store = Store.open(connection, tape, config)
    store_trades(store, [-62_135_596_800_000_000, 253_402_300_799_999_999])
    found = query(
        connection,
        f"SELECT (extract(epoch FROM event_time) * 1000000)::bigint FROM {tape}.trades ORDER BY 1",
    )
    assert found == [(-62_135_596_800_000_000,), (253_402_300_799_999_999,)]


def test_bars_are_found_by_venue_symbol_interval_and_time(
    connection: Connection, tape: str, config: DatabaseConfig
) -> None:
    schema.ensure(connection, tape, config)
    found = query(
        connection,
        "SELECT indexdef FROM pg_indexes WHERE schemaname = %s AND tablename = 'bars'",
        tape,
    )
    assert any('(venue, symbol, "interval", event_time DESC)' in str(line) for (line,) in found)


def test_columns_say_what_they_are(
    connection: Connection, tape: str, config: DatabaseConfig
) -> None:
    schema.ensure(connection, tape, config)
    found = query(
        connection,
        "SELECT attname, col_description(attrelid, attnum) FROM pg_attribute"
        " WHERE attrelid = %s::regclass AND attnum > 0",
        f"{tape}.bars",
    )
    assert {str(name): doc for name, doc in found}["vwap"] == (
        "notional / volume, quote currency per base; NaN when volume is 0 or notional unknown."
    )
    assert all(doc for _, doc in found)


def test_second_start_changes_nothing(
    connection: Connection, tape: str, config: DatabaseConfig
) -> None:
    first = schema.ensure(connection, tape, config)
    store_trades(Store.open(connection, tape, config), [YEAR_2021_US])
    assert schema.ensure(connection, tape, config) == first
    assert query(connection, f"SELECT count(*) FROM {tape}.trades") == [(1,)]


def test_older_schema_gets_the_new_column_with_its_default(
    connection: Connection, tape: str, config: DatabaseConfig
) -> None:
    new = named("trades")
    old = replace(new, columns=tuple(c for c in new.columns if c.name != "backfilled"))
    schema.ensure(connection, tape, config, specs=[old])
    hours = YEAR_2021_US // US_PER_HOUR
    if available(connection) == "native":
        from sinks.storage import NativeChunks

        NativeChunks(tape, tape, old, 24).ensure(connection, [hours * US_PER_HOUR])
    names = ", ".join(column.name for column in old.columns)
    connection.execute(
        f"INSERT INTO {tape}.trades ({names}) VALUES (0, 99, 'v', 's', '2021-01-01Z',"
        " '2021-01-01Z', '1', 1, 1, 'BUY', 'MARKET', 1)"
    )
    schema.ensure(connection, tape, config)
    assert query(connection, f"SELECT trade_id, backfilled FROM {tape}.trades") == [("1", False)]
    store_trades(Store.open(connection, tape, config), [YEAR_2021_US])
    assert query(connection, f"SELECT count(*) FROM {tape}.trades") == [(2,)]


def test_older_bookkeeping_is_migrated_step_by_step(
    connection: Connection, tape: str, config: DatabaseConfig
) -> None:
    schema.ensure(connection, tape, config)
    last = migrations()[-1].version
    step = Migration(last + 1, "note", "ALTER TABLE {schema}.offsets ADD COLUMN note text")
    schema.ensure(connection, tape, config, steps=[*migrations(), step])
    assert query(connection, f"SELECT note FROM {tape}.offsets") == []
    found = query(connection, f"SELECT version, name FROM {tape}.schema_version ORDER BY 1")
    assert found[-1] == (last + 1, "note")
    with pytest.raises(StoreError, match=f"version {last + 1}, newer than this Tape's {last}"):
        schema.ensure(connection, tape, config)


def test_table_of_a_newer_version_is_refused(
    connection: Connection, tape: str, config: DatabaseConfig
) -> None:
    table = named("trades")
    extra = Column("luck", "float", "luck", default="'0'")
    schema.ensure(connection, tape, config, specs=[replace(table, columns=(*table.columns, extra))])
    with pytest.raises(StoreError, match=r"luck.*newer version"):
        schema.ensure(connection, tape, config)


def test_changed_type_asks_for_a_rebuild(
    connection: Connection, tape: str, config: DatabaseConfig
) -> None:
    table = named("trades")
    columns = tuple(
        replace(column, kind="text") if column.name == "price" else column
        for column in table.columns
    )
    schema.ensure(connection, tape, config, specs=[replace(table, columns=columns)])
    with pytest.raises(
        StoreError,
        match=r"trades.price was text NOT NULL and is now double .*tape --tape \w+ rebuild tape",
    ):
        schema.ensure(connection, tape, config)


def test_other_sampling_interval_asks_for_a_rebuild(
    connection: Connection, tape: str, config: DatabaseConfig
) -> None:
    Store.open(connection, tape, config)
    other = config.model_copy(update={"quote_interval_ms": 5})
    with pytest.raises(ConfigError, match=r"sampled every 1000 ms.*tape --tape \w+ rebuild tape"):
        Store.open(connection, tape, other)


def test_offsets_that_moved_stop_the_write_and_leave_nothing(
    connection: Connection, tape: str, config: DatabaseConfig, database_url: str
) -> None:
    store = Store.open(connection, tape, config)
    (state,) = store.states([("tape", 0)]).values()
    made, _ = state.rows.process(batch("tape", 0, [("Trade", trade())]))
    with connect(database_url) as other:
        store_trades(Store.open(other, tape, config), [YEAR_2021_US])
    with pytest.raises(OffsetsMoved):
        store.write([Update(state, made, 1)])
    assert query(connection, f"SELECT count(*) FROM {tape}.trades") == [(1,)]


def test_reader_role_reads_and_cannot_write(
    connection: Connection, tape: str, config: DatabaseConfig, database_url: str
) -> None:
    role = f"r_{tape}"
    config = config.model_copy(
        update={"reader_role": role, "reader_password": SecretStr("it's secret")}
    )
    schema.ensure(connection, tape, config)
    try:
        with connect(database_url, user=role, password="it's secret") as reader:
            assert query(reader, f"SELECT count(*) FROM {tape}.bars") == [(0,)]
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                reader.execute(f"DELETE FROM {tape}.bars")
    finally:
        connection.execute(sql.SQL("DROP OWNED BY {}").format(sql.Identifier(role)))
        connection.execute(sql.SQL("DROP ROLE {}").format(sql.Identifier(role)))


def test_dropped_table_takes_its_chunks_with_it(
    connection: Connection, tape: str, config: DatabaseConfig
) -> None:
    store_trades(Store.open(connection, tape, config), [YEAR_2021_US, YEAR_2021_US + DAY_US])
    drop(connection, tape, "trades")
    left = query(
        connection, "SELECT tablename FROM pg_tables WHERE schemaname = %s", chunk_schema(tape)
    )
    assert left == []
