"""Which demo's tapes are removed."""

import time

import pytest

from tape.demo import tapes


def test_a_new_demos_tape_is_not_old() -> None:
    assert not tapes.is_old(tapes.new_name())


def test_a_tape_of_two_hours_ago_is_old() -> None:
    made = time.strftime("%Y%m%d_%H%M%S", time.gmtime(time.time() - 7200))
    assert tapes.is_old(tapes.PREFIX + made)


@pytest.mark.parametrize("name", ["live", "demo_mine", "demo_", "20200101_000000"])
def test_a_tape_that_no_demo_made_is_never_removed(name: str) -> None:
    assert not tapes.is_old(name)
