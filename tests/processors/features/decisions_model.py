"""When the stage `features` decides, for which venue and with which masks, in plain Python."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from processors.config import ProcessorsConfig
from processors.features.feature_set import GROUPS
from schemas.events import (
    BookDelta,
    BookSnapshot,
    Clock,
    Event,
    FeedStatus,
    Funding,
    Kline,
    MarkPrice,
    News,
    Origin,
    Quote,
    SentimentIndex,
    Trade,
)
from tests.processors.books_model import BooksModel
from tests.processors.quality_model import QualityModel
from tests.processors.seen_model import Key, SeenModel

SECOND_US = 1_000_000
_BOOKS = BookDelta | BookSnapshot | Quote | FeedStatus
_MARKETS = Trade | BookDelta | BookSnapshot | Quote | Kline | MarkPrice | Funding
_STALE_NEWS_US = 48 * 3_600 * SECOND_US


@dataclass(frozen=True)
class Decision:
    """What is said of a vector."""

    offset: int
    seq: int
    symbol: str
    event_time: int
    venue: str
    stale: set[str]
    fallback: set[str]


@dataclass
class _Market:
    heard: int = 0
    had_top: bool = False
    top_time: int = 0


@dataclass
class _Symbol:
    markets: dict[str, _Market] = field(default_factory=dict)
    decided: int = 0
    pulse: int = 0
    told: int = 0


class DecisionsModel:
    """Decisions under one configuration."""

    def __init__(self, config: ProcessorsConfig) -> None:
        own = config.features
        self._venues = own.venues
        self._stale_us, self._decision_us = 1000 * own.stale_after_ms, 1000 * own.decision_ms
        self._books = BooksModel(config)
        self._quality = QualityModel(config, self._books)
        self._symbols: dict[str, _Symbol] = {}

    def emit(self, offset: int, event: Event) -> Iterator[Decision]:
        """Decisions that an event causes."""
        origin = Origin("tape", 0, offset)
        list(self._books.emit(origin, event))
        if self._books.stale:
            return
        list(self._quality.emit(origin, event))
        if isinstance(event, _MARKETS | FeedStatus):
            self._hear(event)
        elif isinstance(event, News | SentimentIndex):
            for symbol in self._symbols.values():
                now = symbol.pulse + SECOND_US if symbol.pulse else event.receive_time
                symbol.told = max(symbol.told, min(event.event_time, now))
        if isinstance(event, Clock):
            yield from self._pulse(offset, event.event_time)
        elif isinstance(event, Trade) and not event.backfilled and self._decision_us < SECOND_US:
            symbol, interval = self._symbols[event.symbol], self._interval(event.event_time)
            if self._decision_us == 0 or interval > symbol.decided:
                symbol.decided = interval
                yield self._decide(offset, 0, event.symbol, event.event_time)

    def _interval(self, time: int) -> int:
        return time // self._decision_us if self._decision_us else time

    def _hear(self, event: _MARKETS | FeedStatus) -> None:
        markets = self._symbols.setdefault(event.symbol, _Symbol()).markets
        market = markets.setdefault(event.venue, _Market())
        if not isinstance(event, FeedStatus):
            market.heard = max(market.heard, event.event_time)
        if isinstance(event, _BOOKS):
            market.top_time = self._books.books[event.symbol, event.venue].top_time
            market.had_top |= self._has_top((event.symbol, event.venue))

    def _has_top(self, key: Key) -> bool:
        book = self._books.books.get(key)
        return book is not None and all(0 < price < math.inf for price in book.top)

    def _pulse(self, offset: int, time: int) -> Iterator[Decision]:
        seq = 0
        for name in sorted(self._symbols, key=str.encode):
            symbol = self._symbols[name]
            symbol.pulse = time
            for market in symbol.markets.values():
                market.heard, market.top_time = min(market.heard, time), min(market.top_time, time)
            interval = self._interval(time)
            if self._decision_us == 0 or interval != symbol.decided:
                symbol.decided = interval
                yield self._decide(offset, seq, name, time)
                seq += 1

    def _decide(self, offset: int, seq: int, name: str, now: int) -> Decision:
        symbol = self._symbols[name]
        listed = [venue for venue in self._venues if venue in symbol.markets]
        order = [*listed, *sorted(set(symbol.markets) - set(listed))]
        fit = [venue for venue in order if self._is_usable(name, venue, now)]
        of_primary = {"technical", "microstructure", "time and regime"}
        stale = set() if fit else set(of_primary)
        if any(self._is_blind(name, venue, now) for venue in order):
            stale.add("cross-exchange")
        if symbol.told == 0 or now - symbol.told > _STALE_NEWS_US:
            stale.add("sentiment")
        return Decision(
            offset, seq, name, now, (fit or order)[0], stale,
            of_primary if fit and fit[0] != order[0] else set(),
        )  # fmt: skip

    def _is_usable(self, name: str, venue: str, now: int) -> bool:
        market = self._symbols[name].markets[venue]
        return (
            (name, venue) not in self._quality.excluded
            and now - market.heard <= self._stale_us
            and (not market.had_top or self._has_top((name, venue)))
        )

    def _is_blind(self, name: str, venue: str, now: int) -> bool:
        market = self._symbols[name].markets[venue]
        return market.had_top and (
            (name, venue) in self._quality.excluded
            or not self._has_top((name, venue))
            or now - market.top_time > self._stale_us
        )


def expected(events: Sequence[Event], config: ProcessorsConfig, first: int) -> list[Decision]:
    """All decisions over a tape."""
    seen, model = SeenModel(config), DecisionsModel(config)
    found: list[Decision] = []
    for offset, event in enumerate(events, first):
        symbol = getattr(event, "symbol", None)
        if symbol is not None and config.symbols and symbol not in config.symbols:
            continue
        if not seen.repeats(event):
            found += model.emit(offset, event)
    return found if config.features.enabled else []


def said(mask: int) -> set[str]:
    """The groups that a mask names."""
    assert mask < 1 << len(GROUPS)
    return {name for bit, name in enumerate(GROUPS) if mask >> bit & 1}
