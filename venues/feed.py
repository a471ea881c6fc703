"""Frames to events: the right parser, canonical symbols, checked sequences, counts."""

from collections import Counter
from typing import Protocol

import msgspec

from schemas.errors import VenueError
from schemas.events import (
    BookDelta,
    BookSnapshot,
    DeadLetter,
    Event,
    FeedStatus,
    Instrument,
)
from venues.binance import rest as binance_rest
from venues.binance.link import BinanceLink
from venues.frames import Frame
from venues.messages import Ignored, Parsed
from venues.symbols import Names
from venues.tracker import Tracker

PAYLOAD_LIMIT = 65_536


class Link(Protocol):
    """The reader of one connection's messages."""

    def read(self, data: bytes, receive_time: int, newest: int) -> Parsed:
        """The events of one message."""


class _Connection:
    """A connection: its reader, the newest event time on it, the instruments seen on it."""

    __slots__ = ("link", "newest", "seen")

    def __init__(self, link: Link) -> None:
        self.link = link
        self.newest = 0
        self.seen: set[tuple[str, str]] = set()


class Feed:
    """Makes events of frames, in the order in which the tape gets them.

    `counts`: events by (venue, symbol, record). `ignored`: messages by (venue, kind) that are of
    kinds not taken. `refused`: frames that could not be read; the caller takes them away.
    """

    def __init__(self) -> None:
        self.counts: Counter[tuple[str, str, str]] = Counter()
        self.ignored: Counter[tuple[str, str]] = Counter()
        self.refused: list[DeadLetter] = []
        self._names: dict[str, Names] = {}
        self._connections: dict[tuple[str, str], _Connection] = {}
        self._newest: Counter[str] = Counter()
        self._tracker = Tracker()

    def wants_snapshot(self) -> set[tuple[str, str]]:
        """(venue, symbol) of the books that are unknown until a snapshot comes."""
        return self._tracker.wants_snapshot()

    def receive(self, frame: Frame) -> list[Event]:
        """The events of a frame; none for one that is ignored (counted) or refused."""
        try:
            if frame.request:
                return self._requested(frame)
            connection = self._connections.get((frame.venue, frame.connection))
            if connection is None:
                connection = self._connect(frame)
            parsed = connection.link.read(frame.data, frame.receive_time, connection.newest)
        except (msgspec.MsgspecError, VenueError, UnicodeDecodeError) as error:
            self._refuse(frame, str(error))
            return []
        if isinstance(parsed, Ignored):
            self.ignored[frame.venue, parsed.kind] += 1
            return []
        return self._events(parsed, connection)

    def finish(self) -> list[Event]:
        """What was still held for snapshots that have not come."""
        events = self._tracker.finish()
        self._count(events)
        return events

    def _connect(self, frame: Frame) -> _Connection:
        if not frame.venue.startswith("binance"):
            raise VenueError(f"{frame.venue}: no parser for this venue's messages")
        link = BinanceLink(self._of(frame.venue))
        connection = _Connection(link)
        self._connections[frame.venue, frame.connection] = connection
        return connection

    def _of(self, venue: str) -> Names:
        names = self._names.get(venue)
        if names is None:
            names = self._names[venue] = Names(venue)
        return names

    def _events(self, parsed: list[Event], connection: _Connection) -> list[Event]:
        out: list[Event] = []
        for event in parsed:
            key = (event.venue, event.symbol)  # type: ignore[attr-defined]
            if key not in connection.seen:
                connection.seen.add(key)
                out.append(_connected(event))
            if type(event) is BookDelta:
                connection.newest = max(connection.newest, event.event_time)
                self._tracker.delta(event, out)
            elif type(event) is BookSnapshot:
                self._tracker.snapshot(event, out)
            else:
                out.append(event)
        self._count(out)
        return out

    def _requested(self, frame: Frame) -> list[Event]:
        if not frame.venue.startswith("binance"):
            raise VenueError(f"{frame.venue}: no parser for this venue's answers")
        names = self._of(frame.venue)
        newest = max(
            (c.newest for (venue, _), c in self._connections.items() if venue == frame.venue),
            default=0,
        )
        parsed = binance_rest.parse(frame.data, frame.request, names, frame.receive_time, newest)
        if isinstance(parsed, Ignored):
            self.ignored[frame.venue, parsed.kind] += 1
            return []
        out: list[Event] = []
        for event in parsed:
            if isinstance(event, BookSnapshot):
                if not self._tracker.snapshot(event, out, requested=True):
                    self.ignored[frame.venue, "depth older than the book"] += 1
                continue
            if isinstance(event, Instrument):
                names.learn(event)
            out.append(event)
        self._count(out)
        return out

    def _count(self, events: list[Event]) -> None:
        counts = self.counts
        for event in events:
            counts[event.venue, event.symbol, type(event).__name__] += 1  # type: ignore[attr-defined]

    def _refuse(self, frame: Frame, reason: str) -> None:
        self.refused.append(
            DeadLetter(
                source="feed",
                topic=frame.venue,
                partition=-1,
                offset=-1,
                event_time=frame.receive_time,
                reason=reason,
                payload=frame.data[:PAYLOAD_LIMIT],
            )
        )


def _connected(event: Event) -> FeedStatus:
    return FeedStatus(
        venue=event.venue,  # type: ignore[attr-defined]
        symbol=event.symbol,  # type: ignore[attr-defined]
        event_time=event.event_time,  # type: ignore[attr-defined]
        receive_time=event.receive_time,  # type: ignore[attr-defined]
        status="CONNECTED",
        channel="*",
        reason="first message of a connection",
    )
