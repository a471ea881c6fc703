"""Instruments of each venue, made as the venue names them."""

from schemas.events import Instrument
from schemas.venues import BY_NAME, VENUES
from venues.config import CollectorConfig
from venues.live.dialect import Dialect
from venues.live.dialects import dialect_of

NAMES = tuple(venue.name for venue in VENUES)
KINDS = {"spot": "SPOT", "linear": "LINEAR_PERPETUAL", "inverse": "INVERSE_PERPETUAL"}
STATUS = {"binance": "TRADING", "binanceus": "TRADING", "bybit": "Trading", "okx": "live"}


def instrument(venue: str, symbol: str, status: str = "", kind: str = "") -> Instrument:
    """An instrument that trades, unless a status is given."""
    base, quote = symbol.split("-")[:2]
    market = BY_NAME[venue]
    return Instrument(
        venue=venue,
        symbol=symbol,
        event_time=0,
        receive_time=0,
        venue_symbol=venue_symbol(venue, base, quote),
        kind=kind or KINDS[market.kind],  # type: ignore[arg-type]  # a kind, by the table
        base=base,
        quote=quote,
        settle=base if market.kind == "inverse" else quote,
        status=status or STATUS[market.exchange],
        tick_size="0.1",
        lot_size="0.001",
        min_quantity="0.001",
        min_notional="",
        contract_size="1",
        expiry=None,
    )


def venue_symbol(venue: str, base: str, quote: str) -> str:
    """A venue's name of a spot pair or perpetual."""
    if venue.startswith("okx"):
        return f"{base}-{quote}" + ("" if venue == "okx-spot" else "-SWAP")
    return f"{base}{quote}" + ("_PERP" if venue == "binance-coinm" else "")


def some(venue: str, count: int) -> list[Instrument]:
    """Instruments with names as long as the venues' longer ones."""
    quote = "USD" if BY_NAME[venue].kind == "inverse" else "USDT"
    return [instrument(venue, f"1000COIN{number}-{quote}") for number in range(count)]


def dialect(venue: str, **settings: object) -> Dialect:
    """A venue's dialect with these settings."""
    return dialect_of(venue, CollectorConfig.model_validate(settings))
