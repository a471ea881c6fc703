"""`tape tail` and `tape topics` on a real broker, as people and programs use them."""

import json
import subprocess
import sys

import pytest

from tests.conftest import Stack
from tests.streams.derived import Tape, make_tape
from tests.streams.market import events


@pytest.fixture
def tape(stack: Stack, tape_name: str) -> Tape:
    made = make_tape(stack, tape_name, 2)
    made.write(events(1, 50))
    made.write_bytes(1, b"\x01nothing of ours")
    return made


def run(tape: Tape, *arguments: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "tape", "--tape", tape.name, *arguments]
    return subprocess.run(
        command, env=tape.environment, capture_output=True, text=True, timeout=60, check=False
    )


def test_tail_prints_the_last_events_of_each_partition(tape: Tape) -> None:
    done = run(tape, "tail", "tape", "-n", "3", "--no-follow")
    assert done.returncode == 0
    lines = done.stdout.splitlines()
    assert len(lines) == 6
    assert sum("undecodable" in line and "no Confluent frame" in line for line in lines) == 1
    assert any("venue=" in line and "symbol=" in line for line in lines)


def test_tail_prints_json_lines_of_one_partition(tape: Tape) -> None:
    done = run(tape, "tail", "tape", "-n", "100", "--no-follow", "--json", "--partition", "0")
    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert [one["offset"] for one in found] == list(range(tape.ends()[0]))
    assert {one["partition"] for one in found} == {0}
    assert found[0]["record"] == "Configured"
    assert {"record", "key", "event"} <= found[1].keys()


def test_an_unknown_topic_or_partition_is_named(tape: Tape) -> None:
    assert "there is no topic 'bards'" in run(tape, "tail", "bards").stderr
    done = run(tape, "tail", "tape", "--partition", "7")
    assert (done.returncode, "has no partition 7" in done.stderr) == (2, True)


def test_topics_lists_every_partition_with_offsets_and_lag(tape: Tape) -> None:
    found = json.loads(run(tape, "topics", "--json", "--seconds", "0").stdout)["partitions"]
    places = {(one["topic"], one["partition"]): one for one in found}
    for partition, end in tape.ends().items():
        line = places["tape", partition]
        assert (line["start"], line["end"], line["worker_lag"]) == (0, end, None)
    assert places["bars", 0]["end"] == 0
    assert tape.name in run(tape, "topics", "--seconds", "0").stdout
