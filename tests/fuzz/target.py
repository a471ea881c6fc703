"""The seam between the runner and what is fuzzed."""

import random
from collections.abc import Sequence
from typing import Protocol

from tests.fuzz.mutation import Case, mutated


class Target(Protocol):
    """One way for bytes from outside into Tape.

    `run` returns when the case was taken or refused in order (a TapeError counts as that); whatever
    else it raises is a finding. State is kept through `block` cases and then made anew by `reset`,
    so that a finding can be made again from its block.
    """

    name: str
    block: int

    def seeds(self) -> Sequence[Case]:
        """Samples: what comes in life, or is made up like it."""

    def case(self, seeds: Sequence[Case], pick: random.Random) -> Case:
        """A case, by the random source alone."""

    def reset(self) -> None:
        """Forget all cases."""

    def run(self, case: Case) -> None:
        """Take a case."""


class Plain:
    """What most targets have in common: mutated bytes, no state."""

    block = 1
    text = True

    def case(self, seeds: Sequence[Case], pick: random.Random) -> Case:
        return mutated(pick.choice(seeds), seeds, pick, self.text)

    def reset(self) -> None:
        return
