"""Binance: spot (and Binance.US), USD-M and COIN-M: their bytes to events."""

from venues.binance.link import BinanceLink
from venues.binance.rest import parse as parse_answer

__all__ = ["BinanceLink", "parse_answer"]
