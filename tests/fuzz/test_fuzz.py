"""The short form of the fuzzing, with a seed of its own; `make fuzz` is the long one."""

import pytest

from tests.fuzz.child import case_at, failure, minimal, run
from tests.fuzz.control_targets import ControlTarget
from tests.fuzz.mutation import Case
from tests.fuzz.target import Plain
from tests.fuzz.targets import SHARES, TARGETS

CASES = 20_000


@pytest.mark.parametrize("name", TARGETS)
def test_no_case_crashes_or_hangs(name: str) -> None:
    report = run(TARGETS[name](), 7, 0, CASES * SHARES[name] // 1_000, bytearray(8))
    assert report["findings"] == {}


def test_the_same_number_is_the_same_case() -> None:
    target = ControlTarget()
    seeds = target.seeds()
    made = [case_at(target, seeds, 1, number) for number in range(50)]
    assert made == [case_at(target, seeds, 1, number) for number in range(50)]
    assert len(set(made)) > 40


class _Planted(Plain):
    """Cannot take a letter after another was seen."""

    name, block = "planted", 8

    def __init__(self) -> None:
        self.reset()

    def seeds(self) -> list[Case]:
        return [Case(b"", b"0000")]

    def reset(self) -> None:
        self._seen = False

    def run(self, case: Case) -> None:
        if self._seen and b"X" in case.body:
            raise KeyError(case.body)
        self._seen = self._seen or b"Y" in case.body


def test_planted_fault_is_found_and_made_small() -> None:
    target = _Planted()
    cases = [Case(b"", body) for body in (b"00", b"0Y0", b"00", b"1", b"000X00")]
    results = [failure(target, case) for case in cases]
    assert [found is not None for found in results] == [False, False, False, False, True]
    place = results[-1][0] if results[-1] else ""
    assert place.startswith("KeyError in ")
    assert [case.body for case in minimal(target, cases, place)] == [b"0Y0", b"X"]
