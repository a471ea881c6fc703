"""Cross-exchange features against their formulas over the raw events."""

import math
import statistics
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from processors.features import cross_exchange, market
from processors.features.cross_exchange import BINANCE, BYBIT, FEATURES, OKX
from processors.instruments import INVERSE, LINEAR, SPOT

US = 1_000_000
START = 1_700_000_003
STALE_AFTER = 10 * US
# From the last pulse to the oldest mid that the ring has, a minute at most.
MINUTE = 60
NAMES = [feature.name for feature in FEATURES]

Levels = list[tuple[float, float]]


@dataclass
class Market:
    """All that happened on one market, and what a plain reader makes of it."""

    exchange: int
    kind: int
    fee: float
    tops: list[tuple[int, float, float]] = field(default_factory=list)
    trades: list[tuple[int, float]] = field(default_factory=list)
    book: tuple[Levels, Levels] | None = None
    funding: tuple[float, float] | None = None
    excluded: bool = False
    known: bool = False

    def mid(self, time: int) -> float | None:
        """Of the last top that came before some time."""
        before = [top for top in self.tops if top[0] < time]
        if not before or not (before[-1][1] > 0 and before[-1][2] > 0):
            return None
        return (before[-1][1] + before[-1][2]) / 2

    def is_fresh(self, now: int) -> bool:
        return (
            not self.excluded
            and self.mid(now) is not None
            and now - self.tops[-1][0] <= STALE_AFTER
        )

    def depth(self) -> float:
        return sum(p * q for side in self.book for p, q in side[:10]) if self.book else 0.0

    def pressure(self) -> float | None:
        bids, asks = ([q for _, q in side[:5]] for side in self.book or ([], []))
        both = sum(bids) + sum(asks)
        return (sum(bids) - sum(asks)) / both if both else None


@dataclass
class World:
    """The markets of a symbol, as raw events and as the rows of `market`."""

    markets: list[Market]
    pulses: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.floats = np.zeros((len(self.markets), market.FLOATS))
        self.integers = np.zeros((len(self.markets), market.INTEGERS), np.int64)

    def _touch(self, i: int) -> tuple[Market, Any, Any]:
        self.markets[i].known = True
        self.integers[i, market.KNOWN] = 1
        return self.markets[i], self.floats[i], self.integers[i]

    def top(self, i: int, time: int, bid: float, ask: float) -> None:
        mine, floats, integers = self._touch(i)
        mine.tops.append((time, bid, ask))
        market.on_top(bid, ask, time, floats, integers)

    def trade(self, i: int, time: int, price: float, quantity: float, sign: int) -> None:
        mine, floats, integers = self._touch(i)
        mine.trades.append((time, price * quantity))
        market.on_trade(price, quantity, sign, floats, integers)

    def set_book(self, i: int, book: tuple[Levels, Levels] | None) -> None:
        mine, floats, integers = self._touch(i)
        mine.book = book
        bids, asks = (np.array(side, float).reshape(-1, 2) for side in book or ([], []))
        market.on_book(int(book is not None), bids, asks, floats, integers)

    def fund(self, i: int, time: int, rate: float, hours: float) -> None:
        mine, floats, integers = self._touch(i)
        mine.funding = (rate, hours)
        floats[market.FUNDING_RATE], floats[market.FUNDING_HOURS] = rate, hours
        integers[market.FUNDED] = time

    def exclude(self, i: int, excluded: bool) -> None:
        self.markets[i].excluded = excluded
        self.integers[i, market.EXCLUDED] = excluded

    def pulse(self, now: int) -> None:
        self.pulses.append(now)
        for i in range(len(self.markets)):
            market.on_clock(now, self.floats[i], self.integers[i])

    def mid_ago(self, m: Market, now: int, seconds: int) -> float | None:
        """A market's mid at the pulse so many seconds ago, or the next one where that is missing.

        None at the first pulse, which only begins the seconds.
        """
        at = now // US - seconds
        if at <= self.pulses[0] // US:
            return None
        return m.mid(next(pulse for pulse in self.pulses if pulse // US >= at))

    def change(self, m: Market, now: int, seconds: int) -> float | None:
        last, before = self.mid_ago(m, now, 0), self.mid_ago(m, now, seconds)
        return last / before - 1 if last and before else None

    def decide(
        self, primary: int, now: int, members: list[int] | None = None
    ) -> dict[str, float | None]:
        """What the kernel says, None for null."""
        scratch, out = np.full(len(self.markets), 7.0), np.full(len(FEATURES), 7.0)
        cross_exchange.decide(
            self.floats,
            self.integers,
            np.array(range(len(self.markets)) if members is None else members, np.int64),
            np.array([m.exchange for m in self.markets], np.int64),
            np.array([m.kind for m in self.markets], np.int64),
            np.array([m.fee for m in self.markets]),
            primary,
            now,
            STALE_AFTER,
            scratch,
            out,
        )
        return {
            name: None if math.isnan(value) else float(value)
            for name, value in zip(NAMES, out, strict=True)
        }


def formulas(world: World, primary: int, now: int) -> dict[str, float | None]:
    """The features right after a pulse, from the raw events."""
    return {
        **_gaps(world, now),
        **_volume(world, now),
        **_basis(world, now),
        **_funding(world),
        **_edge(world, now),
        **_of_kind(world, primary, now),
        **_against_others(world, primary, now),
    }


def _gaps(world: World, now: int) -> dict[str, float | None]:
    mids = {m.exchange: m.mid(now) for m in world.markets if m.kind == SPOT and m.is_fresh(now)}
    found: dict[str, float | None] = {}
    names = {"binance": BINANCE, "bybit": BYBIT, "okx": OKX}
    for x, y in (("binance", "bybit"), ("binance", "okx"), ("bybit", "okx")):
        a, b = mids.get(names[x]), mids.get(names[y])
        found[f"price_gap_{x}_{y}_bps"] = 1e4 * (a - b) / ((a + b) / 2) if a and b else None
    return found


def _volume(world: World, now: int) -> dict[str, float | None]:
    # The oldest bucket of five seconds begins on a multiple of five, the first with a pulse.
    since = max((now // US // 5 * 5 - 300) * US, world.pulses[0])
    notional = [sum(n for t, n in m.trades if t >= since) for m in world.markets]
    found: dict[str, float | None] = {}
    for name, exchange in (("binance", BINANCE), ("bybit", BYBIT), ("okx", OKX)):
        own = [
            n
            for m, n in zip(world.markets, notional, strict=True)
            if m.exchange == exchange and m.known
        ]
        found[f"volume_share_{name}"] = sum(own) / sum(notional) if own and sum(notional) else None
    return found


def _basis(world: World, now: int) -> dict[str, float | None]:
    fresh = [m for m in world.markets if m.is_fresh(now)]
    both = [m for m in fresh if world.mid_ago(m, now, MINUTE)]

    def basis(markets: list[Market], ago: int) -> float | None:
        mids = {
            kind: [
                mid
                for m in markets
                if m.kind == kind and (mid := world.mid_ago(m, now, ago) if ago else m.mid(now))
            ]
            for kind in (SPOT, LINEAR)
        }
        if not mids[SPOT] or not mids[LINEAR]:
            return None
        return 1e4 * (statistics.median(mids[LINEAR]) / statistics.median(mids[SPOT]) - 1)

    after, before = basis(both, 0), basis(both, MINUTE)
    return {
        "perp_spot_basis_bps": basis(fresh, 0),
        "basis_change_60s_bps": None if after is None or before is None else after - before,
    }


def _funding(world: World) -> dict[str, float | None]:
    rates = [m.funding[0] * 8 / (m.funding[1] or 8) for m in world.markets if m.funding]
    difference = 1e4 * (max(rates) - min(rates)) if len(rates) > 1 else None
    return {"funding_difference_bps": difference}


def _edge(world: World, now: int) -> dict[str, float | None]:
    edges = []
    for a in world.markets:
        for b in world.markets:
            if a is not b and a.kind == b.kind and a.is_fresh(now) and b.is_fresh(now):
                (_, bid_a, ask), (_, bid, ask_b) = a.tops[-1], b.tops[-1]
                mid = (bid_a + ask + bid + ask_b) / 4
                edges.append(1e4 * (bid * (1 - b.fee) - ask * (1 + a.fee)) / mid)
    return {"arbitrage_edge_bps": max(edges, default=None)}


def _of_kind(world: World, primary: int, now: int) -> dict[str, float | None]:
    own = world.markets[primary]
    mids = [m.mid(now) for m in world.markets if m.kind == own.kind and m.is_fresh(now)]
    known = [mid for mid in mids if mid]
    enough = len(known) > 1
    mid = own.mid(now) if own.is_fresh(now) else None
    return {
        "price_dispersion_bps": (
            1e4 * statistics.pstdev(known) / statistics.fmean(known) if enough else None
        ),
        "reference_deviation_bps": (
            1e4 * (mid / statistics.median(known) - 1) if enough and mid else None
        ),
    }


def _against_others(world: World, primary: int, now: int) -> dict[str, float | None]:
    own = world.markets[primary]
    others = [m for m in world.markets if m is not own and m.is_fresh(now)]
    found: dict[str, float | None] = dict.fromkeys(
        (
            "liquidity_share",
            "lead_return_1s_bps",
            "lead_return_5s_bps",
            "book_pressure_difference",
        )
    )
    if not own.is_fresh(now):
        return found
    depths = sum(m.depth() for m in others)
    if depths and own.depth():
        found["liquidity_share"] = own.depth() / (own.depth() + depths)
    for seconds in (1, 5):
        mine = world.change(own, now, seconds)
        changes = [world.change(m, now, seconds) for m in others]
        known = [change for change in changes if change is not None]
        if known and mine is not None:
            found[f"lead_return_{seconds}s_bps"] = 1e4 * (statistics.fmean(known) - mine)
    mine = own.pressure()
    pressures = [p for m in others if (p := m.pressure()) is not None]
    if pressures and mine is not None:
        found["book_pressure_difference"] = mine - statistics.fmean(pressures)
    return found


def venues() -> list[Market]:
    """As on the tape, in the order of the venues' names; one that is never heard of."""
    return [
        Market(BINANCE, INVERSE, 0.0005),
        Market(BINANCE, SPOT, 0.001),
        Market(BINANCE, LINEAR, 0.0005),
        Market(-1, SPOT, 0.0),
        Market(BYBIT, LINEAR, 0.00055),
        Market(BYBIT, SPOT, 0.001),
        Market(OKX, INVERSE, 0.0005),
        Market(OKX, SPOT, 0.001),
        Market(OKX, LINEAR, 0.0005),
    ]


def side_of_book(rng: np.random.Generator, price: float, step: float) -> Levels:
    return [
        (price + step * level, float(rng.uniform(0.1, 5.0))) for level in range(rng.integers(0, 13))
    ]


def happen(world: World, rng: np.random.Generator, at: int, price: float) -> None:
    """One second's events on all markets but the one that is never heard of."""
    for i in range(len(world.markets) - 1):
        if rng.random() < 0.7:
            bid = price * float(1 + 1e-3 * rng.normal())
            world.top(i, at, bid, math.nan if rng.random() < 0.03 else bid + 0.01)
        for _ in range(rng.integers(0, 3)):
            sign = int(rng.integers(-1, 2))
            world.trade(i, at, price, float(rng.exponential()), sign)
        if rng.random() < 0.2:
            book = (side_of_book(rng, price, -0.01), side_of_book(rng, price + 0.01, 0.01))
            world.set_book(i, None if rng.random() < 0.1 else book)
        if world.markets[i].kind != SPOT and rng.random() < 0.02:
            world.fund(i, at, 1e-4 * float(rng.normal()), float(rng.choice([0.0, 4.0, 8.0])))
        if rng.random() < 0.02:
            world.exclude(i, bool(rng.random() < 0.5))


def assert_equal(found: dict[str, float | None], expected: dict[str, float | None]) -> None:
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        # What is a difference of equal numbers can be zero to sixteen digits of 10,000 bps.
        assert found[name] == (value if value is None else pytest.approx(value, 1e-9, 1e-10)), name


@pytest.mark.parametrize("seed", range(3))
def test_features_are_their_formulas(seed: int) -> None:
    rng = np.random.default_rng(seed)
    world, price = World(venues()), 100.0
    seen = dict.fromkeys(NAMES, 0)
    nulls = dict.fromkeys(NAMES, 0)
    second = START
    # Before the first pulse nothing is counted, and no market is known for some seconds.
    happen(world, rng, START * US - 10, price)
    for step in range(400):
        now = second * US + int(rng.integers(0, 1000))
        world.pulse(now)
        primary = int(rng.integers(0, len(world.markets)))
        found = world.decide(primary, now)
        assert_equal(found, formulas(world, primary, now))
        for name, value in found.items():
            (nulls if value is None else seen)[name] += 1
        price *= float(1 + 1e-4 * rng.normal())
        quiet = step % 90 > 75 and seed % 2
        if not quiet:
            happen(world, rng, now + 2000 + int(rng.integers(0, 900_000)), price)
        second += int(rng.choice([1, 1, 1, 1, 2, 3]))
    assert min(seen.values()) > 0
    assert all(nulls[name] for name in NAMES if not name.startswith(("volume", "funding")))


# What a market adds while it is not fresh: its trades and its funding.
NOT_OF_TOPS = {name for name in NAMES if name.startswith(("volume", "funding"))}
PRICES = st.floats(90.0, 110.0)
QUANTITIES = st.floats(0.0, 1e6)
SECONDS = 7
NOW = (START + SECONDS) * US


@st.composite
def worlds(draw: st.DrawFn) -> World:
    """Some markets of a symbol after seven seconds; at most one of an exchange and kind."""
    places = st.tuples(st.sampled_from([-1, BINANCE, BYBIT, OKX]), st.sampled_from(range(3)))
    drawn = draw(st.lists(places, min_size=1, max_size=8, unique=True))
    world = World([Market(e, k, draw(st.floats(0.0, 0.01))) for e, k in drawn])
    age = [draw(st.sampled_from([0, 100 * US])) for _ in drawn]
    spread = [draw(st.floats(-0.1, 1.0)) for _ in drawn]
    traded = [draw(st.lists(QUANTITIES, max_size=3)) for _ in drawn]
    for time in range(START * US, NOW, US):
        world.pulse(time)
        for i in range(len(drawn)):
            bid = draw(PRICES)
            world.top(i, time - age[i], bid, bid + spread[i])
            for quantity in traded[i]:
                world.trade(i, time, bid, quantity, 1)
    world.pulse(NOW)
    for i in range(len(drawn)):
        world.exclude(i, draw(st.booleans()))
        bids, asks = (draw(st.none() | st.lists(QUANTITIES, max_size=12)) for _ in range(2))
        if bids is not None and asks is not None:
            levels = [(90.0 - k, q) for k, q in enumerate(bids)]
            world.set_book(i, (levels, [(110.0 + k, q) for k, q in enumerate(asks)]))
        rate = draw(st.none() | st.floats(-0.01, 0.01))
        if rate is not None:
            world.fund(i, NOW, rate, 8.0)
    return world


@given(world=worlds(), data=st.data())
@settings(max_examples=40, deadline=None)
def test_features_are_in_their_ranges(world: World, data: st.DataObject) -> None:
    primary = data.draw(st.integers(0, len(world.markets) - 1))
    for feature, value in zip(FEATURES, world.decide(primary, NOW).values(), strict=True):
        assert value is None or feature.low <= value <= feature.high, feature.name


@given(world=worlds())
@settings(max_examples=40, deadline=None)
def test_a_market_that_is_not_fresh_is_left_out(world: World) -> None:
    fresh = [i for i, m in enumerate(world.markets) if m.is_fresh(NOW)]
    for primary in range(len(world.markets)):
        found, expected = world.decide(primary, NOW), world.decide(primary, NOW, fresh)
        for name in set(NAMES) - NOT_OF_TOPS:
            assert found[name] == expected[name], name


@given(world=worlds(), data=st.data())
@settings(max_examples=40, deadline=None)
def test_the_order_of_markets_does_not_matter(world: World, data: st.DataObject) -> None:
    members = data.draw(st.permutations(range(len(world.markets))))
    assert_equal(world.decide(0, NOW, members), world.decide(0, NOW))


@given(data=st.data())
@settings(max_examples=30, deadline=None)
def test_the_unit_of_price_does_not_matter(data: st.DataObject) -> None:
    world = data.draw(worlds())
    other = World(world.markets)
    other.floats[:], other.integers[:] = world.floats, world.integers
    # Times a power of two is exact, so that the features are too.
    prices = [market.BEST_BID, market.BEST_ASK]
    prices += range(market.BID_PRICES, market.BID_PRICES + market.LEVELS)
    prices += range(market.ASK_PRICES, market.ASK_PRICES + market.LEVELS)
    for slot in range(market.SLOTS):
        prices.append(market.SECONDS + slot * market.S_WIDTH + market.S_MID)
        prices.append(market.FIVES + slot * market.F_WIDTH + market.F_NOTIONAL)
    other.floats[:, prices] *= 2.0**-20
    assert other.decide(0, NOW) == world.decide(0, NOW)


@given(world=worlds())
@settings(max_examples=30, deadline=None)
def test_nothing_but_the_output_is_written(world: World) -> None:
    floats, integers = world.floats.copy(), world.integers.copy()
    once = world.decide(0, NOW)
    assert world.decide(0, NOW) == once
    assert world.floats.tobytes() == floats.tobytes()
    assert world.integers.tobytes() == integers.tobytes()


@given(world=worlds())
@settings(max_examples=30, deadline=None)
def test_without_a_primary_its_features_are_null(world: World) -> None:
    found, expected = world.decide(-1, NOW), world.decide(0, NOW)
    of_primary = {
        *("liquidity_share", "lead_return_1s_bps", "lead_return_5s_bps", "price_dispersion_bps"),
        *("book_pressure_difference", "reference_deviation_bps"),
    }
    for name in NAMES:
        assert found[name] == (None if name in of_primary else expected[name]), name


def two_spots_and_a_perpetual() -> World:
    world = World(
        [
            Market(BINANCE, SPOT, 0.001),
            Market(BYBIT, LINEAR, 0.0),
            Market(BYBIT, SPOT, 0.001),
        ]
    )
    world.pulse(START * US)
    for i, bid in enumerate((99.0, 109.0, 101.0)):
        world.top(i, START * US, bid, bid + 2.0)
    return world


def test_an_example() -> None:
    world = two_spots_and_a_perpetual()
    world.trade(0, START * US, 100.0, 3.0, 1)
    world.trade(1, START * US, 100.0, 1.0, -1)
    world.fund(1, START * US, 0.0001, 4.0)
    world.fund(2, START * US, 0.0001, 0.0)
    found = world.decide(0, START * US)
    assert found["price_gap_binance_bybit_bps"] == pytest.approx(-200 / 1.01)
    assert found["price_gap_binance_okx_bps"] is None
    assert found["volume_share_binance"] == 0.75
    assert found["volume_share_okx"] is None
    assert found["perp_spot_basis_bps"] == pytest.approx(1e4 * (110 / 101 - 1))
    assert found["funding_difference_bps"] == pytest.approx(1.0)
    # Bought at 101 on the one and sold at 101 on the other, the fees are what is lost.
    assert found["arbitrage_edge_bps"] == pytest.approx(-20.0)
    assert found["price_dispersion_bps"] == pytest.approx(1e4 / 101)
    assert found["reference_deviation_bps"] == pytest.approx(-1e4 / 101)


def test_a_market_is_fresh_up_to_its_age() -> None:
    world = two_spots_and_a_perpetual()
    at_the_end = START * US + STALE_AFTER
    assert world.decide(0, at_the_end)["price_gap_binance_bybit_bps"] is not None
    found = world.decide(0, at_the_end + 1)
    assert set(found.values()) == {None}


def test_a_market_that_is_not_known_yet_has_no_share() -> None:
    world = World([Market(BINANCE, SPOT, 0.0), Market(OKX, SPOT, 0.0)])
    world.pulse(START * US)
    world.trade(0, START * US, 100.0, 1.0, 1)
    assert world.decide(0, START * US)["volume_share_okx"] is None
    world.top(1, START * US, 100.0, 101.0)
    assert world.decide(0, START * US)["volume_share_okx"] == 0.0


@pytest.mark.parametrize("rate", [math.nan, math.inf])
def test_a_rate_that_is_not_finite_is_not_known(rate: float) -> None:
    world = two_spots_and_a_perpetual()
    world.fund(0, START * US, 0.0001, 8.0)
    world.fund(1, START * US, rate, 8.0)
    assert world.decide(0, START * US)["funding_difference_bps"] is None


def test_a_price_that_is_not_finite_is_not_known() -> None:
    world = two_spots_and_a_perpetual()
    expected = world.decide(0, START * US, [0, 1])
    world.top(2, START * US, 100.0, math.inf)
    assert world.decide(0, START * US) == expected


def test_catalogue() -> None:
    assert len(NAMES) == len(set(NAMES)) == 16
    for feature in FEATURES:
        assert feature.group == "cross-exchange"
        assert feature.interval == "decision"
        assert feature.low < feature.high
        assert feature.talib is None
