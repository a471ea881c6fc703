"""Upkeep of tables: retention that proofs know of, partitions ahead, compression by licence."""

import psycopg
import pytest

from schemas import events
from schemas.errors import ConfigError
from sinks import columnstore, schema
from sinks.config import DatabaseConfig
from sinks.maintenance import Maintained, Maintenance
from sinks.storage import US_PER_HOUR, Connection, available, partitions
from sinks.store import Store
from sinks.tables import Table, tables
from tests.sinks.conftest import on_plain_postgresql
from tests.sinks.tapes import BEGIN_US, Tape, running, until
from tests.sinks.test_schema import store_trades

DAY_US = 24 * US_PER_HOUR


def trade(number: int, day: int) -> events.Event:
    return events.Trade(
        venue="v", symbol="BTC-USDT", event_time=BEGIN_US + day * DAY_US + number,
        receive_time=BEGIN_US, trade_id=str(number), price=1.0, quantity=1.0,
        aggressor_side="BUY", kind="MARKET", count=1,
    )  # fmt: skip


def named(name: str) -> Table:
    return next(table for table in tables() if table.name == name)


def maintain(
    connection: Connection, tape: str, config: DatabaseConfig, day: float
) -> dict[str, Maintained]:
    stored = schema.ensure(connection, tape, config)
    done = Maintenance(connection, tape, config, stored).run(BEGIN_US + int(day * DAY_US))
    return {one.table: one for one in done}


def count(connection: Connection, tape: Tape) -> int:
    row = connection.execute(f"SELECT count(*) FROM {tape.name}.trades").fetchone()
    return int(str((row or (0,))[0]))


def test_retention_drops_old_chunks_and_proofs_know_of_it(
    market_tape: Tape, config: DatabaseConfig, connection: Connection
) -> None:
    market_tape.send("tape", 0, *(trade(n, day) for day in range(6) for n in range(10)))
    with running(market_tape, config) as watched:
        until(lambda: watched.events == 62)
        kept = config.model_copy(update={"retention_days_of": {"trades": 2}})
        done = maintain(connection, market_tape.name, kept, 5.5)
        assert (done["trades"].dropped, done["reference"].dropped) == (3, 0)
        assert str(done["trades"].dropped_before) == "2021-01-04 00:00:00+00:00"
        assert count(connection, market_tape) == 30
        assert market_tape.verify(config).equal
        # What comes late is stored, and goes the next time.
        market_tape.send("tape", 0, trade(99, 1), trade(99, 5))
        assert market_tape.verify(config).equal
        until(lambda: count(connection, market_tape) == 32)
        assert maintain(connection, market_tape.name, kept, 5.5)["trades"].dropped == 1
        assert market_tape.verify(config).equal
    connection.execute(f"DELETE FROM {market_tape.name}.trades WHERE trade_id = '99'")
    report = market_tape.verify(config)
    assert [proof.table for proof in report.tables if proof.difference] == ["trades"]


@on_plain_postgresql
def test_the_next_partition_is_made_before_rows_need_it(
    connection: Connection, tape: str, config: DatabaseConfig
) -> None:
    store_trades(Store.open(connection, tape, config), [BEGIN_US])
    assert maintain(connection, tape, config, 0.5)["trades"].created == 1
    begin = BEGIN_US // US_PER_HOUR
    assert sorted(hour for _, hour in partitions(connection, tape, "trades")) == [begin, begin + 24]
    assert maintain(connection, tape, config, 0.6)["trades"].created == 0
    # A tape of history has no present.
    assert maintain(connection, tape, config, 300)["trades"].created == 0


def test_tables_of_rare_events_have_longer_chunks(
    connection: Connection, tape: str, config: DatabaseConfig
) -> None:
    stored = schema.ensure(connection, tape, config)
    assert stored["trades"].chunk_interval_hours == 24
    assert stored["news"].chunk_interval_hours == 168


@on_plain_postgresql
def test_retention_of_a_table_that_is_not_there_is_refused(
    connection: Connection, tape: str, config: DatabaseConfig
) -> None:
    wrong = config.model_copy(update={"retention_days_of": {"trade": 2}})
    with pytest.raises(ConfigError, match=r"no table 'trade'; there are .*trades"):
        maintain(connection, tape, wrong, 0)


def test_a_server_that_cannot_compress_is_named_once_and_nothing_is_set(
    market_tape: Tape, config: DatabaseConfig, connection: Connection
) -> None:
    if not columnstore.unavailable(connection):
        pytest.skip("this server has a columnstore")
    with running(market_tape, config) as watched:
        until(lambda: watched.notes)
    (note,) = watched.notes
    if available(connection) == "hypertable":
        assert "licence is 'apache'" in note
        assert "timescaledb.license" in note
    else:
        assert note == "PostgreSQL without TimescaleDB has no columnstore"
    done = maintain(connection, market_tape.name, config, 0)
    assert {one.compress_after_days for one in done.values()} == {None}
    never = config.model_copy(update={"compress_after_days": 0})
    assert {one.note for one in maintain(connection, market_tape.name, never, 0).values()} == {""}


def test_columnstore_is_set_in_the_words_of_the_server_s_version() -> None:
    def words(of: tuple[int, int], days: int, had_policy: bool) -> list[str]:
        found = columnstore.statements("live", named("bars"), days, of, had_policy)
        return [statement.as_string() for statement in found]

    order = "'event_time DESC, origin_partition, origin_offset, seq'"
    assert words((2, 19), 7, False) == [
        'ALTER TABLE "live"."bars" SET (timescaledb.enable_columnstore = true,'
        f" timescaledb.orderby = {order}, timescaledb.segmentby = 'venue, symbol')",
        'CALL add_columnstore_policy(\'"live"."bars"\', after => make_interval(days => 7))',
    ]
    assert words((2, 17), 3, True) == [
        'SELECT remove_compression_policy(\'"live"."bars"\', if_exists => true)',
        'ALTER TABLE "live"."bars" SET (timescaledb.compress,'
        f" timescaledb.compress_orderby = {order},"
        " timescaledb.compress_segmentby = 'venue, symbol')",
        'SELECT add_compression_policy(\'"live"."bars"\','
        " compress_after => make_interval(days => 3))",
    ]
    assert words((2, 20), 0, True) == [
        'CALL remove_columnstore_policy(\'"live"."bars"\', if_exists => true)'
    ]


def test_columnstore_s_words_are_known_to_a_server_that_may_not_use_them(
    connection: Connection, tape: str, config: DatabaseConfig
) -> None:
    if available(connection) != "hypertable" or not columnstore.unavailable(connection):
        pytest.skip("a TimescaleDB of the Apache licence knows the words and refuses them")
    schema.ensure(connection, tape, config)
    for of in ((2, 17), (2, 19)):
        for statement in columnstore.statements(tape, named("bars"), 7, of, had_policy=True):
            with pytest.raises(psycopg.errors.FeatureNotSupported, match='"apache" license'):
                connection.execute(statement)
