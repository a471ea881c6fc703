"""What is kept of a market is what its events come to, second by second."""

import random
from collections import defaultdict
from itertools import pairwise
from math import inf, isnan, nan

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from processors.features import market
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

RELATIVE = 1e-9
SEEDS = st.integers(0, 10**6)
LONG_SILENCE = market.FIVE * market.SLOTS
SECONDS = ("buy", "sell", "count", "notional", "signed", "ofi", "ofi_multi", "effective",
           "weight", "mid")  # fmt: skip
FIVES = ("buy", "sell", "count", "notional", "x", "y", "xy", "pairs", "mid")
Bucket = dict[str, float]


def bucket(state: Market, ago: int) -> Bucket:
    at = market.second(state.integers, ago)
    return dict(zip(SECONDS, state.floats[at : at + market.S_WIDTH].tolist(), strict=True))


def bucket_of_five(state: Market, ago: int) -> Bucket:
    at = market.five(state.integers, ago)
    return dict(zip(FIVES, state.floats[at : at + market.F_WIDTH].tolist(), strict=True))


def from_events(events: list[Event]) -> tuple[dict[int, Bucket], dict[int, Bucket], int]:
    """Buckets by second and by five seconds, and the second that is open."""
    seconds: dict[int, Bucket] = defaultdict(lambda: dict.fromkeys(SECONDS, 0.0))
    fives: dict[int, Bucket] = defaultdict(lambda: dict.fromkeys(FIVES, 0.0))
    prices: list[float] = []
    now, mid, book = 0, nan, Book(0, [], [])
    for event in events:
        one, five = seconds[now], fives[now // 5]
        match event:
            case Clock(second):
                for ended in range(now or second, second):
                    seconds[ended]["mid"] = fives[ended // 5]["mid"] = 0.0 if isnan(mid) else mid
                now = second
            case Top(bid, ask):
                mid = (bid + ask) / 2
            case Book():
                if book.live and event.live:
                    flows = book_flow(book, event)
                    one["ofi"] += flows[0]
                    one["ofi_multi"] += sum(flows)
                book = event
            case Trade(price, quantity, sign):
                prices.append(price)
                for bucket in (one, five):
                    bucket["buy"] += quantity if sign > 0 else 0.0
                    bucket["sell"] += quantity if sign < 0 else 0.0
                    bucket["count"] += 1
                    bucket["notional"] += price * quantity
                one["signed"] += sign * price * quantity
                if sign and not isnan(mid):
                    one["effective"] += 2 * sign * (price - mid) / mid * quantity
                    one["weight"] += quantity
                if len(prices) >= 3:
                    x, y = prices[-2] / prices[-3] - 1, prices[-1] / prices[-2] - 1
                    for name, value in (("x", x), ("y", y), ("xy", x * y), ("pairs", 1)):
                        five[name] += value
    # What precedes the first pulse is not counted.
    seconds.pop(0, None)
    fives.pop(0, None)
    return seconds, fives, now


def book_flow(before: Book, now: Book) -> list[float]:
    """The flow of each level: Cont, Kukanov, Stoikov (2014), in words.

    A better price brings its quantity, a worse one takes away the old, else the change counts;
    on the other side of the book all of it with the other sign.
    """
    flows = []
    for level in range(market.LEVELS):
        flow = 0.0
        for old, new, sign in ((before.bids, now.bids, 1), (before.asks, now.asks, -1)):
            price, quantity = new[level] if level < len(new) else (None, 0.0)
            old_price, old_quantity = old[level] if level < len(old) else (None, 0.0)
            if price is None or old_price is None or price == old_price:
                flow += sign * (quantity - old_quantity)
            elif sign * (price - old_price) > 0:
                flow += sign * quantity
            else:
                flow -= sign * old_quantity
        flows.append(flow)
    return flows


@given(seed=SEEDS, seconds=st.sampled_from([2, 70, 330]), busy=st.sampled_from([0.5, 4.0]))
@settings(max_examples=25, deadline=None)
def test_buckets_are_what_came_in_their_seconds(seed: int, seconds: int, busy: float) -> None:
    events = made(seed, seconds, busy)[: -(seed % 7 + 1)]
    state = Market().take(events)
    by_second, by_five, now = from_events(events)
    assert state.integers[market.SECOND] == now
    for ago in range(market.SLOTS):
        found, expected = bucket(state, ago), by_second[now - ago]
        assert found == pytest.approx(expected, rel=RELATIVE, abs=1e-9 * expected["notional"])
        found, expected = bucket_of_five(state, ago), by_five[now // 5 - ago]
        # The open five seconds have no mid price yet.
        expected["mid"] *= ago > 0
        assert found == pytest.approx(expected, rel=RELATIVE, abs=1e-12)


@given(seed=SEEDS)
@settings(max_examples=8, deadline=None)
def test_sums_are_those_of_closed_buckets_and_the_open_one(seed: int) -> None:
    events = made(seed, 330)[:-2]
    state = Market().take(events)
    by_second, by_five, now = from_events(events)
    for seconds in (1, 10, 60):
        found = market.sum_seconds(state.floats, state.integers, market.S_NOTIONAL, seconds)
        expected = sum(by_second[now - ago]["notional"] for ago in range(seconds + 1))
        assert found == pytest.approx(expected, rel=RELATIVE)
    found = market.sum_fives(state.floats, state.integers, market.F_COUNT, 60)
    assert found == sum(by_five[now // 5 - ago]["count"] for ago in range(61))


@given(seed=SEEDS, share=st.floats(0, 1))
@settings(max_examples=15, deadline=None)
def test_copied_state_goes_on_alike(seed: int, share: float) -> None:
    events = made(seed, 130, busy=5.0)
    middle = int(share * len(events))
    whole = Market().take(events)
    halves = Market().take(events[:middle]).copy().take(events[middle:])
    assert halves.floats.tobytes() == whole.floats.tobytes()
    assert halves.integers.tobytes() == whole.integers.tobytes()


def test_what_precedes_the_first_pulse_is_not_counted() -> None:
    state = Market().take([Trade(100.0, 1.0, 1), Clock(START)])
    assert not state.floats[market.SECONDS :].any()


def traded() -> Market:
    """A market at START + 1 with a trade and a top in the second that ended."""
    return Market().take([Clock(START), Top(99.0, 101.0), Trade(100.0, 1.0, 1), Clock(START + 1)])


def test_pulses_that_are_missing_leave_empty_seconds() -> None:
    state = traded().take([Trade(100.0, 2.0, 1), Clock(START + 41)])
    assert [bucket(state, ago)["buy"] for ago in (39, 40, 41)] == [0.0, 2.0, 1.0]
    # The mid price of a second in which nothing came is the last one.
    assert [bucket(state, ago)["mid"] for ago in (1, 41, 42)] == [100.0, 100.0, 0.0]


@pytest.mark.parametrize(
    ("silence", "kept"), [(60, [1.0, 1.0]), (61, [0.0, 1.0]), (305, [0.0, 0.0])]
)
def test_buckets_leave_after_their_horizon(silence: int, kept: list[float]) -> None:
    state = traded().take([Clock(START + silence)])
    sums = [
        market.sum_seconds(state.floats, state.integers, market.S_BUY, 60),
        market.sum_fives(state.floats, state.integers, market.F_BUY, 60),
    ]
    assert sums == kept


@pytest.mark.parametrize(
    ("to", "anew"),
    [
        (1 + LONG_SILENCE, False),
        (2 + LONG_SILENCE, True),
        (1 - market.SLOTS, False),
        (-market.SLOTS, True),
    ],
)
def test_buckets_begin_anew_after_a_long_silence_or_set_back(to: int, anew: bool) -> None:
    state = traded().take([Clock(START + to)])
    # A bucket's mid price tells: a silence that is gone through has one in each second.
    assert (not state.floats[market.SECONDS :].any()) == anew
    assert state.integers[market.SECOND] == START + (to if anew or to > 0 else 1)
    assert state.floats[market.LAST_PRICE] == 100.0


def test_second_stays_open_while_the_clock_is_set_back_a_little() -> None:
    state = traded()
    for second in (-20, 0, 1):
        state.take([Clock(START + second), Trade(100.0, 2.0, -1)])
    assert bucket(state, 0)["sell"] == 6.0
    assert bucket(state.take([Clock(START + 2)]), 1)["sell"] == 6.0


@pytest.mark.parametrize("top", [Top(nan, 101.0), Top(99.0, nan), Top(0.0, 101.0), Top(99.0, inf)])
def test_top_that_is_not_known_has_no_mid(top: Top) -> None:
    assert Market().take([top]).integers[market.HAD_TOP] == 0
    state = traded().take([top])
    assert state.integers[market.HAD_TOP] == 1
    assert market.mid_price(state.floats) == 0.0
    assert bucket(state.take([Clock(START + 2)]), 1)["mid"] == 0.0


@pytest.mark.parametrize(
    "trade",
    [
        Trade(nan, 1.0, 1),
        Trade(100.0, nan, 1),
        Trade(0.0, 1.0, 1),
        Trade(100.0, -1.0, 1),
        Trade(inf, 1.0, 1),
        Trade(100.0, inf, -1),
    ],
)
def test_trade_without_price_or_quantity_is_passed_over(trade: Trade) -> None:
    state = traded()
    assert state.copy().take([trade]).floats.tobytes() == state.floats.tobytes()


def test_trade_of_an_unknown_side_has_no_sign() -> None:
    found = bucket(traded().take([Trade(101.0, 2.0, 0)]), 0)
    expected = dict.fromkeys(SECONDS, 0.0) | {"count": 1.0, "notional": 202.0}
    assert found == expected


PRICES = st.sampled_from([98.0, 99.0, 100.0, 101.0, 102.0])


@st.composite
def books(draw: st.DrawFn) -> Book:
    """A full or thin book whose prices often stay, and often are not where they were."""
    sides = []
    for sign in (-1, 1):
        prices = sorted(draw(st.sets(st.integers(1, 14), max_size=12)))
        quantities = [draw(st.integers(1, 64)) / 8 for _ in prices]
        sides.append([(100.0 + sign * p, q) for p, q in zip(prices, quantities, strict=True)])
    return Book(int(draw(st.integers(0, 9)) > 0), sides[0], sides[1])


@given(given_books=st.lists(books(), min_size=1, max_size=6))
@settings(max_examples=40, deadline=None)
def test_order_flow_is_that_of_successive_live_books(given_books: list[Book]) -> None:
    state = Market().take([Clock(START), *given_books])
    best = total = 0.0
    for before, now in pairwise(given_books):
        if before.live and now.live:
            flows = book_flow(before, now)
            best += flows[0]
            total += sum(flows)
    # Eighths are exact.
    assert (bucket(state, 0)["ofi"], bucket(state, 0)["ofi_multi"]) == (best, total)
    last = given_books[-1]
    assert state.integers[market.HAS_LEVELS] == last.live
    if last.live:
        for start, side in ((market.BID_PRICES, last.bids), (market.ASK_PRICES, last.asks)):
            levels = [*side[: market.LEVELS], *[(0.0, 0.0)] * (market.LEVELS - len(side))]
            kept = state.floats[start : start + 2 * market.LEVELS].reshape(2, -1).T
            assert kept.tolist() == [list(level) for level in levels]


def test_level_that_vanishes_takes_its_quantity_away() -> None:
    full = Book(1, [(100.0, 2.0), (99.0, 3.0)], [(101.0, 5.0), (102.0, 7.0)])
    state = Market().take([Clock(START), full, Book(1, full.bids[:1], full.asks)])
    assert (bucket(state, 0)["ofi"], bucket(state, 0)["ofi_multi"]) == (0.0, -3.0)
    state.take([Book(1, full.bids[:1], full.asks[:1])])
    assert bucket(state, 0)["ofi_multi"] == -3.0 + 7.0
    state.take([full])
    assert bucket(state, 0)["ofi_multi"] == 0.0


def vpin(events: list[Event]) -> tuple[list[tuple[float, float]], float, float]:
    """All full buckets (|bought - sold|, size), what lies in the open one, and all, plainly.

    Each trade is poured into buckets; a bucket's size is a tenth of the volume in the five
    minutes up to the trade that opened it, or less when less is traded later. The first five
    minutes fill none.
    """
    full: list[tuple[float, float]] = []
    volumes: list[tuple[int, float]] = []
    now = begun = 0
    poured = 0.0
    size, sides = 0.0, [0.0, 0.0]
    for event in events:
        if isinstance(event, Clock):
            begun = begun or event.second
            for second in range(now // 5 * 5 + 5, event.second + 1, 5) if now else ():
                tenth = 0.1 * sum(q for at, q in volumes if second - 300 <= at)
                if 0 < tenth < size:
                    size = max(tenth, sum(sides))
            now = event.second
        if not isinstance(event, Trade) or event.sign == 0:
            continue
        volumes.append((now, event.quantity))
        if now - begun < 300:
            continue
        tenth = 0.1 * sum(q for second, q in volumes if second >= now // 5 * 5 - 300)
        size = size or tenth
        rest = event.quantity
        poured += rest
        while rest >= size - sum(sides):
            room = size - sum(sides)
            sides[event.sign < 0] += room
            rest -= room
            full.append((abs(sides[0] - sides[1]), size))
            size, sides = tenth, [0.0, 0.0]
        sides[event.sign < 0] += rest
    return full, sum(sides), poured


def dealt(seed: int, seconds: int) -> list[Event]:
    """Trades only, of very unlike quantities, at times with long pauses."""
    rng = random.Random(seed)
    events: list[Event] = []
    second = START
    for _ in range(seconds):
        events.append(Clock(second))
        for _ in range(rng.randrange(6)):
            quantity = rng.random() * rng.choice([0.01, 1.0, 1.0, 30.0])
            events.append(Trade(100.0, quantity, rng.choice([-1, 0, 1, 1])))
        second += rng.choice([1, 1, 1, 1, 20]) if rng.random() < 0.5 else 1
    return events


@given(seed=SEEDS, seconds=st.sampled_from([1, 20, 400]))
@settings(max_examples=25, deadline=None)
def test_volume_buckets_are_those_poured_plainly(seed: int, seconds: int) -> None:
    events = dealt(seed, seconds)
    state = Market().take(events)
    full, rest, volume = vpin(events)
    number = len(full)
    assert state.integers[market.VPIN_COUNT] == number
    lately = full[-market.VPIN_BUCKETS :]
    for i, (imbalance, size) in enumerate(lately, number - len(lately)):
        at = i % market.VPIN_BUCKETS
        assert state.floats[market.VPIN_SIZES + at] == pytest.approx(size, rel=RELATIVE)
        assert state.floats[market.VPIN_IMBALANCES + at] == pytest.approx(
            imbalance, rel=RELATIVE, abs=1e-9 * size
        )
    opened = state.floats[market.VPIN_BUY] + state.floats[market.VPIN_SELL]
    assert opened == pytest.approx(rest, rel=RELATIVE, abs=1e-9)
    assert sum(size for _, size in full) + rest == pytest.approx(volume, rel=RELATIVE)


def test_trade_of_an_absurd_size_fills_few_buckets() -> None:
    state = traded()
    for second in range(2, 310):
        state.take([Trade(100.0, 1.0, 1), Clock(START + second)])
    before = int(state.integers[market.VPIN_COUNT])
    state.take([Trade(100.0, 1e300, 1)])
    # The one that was open, and then tenths of the volume, which is the trade's own.
    assert 10 <= state.integers[market.VPIN_COUNT] - before <= 12


def test_state_begins_as_zeros_and_is_small() -> None:
    assert market.FLOATS == market.FIVES + market.SLOTS * market.F_WIDTH
    assert 8 * (market.FLOATS + market.INTEGERS) < 13_000
    assert np.isfinite(Market().take(made(3, 330)).floats).all()
