"""A rebuild beside a sink that writes and dashboards that read: none of them notices."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from threading import Event as Flag
from threading import Thread
from time import monotonic, sleep

import psycopg
import pytest
from psycopg import sql

from schemas import events
from schemas.errors import StoreError
from sinks.config import DatabaseConfig
from sinks.rebuild import Rebuild
from sinks.storage import Connection
from sinks.store import connect
from sinks.tables import topics
from tests.conftest import Stack
from tests.sinks.conftest import on_plain_postgresql
from tests.sinks.tapes import BEGIN_US, Market, Tape, running, stored_offset, until

# The tape's first record is its Configured event; the rest of partition 0 are trades.
_OTHERS = 1


def trades(first: int, count: int) -> list[events.Event]:
    return [
        events.Trade(
            venue="binance-spot", symbol="BTC-USDT", event_time=BEGIN_US + number * 1_000,
            receive_time=BEGIN_US + number * 1_000 + 10, trade_id=str(number), price=1.5,
            quantity=2.0, aggressor_side="BUY", kind="MARKET", count=1,
        )
        for number in range(first, first + count)
    ]  # fmt: skip


def rebuild(tape: Tape, config: DatabaseConfig, *of: str, patience_s: float = 30.0) -> Rebuild:
    url = config.url.get_secret_value()
    return Rebuild(
        tape.kafka, tape.registry, config, url, tape.name, of or topics(), patience_s=patience_s
    )


@pytest.fixture
def filled(market_tape: Tape, config: DatabaseConfig) -> Tape:
    """A tape of trades and reference prices whose tables are up to date."""
    market_tape.send("tape", 0, *trades(0, 400))
    market_tape.send("reference", 0, *Market(31).references(0, 50))
    with running(market_tape, config) as watched:
        until(lambda: watched.events == 452)  # with the two Configured events
    return market_tape


class Readers:
    """Connections that ask again and again; what they saw that they should not have."""

    def __init__(self, url: str, tape: str) -> None:
        self._url, self._tape, self._stop = url, tape, Flag()
        self.queries = 0
        self.slowest_s = 0.0
        self.wrong: list[str] = []
        self._seen = dict.fromkeys(("trades", "reference"), 0)

    @contextmanager
    def run(self) -> Iterator["Readers"]:
        looks: list[Callable[[Connection], None]] = [
            self._grafana, self._prepared, self._repeatable, self._two_tables,
        ]  # fmt: skip
        threads = [Thread(target=self._loop, args=(look,)) for look in looks]
        for thread in threads:
            thread.start()
        try:
            yield self
        finally:
            self._stop.set()
            for thread in threads:
                thread.join()

    def _loop(self, look: Callable[[Connection], None]) -> None:
        try:
            with connect(self._url) as connection:
                while not self._stop.is_set():
                    look(connection)
                    sleep(0.005)
        except psycopg.Error as error:
            self.wrong.append(f"{look.__name__}: {error}")

    def _ask(self, connection: Connection, text: str, prepare: bool = False) -> int:
        began = monotonic()
        row = connection.execute(text.format(self._tape), prepare=prepare).fetchone()
        self.slowest_s = max(self.slowest_s, monotonic() - began)
        self.queries += 1
        return int(str((row or (0,))[0]))

    def _count(self, connection: Connection, table: str, prepare: bool = False) -> int:
        return self._ask(connection, f"SELECT count(*) FROM {{0}}.{table}", prepare)

    def _at_least(self, what: str, seen: int, least: int) -> None:
        if seen < least:
            self.wrong.append(f"{what} saw {seen} rows, after {least}")

    def _grafana(self, connection: Connection) -> None:
        for table in ("trades", "reference"):
            was = self._seen[table]
            self._seen[table] = self._count(connection, table)
            self._at_least(f"a query of {table}", self._seen[table], was)
        last = "SELECT count(*) FROM (SELECT DISTINCT ON (venue, symbol) price FROM {0}.trades"
        last += " ORDER BY venue, symbol, event_time DESC) t"
        self._at_least("last prices", self._ask(connection, last), 1)

    def _prepared(self, connection: Connection) -> None:
        self._at_least("a prepared query", self._count(connection, "trades", True), 400)
        self._at_least("a prepared query", self._count(connection, "reference", True), 50)

    def _repeatable(self, connection: Connection) -> None:
        """All that one snapshot shows must fit together, whenever the tables are looked at."""
        with connection.transaction():
            connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            offset = "SELECT next_offset FROM {0}.offsets WHERE topic = 'tape' AND partition = 0"
            expected = self._ask(connection, offset) - _OTHERS
            sleep(0.05)
            found = self._ask(
                connection, "SELECT count(*) FROM {0}.trades WHERE tape_partition = 0"
            )
            if found != expected:
                self.wrong.append(f"a snapshot of {expected} trades showed {found}")

    def _two_tables(self, connection: Connection) -> None:
        """Holds one table's lock while it asks for the other's, in both orders."""
        for order in (("trades", "reference"), ("reference", "trades")):
            with connection.transaction():
                for table in order:
                    self._at_least(f"two tables, {table}", self._count(connection, table), 50)
                    sleep(0.02)


@contextmanager
def fed(tape: Tape) -> Iterator[None]:
    """New trades come while the block runs."""
    stop = Flag()

    def feed() -> None:
        number = 400
        while not stop.is_set():
            tape.send("tape", 0, *trades(number, 20))
            number += 20
            sleep(0.02)

    thread = Thread(target=feed)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


@pytest.mark.slow
def test_no_query_fails_or_sees_less_while_tables_are_rebuilt_and_swapped(
    filled: Tape, config: DatabaseConfig
) -> None:
    readers = Readers(config.url.get_secret_value(), filled.name)
    with running(filled, config) as watched, fed(filled):
        with readers.run():
            for _ in range(2):
                was = watched.rows
                rebuild(filled, config).run()
                until(lambda was=was: watched.rows > was)
        assert readers.wrong == []
        assert readers.queries > 100
    with running(filled, config):
        assert filled.verify(config).equal


def live_table(connection: Connection, tape: Tape) -> object:
    row = connection.execute("SELECT %s::regclass::oid", (f"{tape.name}.trades",)).fetchone()
    return row and row[0]


def rebuilt_offset(connection: Connection, tape: Tape) -> int:
    name = f'"{tape.name}$rebuild".offsets'
    there = connection.execute("SELECT to_regclass(%s)", (name,)).fetchone()
    if there is None or there[0] is None:
        return 0
    row = connection.execute(
        f"SELECT coalesce(max(next_offset), 0) FROM {name} WHERE topic = 'tape' AND partition = 0"
    ).fetchone()
    return int(str((row or (0,))[0]))


@on_plain_postgresql
def test_a_rebuild_that_was_killed_goes_on_where_it_was(
    stack: Stack, market_tape: Tape, config: DatabaseConfig, connection: Connection
) -> None:
    count = 45_000
    market_tape.send("tape", 0, *trades(0, count))
    with running(market_tape, config, "tape"):
        until(lambda: stored_offset(config, market_tape.name, "tape", 0) == count + _OTHERS, 60)
    was = live_table(connection, market_tape)
    command = [sys.executable, "-m", "tape", "--tape", market_tape.name, "rebuild", "tape"]
    process = subprocess.Popen(command, env=stack.environment)
    try:
        until(lambda: rebuilt_offset(connection, market_tape) > 0, 60)
        os.kill(process.pid, signal.SIGKILL)
    finally:
        process.kill()
        process.wait()
    done = rebuilt_offset(connection, market_tape)
    assert 0 < done < count
    assert live_table(connection, market_tape) == was
    assert market_tape.verify(config, "tape").equal
    rebuilt = rebuild(market_tape, config, "tape").run()
    assert rebuilt.resumed >= done
    assert rebuilt.resumed + rebuilt.events == count + 2 * _OTHERS
    assert live_table(connection, market_tape) != was
    assert market_tape.verify(config, "tape").equal


@on_plain_postgresql
def test_a_reader_that_does_not_end_keeps_the_tables_and_holds_up_nobody(
    filled: Tape, config: DatabaseConfig, connection: Connection, database_url: str
) -> None:
    was = live_table(connection, filled)
    with connect(database_url) as reader, reader.transaction():
        reader.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        reader.execute(f"SELECT count(*) FROM {filled.name}.trades")
        began = monotonic()
        with pytest.raises(StoreError, match=r"readers kept .* (open since before|lock timeout)"):
            rebuild(filled, config, patience_s=1.0).run()
        assert monotonic() - began < 20
        assert live_table(connection, filled) == was
        connection.execute(f"SELECT count(*) FROM {filled.name}.trades")
    rebuilt = rebuild(filled, config).run()
    assert (rebuilt.events, rebuilt.rows) == (0, 0)
    assert rebuilt.resumed == 452
    assert live_table(connection, filled) != was
    with running(filled, config):
        assert filled.verify(config).equal


@on_plain_postgresql
def test_an_idle_transaction_with_a_lock_is_waited_for_without_holding_up_readers(
    filled: Tape, config: DatabaseConfig, connection: Connection, database_url: str
) -> None:
    was = live_table(connection, filled)
    slowest = 0.0
    with connect(database_url) as reader:
        with reader.transaction():
            reader.execute(f"SELECT count(*) FROM {filled.name}.trades")
            thread = Thread(target=rebuild(filled, config).run)
            thread.start()
            until(lambda: rebuilt_offset(connection, filled) > 400)
            for _ in range(20):
                began = monotonic()
                connection.execute(f"SELECT count(*) FROM {filled.name}.reference")
                connection.execute(f"SELECT count(*) FROM {filled.name}.trades")
                slowest = max(slowest, monotonic() - began)
                sleep(0.05)
            assert live_table(connection, filled) == was
        thread.join(30)
    assert live_table(connection, filled) != was
    # Each try holds the locks for less than PostgreSQL waits for a deadlock, 1 s.
    assert slowest < 2.0


@on_plain_postgresql
def test_a_long_statement_that_reads_other_tables_is_not_waited_for(
    filled: Tape, config: DatabaseConfig, database_url: str
) -> None:
    with connect(database_url) as reader:

        def long() -> None:
            with suppress(psycopg.errors.QueryCanceled):
                reader.execute("SELECT pg_sleep(60)")

        thread = Thread(target=long)
        thread.start()
        rebuild(filled, config, "reference").run()
        assert thread.is_alive()
        reader.cancel_safe()
        thread.join()


@on_plain_postgresql
def test_other_tables_than_today_s_and_another_topic_are_not_gone_on_with(
    filled: Tape, config: DatabaseConfig, connection: Connection, database_url: str
) -> None:
    def begun() -> None:
        with connect(database_url) as reader, reader.transaction():
            reader.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            reader.execute(f"SELECT count(*) FROM {filled.name}.trades")
            with pytest.raises(StoreError, match="readers kept"):
                rebuild(filled, config, "tape", patience_s=0.1).run()

    begun()
    wider = config.model_copy(update={"chunk_interval_hours": 48})
    assert rebuild(filled, wider, "tape").run().resumed == 0
    begun()
    connection.execute(f"UPDATE \"{filled.name}$rebuild\".offsets SET topic_id = 'another'")
    assert rebuild(filled, config, "tape").run().resumed == 0
    begun()
    plan = rebuild(filled, config, "tape")
    afresh = Rebuild(
        plan.kafka, plan.registry, plan.config, plan.url, plan.tape, plan.topics, afresh=True
    )
    assert afresh.run().resumed == 0
    assert filled.verify(config, "tape").equal


@on_plain_postgresql
def test_rights_of_readers_outlast_a_rebuild_and_views_stop_it(
    filled: Tape, config: DatabaseConfig, connection: Connection
) -> None:
    role = sql.Identifier(f"v_{filled.name}")
    connection.execute(sql.SQL("CREATE ROLE {}").format(role))
    try:
        connection.execute(
            sql.SQL("GRANT SELECT ON {} TO {}").format(sql.Identifier(filled.name, "trades"), role)
        )
        connection.execute(
            f"CREATE VIEW {filled.name}.mine AS SELECT price FROM {filled.name}.trades"
        )
        with pytest.raises(StoreError, match=r"views show tables.*mine; drop them"):
            rebuild(filled, config, "tape").run()
        connection.execute(f"DROP VIEW {filled.name}.mine")
        rebuild(filled, config, "tape").run()
        found = connection.execute(
            "SELECT has_table_privilege(%s, %s, 'SELECT')",
            (f"v_{filled.name}", f"{filled.name}.trades"),
        ).fetchone()
        assert found == (True,)
    finally:
        connection.execute(sql.SQL("DROP OWNED BY {}").format(role))
        connection.execute(sql.SQL("DROP ROLE {}").format(role))
