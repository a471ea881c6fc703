"""The market: all venues' frames in receive-time order, endless, from a seed."""

import math
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from operator import attrgetter
from zlib import crc32

import numpy as np

from schemas.errors import ConfigError
from venues.frames import Frame
from venues.simulator import news
from venues.simulator.book import OrderBook, Timing
from venues.simulator.connection import NEWS_POLL_MS, REST_MS, VENUE_LATENCY, Connection
from venues.simulator.listings import (
    PERPETUAL,
    VENUE_NAMES,
    Listing,
    list_symbol,
    start_price,
)
from venues.simulator.parameters import (
    STEPS_A_SECOND,
    BookParameters,
    PriceParameters,
    drift_coefficient,
)
from venues.simulator.prices import LatentProcess, Path
from venues.simulator.rates import DIFF_INTERVAL_US, event_rates
from venues.simulator.wire import Second, Wire
from venues.simulator.wire_binance import BinanceWire
from venues.simulator.wire_bybit import BybitWire
from venues.simulator.wire_okx import OkxWire

SECOND_US = 1_000_000
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

    def frames(self) -> Iterator[Frame]:
        """Every frame from the start on, by receive time; each call begins anew."""
        run = _Run(self)
        while True:
            yield from run.second()


@dataclass(slots=True)
class _Venue:
    """A venue's books, its wire format and its connections."""

    name: str
    books: list[OrderBook]
    wire: Wire
    stream: Connection
    business: Connection
    rest: Connection


class _Run:
    """The state of one pass over the market; makes a second of frames at a time."""

    def __init__(self, market: Market) -> None:
        self._market = market
        self._prices = PriceParameters()
        self._now = market.start_time_us - market.start_time_us % SECOND_US
        self._start = self._now
        self._pending: list[Frame] = []
        symbols = list(market.symbols)
        self._latent = LatentProcess(
            self._random("latent"),
            {symbol: start_price(symbol) for symbol in symbols},
            tuple(venue in PERPETUAL for venue in market.venues),
            market.signal_strength,
            self._prices,
        )
        self._newsroom = news.Newsroom(
            self._random("news"),
            [symbol.partition("-")[0] for symbol in symbols],
            market.news_per_hour,
        )
        self._news = Connection(
            "cryptopanic", "cryptopanic-rest", REST_MS, NEWS_POLL_MS, self._random("news-latency")
        )
        self._venues = [self._open(name) for name in market.venues]
        self._spot = [i for i, name in enumerate(market.venues) if name not in PERPETUAL]

    def _random(self, purpose: str) -> np.random.Generator:
        """A generator of its own for each purpose, so that none disturbs another."""
        entropy = np.random.SeedSequence([self._market.seed, crc32(purpose.encode())])
        return np.random.Generator(np.random.PCG64(entropy))

    def _open(self, name: str) -> _Venue:
        listings = [list_symbol(name, symbol) for symbol in self._market.symbols]
        books = [self._book(listing) for listing in listings]
        latency = VENUE_LATENCY[name]

        def connect(kind: str, base_ms: float) -> Connection:
            label = f"{name}-{kind}"
            return Connection(name, label, base_ms, latency.jitter_ms, self._random(label))

        return _Venue(
            name,
            books,
            _wire(name, listings),
            connect("public", latency.base_ms),
            connect("business", latency.base_ms),
            connect("rest", REST_MS),
        )

    def _book(self, listing: Listing) -> OrderBook:
        label = f"book {listing.venue} {listing.symbol}"
        market = self._market
        rates = event_rates(market.symbols, market.venues, market.events_per_second)
        timing = Timing(
            rates[listing.symbol],
            DIFF_INTERVAL_US,
            VENUE_LATENCY[listing.venue].quote_interval_us,
            1_000 * (1 + crc32(label.encode()) % 97),
        )
        return OrderBook(
            listing,
            start_price(listing.symbol),
            self._now,
            timing,
            self._random(label),
            BookParameters(),
        )

    def second(self) -> list[Frame]:
        """What arrives in the next second."""
        start, end = self._now, self._now + SECOND_US
        headlines = self._newsroom.headlines(start, end)
        kicks = news.kicks(
            headlines,
            start,
            STEPS_A_SECOND,
            len(self._market.symbols),
            self._prices.news_bps * 1e-4,
        )
        path = self._latent.advance(STEPS_A_SECOND, kicks)
        pending = self._pending
        for number, venue in enumerate(self._venues):
            self._act(number, venue, path)
            box = venue.wire.outbox
            pending.extend(venue.rest.answer(box.rest))
            pending.extend(venue.stream.receive(box.stream))
            pending.extend(venue.business.receive(box.business))
            box.rest, box.stream, box.business = [], [], []
        posts = [(item.published_us, news.post(item), news.POSTS_URL) for item in headlines]
        pending.extend(self._news.answer(posts))
        # Whatever is sent later also arrives later than `end`, so up to there it is complete.
        pending.sort(key=_received)
        cut = bisect_left(pending, end, key=_received)
        self._now = end
        self._pending = pending[cut:]
        return pending[:cut]

    def _act(self, number: int, venue: _Venue, path: Path) -> None:
        start, end = self._now, self._now + SECOND_US
        if start == self._start:
            venue.wire.opening(venue.books, start)
        for index, book in enumerate(venue.books):
            fair = path.log_price[:, index] + path.offset[:, number, index]
            activity = book.run(
                start, end, fair, path.signal[:, index], float(path.activity[index])
            )
            venue.wire.publish(index, activity, self._second(number, index, path))
            if self._asks_snapshot(venue, end):
                venue.wire.snapshot(index, book, end)

    def _asks_snapshot(self, venue: _Venue, end: int) -> bool:
        elapsed = (end - self._start) // SECOND_US
        every = self._market.snapshot_every_seconds
        first = elapsed == 1 and venue.name.startswith("binance")
        return first or (every > 0 and elapsed % every == 0)

    def _second(self, number: int, index: int, path: Path) -> Second:
        """Index: mean of the spot venues; mark: the index and the slow part of the basis."""
        price = math.exp(path.log_price[0, index])
        spot = float(np.mean(path.offset[0, self._spot, index])) if self._spot else 0.0
        premium = math.expm1(float(path.basis[number, index]))
        index_price = price * math.exp(spot)
        start = self._now
        return Second(start, start + SECOND_US, index_price, index_price * (1 + premium), premium)


def _wire(name: str, listings: list[Listing]) -> Wire:
    if name.startswith("binance"):
        return BinanceWire(listings, futures=name == "binance-usdm")
    if name.startswith("bybit"):
        return BybitWire(listings, linear=name == "bybit-linear")
    return OkxWire(listings, swap=name == "okx-swap")


_received = attrgetter("receive_time")
