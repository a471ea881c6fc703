"""A registry that is away at start is a clear error; one that goes away later stops nothing."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from schemas import rows
from schemas.errors import StoreError
from schemas.registry import Registry
from streams import log
from streams.decoding import BatchDecoder
from streams.producer import TapeWriter
from tests.conftest import Stack
from tests.interop.door import Door
from tests.streams.derived import Tape, make_tape, workers
from tests.streams.market import events

NOWHERE = "http://127.0.0.1:1/apis/ccompat/v7"


@pytest.fixture
def tape(stack: Stack, tape_name: str) -> Tape:
    return make_tape(stack, tape_name, 1)


def test_away_at_start_names_the_address_and_tape_up(tape_name: str) -> None:
    registry = Registry(NOWHERE)
    for ask in (registry.ids, registry.register_missing):
        with pytest.raises(StoreError, match=rf"registry at {NOWHERE} does not answer.*`tape up`"):
            ask(tape_name)


@pytest.mark.parametrize("command", [["worker"], ["tail", "bars"]])
def test_commands_end_with_that_one_line(tape: Tape, command: list[str]) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tape", "--tape", tape.name, *command],
        env={**tape.environment, "TAPE_REGISTRY__URL": NOWHERE},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1, done.stdout + done.stderr
    assert f"tape: the schema registry at {NOWHERE} does not answer" in done.stderr
    assert "`tape up`" in done.stderr
    assert "Traceback" not in done.stderr


def test_gone_later_writers_and_readers_go_on_with_the_ids_that_they_have(
    stack: Stack, tape: Tape
) -> None:
    with Door(stack.registry_url) as door:
        ids = Registry(door.url).ids(tape.name)
        assert door.passed
    with pytest.raises(StoreError, match="does not answer"):
        ids.fetch(1 << 30)
    writer = TapeWriter(tape.kafka, ids, tape.name, tape.partitions)
    written = list(events(5, 500))
    for event in written:
        writer.write(event)
    writer.flush()
    decoder = BatchDecoder("tape", ids)
    values, decoded, refused = [], 0, []
    for records in log.read(tape.kafka, tape.name, "tape", 0, 1, None):
        batch = decoder.decode(0, records)
        decoded += len(batch)
        refused += batch.refused
        values += [records.value(index) for index in range(len(records))]
    assert (decoded, refused) == (500, [])
    assert [rows.decode(value, ids.writers) for value in values] == written


def test_gone_later_a_worker_goes_on(stack: Stack, tape: Tape, tmp_path: Path) -> None:
    with Door(stack.registry_url) as door:
        environment = {**tape.environment, "TAPE_REGISTRY__URL": door.url}
        with workers(replace(tape, environment=environment), tmp_path) as started:
            worker = started.start()
            assert door.passed
            door.shut()
            tape.write(events(6, 1_000))
            started.settle()
            assert worker.get("/healthz")[0] == 200
            worker.stop()
    tape.assert_derived_once()
