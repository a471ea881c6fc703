"""Where messages come from: the market model, a second at a time, on each venue's clock."""

from collections.abc import Iterator, Mapping
from operator import attrgetter
from typing import Protocol

from venues.frames import Frame
from venues.simulator.market import Market

Batch = list[Frame]
NEWS = "cryptopanic"
SECOND_US = 1_000_000


class Source(Protocol):
    """Frames in the order in which they are to be sent, which is their receive time."""

    start_us: int
    opening_us: int
    """So much is published at once, so that every book is known from the start."""
    venues: tuple[str, ...]
    model: bool
    """It is the market model, so that it is known beforehand what is published."""

    def batches(self) -> Iterator[Batch]:
        """About a second of frames at a time, each call from the start."""


class ModelSource:
    """The market model; `offsets_us`: how far a venue's clock is ahead of the market's.

    A venue whose clock is ahead is sent earlier by as much, so its times and its REST clock agree;
    what its books do is then ahead of the other venues by as much too.
    """

    model = True

    def __init__(self, market: Market, offsets_us: Mapping[str, int]) -> None:
        self._market = market
        self._offsets = dict(offsets_us)
        self.start_us = market.start_us
        self.venues = tuple(market.venues)
        self.opening_us = SECOND_US + max([0, *(-offset for offset in self._offsets.values())])

    def batches(self) -> Iterator[Batch]:
        """A second of the model at a time."""
        seconds = self._market.seconds(books_at_once=True)
        if not any(self._offsets.values()):
            yield from seconds
            return
        ahead = max(0, *self._offsets.values())
        end = self.start_us
        pending: Batch = []
        for second in seconds:
            end += SECOND_US
            pending.extend(self._shifted(frame) for frame in second)
            pending.sort(key=_time)
            # Nothing made later is to be sent before this; lists and books are known at once.
            known = end - ahead
            ready = [frame for frame in pending if _is_early(frame) or frame.receive_time < known]
            pending = [f for f in pending if not _is_early(f) and f.receive_time >= known]
            yield ready

    def _shifted(self, frame: Frame) -> Frame:
        offset = self._offsets.get(frame.venue, 0)
        time_us = frame.receive_time - offset
        return Frame(frame.venue, frame.connection, time_us, frame.data, frame.request)


def _is_early(frame: Frame) -> bool:
    return bool(frame.request) and frame.venue != NEWS


_time = attrgetter("receive_time")
