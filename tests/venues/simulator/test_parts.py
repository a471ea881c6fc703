"""Small parts: candles, listings, faults, connections."""

import random
from decimal import Decimal
from itertools import islice

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.errors import ConfigError
from venues.simulator.candles import MINUTE_US, Candles
from venues.simulator.connection import Connection
from venues.simulator.faults import Faults
from venues.simulator.listings import VENUE_NAMES, list_symbol, start_price
from venues.simulator.market import Market

prints = st.lists(
    st.tuples(
        st.integers(0, 3 * MINUTE_US - 1),
        st.integers(1, 1_000),
        st.integers(1, 10_000),
        st.integers(0, 1),
    ),
    max_size=60,
)


@given(prints)
@settings(max_examples=50, deadline=None)
def test_closed_candles_are_the_sums_of_their_minutes(
    rows: list[tuple[int, int, int, int]],
) -> None:
    trades = sorted((time, 0, price, lots, bought) for time, price, lots, bought in rows)
    candles, closed = Candles(), []
    for second in range(180):
        start, end = second * 1_000_000, (second + 1) * 1_000_000
        own = [trade for trade in trades if start <= trade[0] < end]
        said = candles.advance(own, start, end, start + 500_000)
        closed += [item.candle for item in said if item.closed]
        assert all(start < item.time_us <= end for item in said)
    for candle in closed:
        of_minute = [t for t in trades if candle.open_us <= t[0] < candle.open_us + MINUTE_US]
        assert candle.count == len(of_minute)
        assert candle.lots == sum(t[3] for t in of_minute)
        assert candle.notional == sum(t[2] * t[3] for t in of_minute)
        assert candle.buy_lots == sum(t[3] for t in of_minute if t[4])
        if of_minute:
            assert candle.open == of_minute[0][2]
            assert candle.close == of_minute[-1][2]
            assert candle.high == max(t[2] for t in of_minute)
            assert candle.low == min(t[2] for t in of_minute)
    assert sum(candle.count for candle in closed) == len(trades)


def test_minute_without_trades_repeats_the_last_close() -> None:
    candles = Candles()
    candles.advance([(1, 1, 100, 5, 1)], 0, MINUTE_US, 500_000)
    (said,) = candles.advance([], MINUTE_US, 2 * MINUTE_US, MINUTE_US + 500_000)
    assert said.closed
    assert (said.candle.open, said.candle.close, said.candle.count) == (100, 100, 0)


@pytest.mark.parametrize("venue", VENUE_NAMES)
@pytest.mark.parametrize("symbol", ["BTC-USDT", "ETH-USDT", "SOL-USDT", "DOGE-USDT", "NEW-USDC"])
def test_numbers_are_written_exactly(venue: str, symbol: str) -> None:
    listing = list_symbol(venue, symbol)
    rng = random.Random(1)
    for _ in range(200):
        ticks, lots = rng.randrange(1, 10**8), rng.randrange(1, 10**10)
        assert Decimal(listing.price_text(ticks)) == ticks * Decimal(listing.tick_text)
        assert Decimal(listing.quantity_text(lots)) == lots * Decimal(listing.lot_text)
    assert Decimal(listing.quantity_text(0)) == 0
    assert listing.tick / start_price(symbol) < 2e-4


def test_swaps_count_contracts() -> None:
    listing = list_symbol("okx-swap", "BTC-USDT")
    assert listing.venue_symbol == "BTC-USDT-SWAP"
    assert listing.contract_size == "0.01"
    assert listing.lot == pytest.approx(0.0001)


def test_faults_drop_and_duplicate_what_was_asked_and_never_rest() -> None:
    frames = list(islice(Market(seed=4).frames(), 10_000))
    faults = Faults(seed=9, drop_share=0.05, duplicate_share=0.02)
    harmed = list(faults.apply(frames))
    assert faults.counts["dropped"] == pytest.approx(500, rel=0.3)
    assert faults.counts["duplicated"] == pytest.approx(200, rel=0.3)
    assert len(harmed) == 10_000 - faults.counts["dropped"] + faults.counts["duplicated"]
    assert [f for f in harmed if f.request] == [f for f in frames if f.request]
    assert harmed == list(Faults(seed=9, drop_share=0.05, duplicate_share=0.02).apply(frames))
    assert list(Faults(seed=9).apply(frames)) == frames


def test_fault_share_beyond_one_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"drop_share was 1\.5"):
        Faults(seed=1, drop_share=1.5)


def test_connection_keeps_the_order_in_which_messages_were_sent() -> None:
    connection = Connection("v", "c", 10.0, 5.0, np.random.Generator(np.random.PCG64(1)))
    frames = []
    for chunk in range(5):
        sent = [(chunk * 1_000_000 + 100 * i, f"{chunk}-{i:04}") for i in range(1_000)]
        frames += connection.receive(sent[::-1])
    assert [frame.data for frame in frames] == sorted(frame.data for frame in frames)
    times = [frame.receive_time for frame in frames]
    assert times == sorted(times)
    assert min(times) >= 10_000
