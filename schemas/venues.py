"""The venues: the exchange markets that events come from, and their kinds."""

from dataclasses import dataclass
from typing import Literal

MarketKind = Literal["spot", "linear", "inverse"]


@dataclass(frozen=True, slots=True)
class Venue:
    """One market of one exchange; with a canonical symbol it names one instrument."""

    name: str
    exchange: str
    kind: MarketKind


VENUES: tuple[Venue, ...] = (
    Venue("binance-spot", "binance", "spot"),
    Venue("binance-usdm", "binance", "linear"),
    Venue("binance-coinm", "binance", "inverse"),
    Venue("binanceus-spot", "binanceus", "spot"),
    Venue("bybit-spot", "bybit", "spot"),
    Venue("bybit-linear", "bybit", "linear"),
    Venue("okx-spot", "okx", "spot"),
    Venue("okx-swap", "okx", "linear"),
    Venue("okx-inverse", "okx", "inverse"),
)

BY_NAME: dict[str, Venue] = {venue.name: venue for venue in VENUES}
