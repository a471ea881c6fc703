"""How long to wait before another attempt: exponential, with full jitter."""

from collections.abc import Callable
from random import random as unit_random


class Backoff:
    """Waits of 0 to a bound that doubles from `first_s` to `most_s` with each one taken.

    Full jitter (a uniform part of the bound) keeps many clients of one venue from coming back at
    the same moment. `random` gives numbers of [0, 1).
    """

    __slots__ = ("_first_s", "_most_s", "_random", "_taken")

    def __init__(
        self, first_s: float, most_s: float, random: Callable[[], float] = unit_random
    ) -> None:
        self._first_s = min(first_s, most_s)
        self._most_s = most_s
        self._random = random
        self._taken = 0

    @property
    def bound_s(self) -> float:
        """The next wait is below this."""
        return min(self._most_s, self._first_s * 2.0**self._taken)

    def next(self) -> float:
        """Seconds to wait now; the bound doubles."""
        bound = self.bound_s
        if bound < self._most_s:
            self._taken += 1
        return self._random() * bound

    def forgive(self, lived_s: float) -> None:
        """Take one doubling back for each whole second that what was connected lived.

        A connection that is cut at once again and again so comes to wait long, one that lived for
        a while begins anew.
        """
        self._taken = max(0, self._taken - int(min(lived_s, 1e6)))
