"""Made markets: events in the order of a partition, and the kernels that take them."""

import random
from collections.abc import Iterable, Iterator, Sequence
from math import nan
from typing import Any, NamedTuple

import numpy as np

from processors.features import market

START = 1_700_000_000


class Clock(NamedTuple):
    """A pulse, seconds UTC."""

    second: int


class Top(NamedTuple):
    """Best prices, NaN where not known."""

    bid: float
    ask: float


class Trade(NamedTuple):
    """A trade; `sign` 1: bought by the taker, -1: sold, 0: not known."""

    price: float
    quantity: float
    sign: int


class Book(NamedTuple):
    """Levels of both sides (price, quantity), best first."""

    live: int
    bids: Sequence[tuple[float, float]]
    asks: Sequence[tuple[float, float]]


Event = Clock | Top | Trade | Book


class Market:
    """The state of one instrument, which the kernels of `market` change."""

    def __init__(self) -> None:
        self.floats = np.zeros(market.FLOATS)
        self.integers = np.zeros(market.INTEGERS, np.int64)

    def copy(self) -> "Market":
        """Another one with the same bytes."""
        other = Market()
        other.floats[:], other.integers[:] = self.floats, self.integers
        return other

    def take(self, events: Iterable[Event]) -> "Market":
        """Go on by some events."""
        state: tuple[Any, Any] = (self.floats, self.integers)
        for event in events:
            match event:
                case Clock(second):
                    market.on_clock(second * market.SECOND_US, *state)
                case Top(bid, ask):
                    market.on_top(bid, ask, 1, *state)
                case Trade(price, quantity, sign):
                    market.on_trade(price, quantity, sign, *state)
                case Book(live, bids, asks):
                    sides = (np.array(side, float).reshape(-1, 2) for side in (bids, asks))
                    market.on_book(live, *sides, *state)
        return self


def made(seed: int, seconds: int, busy: float = 3.0, whole: bool = False) -> list[Event]:
    """A market of so many seconds with some `busy` trades a second.

    Prices walk and jump; books, tops and pulses are missing at times; trades of a side that is
    not known come in. `whole`: nothing of that is missing.
    """
    return list(_made(random.Random(seed), seconds, busy, 0.0 if whole else 1.0))


def _made(rng: random.Random, seconds: int, busy: float, faults: float) -> Iterator[Event]:
    mid = rng.choice([0.37, 101.0, 64_000.0])
    tick = mid * rng.choice([1e-6, 1e-4])
    unit = rng.choice([0.001, 1.0, 2e4])
    silent = 0
    for second in range(START, START + seconds):
        if silent == 0 or second == START:
            yield Clock(second)
        silent = max(0, silent - 1)
        if rng.random() < 0.01 * faults:
            silent = rng.choice([1, 4, 30, 70])
        quiet = rng.random() < 0.3
        for _ in range(0 if quiet else rng.randrange(int(2 * busy) + 1)):
            mid += tick * rng.choice([-3, -1, 0, 0, 0, 1, 3])
            mid *= 1.0 + (rng.gauss(0.0, 1e-3) if rng.random() < 0.002 else 0.0)
            bid, ask = mid - tick * rng.choice([0.5, 2.0]), mid + tick * rng.choice([0.5, 2.0])
            kind = rng.random()
            if kind < 0.4:
                sign = rng.choice([-1, 1, 1]) if rng.random() > 0.05 * faults else 0
                price = ask if sign > 0 else bid
                yield Trade(price + tick * rng.choice([-1, 0, 1]), unit * rng.random(), sign)
            elif kind < 0.7:
                known = rng.random() > 0.03 * faults
                yield Top(bid if known else nan, ask if rng.random() > 0.03 * faults else nan)
            else:
                live = int(rng.random() > 0.05 * faults)
                depth = [
                    10 if faults == 0.0 else rng.choice([0, 1, 4, 10, 10, 10, 12]) for _ in "ba"
                ]
                yield Book(
                    live,
                    _side(rng, bid, -tick, unit, depth[0]),
                    _side(rng, ask, tick, unit, depth[1]),
                )
    yield Clock(START + seconds)


def _side(
    rng: random.Random, best: float, step: float, unit: float, depth: int
) -> list[tuple[float, float]]:
    side = []
    for _ in range(depth):
        side.append((best, unit * (0.01 + rng.random())))
        best += step * rng.choice([1, 1, 2, 5])
    return side
