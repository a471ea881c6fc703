"""Microstructure features are their formulas, counted up from the events themselves."""

from bisect import bisect_right
from collections import defaultdict
from itertools import pairwise
from math import isnan, nan, pi, sqrt
from statistics import fmean
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from processors.features import market, microstructure
from tests.processors.features.market_events import (
    START,
    Book,
    Clock,
    Event,
    Market,
    Top,
    Trade,
    made,
)

NAMES = [feature.name for feature in microstructure.FEATURES]
RELATIVE = 1e-9
# Sums that cancel are as near as that, in units of the features: bps, ratios, 1/s.
ABSOLUTE = 1e-8


class Dated(NamedTuple):
    """A trade, the second in which it came, the mid at it, and the trades before."""

    second: int
    trade: Trade
    mid: float


class Reference:
    """The raw events up to now, and what they come to."""

    def __init__(self, events: list[Event]) -> None:
        self.top, self.book = Top(nan, nan), Book(0, [], [])
        self.now = 0
        self.trades: list[Dated] = []
        self.flows: list[tuple[int, float, float]] = []
        # Pairs of successive returns from trade to trade, by the second of the later one.
        self.pairs: list[tuple[int, float, float]] = []
        self.first = 0
        pulses: list[tuple[int, float]] = []
        for event in events:
            match event:
                case Clock(second):
                    self.first = self.first or second
                    pulses.append((second, self.mid()))
                    self.now = second
                case Top():
                    self.top = event
                case Trade():
                    self._trade(event)
                case Book():
                    self._flow(event)
                    self.book = event
        self._ends = [second for second, _ in pulses]
        self._mids = [mid for _, mid in pulses]

    def mid(self) -> float:
        return (self.top.bid + self.top.ask) / 2

    def mid_at(self, second: int) -> float:
        """The mid at the first pulse after a second, NaN when not known or not looked at."""
        if second < self.first:
            return nan
        return self._mids[bisect_right(self._ends, second)]

    def _trade(self, trade: Trade) -> None:
        prices = [dated.trade.price for dated in self.trades[-2:]] + [trade.price]
        if len(prices) == 3:
            before, after = (b / a - 1 for a, b in pairwise(prices))
            self.pairs.append((self.now, before, after))
        self.trades.append(Dated(self.now, trade, self.mid()))

    def _flow(self, book: Book) -> None:
        """Cont, Kukanov, Stoikov (2014): e_n, level by level."""
        if not (self.book.live and book.live):
            return
        total = []
        for level in range(10):
            flow = 0.0
            for now, before, better in (
                (book.bids, self.book.bids, 1),
                (book.asks, self.book.asks, -1),
            ):
                price, quantity = now[level] if level < len(now) else (nan, 0.0)
                old_price, old_quantity = before[level] if level < len(before) else (nan, 0.0)
                move = 0.0 if isnan(price - old_price) else better * (price - old_price)
                if move > 0:
                    flow += better * quantity
                elif move < 0:
                    flow -= better * old_quantity
                else:
                    flow += better * (quantity - old_quantity)
            total.append(flow)
        self.flows.append((self.now, total[0], sum(total)))

    def since(self, seconds: int) -> list[Dated]:
        """Trades of the last seconds that have ended."""
        return [d for d in self.trades if d.second >= max(self.first, self.now - seconds)]

    def values(self) -> dict[str, float]:
        """All features but VPIN."""
        found = dict.fromkeys(NAMES, nan)
        found["spread_bps"] = (self.top.ask - self.top.bid) / self.mid() * 1e4
        if self.book.live and self.book.bids and self.book.asks:
            found.update(self._levels())
        found.update(self._traded())
        found.update(self._spreads())
        found.update(self._returns())
        found["kyle_lambda_60s"] = self._kyle()
        return found

    def _levels(self) -> dict[str, float]:
        bids, asks = np.array(self.book.bids[:10]), np.array(self.book.asks[:10])
        (bid, bid_quantity), (ask, ask_quantity) = bids[0], asks[0]
        mid = (bid + ask) / 2
        micro = (bid * ask_quantity + ask * bid_quantity) / (bid_quantity + ask_quantity)
        found = {"microprice_deviation_bps": (micro - mid) / mid * 1e4}
        for n in (1, 5, 10):
            one, two = bids[:n, 1].sum(), asks[:n, 1].sum()
            found[f"book_imbalance_{n}"] = (one - two) / (one + two)
        for name, side in (("bid", bids), ("ask", asks)):
            distance = np.abs(side[:, 0] - mid) / mid * 1e4
            share = 100 * np.cumsum(side[:, 1]) / side[:, 1].sum()
            slope = np.linalg.lstsq(distance[:, None], share, rcond=None)[0]
            found[f"{name}_depth_slope"] = float(slope[0])
        found["book_depth_notional"] = float((bids.prod(axis=1)).sum() + asks.prod(axis=1).sum())
        best = (bid_quantity + ask_quantity) / 2
        for name, seconds, column in (
            ("ofi_1_10s", 10, 1),
            ("ofi_1_60s", 60, 1),
            ("ofi_multi_10s", 10, 2),
        ):
            begin = max(self.first, self.now - seconds)
            found[name] = sum(flow[column] for flow in self.flows if flow[0] >= begin) / best
        return found

    def _begin_of_fives(self) -> int:
        return self.now // 5 * 5 - 300

    def _traded(self) -> dict[str, float]:
        found = {}
        for seconds in (10, 60, 300):
            span = seconds if seconds < 300 else self.now - self._begin_of_fives()
            bought = sum(d.trade.quantity for d in self.since(span) if d.trade.sign > 0)
            sold = sum(d.trade.quantity for d in self.since(span) if d.trade.sign < 0)
            if bought + sold:
                found[f"trade_imbalance_{seconds}s"] = (bought - sold) / (bought + sold)
        if self.trades:
            found["trade_intensity_60s"] = len(self.since(60)) / 60
        span = self.now - self._begin_of_fives()
        if lately := len(self.since(span)):
            found["intensity_ratio"] = len(self.since(60)) / 60 / (lately / span)
        return found

    def _spreads(self) -> dict[str, float]:
        found = {}
        known = [d for d in self.since(60) if d.trade.sign and not isnan(d.mid)]
        if known:
            found["effective_spread_bps_60s"] = np.average(
                [2 * d.trade.sign * (d.trade.price - d.mid) / d.mid * 1e4 for d in known],
                weights=[d.trade.quantity for d in known],
            )
        later = [
            (d.trade, self.mid_at(d.second + 5))
            for d in self.since(60)
            if d.trade.sign and d.second + 5 < self.now
        ]
        later = [(trade, mid) for trade, mid in later if not isnan(mid)]
        if later:
            found["realised_spread_bps_60s"] = np.average(
                [2 * trade.sign * (trade.price - mid) / mid * 1e4 for trade, mid in later],
                weights=[trade.quantity for trade, _ in later],
            )
        pairs = [p[1:] for p in self.pairs if p[0] >= max(self.first, self._begin_of_fives())]
        if pairs:
            covariance = float(np.cov(np.array(pairs).T, bias=True)[0, 1])
            found["roll_spread_bps_300s"] = 2 * sqrt(max(0.0, -covariance)) * 1e4
        return found

    def _kyle(self) -> float:
        signed: dict[int, float] = defaultdict(float)
        for second, (price, quantity, sign), _ in self.since(60):
            signed[second] += sign * price * quantity / 1e6
        flows, returns = [], []
        for second in range(self.now - 60, self.now):
            change = self.mid_at(second) / self.mid_at(second - 1) - 1
            if not isnan(change):
                flows.append(signed[second])
                returns.append(change * 1e4)
        if len(set(flows)) < 2:
            return nan
        centred = np.array(flows) - fmean(flows)
        return float((centred @ np.array(returns)) / (centred @ centred))

    def _returns(self) -> dict[str, float]:
        """By five seconds that ended."""
        begins = range(self._begin_of_fives(), self.now // 5 * 5, 5)
        returns = [abs(self.mid_at(b + 4) / self.mid_at(b - 1) - 1) * 1e4 for b in begins]
        known = [r for r in returns if not isnan(r)]
        products = [a * b for a, b in pairwise(returns) if not isnan(a * b)]
        notional: dict[int, float] = defaultdict(float)
        for second, (price, quantity, _), _ in self.since(400):
            notional[second // 5 * 5] += price * quantity / 1e6
        impacts = [
            change / notional[begin]
            for begin, change in zip(begins, returns, strict=True)
            if begin in notional and not isnan(change)
        ]
        found = {}
        if impacts:
            found["amihud_300s"] = fmean(impacts)
        if known:
            found["realised_variance_300s"] = variance = sum(r * r for r in known)
        if products:
            found["bipower_variation_300s"] = bipower = pi / 2 * sum(products)
            if variance:
                found["jump_share_300s"] = max(0.0, 1 - bipower / variance)
        return found


def decided(state: Market) -> NDArray[np.float64]:
    out = np.full(len(NAMES), -1.0)
    microstructure.decide(state.floats, state.integers, out)
    return out


def named(state: Market) -> dict[str, float]:
    return dict(zip(NAMES, decided(state).tolist(), strict=True))


def assert_formulas(events: list[Event], at: list[int]) -> None:
    """Right after the pulses with these numbers (from the end) all are as counted up."""
    pulses = [i for i, event in enumerate(events) if isinstance(event, Clock)]
    state, done = Market(), 0
    for number in sorted({-len(pulses), *(max(n, -len(pulses)) for n in at)}):
        end = pulses[number] + 1
        found = named(state.take(events[done:end]))
        done = end
        expected = Reference(events[:end]).values()
        del found["vpin"], expected["vpin"]
        for name, value in expected.items():
            assert found[name] == pytest.approx(value, rel=RELATIVE, abs=ABSOLUTE, nan_ok=True), (
                name
            )


@given(
    seed=st.integers(0, 10**6),
    seconds=st.sampled_from([3, 40, 130, 420]),
    busy=st.sampled_from([0.5, 2.0, 8.0]),
    whole=st.booleans(),
)
@settings(max_examples=25, deadline=None)
def test_features_are_their_formulas(seed: int, seconds: int, busy: float, whole: bool) -> None:
    assert_formulas(made(seed, seconds, busy, whole), [-70, -12, -1])


def test_all_features_have_values_in_a_whole_market() -> None:
    events = made(7, 2_200, whole=True)
    assert not np.isnan(decided(Market().take(events))).any()
    assert_formulas(events, list(range(-12, 0)))


@pytest.mark.parametrize("pause", [300, 5_000, -40, -5_000])
def test_features_begin_anew_after_a_silence_or_a_set_back_clock(pause: int) -> None:
    later = [
        Clock(event.second + 200 + pause) if isinstance(event, Clock) else event
        for event in made(2, 200)
    ]
    found = named(Market().take([*made(1, 200), *later]))
    anew = named(Market().take(later))
    # Within five minutes what was before counts, and returns from trade to trade go on.
    unlike = {"vpin", "roll_spread_bps_300s"}
    if pause in (300, -40):
        unlike |= {name for name in NAMES if "_300s" in name} | {"intensity_ratio"}
    for name in NAMES:
        if name not in unlike:
            assert found[name] == pytest.approx(anew[name], rel=RELATIVE, nan_ok=True), name


def test_nothing_is_known_of_an_unknown_market() -> None:
    assert np.isnan(decided(Market())).all()
    assert np.isnan(decided(Market().take([Clock(START), Clock(START + 1)]))).all()


def test_book_of_one_side_has_no_features() -> None:
    book = [name for name, feature in zip(NAMES, microstructure.FEATURES, strict=True)
            if feature.inputs == ("book",)]  # fmt: skip
    assert len(book) == 10
    for live, bids in ((1, []), (0, [(99.0, 3.0)])):
        found = named(Market().take([Clock(START), Book(live, bids, [(101.0, 1.0)])]))
        assert all(isnan(found[name]) for name in book)


def test_values_by_hand() -> None:
    state = Market().take(
        [
            Clock(START),
            Top(99.0, 101.0),
            Book(1, [(99.0, 3.0), (98.0, 1.0)], [(101.0, 1.0)]),
            Book(1, [(99.5, 2.0), (98.0, 1.0)], [(101.0, 2.0)]),
            Trade(101.0, 3.0, 1),
            Trade(99.0, 1.0, -1),
            Trade(100.0, 8.0, 0),
            Clock(START + 1),
        ]
    )
    found = named(state)
    assert found["spread_bps"] == 200.0
    assert found["book_imbalance_1"] == 0.0
    assert found["book_imbalance_5"] == found["book_imbalance_10"] == 1 / 5
    assert found["microprice_deviation_bps"] == 0.0
    assert found["book_depth_notional"] == 2 * 99.5 + 98 + 2 * 101
    # A better bid of 2 came; the ask's quantity rose by 1.
    assert found["ofi_1_10s"] == found["ofi_1_60s"] == found["ofi_multi_10s"] == (2 - 1) / 2
    assert found["trade_imbalance_10s"] == found["trade_imbalance_300s"] == 0.5
    assert found["effective_spread_bps_60s"] == pytest.approx(200.0)
    assert found["trade_intensity_60s"] == 3 / 60
    assert isnan(found["realised_spread_bps_60s"])
    later: list[Event] = [Top(100.0, 102.0), *(Clock(START + second) for second in range(2, 7))]
    assert named(state.take(later))["realised_spread_bps_60s"] == pytest.approx(
        2e4 * (3 * (101 - 101) - (99 - 101)) / 101 / 4
    )


def moved(mids: list[float]) -> dict[str, float]:
    """What is decided after five seconds of each mid price."""
    events: list[Event] = [Clock(START)]
    for number, mid in enumerate(mids, 1):
        events += [Top(mid - 1.0, mid + 1.0), Clock(START + 5 * number)]
    return named(Market().take(events))


def test_jump_share_is_all_for_one_jump_none_for_even_moves_null_for_no_move() -> None:
    assert moved([100.0] * 20 + [101.0] * 20)["jump_share_300s"] == 1.0
    even = moved([100.0, 101.0] * 20)
    assert even["bipower_variation_300s"] > even["realised_variance_300s"] > 0.0
    assert even["jump_share_300s"] == 0.0
    flat = moved([100.0] * 40)
    assert flat["realised_variance_300s"] == flat["bipower_variation_300s"] == 0.0
    assert isnan(flat["jump_share_300s"])


def test_open_second_is_in_the_sums() -> None:
    state = Market().take([Clock(START), Trade(100.0, 3.0, 1), Clock(START + 1)])
    before = named(state)
    after = named(state.take([Trade(100.0, 1.0, -1)]))
    assert (before["trade_imbalance_10s"], after["trade_imbalance_10s"]) == (1.0, 0.5)
    assert after["trade_intensity_60s"] == 2 / 60


def test_vpin_is_null_until_all_buckets_are_full() -> None:
    state = Market().take([Clock(START), Trade(100.0, 1.0, 1)])
    seen = set()
    for n in range(2_200):
        state.take([Trade(100.0, 1.0, 1 if n % 2 else -1), Clock(START + n)])
        full = state.integers[market.VPIN_COUNT]
        found = named(state)["vpin"]
        assert isnan(found) == (full < market.VPIN_BUCKETS)
        seen.add(full < market.VPIN_BUCKETS)
        if full >= market.VPIN_BUCKETS:
            sizes = state.floats[market.VPIN_SIZES :][: market.VPIN_BUCKETS]
            gaps = state.floats[market.VPIN_IMBALANCES :][: market.VPIN_BUCKETS]
            assert found == pytest.approx(gaps.sum() / sizes.sum(), rel=RELATIVE)
    assert seen == {True, False}


SEEDS = st.integers(0, 10**6)


@given(seed=SEEDS)
@settings(max_examples=8, deadline=None)
def test_values_lie_in_their_range(seed: int) -> None:
    found = named(Market().take(made(seed, 330, busy=6.0)))
    for feature in microstructure.FEATURES:
        value = found[feature.name]
        assert isnan(value) or feature.low <= value <= feature.high


@given(seed=SEEDS)
@settings(max_examples=8, deadline=None)
def test_twice_the_quantities_change_what_is_in_money_only(seed: int) -> None:
    events = made(seed, 320)
    twice = [
        Trade(e.price, 2 * e.quantity, e.sign)
        if isinstance(e, Trade)
        else Book(e.live, [(p, 2 * q) for p, q in e.bids], [(p, 2 * q) for p, q in e.asks])
        if isinstance(e, Book)
        else e
        for e in events
    ]
    factors = {"book_depth_notional": 2.0, "kyle_lambda_60s": 0.5, "amihud_300s": 0.5}
    expected = decided(Market().take(events)) * [factors.get(name, 1.0) for name in NAMES]
    assert decided(Market().take(twice)).tobytes() == expected.tobytes()


@given(seed=SEEDS)
@settings(max_examples=8, deadline=None)
def test_sellers_for_buyers_turn_the_imbalances(seed: int) -> None:
    events = made(seed, 320)
    turned = [Trade(e.price, e.quantity, -e.sign) if isinstance(e, Trade) else e for e in events]
    signed = {"kyle_lambda_60s", "effective_spread_bps_60s", "realised_spread_bps_60s"}
    one, two = named(Market().take(events)), named(Market().take(turned))
    for name in NAMES:
        factor = -1 if name in signed or name.startswith("trade_imbalance") else 1
        assert two[name] == pytest.approx(factor * one[name], rel=RELATIVE, nan_ok=True), name


@given(seed=SEEDS)
@settings(max_examples=8, deadline=None)
def test_deciding_changes_no_state(seed: int) -> None:
    state = Market().take(made(seed, 70))
    before = state.copy()
    assert decided(state).tobytes() == decided(state).tobytes()
    assert state.floats.tobytes() == before.floats.tobytes()
    assert state.integers.tobytes() == before.integers.tobytes()


def test_catalogue() -> None:
    assert len(NAMES) == len(set(NAMES)) == 25
    for feature in microstructure.FEATURES:
        assert (feature.group, feature.interval) == ("microstructure", "decision")
        assert set(feature.inputs) <= {"book", "top", "trades"}
        assert feature.talib is None
        assert feature.missing.startswith(("null", "trades", "returns"))
