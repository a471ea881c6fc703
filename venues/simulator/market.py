"""The market: all venues' frames in receive-time order, endless, from a seed."""

import math
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from operator import attrgetter

import numpy as np

from schemas.errors import ConfigError
from venues.frames import Frame
from venues.simulator import news
from venues.simulator.connection import NEWS_POLL_MS, REST_MS, VENUE_LATENCY, Connection
from venues.simulator.engine import SECOND_US, Engine, Happened, random_for
from venues.simulator.listings import PERPETUAL, VENUE_NAMES, Listing, list_symbol
from venues.simulator.parameters import drift_coefficient
from venues.simulator.wire import Second, Wire
from venues.simulator.wire_binance import BinanceWire
from venues.simulator.wire_bybit import BybitWire
from venues.simulator.wire_okx import OkxWire

DEFAULT_START_US = 1_767_225_600_000_000
"""2026-01-01T00:00:00Z."""
DEFAULT_SYMBOLS = ("BTC-USDT", "ETH-USDT", "SOL-USDT")


@dataclass(frozen=True, slots=True)
class Market:
    """A market of several symbols on several venues.

    Parameters
    ----------
    seed: the same seed and arguments give the same bytes.
    symbols: canonical symbols (BASE-QUOTE).
    venues: names out of `listings.VENUE_NAMES`.
    start_time_us: microseconds UTC, rounded down to a whole second.
    events_per_second: frames a second, about, over all venues and symbols.
    signal_strength: 0 (none) to 0.7; `parameters.drift_coefficient` has the meaning.
    news_per_hour: headlines an hour.
    snapshot_every_seconds: every book is sent whole again this often; 0 for only at the start.

    Errors: ConfigError for a value that the model cannot use.

    """

    seed: int = 1
    symbols: Sequence[str] = DEFAULT_SYMBOLS
    venues: Sequence[str] = VENUE_NAMES
    start_time_us: int = DEFAULT_START_US
    events_per_second: float = 2_000.0
    signal_strength: float = 0.2
    news_per_hour: float = 12.0
    snapshot_every_seconds: int = 0

    def __post_init__(self) -> None:
        for name in ("symbols", "venues"):
            values = list(getattr(self, name))
            if not values or len(set(values)) != len(values):
                raise ConfigError(f"{name} was {values}; name at least one, each once")
        if self.events_per_second <= 0 or not math.isfinite(self.events_per_second):
            raise ConfigError(f"events_per_second was {self.events_per_second}; give more than 0")
        if self.news_per_hour < 0 or self.snapshot_every_seconds < 0:
            raise ConfigError("news_per_hour and snapshot_every_seconds must not be negative")
        drift_coefficient(self.signal_strength, 1.0)
        for venue in self.venues:
            for symbol in self.symbols:
                list_symbol(venue, symbol)

    @property
    def start_us(self) -> int:
        """When the first second begins."""
        return self.start_time_us - self.start_time_us % SECOND_US

    def engine(self) -> Engine:
        """The model behind the frames, for those who want to know its truth."""
        return Engine(
            self.seed,
            self.symbols,
            self.venues,
            self.start_us,
            self.events_per_second,
            self.signal_strength,
            self.news_per_hour,
        )

    def frames(self) -> Iterator[Frame]:
        """Every frame from the start on, by receive time; each call begins anew."""
        for second in self.seconds():
            yield from second

    def seconds(self, books_at_once: bool = False) -> Iterator[list[Frame]]:
        """The same frames, a second at a time; each call begins anew.

        With `books_at_once` Binance's first depth answers are of the very start, for a server that
        has to know its books before it is asked; else a client asks for them a second later.
        """
        run = _Run(self, books_at_once)
        while True:
            yield run.second()


@dataclass(slots=True)
class _Venue:
    """A venue's wire format and its connections."""

    name: str
    wire: Wire
    stream: Connection
    business: Connection
    rest: Connection


class _Run:
    """The state of one pass over the market; makes a second of frames at a time."""

    def __init__(self, market: Market, books_at_once: bool) -> None:
        self._market = market
        self._books_at_once = books_at_once
        self._engine = market.engine()
        self._elapsed = 0
        self._pending: list[Frame] = []
        self._news = Connection(
            "cryptopanic",
            "cryptopanic-rest",
            REST_MS,
            NEWS_POLL_MS,
            random_for(market.seed, "news latency"),
        )
        self._venues = [self._connect(name) for name in market.venues]
        self._spot = [i for i, name in enumerate(market.venues) if name not in PERPETUAL]

    def _connect(self, name: str) -> _Venue:
        listings = [list_symbol(name, symbol) for symbol in self._market.symbols]
        latency = VENUE_LATENCY[name]

        def connection(kind: str, base_ms: float) -> Connection:
            label = f"{name}-{kind}"
            random = random_for(self._market.seed, label)
            return Connection(name, label, base_ms, latency.jitter_ms, random)

        return _Venue(
            name,
            _wire(name, listings),
            connection("public", latency.base_ms),
            connection("business", latency.base_ms),
            connection("rest", REST_MS),
        )

    def second(self) -> list[Frame]:
        """What arrives in the next second."""
        if self._elapsed == 0:
            start = self._market.start_us
            for venue, books in zip(self._venues, self._engine.books, strict=True):
                venue.wire.opening(books, start)
                if self._books_at_once and venue.name.startswith("binance"):
                    for index, book in enumerate(books):
                        venue.wire.snapshot(index, book, start)
        happened = self._engine.second()
        self._elapsed += 1
        pending = self._pending
        for number, venue in enumerate(self._venues):
            self._publish(number, venue, happened)
            box = venue.wire.outbox
            pending.extend(venue.rest.answer(box.rest))
            pending.extend(venue.stream.receive(box.stream))
            pending.extend(venue.business.receive(box.business))
            box.rest, box.stream, box.business = [], [], []
        posts = [
            (item.published_us, news.post(item), news.POSTS_URL) for item in happened.headlines
        ]
        pending.extend(self._news.answer(posts))
        # Whatever is sent later also arrives later than the end, so up to there it is complete.
        pending.sort(key=_received)
        cut = bisect_left(pending, happened.end_us, key=_received)
        self._pending = pending[cut:]
        return pending[:cut]

    def _publish(self, number: int, venue: _Venue, happened: Happened) -> None:
        again = self._asks_snapshot(venue)
        for index, activity in enumerate(happened.activities[number]):
            venue.wire.publish(index, activity, self._second(number, index, happened))
            if again:
                book = self._engine.books[number][index]
                venue.wire.snapshot(index, book, happened.end_us)

    def _asks_snapshot(self, venue: _Venue) -> bool:
        every = self._market.snapshot_every_seconds
        asks_first = not self._books_at_once and venue.name.startswith("binance")
        return (asks_first and self._elapsed == 1) or (every > 0 and self._elapsed % every == 0)

    def _second(self, number: int, index: int, happened: Happened) -> Second:
        """Index: mean of the spot venues; mark: the index and the slow part of the basis."""
        path = happened.path
        price = math.exp(path.log_price[0, index])
        spot = float(np.mean(path.offset[0, self._spot, index])) if self._spot else 0.0
        premium = math.expm1(float(path.basis[number, index]))
        index_price = price * math.exp(spot)
        return Second(
            happened.start_us, happened.end_us, index_price, index_price * (1 + premium), premium
        )


def _wire(name: str, listings: list[Listing]) -> Wire:
    if name.startswith("binance"):
        return BinanceWire(listings, futures=name == "binance-usdm")
    if name.startswith("bybit"):
        return BybitWire(listings, linear=name == "bybit-linear")
    return OkxWire(listings, swap=name == "okx-swap")


_received = attrgetter("receive_time")
