"""A worker derives a tape exactly once: kill it at any instant, nothing is lost or doubled."""

import random
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from schemas.events import Event
from tests.conftest import Stack
from tests.streams.derived import Tape, Worker, make_tape, until, workers
from tests.streams.market import events

KILLS = 3


@pytest.fixture
def tape(stack: Stack, tape_name: str) -> Tape:
    return make_tape(stack, tape_name, 3)


@contextmanager
def feeding(tape: Tape, source: Iterator[Event], a_second: int) -> Iterator[None]:
    """Writes events at a rate while the block runs."""
    over = threading.Event()

    def feed() -> None:
        while not over.wait(0.05):
            tape.write([event for event, _ in zip(source, range(a_second // 20), strict=False)])

    thread = threading.Thread(target=feed)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def test_the_derived_topics_are_what_a_pipeline_makes_of_the_tape(
    tape: Tape, tmp_path: Path
) -> None:
    tape.write(events(1, 3_000))
    with workers(tape, tmp_path) as started:
        worker = started.start()
        tape.write(events(2, 1_000))
        started.settle()
        _, metrics = worker.get("/metrics")
        assert 'tape_events_in_total{record="Trade",topic="tape"}' in metrics
        assert 'tape_latency_seconds_count{topic="bars"}' in metrics
        assert 'tape_lag_events{partition="0",topic="tape"} 0.0' in metrics
        worker.stop()
    tape.assert_derived_once()


def test_killed_at_any_instant_nothing_is_lost_and_nothing_is_there_twice(
    tape: Tape, tmp_path: Path
) -> None:
    pick = random.Random(7)
    with workers(tape, tmp_path) as started, feeding(tape, events(3, 10**9), 1_000):
        for _ in range(KILLS):
            worker = started.start(interval_s=0.2)
            time.sleep(pick.uniform(0.0, 2.0))
            worker.kill()
    with workers(tape, tmp_path) as started:
        last = started.start(interval_s=0.2)
        started.settle()
        last.stop()
    tape.assert_derived_once()


def test_workers_share_the_partitions_whoever_comes_and_goes(tape: Tape, tmp_path: Path) -> None:
    with workers(tape, tmp_path) as started:
        with feeding(tape, events(4, 10**9), 1_000):
            first, second = started.start(), started.start()
            until(lambda: {_owned(first), _owned(second)} == {1, 2}, "both own some", first, second)
            first.kill()
            until(lambda: _owned(second) == 3, "one owns all", second)
            third = started.start()
            until(lambda: {_owned(second), _owned(third)} == {1, 2}, "both own some", second, third)
            # One that hangs longer than its session and then goes on must not disturb.
            second.signal(signal.SIGSTOP)
            until(lambda: _owned(third) == 3, "one owns all", third)
            second.signal(signal.SIGCONT)
            until(lambda: {_owned(second), _owned(third)} == {1, 2}, "both own some", second, third)
        started.settle()
        second.stop()
        third.stop()
    tape.assert_derived_once()


def _owned(worker: Worker) -> int:
    for line in worker.get("/metrics")[1].splitlines():
        if line.startswith("tape_assigned_partitions "):
            return int(float(line.split()[1]))
    return 0
