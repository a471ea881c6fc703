"""What cannot be used is announced once, whatever restarts happen, and disturbs nothing else."""

from pathlib import Path

import pytest

from schemas import rows
from tests.conftest import Stack
from tests.streams.derived import Tape, make_tape, workers
from tests.streams.market import events


@pytest.fixture
def tape(stack: Stack, tape_name: str) -> Tape:
    return make_tape(stack, tape_name, 2)


def test_refused_bytes_are_dead_letters_once_with_their_place_and_reason(
    tape: Tape, tmp_path: Path
) -> None:
    trade = next(event for event in events(1, 100) if type(event).__name__ == "Trade")
    framed = rows.encode(trade, tape.ids.id("tape", "Trade"))
    refused = {
        0: [b"", b"\x01no frame", b"\x00\x7f\xff\xff\xffforeign id", framed[:-3]],
        1: [framed + b"more"],
    }
    tape.write(events(1, 400))
    places: dict[tuple[int, int], bytes] = {}
    for partition, values in refused.items():
        start = tape.ends()[partition]
        tape.write_bytes(partition, *values)
        places |= {(partition, start + i): value for i, value in enumerate(values)}
    tape.write(events(2, 400))
    with workers(tape, tmp_path) as started:
        # The first never comes to a snapshot: what it announced is met again by the second.
        first = started.start(interval_s=1_000)
        _until_letters(tape, len(places))
        first.kill()
        second = started.start()
        started.settle()
        second.stop()
    letters = {(letter.partition, letter.offset): letter for letter in tape.letters()}
    assert len(tape.letters()) == len(places)
    assert {place: letter.payload for place, letter in letters.items()} == places
    for letter in letters.values():
        assert (letter.source, letter.topic, letter.event_time) == ("worker", "tape", 77_000)
        assert letter.reason
    tape.assert_derived_once()


def _until_letters(tape: Tape, count: int) -> None:
    from tests.streams.derived import until

    until(lambda: len(tape.letters()) >= count, f"{count} dead letters")
