"""Kill -9 of the sink's process at any instant loses nothing and stores nothing twice."""

import json
import os
import random
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from time import sleep

from sinks.config import DatabaseConfig
from sinks.storage import Connection
from sinks.store import connect
from tests.conftest import Stack
from tests.sinks.conftest import on_plain_postgresql
from tests.sinks.tapes import Market, Tape, stored_offset, until
from tests.sinks.test_timescale import dead_letters


@contextmanager
def sink_process(
    stack: Stack, tape: Tape, config: DatabaseConfig
) -> Iterator[subprocess.Popen[bytes]]:
    environment = stack.environment | {"TAPE_DATABASE__URL": config.url.get_secret_value()}
    process = subprocess.Popen(
        [sys.executable, "-m", "tape", "--tape", tape.name, "sink"], env=environment
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            os.kill(process.pid, signal.SIGKILL)
        process.wait()


def offset(config: DatabaseConfig, tape: Tape) -> int:
    return stored_offset(config, tape.name, "tape", 0)


def test_kill_between_and_inside_transactions_is_harmless(
    stack: Stack, market_tape: Tape, config: DatabaseConfig
) -> None:
    market = Market(21)
    with sink_process(stack, market_tape, config):
        market_tape.send("tape", 0, *market.inputs(50))
        until(lambda: offset(config, market_tape) >= 50, 60)
    # Inside: the rows of `trades` are copied when it stops at `reference`, which a lock holds.
    with connect(config.url.get_secret_value()) as locker, locker.transaction():
        locker.execute(f"LOCK TABLE {market_tape.name}.reference IN EXCLUSIVE MODE")
        before = offset(config, market_tape)
        with sink_process(stack, market_tape, config) as process:
            market_tape.send("tape", 0, *market.inputs(50), b"\x00garbage")
            market_tape.send("reference", 0, *market.references(0, 30))
            until(lambda: _waits_for_lock(locker, market_tape), 60)
            assert process.poll() is None
        assert offset(config, market_tape) == before
    assert len(dead_letters(market_tape)) == 1
    with sink_process(stack, market_tape, config):
        report = market_tape.verify(config, wait_s=60)
        assert report.equal, report
    assert len(dead_letters(market_tape)) == 1


def _waits_for_lock(connection: Connection, tape: Tape) -> bool:
    row = connection.execute(
        "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = %s::regclass",
        (f"{tape.name}.reference",),
    ).fetchone()
    return row is not None and row[0] != 0


@on_plain_postgresql
def test_kills_at_random_instants_are_harmless(
    stack: Stack, market_tape: Tape, config: DatabaseConfig
) -> None:
    market, pick = Market(22), random.Random(22)
    for _ in range(2):
        with sink_process(stack, market_tape, config):
            was = offset(config, market_tape)
            market_tape.send("tape", 0, *market.inputs(300), b"junk")
            market_tape.send("reference", 0, *market.references(0, 100))
            until(lambda before=was: offset(config, market_tape) > before, 60)
            market_tape.send("tape", 0, *market.inputs(300))
            sleep(pick.random() * 0.6)
    with sink_process(stack, market_tape, config):
        report = market_tape.verify(config, wait_s=60)
        assert report.equal, report
    assert len(dead_letters(market_tape)) == 2


def tape_command(
    stack: Stack, config: DatabaseConfig, *arguments: str
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "tape", *arguments],
        env=stack.environment | {"TAPE_DATABASE__URL": config.url.get_secret_value()},
        capture_output=True,
        text=True,
        check=False,
    )


@on_plain_postgresql
def test_unknown_sink_is_refused_by_name(stack: Stack, config: DatabaseConfig) -> None:
    done = tape_command(stack, config, "sink", "oracle")
    assert done.returncode == 2
    assert "no sink 'oracle'" in done.stderr


@on_plain_postgresql
def test_commands_print_one_json_object_and_sigterm_ends_the_sink_in_order(
    stack: Stack, market_tape: Tape, config: DatabaseConfig
) -> None:
    with sink_process(stack, market_tape, config) as process:
        market_tape.send("tape", 0, *Market(24).inputs(20))
        verified = tape_command(
            stack, config, "--tape", market_tape.name, "verify", "timescale", "--json"
        )
        assert verified.returncode == 0, verified.stderr
        assert json.loads(verified.stdout)["verified"] is True
        rebuilt = tape_command(
            stack, config, "--tape", market_tape.name, "rebuild", "tape", "--json"
        )
        assert rebuilt.returncode == 0, rebuilt.stderr
        assert json.loads(rebuilt.stdout)["rows"] == json.loads(verified.stdout)["rows"]
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0
    with connect(config.url.get_secret_value()) as connection:
        connection.execute(f"DELETE FROM {market_tape.name}.trades")
    differs = tape_command(stack, config, "--tape", market_tape.name, "verify", "tape", "--json")
    assert differs.returncode == 1
    assert "is missing in the table" in differs.stderr
    assert json.loads(differs.stdout)["verified"] is False
