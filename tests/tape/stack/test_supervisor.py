"""Supervision, on a stack of PostgreSQL alone, which starts in a second."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from tape.stack import ports
from tape.stack.process import Identity
from tape.stack.state import ServiceState, State
from tape.stack.supervisor import end_leftovers
from tests.tape.stack.cli import NOWHERE, Cli, wait_until


@pytest.fixture
def cli(tmp_path: Path) -> Iterator[Cli]:
    cli = Cli(tmp_path / "home", NOWHERE)
    yield cli
    cli.clean_up()


def test_external_address_switches_the_local_part_off(cli: Cli) -> None:
    assert list(cli.up().services) == ["postgres"]
    status = cli.status(expect=1)
    assert status["kafka"]["where"] == "external"
    assert not status["kafka"]["answers"]
    assert status["postgres"]["where"] == "local"
    assert status["postgres"]["answers"]


def test_up_names_the_part_that_a_running_stack_lacks(cli: Cli) -> None:
    cli.up()
    cli.external = {}
    assert "runs without kafka, registry" in cli.run("up", "--no-topics", expect=1)


def test_ctrl_c_ends_it_cleanly(cli: Cli) -> None:
    process = cli.foreground()
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=30) == 0
    assert "database system is shut down" in cli.log("postgres")


def test_port_in_use_is_named_with_its_holder_and_its_setting(cli: Cli) -> None:
    with socket.create_server((ports.HOST, cli.ports[3])):
        said = cli.run("up", "--no-topics", expect=1)
    assert f"port {cli.ports[3]} (stack.postgres_port)" in said
    assert f"process {os.getpid()}" in said
    assert "TAPE_STACK__POSTGRES_PORT" in said


def test_killed_service_is_started_again(cli: Cli) -> None:
    state = cli.up()
    identity = state.services["postgres"].identity
    assert identity is not None
    os.kill(identity.pid, signal.SIGKILL)
    wait_until(lambda: cli.state().services["postgres"].restarts == 1)
    wait_until(lambda: cli.state().phase == "ready")
    with psycopg.connect(cli.state().services["postgres"].address) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)


def test_stale_pid_file_whose_pid_a_stranger_has_is_healed(cli: Cli) -> None:
    cli.up()
    cli.down()
    pid_file = cli.home / "postgres" / "data" / "postmaster.pid"
    pid_file.write_text(f"{os.getpid()}\n{pid_file.parent}\n")
    assert cli.up().phase == "ready"


def test_services_that_outlived_their_supervisor_are_ended() -> None:
    orphan = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(100)"])
    service = ServiceState(address="", port=1, identity=Identity.of(orphan.pid))
    state = State(supervisor=Identity(1, 0.0), started=0.0, services={"kafka": service})
    assert end_leftovers(state) == ["kafka"]
    assert orphan.wait(timeout=5) == -signal.SIGTERM


def test_stranger_with_the_pid_of_an_old_service_is_left_alone() -> None:
    service = ServiceState(address="", port=1, identity=Identity(os.getpid(), created=1.0))
    state = State(supervisor=Identity(1, 0.0), started=0.0, services={"kafka": service})
    assert end_leftovers(state) == []


def test_logs_prints_the_last_lines_and_says_when_there_are_none(cli: Cli) -> None:
    assert "never ran here" in cli.run("logs", expect=1)
    cli.up()
    said = cli.run("logs", "postgres", "-n", "1")
    assert said.count("\n") == 1
    assert "ready to accept connections" in said


def test_down_of_a_stack_that_does_not_run_succeeds(cli: Cli) -> None:
    assert "was not running" in cli.down()


def test_state_with_the_password_is_its_owners_alone(cli: Cli) -> None:
    cli.up()
    for name in ("stack.json", "postgres.password"):
        assert (cli.home / name).stat().st_mode & 0o077 == 0
    assert cli.state().services["postgres"].address not in cli.run("status", expect=1)
