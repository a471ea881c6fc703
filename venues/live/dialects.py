"""The dialect of each venue."""

from venues.binance.dialect import BinanceDialect
from venues.bybit.dialect import BybitDialect
from venues.config import CollectorConfig
from venues.live.dialect import Dialect
from venues.live.endpoints import require_venue
from venues.okx.dialect import OkxDialect


def dialect_of(venue: str, config: CollectorConfig) -> Dialect:
    """How a venue wants to be talked to; ConfigError for a name that is no venue."""
    require_venue(venue)
    if venue.startswith("binance"):
        return BinanceDialect(venue, config)
    if venue.startswith("bybit-"):
        return BybitDialect(venue, config)
    return OkxDialect(venue, config)
