"""What the three wire formats have in common: the outbox, the second, the seam to the market."""

from dataclasses import dataclass, field
from typing import Protocol

from venues.simulator.book import Activity, OrderBook
from venues.simulator.candles import MINUTE_US, Candles
from venues.simulator.listings import Listing

HOUR_US = 60 * MINUTE_US
FUNDING_US = 8 * HOUR_US
INTEREST_RATE = 0.0001
FUNDING_CLAMP = 0.0005
TICKER_US = 250_000
"""Tickers are published at most this often."""


@dataclass(slots=True)
class Outbox:
    """What a venue has sent: (time µs, text) per connection, in no order yet."""

    stream: list[tuple[int, str]] = field(default_factory=list)
    business: list[tuple[int, str]] = field(default_factory=list)
    rest: list[tuple[int, str, str]] = field(default_factory=list)
    """(time µs, text, URL of the request)"""


@dataclass(frozen=True, slots=True)
class Second:
    """The second being published, and what a derivative's venue knows at its start."""

    start_us: int
    end_us: int
    index_price: float
    mark_price: float
    premium: float
    """Mark price over index price, less one."""


class Wire(Protocol):
    """A venue's way to write what its books did."""

    outbox: Outbox

    def opening(self, books: list[OrderBook], time_us: int) -> None:
        """What a client gets when it connects: instruments, acknowledgements, first snapshots."""
        ...

    def publish(self, index: int, activity: Activity, second: Second) -> None:
        """One book's second."""
        ...

    def snapshot(self, index: int, book: OrderBook, time_us: int) -> None:
        """The whole book as it is."""
        ...


@dataclass(slots=True)
class Day:
    """Running figures of a ticker; volumes in lots, notional in ticks times lots."""

    open: int
    high: int
    low: int
    last: int
    lots: int
    notional: int
    last_lots: int = 0

    def add(self, activity: Activity, before_us: int, after_us: int) -> bool:
        """Adds the trades of [after, before); tells whether there were any."""
        traded = False
        for time_us, _, price, lots, _ in activity.trades:
            if after_us <= time_us < before_us:
                traded = True
                self.last = price
                self.last_lots = lots
                self.high = max(self.high, price)
                self.low = min(self.low, price)
                self.lots += lots
                self.notional += price * lots
        return traded


def opening_day(listing: Listing, price: int) -> Day:
    """The day before the market began: a plausible one, the same for every seed."""
    lots = int(5e8 / (price * listing.tick * listing.lot))
    return Day(int(price * 0.99), int(price * 1.012), int(price * 0.982), price, lots, lots * price)


def funding_rate(premium: float) -> float:
    """The predicted rate of the running interval: premium and clamped interest."""
    return premium + min(max(INTEREST_RATE - premium, -FUNDING_CLAMP), FUNDING_CLAMP)


def next_funding_us(time_us: int) -> int:
    """When the running interval is settled, microseconds."""
    return (time_us // FUNDING_US + 1) * FUNDING_US


def candle_phase(index: int) -> int:
    """When in each second a symbol's open candle is published, microseconds after its start."""
    return 400_000 + 50_000 * (index % 8)


def new_candles(count: int) -> list[Candles]:
    """One running candle a symbol."""
    return [Candles() for _ in range(count)]
