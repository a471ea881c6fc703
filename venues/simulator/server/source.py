"""Where messages come from: the market model, a second at a time, on each venue's clock."""

from collections.abc import Iterator, Mapping
from operator import attrgetter
from typing import Protocol

from venues.frames import Frame
from venues.simulator.market import Market

Batch = list[Frame]


class Source(Protocol):
    """Frames in the order in which they are to be sent, which is their receive time."""

    start_us: int
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

    def batches(self) -> Iterator[Batch]:
        """A second of the model at a time."""
        if not any(self._offsets.values()):
            yield from self._market.seconds(books_at_once=True)
            return
        ahead = max(0, *self._offsets.values())
        end = self.start_us
        pending: Batch = []
        for second in self._market.seconds(books_at_once=True):
            end += 1_000_000
            pending.extend(self._shifted(frame) for frame in second)
            pending.sort(key=_time)
            ready = [frame for frame in pending if frame.receive_time < end - ahead]
            pending = pending[len(ready) :]
            if ready:
                yield ready

    def _shifted(self, frame: Frame) -> Frame:
        offset = self._offsets.get(frame.venue, 0)
        time_us = frame.receive_time - offset
        return Frame(frame.venue, frame.connection, time_us, frame.data, frame.request)


_time = attrgetter("receive_time")
