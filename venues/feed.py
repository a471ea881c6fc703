"""Frames to events: the right parser, canonical symbols, checked sequences, counts."""

from collections import Counter
from collections.abc import Callable
from typing import Any, Protocol

import msgspec

from schemas.errors import VenueError
from schemas.events import (
    BookDelta,
    BookSnapshot,
    DeadLetter,
    Event,
    FeedStatus,
    Funding,
    Instrument,
    Kline,
    MarkPrice,
    Quote,
    Trade,
)
from venues import binance, bybit, okx
from venues.frames import Frame
from venues.messages import UNREADABLE, Claims, Ignored, Parsed
from venues.news import NewsReader
from venues.sentiment import Scorer, scorer
from venues.symbols import Names
from venues.tracker import Tracker

PAYLOAD_LIMIT = 65_536
NEWS_SOURCES = ("cryptopanic", "alternative")


class Link(Protocol):
    """The reader of one connection's messages."""

    def read(self, data: bytes, receive_time: int, newest: int) -> Parsed:
        """The events of one message."""


_LINKS: dict[str, Callable[[Names, Claims], Link]] = {
    "binance": binance.BinanceLink,
    "binanceus": binance.BinanceLink,
    "bybit": bybit.BybitLink,
    "okx": okx.OkxLink,
}
_ANSWERS: dict[str, Callable[[bytes, str, Names, int, int], Parsed]] = {
    "binance": binance.parse_answer,
    "binanceus": binance.parse_answer,
    "bybit": bybit.parse_answer,
    "okx": okx.parse_answer,
}


# Events that neither a book nor a table of names depends on.
_PLAIN = frozenset((Trade, Quote, Kline, MarkPrice, Funding))
# Those that may have got their time from the newest event or the local clock.
_TIMELESS = frozenset((Quote, Kline))


class _Connection:
    """A connection: its reader, the newest event time on it, its events by instrument and type."""

    __slots__ = ("link", "newest", "seen", "venue")

    def __init__(self, link: Link, venue: str) -> None:
        self.link = link
        self.venue = venue
        self.newest = 0
        self.seen: dict[tuple[str, str], dict[type, int]] = {}


class Feed:
    """Makes events of frames, in the order in which the tape gets them.

    `ignored`: messages by (venue, kind) that are of kinds not taken. `refused`: frames that could
    not be read; the caller takes them away. `news_scorer` scores headlines; by default the lexicon.
    `keep_stale`: book events that are not newer than their book go out too; a collector, whose
    connections overlap, leaves them out.
    """

    def __init__(self, news_scorer: Scorer | None = None, keep_stale: bool = True) -> None:
        self._scorer = news_scorer or scorer()
        self._counts: Counter[tuple[str, str, str]] = Counter()
        self.ignored: Counter[tuple[str, str]] = Counter()
        self.refused: list[DeadLetter] = []
        self._names: dict[str, Names] = {}
        self._claims = Claims()
        self._connections: dict[tuple[str, str], _Connection] = {}
        self._news: dict[str, NewsReader] = {}
        self._tracker = Tracker(keep_stale)

    @property
    def counts(self) -> Counter[tuple[str, str, str]]:
        """Events given so far by (venue, symbol, record), counted up at each call."""
        found = Counter(self._counts)
        # Copies: metrics are read by a thread of their own.
        for connection in list(self._connections.values()):
            for (venue, symbol), kinds in list(connection.seen.items()):
                for kind, number in list(kinds.items()):
                    found[venue, symbol, kind.__name__] += number
        return found

    def wants_snapshot(self) -> set[tuple[str, str]]:
        """(venue, symbol) of the books that are unknown until a snapshot comes."""
        return self._tracker.wants_snapshot()

    @property
    def stale(self) -> int:
        """Book events that were not newer than their book."""
        return self._tracker.stale

    def held(self, venue: str, symbol: str) -> int:
        """How many deltas wait for a snapshot of this book."""
        return self._tracker.held(venue, symbol)

    def lose(self, status: FeedStatus) -> list[Event]:
        """A LOST that the caller knows of: the status, and the book is unknown if it is its."""
        if status.channel in ("*", "book"):
            self._tracker.lose(status)
        self._count([status])
        return [status]

    def disconnect(self, venue: str, connection: str) -> None:
        """Forget a connection that is closed; its name does not come again."""
        closed = self._connections.pop((venue, connection), None)
        if closed is not None:
            for (of, symbol), kinds in closed.seen.items():
                for kind, number in kinds.items():
                    self._counts[of, symbol, kind.__name__] += number

    def receive(self, frame: Frame) -> list[Event]:
        """The events of a frame; none for one that is ignored (counted) or refused."""
        try:
            if frame.request or frame.venue in NEWS_SOURCES:
                return self._answered(frame)
            connection = self._connections.get((frame.venue, frame.connection))
            if connection is None:
                connection = self._connect(frame)
            parsed = connection.link.read(frame.data, frame.receive_time, connection.newest)
        except (*UNREADABLE, VenueError) as error:
            self._refuse(frame, str(error))
            return []
        if type(parsed) is Ignored:
            self.ignored[frame.venue, parsed.kind] += 1
            return []
        if len(parsed) == 1:
            event: Any = parsed[0]
            kinds = connection.seen.get((event.venue, event.symbol))
            if kinds is not None and self._simple(event, kinds, connection):
                return parsed  # type: ignore[return-value]  # not Ignored here
        if not parsed:
            self.ignored[frame.venue, "empty message"] += 1
        return self._streamed(parsed, connection)  # type: ignore[arg-type]  # not Ignored here

    def finish(self) -> list[Event]:
        """What was still held for snapshots that have not come."""
        events = self._tracker.finish()
        self._count(events)
        return events

    def _connect(self, frame: Frame) -> _Connection:
        make = _LINKS.get(frame.venue.partition("-")[0])
        if make is None:
            raise VenueError(f"{frame.venue!r} is no venue that can be read (schemas/venues.py)")
        connection = _Connection(make(self._of(frame.venue), self._claims), frame.venue)
        self._connections[frame.venue, frame.connection] = connection
        return connection

    def _of(self, venue: str) -> Names:
        """A venue's names; OKX's are told apart by their form, so they are one table."""
        market = "okx" if venue.startswith("okx-") else venue
        names = self._names.get(market)
        if names is None:
            names = self._names[market] = Names(market)
        return names

    def _simple(self, event: Any, kinds: dict[type, int], connection: _Connection) -> bool:
        """Whether a message's one event goes out as it is; counts it then. The usual way."""
        kind = type(event)
        if kind is BookDelta:
            if not self._tracker.follows(event):
                return False
        elif kind not in _PLAIN:
            return False
        kinds[kind] = kinds.get(kind, 0) + 1
        if event.event_time > connection.newest and kind not in _TIMELESS:
            connection.newest = event.event_time
        return True

    def _streamed(self, parsed: list[Any], connection: _Connection) -> list[Event]:
        """Parsed events with the statuses that go before and after them."""
        out: list[Event] = []
        for event in parsed:
            kind = type(event)
            if kind is Instrument:
                self._of(event.venue).learn(event)
                out.append(event)
                continue
            key = (event.venue, event.symbol)
            if key not in connection.seen:
                connection.seen[key] = {}
                out.append(_connected(event))
            if kind is BookDelta:
                self._tracker.delta(event, out)
            elif kind is BookSnapshot:
                self._tracker.snapshot(event, out)
            else:
                if kind is FeedStatus and event.status in ("GAP", "LOST"):
                    self._tracker.lose(event)
                out.append(event)
            if event.event_time > connection.newest and kind not in _TIMELESS:
                connection.newest = event.event_time
        self._count(out)
        return out

    def _answered(self, frame: Frame) -> list[Event]:
        """The events of an answer to a request."""
        parsed = self._parse_answer(frame)
        if isinstance(parsed, Ignored):
            self.ignored[frame.venue, parsed.kind] += 1
            return []
        if not parsed:
            self.ignored[frame.venue, "empty answer"] += 1
        out: list[Event] = []
        for event in parsed:
            if isinstance(event, BookSnapshot):
                if not self._tracker.requested(event, out):
                    self.ignored[event.venue, "requested book that the stream's is ahead of"] += 1
                continue
            if isinstance(event, Instrument):
                self._of(event.venue).learn(event)
            out.append(event)
        self._count(out)
        return out

    def _parse_answer(self, frame: Frame) -> Parsed:
        venue = frame.venue
        if venue in NEWS_SOURCES:
            return self._read_news(frame)
        parse = _ANSWERS.get(venue.partition("-")[0])
        if parse is None:
            raise VenueError(f"{venue!r} is no venue that can be read (schemas/venues.py)")
        newest = self.newest(venue)
        return parse(frame.data, frame.request, self._of(venue), frame.receive_time, newest)

    def _read_news(self, frame: Frame) -> Parsed:
        reader = self._news.get(frame.venue)
        if reader is None:
            reader = self._news[frame.venue] = NewsReader(frame.venue, self._scorer)
        parsed = reader.read(frame.data, frame.receive_time)
        for reason, payload in reader.refused:
            self._refuse(msgspec.structs.replace(frame, data=payload), reason)
        reader.refused.clear()
        return parsed

    def newest(self, venue: str) -> int:
        """The newest event time seen of a venue on any connection; 0 for none."""
        times = (c.newest for c in list(self._connections.values()) if c.venue == venue)
        return max(times, default=0)

    def _count(self, events: list[Any]) -> None:
        counts = self._counts
        for event in events:
            venue, symbol = getattr(event, "venue", ""), getattr(event, "symbol", "")
            counts[venue, symbol, type(event).__name__] += 1

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


def _connected(event: Any) -> FeedStatus:
    return FeedStatus(
        venue=event.venue,
        symbol=event.symbol,
        event_time=event.event_time,
        receive_time=event.receive_time,
        status="CONNECTED",
        channel="*",
        reason="first message of a connection",
    )
