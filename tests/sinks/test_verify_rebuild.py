"""Verification finds every planted difference; a rebuild makes equal tables and swaps them."""

from dataclasses import replace
from threading import Thread
from time import sleep

import pytest
from psycopg import sql

from schemas.errors import ConfigError, StoreError
from sinks import schema
from sinks.config import DatabaseConfig
from sinks.rebuild import Rebuild
from sinks.storage import Connection
from sinks.store import Store, connect
from sinks.tables import tables, topics
from tests.sinks.conftest import on_plain_postgresql
from tests.sinks.tapes import Market, Tape, running, stored_offset, until


def rebuild(tape: Tape, config: DatabaseConfig, *of: str, allow_loss: bool = False) -> Rebuild:
    url = config.url.get_secret_value()
    return Rebuild(tape.kafka, tape.registry, config, url, tape.name, of or topics(), allow_loss)


@pytest.fixture
def filled(market_tape: Tape, config: DatabaseConfig) -> Tape:
    """A tape whose tables are up to date."""
    market = Market(11)
    market_tape.send("tape", 0, *market.inputs(200))
    market_tape.send("tape", 1, *market.inputs(100))
    market_tape.send("reference", 1, *market.references(1, 80))
    with running(market_tape, config) as watched:
        until(lambda: watched.events == 382)  # with the two Configured events
    return market_tape


def contents(connection: Connection, tape: str) -> dict[str, list[tuple[object, ...]]]:
    return {
        table.name: connection.execute(
            sql.SQL("SELECT t::text FROM {} t ORDER BY 1").format(sql.Identifier(tape, table.name))
        ).fetchall()
        for table in tables()
    }


# A change of the tables, the table that differs then, and what is said of it.
CHANGES = [
    (
        "UPDATE {0}.trades SET price = price * (1 + 1e-15) WHERE tape_partition = 1"
        " AND tape_offset = (SELECT max(tape_offset) FROM {0}.trades"
        " WHERE tape_partition = 1)",
        "trades",
        "differs in price: the topic has",
    ),
    (
        "UPDATE {0}.trades SET event_time = event_time + interval '1 microsecond'"
        " WHERE tape_offset = (SELECT min(tape_offset) FROM {0}.trades)",
        "trades",
        "differs in event_time",
    ),
    (
        "UPDATE {0}.reference SET venues_venue = '{{okx-spat}}' WHERE origin_offset ="
        " (SELECT max(origin_offset) FROM {0}.reference)",
        "reference",
        "differs in venues_venue",
    ),
    (
        "DELETE FROM {0}.quotes WHERE tape_offset = (SELECT max(tape_offset) FROM {0}.quotes)",
        "quotes",
        "is missing in the table",
    ),
    (
        "DELETE FROM {0}.reference WHERE origin_offset ="
        " (SELECT min(origin_offset) FROM {0}.reference)",
        "reference",
        "is missing in the table",
    ),
    (
        "INSERT INTO {0}.trades SELECT tape_partition, 1000000, venue, symbol, event_time,"
        " receive_time, trade_id, price, quantity, aggressor_side, kind, count, backfilled"
        " FROM {0}.trades LIMIT 1",
        "trades",
        "offset 1000000 is in the table and not in the topic",
    ),
    (
        "INSERT INTO {0}.reference SELECT origin_topic, 1, -5, seq, symbol, event_time,"
        " receive_time, price, dispersion_bps, venues_venue, venues_mid_price, excluded"
        " FROM {0}.reference LIMIT 1",
        "reference",
        "origin offset -5 seq 0 is in the table and not in the topic",
    ),
    (
        "UPDATE {0}.trades SET tape_partition = 9 WHERE tape_partition = 0",
        "trades",
        "row of partition 9, which is not in the topic",
    ),
    (
        "INSERT INTO {0}.news (tape_partition, tape_offset, event_time, receive_time, source,"
        " news_id, publisher, title, currencies) VALUES (1, 3, '2021-01-01Z', now(), '', '', '',"
        " '', '{{}}')",
        "news",
        "is in the table and not in the topic",
    ),
]


@on_plain_postgresql
def test_verify_names_the_first_difference(
    filled: Tape, config: DatabaseConfig, connection: Connection
) -> None:
    for change, table, difference in CHANGES:
        connection.execute(f"CREATE TEMP TABLE backup AS SELECT * FROM {filled.name}.{table}")
        assert connection.execute(change.format(filled.name)).rowcount > 0
        report = filled.verify(config)
        assert not report.equal
        found = {proof.table: proof.difference for proof in report.tables if proof.difference}
        assert list(found) == [table], change
        assert difference in found[table]
        connection.execute(f"DELETE FROM {filled.name}.{table}")
        connection.execute(f"INSERT INTO {filled.name}.{table} SELECT * FROM backup")
        connection.execute("DROP TABLE backup")
    assert filled.verify(config).equal


@on_plain_postgresql
def test_verify_says_how_far_a_stopped_sink_is_behind(filled: Tape, config: DatabaseConfig) -> None:
    filled.send("tape", 0, *Market(12).inputs(7))
    report = filled.verify(config, wait_s=0.3)
    assert (report.equal, report.behind) == (False, 7)
    assert not any(proof.difference for proof in report.tables)


def test_rebuilt_tables_are_equal_and_take_the_place_of_altered_ones(
    filled: Tape, config: DatabaseConfig, connection: Connection
) -> None:
    before = contents(connection, filled.name)
    offsets = [stored_offset(config, filled.name, "tape", partition) for partition in (0, 1)]
    connection.execute(f"UPDATE {filled.name}.trades SET price = 0")
    connection.execute(f"DELETE FROM {filled.name}.reference")
    assert not filled.verify(config).equal
    steps: list[tuple[int, int]] = []
    rebuilt = rebuild(filled, config).run(lambda done, total: steps.append((done, total)))
    assert contents(connection, filled.name) == before
    assert offsets == [stored_offset(config, filled.name, "tape", part) for part in (0, 1)]
    assert rebuilt.rows == sum(map(len, before.values()))
    assert steps[-1][0] == steps[-1][1] > 0
    with running(filled, config):
        filled.send("tape", 0, *Market(13).inputs(50))
        assert filled.verify(config).equal
    left = connection.execute(
        "SELECT nspname FROM pg_namespace WHERE nspname LIKE %s", (f"{filled.name}$%",)
    ).fetchall()
    assert left == [(f"{filled.name}$chunks",)]


@on_plain_postgresql
def test_rebuild_of_one_topic_leaves_the_others_alone(
    filled: Tape, config: DatabaseConfig, connection: Connection
) -> None:
    # What a rebuild leaves that was killed in its middle: a shadow with tables and offsets.
    Store.open(connection, filled.name, config, f"{filled.name}$rebuild").states([("tape", 0)])
    connection.execute(f"UPDATE {filled.name}.trades SET price = 0")
    connection.execute(f"UPDATE {filled.name}.reference SET price = 0")
    rebuild(filled, config, "reference").run()
    found = {proof.table for proof in filled.verify(config).tables if proof.difference}
    assert found == {"trades"}


def test_rebuild_swaps_while_the_sink_runs_and_readers_never_see_less(
    filled: Tape, config: DatabaseConfig
) -> None:
    seen: list[int] = []
    done = False

    def read() -> None:
        with connect(config.url.get_secret_value()) as reader:
            while not done:
                row = reader.execute(f"SELECT count(*) FROM {filled.name}.trades").fetchone()
                assert row is not None
                seen.append(int(str(row[0])))

    def feed() -> None:
        market = Market(14)
        while not done:
            filled.send("tape", 0, *market.inputs(20))
            sleep(0.02)

    with running(filled, config) as watched:
        threads = [Thread(target=read), Thread(target=feed)]
        for thread in threads:
            thread.start()
        try:
            until(lambda: watched.rows > 30)
            for _ in range(2):
                rebuild(filled, config).run()
            was = watched.rows
            until(lambda: watched.rows > was)
        finally:
            done = True
            for thread in threads:
                thread.join()
        assert filled.verify(config).equal
    assert seen == sorted(seen)
    assert seen[0] > 0
    assert len(watched.starts) >= 3


@on_plain_postgresql
def test_rebuild_brings_a_new_sampling_interval_into_force(
    filled: Tape, config: DatabaseConfig, connection: Connection
) -> None:
    wider = config.model_copy(update={"quote_interval_ms": 10_000})
    with (
        pytest.raises(ConfigError, match=r"tape --tape \w+ rebuild tape"),
        running(filled, wider) as watched,
    ):
        until(lambda: watched.failures)
    before = len(contents(connection, filled.name)["quotes"])
    rebuild(filled, wider, "tape").run()
    with running(filled, wider):
        assert filled.verify(wider).equal
    assert len(contents(connection, filled.name)["quotes"]) < before


def test_rebuild_heals_a_table_whose_column_has_another_type(
    market_tape: Tape, config: DatabaseConfig, connection: Connection
) -> None:
    (table,) = (table for table in tables() if table.name == "reference")
    columns = tuple(
        replace(column, kind="text") if column.name == "price" else column
        for column in table.columns
    )
    schema.ensure(connection, market_tape.name, config, specs=[replace(table, columns=columns)])
    market_tape.send("reference", 0, *Market(15).references(0, 10))
    with (
        pytest.raises(StoreError, match=r"tape --tape \w+ rebuild reference"),
        running(market_tape, config) as w,
    ):
        until(lambda: w.failures)
    rebuild(market_tape, config, "reference").run()
    with running(market_tape, config):
        assert market_tape.verify(config).equal


@on_plain_postgresql
def test_rebuild_refuses_to_lose_rows_whose_events_are_deleted(
    filled: Tape, config: DatabaseConfig
) -> None:
    filled.delete_before("tape", 0, 10)
    with pytest.raises(StoreError, match=r"first 10 events of tape partition 0.*--allow-loss"):
        rebuild(filled, config).run()
    rebuild(filled, config, allow_loss=True).run()
    assert filled.verify(config).equal
