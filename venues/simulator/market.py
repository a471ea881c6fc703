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
from venues.simulator.book import OrderBook, Timing, expected_changes
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
from venues.simulator.wire import Second, Wire
from venues.simulator.wire_binance import BinanceWire
from venues.simulator.wire_bybit import BybitWire
from venues.simulator.wire_okx import OkxWire

SECOND_US = 1_000_000
DEFAULT_START_US = 1_767_225_600_000_000
"""2026-01-01T00:00:00Z."""
DEFAULT_SYMBOLS = ("BTC-USDT", "ETH-USDT", "SOL-USDT")
DIFF_INTERVAL_US = 100_000
# Share of the events that change the best quote, and prints an event: measured, see the docs.
QUOTES_AN_EVENT = 0.52
TRADES_AN_EVENT = 0.215
_WEIGHTS = {"BTC": 1.4, "ETH": 1.0, "SOL": 0.8}
_OTHER_WEIGHT = 0.6


@dataclass(frozen=True, slots=True)
class Latency:
    """From a venue's publication to our receipt, milliseconds: base + jitter, seldom a spike."""

    base_ms: float
    jitter_ms: float
    """Median of the log-normal jitter."""
    quote_interval_us: int
    """The venue publishes best quotes at most this often."""


VENUE_LATENCY = {
    "binance-spot": Latency(9.0, 2.0, 0),
    "binance-usdm": Latency(7.0, 1.5, 0),
    "bybit-spot": Latency(22.0, 5.0, 10_000),
    "bybit-linear": Latency(20.0, 4.0, 10_000),
    "okx-spot": Latency(15.0, 3.0, 10_000),
    "okx-swap": Latency(14.0, 3.0, 10_000),
}
REST_MS = 80.0
JITTER_SIGMA = 0.6
SPIKE_CHANCE = 0.0005
SPIKE_MS = 120.0
NEWS_POLL_MS = 2_000.0


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


class _Connection:
    """One way on which a venue's messages arrive, in the order in which they were sent."""

    def __init__(
        self, venue: str, name: str, base_ms: float, jitter_ms: float, random: np.random.Generator
    ) -> None:
        self._venue, self._name = venue, name
        self._base_us, self._jitter_us = base_ms * 1e3, jitter_ms * 1e3
        self._random = random
        self._last_us = 0

    def receive(self, sent: list[tuple[int, str]]) -> list[Frame]:
        """Frames of what was sent; a late one holds up those behind it."""
        if not sent:
            return []
        sent.sort(key=_time_of)
        times = self._arrivals([time for time, _ in sent])
        venue, name = self._venue, self._name
        return [
            Frame(venue, name, time, text.encode())
            for time, (_, text) in zip(times, sent, strict=True)
        ]

    def answer(self, sent: list[tuple[int, str, str]]) -> list[Frame]:
        """Frames of REST responses."""
        sent.sort(key=_time_of)
        times = self._arrivals([time for time, _, _ in sent])
        return [
            Frame(self._venue, self._name, time, text.encode(), url)
            for time, (_, text, url) in zip(times, sent, strict=True)
        ]

    def _arrivals(self, times: list[int]) -> list[int]:
        count, random = len(times), self._random
        late = self._base_us + self._jitter_us * np.exp(
            JITTER_SIGMA * random.standard_normal(count)
        )
        spikes = random.random(count) < SPIKE_CHANCE
        late += np.where(spikes, SPIKE_MS * 1e3 * random.random(count), 0.0)
        arrivals = np.asarray(times, np.int64) + late.astype(np.int64)
        arrivals = np.maximum(np.maximum.accumulate(arrivals), self._last_us)
        if count:
            self._last_us = int(arrivals[-1])
        found: list[int] = arrivals.tolist()
        return found


@dataclass(slots=True)
class _Venue:
    """A venue's books, its wire format and its connections."""

    name: str
    books: list[OrderBook]
    wire: Wire
    stream: _Connection
    business: _Connection
    rest: _Connection


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
        self._news = _Connection(
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

        def connect(kind: str, base_ms: float) -> _Connection:
            label = f"{name}-{kind}"
            return _Connection(name, label, base_ms, latency.jitter_ms, self._random(label))

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
        rates = event_rates(self._market)
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


def event_rates(market: Market) -> dict[str, float]:
    """Events a second in each symbol's books so that the frames come to the asked rate."""
    weights = {
        symbol: _WEIGHTS.get(symbol.partition("-")[0], _OTHER_WEIGHT) for symbol in market.symbols
    }
    mean = sum(weights.values()) / len(weights)
    low, high = 1e-3, 4.0 * market.events_per_second + 1.0
    for _ in range(60):
        middle = math.sqrt(low * high)
        frames = sum(
            _frames(venue, middle * weight / mean)
            for venue in market.venues
            for weight in weights.values()
        )
        low, high = (middle, high) if frames < market.events_per_second else (low, middle)
    return {symbol: low * weight / mean for symbol, weight in weights.items()}


def _frames(venue: str, rate: float) -> float:
    """Expected frames a second of one book with `rate` events a second."""
    quotes = QUOTES_AN_EVENT * rate
    interval = VENUE_LATENCY[venue].quote_interval_us
    if interval:
        quotes = expected_changes(quotes, interval)
    tickers = 0.0 if venue.startswith("binance") else expected_changes(rate, 250_000)
    fixed = 1.0 if venue in PERPETUAL else 0.0
    candles = expected_changes(TRADES_AN_EVENT * rate, SECOND_US)
    return (
        expected_changes(rate, DIFF_INTERVAL_US)
        + quotes
        + TRADES_AN_EVENT * rate
        + tickers
        + fixed
        + candles
    )


def _wire(name: str, listings: list[Listing]) -> Wire:
    if name.startswith("binance"):
        return BinanceWire(listings, futures=name == "binance-usdm")
    if name.startswith("bybit"):
        return BybitWire(listings, linear=name == "bybit-linear")
    return OkxWire(listings, swap=name == "okx-swap")


def _time_of(sent: tuple[int, str] | tuple[int, str, str]) -> int:
    return sent[0]


_received = attrgetter("receive_time")
