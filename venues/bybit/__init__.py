"""Bybit v5: spot and linear: their bytes to events."""

from venues.bybit.link import BybitLink
from venues.bybit.rest import parse as parse_answer

__all__ = ["BybitLink", "parse_answer"]
