"""How often books must act so that the frames come to the asked rate."""

import math
from collections.abc import Sequence

from venues.simulator.book import expected_changes
from venues.simulator.connection import VENUE_LATENCY
from venues.simulator.listings import PERPETUAL
from venues.simulator.wire import TICKER_US

DIFF_INTERVAL_US = 100_000
# Prints of one taker come in one message on Bybit; measured.
TAKERS_A_TRADE = 0.87
_WEIGHTS = {"BTC": 1.4, "ETH": 1.0, "SOL": 0.8}
_OTHER_WEIGHT = 0.6


def event_rates(
    symbols: Sequence[str], venues: Sequence[str], frames_per_second: float
) -> dict[str, float]:
    """Events a second in each symbol's books so that the frames come to the asked rate."""
    weights = {symbol: _WEIGHTS.get(symbol.partition("-")[0], _OTHER_WEIGHT) for symbol in symbols}
    mean = sum(weights.values()) / len(weights)
    low, high = 1e-3, 4.0 * frames_per_second + 1.0
    for _ in range(60):
        middle = math.sqrt(low * high)
        frames = sum(
            _frames(venue, middle * weight / mean)
            for venue in venues
            for weight in weights.values()
        )
        low, high = (middle, high) if frames < frames_per_second else (low, middle)
    return {symbol: low * weight / mean for symbol, weight in weights.items()}


def quotes_an_event(rate: float) -> float:
    """Share of the events that change the best quote; seldom acting books have more to catch up.

    Fitted to measurements at 2 to 4,000 events a second, within 0.05.
    """
    return 0.45 + 0.5 / (1.0 + math.pow(rate / 10.0, 0.7))


def trades_an_event(rate: float) -> float:
    """Prints an event, fitted likewise."""
    return 0.19 + 0.45 / (1.0 + math.pow(rate / 10.0, 0.8))


def _frames(venue: str, rate: float) -> float:
    """Expected frames a second of one book with `rate` events a second."""
    quotes = quotes_an_event(rate) * rate
    interval = VENUE_LATENCY[venue].quote_interval_us
    if interval:
        quotes = expected_changes(quotes, interval)
    trades = trades_an_event(rate) * rate
    candles = expected_changes(trades, 1_000_000)
    tickers = 0.0
    if venue.startswith("bybit"):
        trades *= TAKERS_A_TRADE
    if not venue.startswith("binance"):
        tickers = expected_changes(rate, TICKER_US)
    fixed = 1.0 if venue in PERPETUAL else 0.0
    return expected_changes(rate, DIFF_INTERVAL_US) + quotes + trades + tickers + fixed + candles
