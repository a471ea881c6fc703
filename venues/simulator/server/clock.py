"""The market's clock: wall time times a speed, or as fast as the market is read."""

import time
from collections.abc import Callable

MAX_SPEED = 0.0
"""A speed of nothing stands for no pace at all: as fast as consumers read."""


def wall_us() -> int:
    """Microseconds UTC of this machine's clock."""
    return time.time_ns() // 1000


class MarketClock:
    """Market time, microseconds UTC.

    Parameters
    ----------
    speed: market seconds a wall second; `MAX_SPEED`: the time of what was published last.
    wall: the wall clock, microseconds, for tests.

    """

    def __init__(self, speed: float, wall: Callable[[], int] = wall_us) -> None:
        self.speed = speed
        self._wall = wall
        self._market_us = 0
        self._wall_us = wall()
        self._paused = False

    def set(self, market_us: int) -> None:
        """It is `market_us` now, and goes on from there."""
        self._market_us, self._wall_us = market_us, self._wall()

    def reached(self, market_us: int) -> None:
        """What was published last is of this time."""
        if not self.speed:
            self._market_us = max(self._market_us, market_us)

    def now_us(self) -> int:
        """Market time now."""
        if not self.speed or self._paused:
            return self._market_us
        return self._market_us + int((self._wall() - self._wall_us) * self.speed)

    def wall_seconds(self, market_us: int) -> float:
        """How long a stretch of market time takes, wall seconds; 0 at full speed."""
        return market_us / self.speed * 1e-6 if self.speed else 0.0

    @property
    def paused(self) -> bool:
        """Whether it stands still."""
        return self._paused

    def pause(self) -> None:
        """Stand still until `resume`."""
        if not self._paused:
            self.set(self.now_us())
            self._paused = True

    def resume(self) -> None:
        """Go on from where it stood."""
        self._paused = False
        self.set(self._market_us)
