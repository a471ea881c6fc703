"""Binance: spot (and Binance.US), USD-M and COIN-M: their bytes to events."""
