"""How often books must act so that the frames come to the asked rate."""

import math
from collections.abc import Sequence

from venues.simulator.book import expected_changes
from venues.simulator.connection import VENUE_LATENCY
from venues.simulator.listings import PERPETUAL

DIFF_INTERVAL_US = 100_000
# Share of the events that change the best quote, and prints an event: measured, see the docs.
QUOTES_AN_EVENT = 0.52
TRADES_AN_EVENT = 0.215
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


def _frames(venue: str, rate: float) -> float:
    """Expected frames a second of one book with `rate` events a second."""
    quotes = QUOTES_AN_EVENT * rate
    interval = VENUE_LATENCY[venue].quote_interval_us
    if interval:
        quotes = expected_changes(quotes, interval)
    tickers = 0.0 if venue.startswith("binance") else expected_changes(rate, 250_000)
    fixed = 1.0 if venue in PERPETUAL else 0.0
    candles = expected_changes(TRADES_AN_EVENT * rate, 1_000_000)
    return (
        expected_changes(rate, DIFF_INTERVAL_US)
        + quotes
        + TRADES_AN_EVENT * rate
        + tickers
        + fixed
        + candles
    )
