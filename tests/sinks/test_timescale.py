"""The sink stores every event once, whatever happens to it, to the database, to the topics."""

import json
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from threading import Thread
from urllib.parse import urlsplit, urlunsplit

import httpx
import msgspec
import pytest
from psycopg import sql
from pydantic import SecretStr

from schemas import catalogue, rows
from schemas.errors import StoreError
from schemas.events import DeadLetter, Trade
from sinks.config import DatabaseConfig
from sinks.reading import TopicReader, read_until
from sinks.storage import Connection
from sinks.tables import tables
from tests.conftest import Stack
from tests.sinks.conftest import on_plain_postgresql
from tests.sinks.tapes import Market, Tape, running, stored_offset, until

GARBAGE = (b"", b"\x00", b"\x01\x00\x00\x00\x01", b"\x00\xff\xff\xff\xff" + b"x" * 9, b"{}")


def count(connection: Connection, tape: Tape, table: str) -> int:
    row = connection.execute(f"SELECT count(*) FROM {tape.name}.{table}").fetchone()
    assert row is not None
    return int(str(row[0]))


def forget(connection: Connection, tape: Tape) -> None:
    """Empty all tables, offsets too."""
    names = [table.name for table in tables()] + ["offsets", "quote_samples"]
    connection.execute(
        sql.SQL("TRUNCATE {}").format(
            sql.SQL(", ").join(sql.Identifier(tape.name, name) for name in names)
        )
    )


def dead_letters(tape: Tape) -> list[DeadLetter]:
    reader = TopicReader(tape.kafka, tape.name)
    try:
        low, high = reader.watermarks("dead_letters", 0)
        at = ("dead_letters", 0)
        found = [
            rows.decode(one.payload(i), tape.ids.writers)
            for one in read_until(reader, {at: low}, {at: high})
            for i in range(len(one))
        ]
    finally:
        reader.close()
    return [letter for letter in found if isinstance(letter, DeadLetter)]


def test_events_of_all_topics_become_rows_and_verify(
    market_tape: Tape, config: DatabaseConfig, connection: Connection
) -> None:
    market = Market(1)
    with running(market_tape, config) as watched:
        for partition in (0, 1):
            market_tape.send("tape", partition, *market.inputs(300))
            market_tape.send("reference", partition, *market.references(partition, 100))
        report = market_tape.verify(config)
    assert report.equal, report
    assert watched.rows == sum(proof.rows for proof in report.tables)
    assert count(connection, market_tape, "reference") == 200
    assert 0 < count(connection, market_tape, "quotes") < 180


@on_plain_postgresql
def test_repeats_of_derived_events_are_dropped_also_after_a_restart(
    market_tape: Tape, config: DatabaseConfig, connection: Connection
) -> None:
    found = Market(2).references(0, 50)
    market_tape.send("reference", 0, *found, *found[20:])
    with running(market_tape, config):
        until(lambda: stored_offset(config, market_tape.name, "reference", 0) == 80)
    market_tape.send("reference", 0, *found[40:])
    with running(market_tape, config):
        assert market_tape.verify(config).equal
    assert count(connection, market_tape, "reference") == 50


def test_sampling_goes_on_after_a_restart_as_if_there_had_been_none(
    market_tape: Tape, config: DatabaseConfig, connection: Connection
) -> None:
    market = Market(3)
    for step in range(1, 4):
        market_tape.send("tape", 1, *market.inputs(40))
        with running(market_tape, config):
            until(lambda n=step: stored_offset(config, market_tape.name, "tape", 1) >= 40 * n)
    assert market_tape.verify(config).equal
    assert count(connection, market_tape, "quotes") > 3


@on_plain_postgresql
def test_records_that_cannot_be_stored_become_dead_letters_once(
    market_tape: Tape, config: DatabaseConfig, connection: Connection
) -> None:
    market = Market(4)
    trade = next(event for event in market.inputs(20) if isinstance(event, Trade))
    nul = msgspec.structs.replace(trade, trade_id="a\0b")
    market_tape.send("tape", 1, *market.inputs(5), *GARBAGE, *market.inputs(5), nul)
    market_tape.send("bars", 0, b"\x00junk")
    with running(market_tape, config) as watched:
        assert market_tape.verify(config).equal
    assert watched.refusals == len(GARBAGE) + 2
    letters = dead_letters(market_tape)
    encoded = rows.encode(nul, market_tape.ids.id("tape", "Trade"))
    assert sorted((one.topic, one.partition, one.payload) for one in letters) == sorted(
        [*(("tape", 1, data) for data in (*GARBAGE, encoded)), ("bars", 0, b"\x00junk")]
    )
    assert {one.source for one in letters} == {"sink"}
    assert all(one.reason for one in letters)
    (reason,) = (one.reason for one in letters if one.payload == encoded)
    assert reason.startswith("trade_id: text with a NUL")
    # As if it had died between writing the letters and storing the offsets.
    forget(connection, market_tape)
    with running(market_tape, config) as watched:
        assert market_tape.verify(config).equal
    assert watched.refusals == 0
    assert len(dead_letters(market_tape)) == len(letters)


@on_plain_postgresql
def test_records_under_a_schema_registered_later_are_stored(
    stack: Stack, market_tape: Tape, config: DatabaseConfig, connection: Connection
) -> None:
    trade = next(event for event in Market(5).inputs(20) if isinstance(event, Trade))
    frame = rows.encode(trade, market_tape.ids.id("tape", "Trade"))
    older = catalogue.schema("Trade") | {
        "fields": [f for f in catalogue.schema("Trade")["fields"] if f["name"] != "backfilled"]
    }
    with running(market_tape, config) as watched:
        until(lambda: watched.starts)
        answer = httpx.post(
            f"{stack.registry_url}/subjects/{market_tape.name}-later/versions",
            json={"schema": json.dumps(older), "schemaType": "AVRO"},
        )
        header = b"\0" + int(answer.json()["id"]).to_bytes(4, "big")
        market_tape.send("tape", 0, header + frame[5:-1])
        assert market_tape.verify(config).equal
    assert watched.refusals == 0
    assert count(connection, market_tape, "trades") == 1


@on_plain_postgresql
def test_second_sink_stands_by_and_takes_over(market_tape: Tape, config: DatabaseConfig) -> None:
    market = Market(6)
    with running(market_tape, config, "reference") as first:
        market_tape.send("reference", 0, *market.references(0, 10))
        until(lambda: first.rows == 10)
        with running(market_tape, config, "reference") as second:
            until(lambda: second.waits)
            assert "another sink writes" in second.waits[0]
    with running(market_tape, config, "reference") as third:
        market_tape.send("reference", 0, *market.references(0, 5))
        until(lambda: third.rows == 5)


@on_plain_postgresql
def test_records_that_the_broker_deleted_before_they_were_read_are_named(
    market_tape: Tape, config: DatabaseConfig
) -> None:
    market = Market(7)
    market_tape.send("tape", 1, *market.inputs(100))
    market_tape.delete_before("tape", 1, 30)
    with running(market_tape, config) as watched:
        assert market_tape.verify(config).equal
    assert watched.starts[0][("tape", 1)] == (0, 30)


@on_plain_postgresql
def test_rows_older_than_the_topic_do_not_disturb_the_proof(
    market_tape: Tape, config: DatabaseConfig, connection: Connection
) -> None:
    market = Market(8)
    market_tape.send("tape", 1, *market.inputs(200))
    market_tape.send("reference", 0, *market.references(0, 60))
    with running(market_tape, config):
        assert market_tape.verify(config).equal
    before = count(connection, market_tape, "trades")
    market_tape.delete_before("tape", 1, 100)
    market_tape.delete_before("reference", 0, 20)
    report = market_tape.verify(config)
    assert report.equal, report
    assert 0 < {proof.table: proof.rows for proof in report.tables}["trades"] < before


@on_plain_postgresql
def test_database_ahead_of_the_topic_is_an_error_with_advice(
    market_tape: Tape, config: DatabaseConfig, connection: Connection
) -> None:
    with running(market_tape, config):
        until(lambda: stored_offset(config, market_tape.name, "bars", 0) == 0)
    connection.execute(
        f"UPDATE {market_tape.name}.offsets SET next_offset = 7 WHERE topic = 'bars'"
    )
    with pytest.raises(StoreError, match="made anew"), running(market_tape, config) as watched:
        until(lambda: watched.failures)


class Wire:
    """A TCP way to the database that can be cut and mended."""

    def __init__(self, host: str, port: int) -> None:
        self._target = (host, port)
        self._open: list[socket.socket] = []
        self._listener: socket.socket | None = None
        self.port = 0
        self.mend()

    def mend(self) -> None:
        listener = socket.create_server(("127.0.0.1", self.port))
        self._listener, self.port = listener, listener.getsockname()[1]
        Thread(target=self._accept, args=(listener,), daemon=True).start()

    def cut(self) -> None:
        assert self._listener is not None
        for one in (self._listener, *self._open):
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()
        self._open = []

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                near, _ = listener.accept()
            except OSError:
                return
            far = socket.create_connection(self._target)
            self._open += [near, far]
            for source, sink in ((near, far), (far, near)):
                Thread(target=self._carry, args=(source, sink), daemon=True).start()

    @staticmethod
    def _carry(source: socket.socket, sink: socket.socket) -> None:
        try:
            while data := source.recv(65_536):
                sink.sendall(data)
        except OSError:
            pass
        for one in (source, sink):
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)


@contextmanager
def wire(config: DatabaseConfig) -> Iterator[tuple[Wire, DatabaseConfig]]:
    parts = urlsplit(config.url.get_secret_value())
    made = Wire(parts.hostname or "", parts.port or 5432)
    user = parts.netloc.rpartition("@")[0]
    url = urlunsplit(parts._replace(netloc=f"{user}@127.0.0.1:{made.port}"))
    try:
        yield made, config.model_copy(update={"url": SecretStr(url)})
    finally:
        made.cut()


@on_plain_postgresql
def test_sink_waits_for_a_database_that_is_away_and_goes_on(
    market_tape: Tape, config: DatabaseConfig
) -> None:
    market = Market(9)
    with wire(config) as (cable, wired):
        cable.cut()
        with running(market_tape, wired) as watched:
            until(lambda: watched.waits)
            cable.mend()
            market_tape.send("tape", 0, *market.inputs(50))
            until(lambda: stored_offset(config, market_tape.name, "tape", 0) >= 50)
            cable.cut()
            market_tape.send("tape", 0, *market.inputs(50))
            market_tape.send("reference", 0, *market.references(0, 50))
            until(lambda: len(watched.waits) > 1)
            cable.mend()
            assert market_tape.verify(config).equal
    assert "database could not be reached" in watched.waits[0]
