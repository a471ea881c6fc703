"""The model without its wire formats: prices, books and headlines, a second at a time."""

from collections.abc import Sequence
from dataclasses import dataclass
from zlib import crc32

import numpy as np

from venues.simulator import news
from venues.simulator.book import Activity, OrderBook, Timing
from venues.simulator.connection import VENUE_LATENCY
from venues.simulator.listings import PERPETUAL, Listing, list_symbol, start_price
from venues.simulator.parameters import STEPS_A_SECOND, BookParameters, PriceParameters
from venues.simulator.prices import LatentProcess, Path
from venues.simulator.rates import DIFF_INTERVAL_US, event_rates

SECOND_US = 1_000_000


def random_for(seed: int, purpose: str) -> np.random.Generator:
    """A generator of its own for each purpose, so that none disturbs another."""
    entropy = np.random.SeedSequence([seed, crc32(purpose.encode())])
    return np.random.Generator(np.random.PCG64(entropy))


@dataclass(frozen=True, slots=True)
class Happened:
    """What happened in one second, [start, end)."""

    start_us: int
    end_us: int
    path: Path
    activities: list[list[Activity]]
    """By venue, then symbol."""
    headlines: list[news.Headline]


class Engine:
    """The state of the model; every book of every venue is in `books`."""

    def __init__(
        self,
        seed: int,
        symbols: Sequence[str],
        venues: Sequence[str],
        start_us: int,
        frames_per_second: float,
        signal_strength: float,
        news_per_hour: float,
    ) -> None:
        self._seed = seed
        self._now = start_us
        self._symbols = len(symbols)
        self._prices = PriceParameters()
        self._latent = LatentProcess(
            random_for(seed, "latent"),
            {symbol: start_price(symbol) for symbol in symbols},
            tuple(venue in PERPETUAL for venue in venues),
            signal_strength,
            self._prices,
        )
        bases = [symbol.partition("-")[0] for symbol in symbols]
        self._newsroom = news.Newsroom(random_for(seed, "news"), bases, news_per_hour)
        rates = event_rates(symbols, venues, frames_per_second)
        self.books = [
            [self._open(list_symbol(venue, symbol), rates[symbol]) for symbol in symbols]
            for venue in venues
        ]

    def _open(self, listing: Listing, rate: float) -> OrderBook:
        label = f"book {listing.venue} {listing.symbol}"
        timing = Timing(
            rate,
            DIFF_INTERVAL_US,
            VENUE_LATENCY[listing.venue].quote_interval_us,
            1_000 * (1 + crc32(label.encode()) % 97),
        )
        return OrderBook(
            listing,
            start_price(listing.symbol),
            self._now,
            timing,
            random_for(self._seed, label),
            BookParameters(),
        )

    def second(self) -> Happened:
        """Acts for one second."""
        start, end = self._now, self._now + SECOND_US
        headlines = self._newsroom.headlines(start, end)
        move = self._prices.news_bps * 1e-4
        kicks = news.kicks(headlines, start, STEPS_A_SECOND, self._symbols, move)
        path = self._latent.advance(STEPS_A_SECOND, kicks)
        activities = [
            [
                book.run(
                    start,
                    end,
                    path.log_price[:, index] + path.offset[:, number, index],
                    path.signal[:, index],
                    float(path.activity[index]),
                )
                for index, book in enumerate(books)
            ]
            for number, books in enumerate(self.books)
        ]
        self._now = end
        return Happened(start, end, path, activities, headlines)
