"""One venue's order book of one symbol: arrivals, cancels, takers; quotes, trades, diffs."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from venues.simulator import book_kernel as kernel
from venues.simulator.listings import Listing
from venues.simulator.parameters import BookParameters

Floats = NDArray[np.float64]
Level = tuple[int, int]
"""Price in ticks, quantity in lots."""


@dataclass(frozen=True, slots=True)
class Diff:
    """Levels changed since the last diff; ordinals count the book's events."""

    time_us: int
    first: int
    last: int
    bids: list[Level]
    asks: list[Level]


@dataclass(frozen=True, slots=True)
class Activity:
    """What a book did in one chunk, each list in order of time."""

    quotes: list[tuple[int, int, int, int, int, int]]
    """(time µs, ordinal, bid ticks, bid lots, ask ticks, ask lots)"""
    trades: list[tuple[int, int, int, int, int]]
    """(time µs, ordinal, price ticks, lots, 1 where the taker bought)"""
    diffs: list[Diff]


@dataclass(frozen=True, slots=True)
class Timing:
    """How often a book acts and publishes."""

    events_per_second: float
    diff_interval_us: int
    quote_interval_us: int
    """Quotes are published at most this often; 0: on every change."""
    phase_us: int
    """When in each interval diffs are published."""


class OrderBook:
    """A book about a fair price that is given from outside."""

    def __init__(
        self,
        listing: Listing,
        fair_price: float,
        start_us: int,
        timing: Timing,
        random: np.random.Generator,
        parameters: BookParameters,
    ) -> None:
        self.listing = listing
        self._timing = timing
        self._random = random
        self._model = parameters
        self._state = kernel.new_state()
        self._state.registers[kernel.NEXT_FLUSH] = start_us + timing.phase_us
        self._state.registers[kernel.LAST_QUOTE_TIME] = start_us - 10_000_000
        self._numbers = self._scaled(fair_price)
        sizes = self._sizes(parameters.depth)
        kernel.fill(
            self._state,
            fair_price / listing.tick,
            random.random((parameters.depth, 2)),
            sizes[:, :2],
            parameters.depth,
            self._numbers,
        )

    def _scaled(self, price: float) -> Floats:
        """The parameters in ticks and lots at `price`."""
        model, tick = self._model, self.listing.tick
        ticks_a_bp = price * 1e-4 / tick
        spacing = max(1.0, model.spacing_bps * ticks_a_bp)
        lots = 1.0 / (price * self.listing.lot)
        inner = max(0.2, model.inner_bps * ticks_a_bp)
        return np.array(
            [
                spacing,
                inner,
                max(inner + 1.0, model.outer_bps * ticks_a_bp),
                model.level_notional * lots,
                model.trade_notional * lots,
                model.size_tilt,
                model.flow_tilt,
                model.pick_off_share,
                float(model.depth),
                float(self._timing.diff_interval_us),
                float(self._timing.quote_interval_us),
            ]
        )

    def _sizes(self, count: int) -> Floats:
        sigma = np.array(
            [self._model.level_sigma, self._model.level_sigma, self._model.trade_sigma]
        )
        sizes: Floats = np.exp(sigma * self._random.standard_normal((count, 3)))
        return sizes

    def run(
        self, start_us: int, end_us: int, log_fair: Floats, signal: Floats, activity: float
    ) -> Activity:
        """Acts over [start_us, end_us); the paths are on an even grid from start to end.

        `log_fair` is the log of the fair price in quote currency, `signal` the flow state,
        `activity` multiplies the rate of events.
        """
        random, length = self._random, end_us - start_us
        expected = self._timing.events_per_second * activity * length * 1e-6
        count = int(random.poisson(expected))
        # No two events at one microsecond: time alone orders a book's messages.
        times = np.unique(random.integers(start_us, end_us, count))
        count = times.size
        grid = np.linspace(start_us, end_us, log_fair.size)
        fair = np.exp(np.interp(times, grid, log_fair)) / self.listing.tick
        state = np.interp(times, grid, signal)
        touched = int(self._state.registers[kernel.TOUCHED])
        quotes = np.empty((count + 2, 6), np.int64)
        trades = np.empty((count * kernel.MAX_PRINTS + 1, 5), np.int64)
        diffs = np.empty((length // self._timing.diff_interval_us + count // 64 + 8, 5), np.int64)
        levels = np.empty((4 * kernel.CAPACITY + 24 * count + touched, 2), np.int64)
        counts = kernel.run(
            self._state,
            times,
            fair,
            state,
            random.random((count, 8)),
            self._sizes(count),
            self._numbers,
            end_us,
            quotes,
            trades,
            diffs,
            levels,
        )
        return Activity(
            [tuple(row) for row in quotes[: counts[0]].tolist()],
            [tuple(row) for row in trades[: counts[1]].tolist()],
            _unpack(diffs[: counts[2]].tolist(), levels[: counts[3]].tolist()),
        )

    @property
    def ordinal(self) -> int:
        """Number of events so far."""
        return int(self._state.registers[kernel.ORDINAL])

    def levels(self) -> tuple[list[Level], list[Level]]:
        """Bids and asks as they are, best first."""
        bids, asks = int(self._state.counts[0]), int(self._state.counts[1])
        return (
            list(
                zip(
                    (-self._state.keys[0, :bids]).tolist(),
                    self._state.lots[0, :bids].tolist(),
                    strict=True,
                )
            ),
            list(
                zip(
                    self._state.keys[1, :asks].tolist(),
                    self._state.lots[1, :asks].tolist(),
                    strict=True,
                )
            ),
        )

    def mid_price(self) -> float:
        """Middle of the best bid and ask, quote currency."""
        return float(self._state.keys[1, 0] - self._state.keys[0, 0]) / 2.0 * self.listing.tick

    def imbalance(self, depth: int) -> float:
        """(bid − ask) / (bid + ask) of the quantities on the best `depth` levels."""
        bid = float(self._state.lots[0, :depth].sum())
        ask = float(self._state.lots[1, :depth].sum())
        return (bid - ask) / (bid + ask)

    def spread_bps(self) -> float:
        """Best ask less best bid over their middle, basis points."""
        ask, bid = float(self._state.keys[1, 0]), -float(self._state.keys[0, 0])
        return 2e4 * (ask - bid) / (ask + bid)


def _unpack(rows: list[list[int]], levels: list[list[int]]) -> list[Diff]:
    diffs, at = [], 0
    for time_us, first, last, bids, asks in rows:
        middle, end = at + bids, at + bids + asks
        diffs.append(
            Diff(
                time_us,
                first,
                last,
                [(price, lots) for price, lots in levels[at:middle]],
                [(price, lots) for price, lots in levels[middle:end]],
            )
        )
        at = end
    return diffs


def expected_changes(events_per_second: float, interval_us: int) -> float:
    """Publications a second when one is made an interval if anything changed."""
    interval = interval_us * 1e-6
    return (1.0 - math.exp(-events_per_second * interval)) / interval
