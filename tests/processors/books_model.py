"""The stage `books` once more, in plain Python: what it must equal."""

import math
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from processors.config import ProcessorsConfig
from schemas.events import (
    Book,
    BookDelta,
    BookSnapshot,
    Clock,
    Event,
    FeedStatus,
    Origin,
    Quote,
)
from tests.processors.seen_model import Key


def by_bytes(key: Key) -> tuple[bytes, bytes]:
    """Keys sort by the bytes of symbol, then venue."""
    return key[0].encode(), key[1].encode()


@dataclass
class _Book:
    live: bool = False
    has_snapshot: bool = False
    sequence: int = -1
    bids: dict[float, float] = field(default_factory=dict)
    asks: dict[float, float] = field(default_factory=dict)
    pending: bool = False
    emitted: int | None = None
    top: tuple[float, float] = (math.nan, math.nan)
    top_time: int = 0

    def apply(
        self, bids: Sequence[tuple[float, float]], asks: Sequence[tuple[float, float]]
    ) -> None:
        for side, levels in ((self.bids, bids), (self.asks, asks)):
            for price, quantity in levels:
                if quantity > 0:
                    side[price] = quantity
                else:
                    side.pop(price, None)

    def suspend(self) -> None:
        self.live, self.top = False, (math.nan, math.nan)


class BooksModel:
    """Books, and the tops of book that they give."""

    def __init__(self, config: ProcessorsConfig) -> None:
        self._config = config.books
        self._restart_us = 1000 * config.seen.restart_ms
        self.books: defaultdict[Key, _Book] = defaultdict(_Book)
        self.stale = False
        """Whether the last event was one that its book was past: it has no effect."""

    def emit(self, origin: Origin, event: Event) -> Iterator[Book]:
        self.stale = False
        if isinstance(event, Clock):
            seq = 0
            for key in sorted(self.books, key=by_bytes):
                if self._due(self.books[key], event.event_time):
                    yield self._row(origin, seq, key, event)
                    seq += 1
        elif isinstance(event, BookSnapshot | BookDelta | FeedStatus | Quote):
            key = event.symbol, event.venue
            book = self.books[key]
            was_live = book.live
            self._advance(book, event)
            if book.live != was_live or (
                not isinstance(event, Quote) and self._due(book, event.event_time)
            ):
                yield self._row(origin, 0, key, event)

    def _advance(self, book: _Book, event: Event) -> None:
        if isinstance(event, Quote):
            if not book.has_snapshot:
                book.top, book.top_time = (event.bid_price, event.ask_price), event.event_time
        elif isinstance(event, FeedStatus):
            if event.status in {"GAP", "LOST"}:
                if event.channel in {"book", "*"} and book.live:
                    book.suspend()
                if event.channel in {"quotes", "*"} and not book.has_snapshot:
                    book.top = (math.nan, math.nan)
        elif isinstance(event, BookSnapshot | BookDelta):
            self._follow(book, event)

    def _follow(self, book: _Book, event: BookSnapshot | BookDelta) -> None:
        if isinstance(event, BookSnapshot):
            if (
                book.live
                and 1 < event.sequence <= book.sequence
                and event.event_time < book.top_time + self._restart_us
            ):
                self.stale = True
                return
            book.live, book.has_snapshot, book.sequence = True, True, event.sequence
            book.bids, book.asks = {}, {}
            book.apply(event.bids[::-1], event.asks[::-1])
        else:
            previous, known, was_live = event.previous_sequence, book.sequence, book.live
            if not book.has_snapshot:
                return
            if previous == -1:
                if not book.live:
                    return
            elif previous != known:
                if event.sequence <= known:
                    self.stale = True
                    return
                if previous > known:
                    if book.live:
                        book.suspend()
                    return
            book.live = True
            if was_live and event.sequence == known and not event.bids and not event.asks:
                book.top_time = event.event_time
                return
            book.sequence = event.sequence
            book.apply(event.bids, event.asks)
        book.pending, book.top_time = True, event.event_time
        book.top = (max(book.bids, default=math.nan), min(book.asks, default=math.nan))

    def _due(self, book: _Book, time: int) -> bool:
        return book.pending and (
            book.emitted is None or abs(time - book.emitted) >= 1000 * self._config.emit_interval_ms
        )

    def _row(self, origin: Origin, seq: int, key: Key, event: Event) -> Book:
        book, levels = self.books[key], self._config.levels
        book.pending, book.emitted = False, event.event_time  # type: ignore[attr-defined]
        return Book(
            origin=origin,
            seq=seq,
            venue=key[1],
            symbol=key[0],
            event_time=event.event_time,  # type: ignore[attr-defined]
            receive_time=event.receive_time,  # type: ignore[attr-defined]
            state="LIVE" if book.live else "UNKNOWN",
            sequence=book.sequence if book.live else -1,
            bids=sorted(book.bids.items(), reverse=True)[:levels] if book.live else [],
            asks=sorted(book.asks.items())[:levels] if book.live else [],
        )
