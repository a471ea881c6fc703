"""A worker works by the tape's configuration only, and switches where the tape says so."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from processors.config import BarsConfig, ProcessorsConfig
from schemas.events import Configured
from streams import topics
from tests.conftest import Stack
from tests.streams.derived import Tape, make_tape, until, workers
from tests.streams.market import events

ONLY_SECONDS = ("--set", "processors.bars.intervals=1s")


@pytest.fixture
def tape(stack: Stack, tape_name: str) -> Tape:
    return make_tape(stack, tape_name, 2)


def run(tape: Tape, *arguments: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "tape", "--tape", tape.name, *arguments]
    return subprocess.run(command, env=tape.environment, capture_output=True, text=True)


def test_a_worker_with_another_configuration_waits_until_the_tape_has_it(
    tape: Tape, tmp_path: Path
) -> None:
    tape.write(events(1, 600))
    with workers(tape, tmp_path) as started:
        worker = started.start(*ONLY_SECONDS, ready=False)
        until(lambda: "tape configure" in worker.get("/readyz")[1], "it says so", worker)
        assert worker.get("/readyz")[0] == 503
        assert 'configuration_mismatch{partition="0"} 1.0' in worker.get("/metrics")[1]
        assert not any(tape.recorded("bars", partition) for partition in range(2))
        before = json.loads(run(tape, *ONLY_SECONDS, "configure", "--show", "--json").stdout)
        assert before["written_to"] == []
        assert before["before"]["0"]["hash"] == ProcessorsConfig().hash()
        done = json.loads(run(tape, *ONLY_SECONDS, "configure", "--json").stdout)
        assert done["written_to"] == [0, 1]
        until(lambda: worker.get("/readyz")[0] == 200, "it goes on", worker)
        tape.write(events(2, 600))
        started.settle()
        worker.stop()
    again = json.loads(run(tape, *ONLY_SECONDS, "configure", "--json").stdout)
    assert again["written_to"] == []
    tape.assert_derived_once()


def test_a_running_worker_switches_where_the_tape_says_so(tape: Tape, tmp_path: Path) -> None:
    only_seconds = ProcessorsConfig(bars=BarsConfig(intervals=("1s",)))
    tape.write(events(1, 600))
    with workers(tape, tmp_path) as started:
        worker = started.start()
        started.settle()
        topics.configure(tape.kafka, tape.ids, tape.name, tape.partitions, only_seconds)
        tape.write(events(2, 600))
        started.settle()
        assert worker.get("/readyz")[0] == 200
        assert "configuration_switched" in worker.text()
        assert only_seconds.hash() in worker.text()
        worker.stop()
        # One that starts with what was in force before says that it is not now.
        old = started.start(ready=False)
        until(lambda: "tape configure" in old.get("/readyz")[1], "it says so", old)
        old.stop()
    tape.assert_derived_once()


def test_a_worker_stops_before_a_newer_version_and_says_so(tape: Tape, tmp_path: Path) -> None:
    tape.write(events(1, 300))
    for partition in range(2):
        tape.writer.write_to(
            partition,
            Configured(
                event_time=1, receive_time=1, version="999", hash="f" * 64, configuration="{}"
            ),
        )
    tape.write(events(2, 300))
    with workers(tape, tmp_path) as started:
        worker = started.start(ready=False)
        until(lambda: "version 999" in worker.get("/readyz")[1], "it says so", worker)
        worker.stop()
        assert not any(tape.recorded("books", partition) for partition in range(2))


def test_a_broker_that_is_away_is_a_clear_error(tape: Tape) -> None:
    command = [sys.executable, "-m", "tape", "--set", "kafka.bootstrap=127.0.0.1:1", "worker"]
    done = subprocess.run(command, env=tape.environment, capture_output=True, text=True)
    assert done.returncode == 1
    assert "127.0.0.1:1" in done.stderr
    assert "tape up" in done.stderr
    assert "Traceback" not in done.stderr
