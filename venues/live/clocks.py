"""How a venue's clock stands to ours: the best of several time requests, by their round trips."""

from collections import deque
from dataclasses import dataclass

from schemas.events import VenueClock

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
