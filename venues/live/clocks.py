"""How a venue's clock stands to ours: the best of several time requests, by their round trips."""

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from schemas.errors import VenueError
from schemas.events import Event, VenueClock
from streams.logs import logger

log = logger("venues.clocks")

# The estimate rests on the best of so many samples.
SAMPLES = 5
# A time in whole milliseconds is of half a millisecond earlier, on average.
_HALF_MS_US = 500


@dataclass(frozen=True, slots=True)
class Sample:
    """One request's offset: the venue's clock minus ours, right to within `uncertainty_us`."""

    offset_us: int
    uncertainty_us: int

    def agrees(self, other: "Sample") -> bool:
        """Whether both can be true."""
        return abs(self.offset_us - other.offset_us) <= self.uncertainty_us + other.uncertainty_us


def sample(sent_us: int, received_us: int, venue_us: int) -> Sample:
    """The offset by one request: the venue read its clock between `sent_us` and `received_us`."""
    rounding = _HALF_MS_US if venue_us % 1000 == 0 else 0
    middle = (sent_us + received_us) // 2
    return Sample(venue_us + rounding - middle, max(received_us - sent_us, 0) // 2 + rounding)


class ClockEstimate:
    """One venue's clock by its last samples; the one with the smallest round trip counts.

    A sample that cannot be true beside the estimate says that a clock was set: those before it
    are forgotten.
    """

    def __init__(self, venue: str) -> None:
        self.venue = venue
        self._samples: deque[Sample] = deque(maxlen=SAMPLES)

    @property
    def best(self) -> Sample | None:
        """The estimate; None before the first sample."""
        return min(self._samples, key=lambda each: each.uncertainty_us, default=None)

    def add(self, new: Sample) -> bool:
        """Take a sample; whether it says that a clock was set."""
        best = self.best
        was_set = best is not None and not best.agrees(new)
        if was_set:
            self._samples.clear()
        self._samples.append(new)
        return was_set

    def event(self, now_us: int) -> VenueClock | None:
        """The estimate as an event; None before the first sample."""
        best = self.best
        if best is None:
            return None
        return VenueClock(
            venue=self.venue,
            event_time=now_us,
            receive_time=now_us,
            offset_us=best.offset_us,
            uncertainty_us=best.uncertainty_us,
            samples=len(self._samples),
        )


async def keep(
    clock: ClockEstimate,
    ask: Callable[[], Awaitable[int]],
    tell: Callable[[Event], None],
    every_s: float,
) -> None:
    """Compare clocks until cancelled: a few times at once, then spread over each `every_s`.

    `ask` gives the venue's time, microseconds UTC, or raises VenueError. The estimate is told
    each `every_s`, and at once when a clock was set.
    """
    for _ in range(SAMPLES - 1):
        await _compare(clock, ask)
    told_at = float("-inf")
    while True:
        was_set = await _compare(clock, ask)
        event = clock.event(_now_us())
        if event is not None and (was_set or time.monotonic() - told_at >= 0.99 * every_s):
            tell(event)
            told_at = time.monotonic()
        await asyncio.sleep(every_s / SAMPLES)


async def _compare(clock: ClockEstimate, ask: Callable[[], Awaitable[int]]) -> bool:
    sent_us = _now_us()
    try:
        venue_us = await ask()
    except VenueError as error:
        log.warning("clock_not_read", venue=clock.venue, error=str(error))
        return False
    new = sample(sent_us, _now_us(), venue_us)
    was_set = clock.add(new)
    if was_set:
        log.warning("venue_clock_set", venue=clock.venue, offset_us=new.offset_us)
    return was_set


def _now_us() -> int:
    return time.time_ns() // 1000
