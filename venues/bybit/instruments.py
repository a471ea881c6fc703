"""Bybit's `instruments-info` to instruments, of spot and linear."""

from datetime import UTC, datetime
from typing import Literal

from msgspec import Struct

from schemas.events import Event, Instrument
from venues.messages import Text, decoder, optional_micros
from venues.symbols import canonical

MINUTE_US = 60_000_000
# Intervals of a fixed length; a month has none.
INTERVAL_US = {
    "1": MINUTE_US, "3": 3 * MINUTE_US, "5": 5 * MINUTE_US, "15": 15 * MINUTE_US,
    "30": 30 * MINUTE_US, "60": 60 * MINUTE_US, "120": 120 * MINUTE_US, "240": 240 * MINUTE_US,
    "360": 360 * MINUTE_US, "720": 720 * MINUTE_US, "D": 1440 * MINUTE_US, "W": 10080 * MINUTE_US,
}  # fmt: skip


class LotSize(Struct, frozen=True):
    """Quantity steps; spot has `basePrecision`, linear `qtyStep`."""

    basePrecision: Text = ""
    qtyStep: Text = ""
    minOrderQty: Text = ""
    minOrderAmt: Text = ""
    minNotionalValue: Text = ""


class PriceFilter(Struct, frozen=True):
    """Price steps."""

    tickSize: Text = ""


class Listed(Struct):
    """An instrument as Bybit lists it."""

    symbol: str
    baseCoin: str
    quoteCoin: str
    status: str
    contractType: str = ""
    settleCoin: str = ""
    deliveryTime: Text = ""
    lotSizeFilter: LotSize = LotSize()
    priceFilter: PriceFilter = PriceFilter()


class Instruments(Struct):
    """The list of an answer."""

    list: list[Listed]


decode = decoder(Instruments)
Kind = Literal["SPOT", "LINEAR_PERPETUAL", "LINEAR_FUTURE"]


def instruments(listed: Instruments, venue: str, time: int, receive_time: int) -> list[Event]:
    """Every instrument of the list."""
    return [_instrument(item, venue, time, receive_time) for item in listed.list]


def _instrument(item: Listed, venue: str, time: int, receive_time: int) -> Instrument:
    dated = "Futures" in item.contractType
    expiry = optional_micros(item.deliveryTime) if dated else None
    date = datetime.fromtimestamp(expiry / 1e6, UTC).strftime("%y%m%d") if expiry else ""
    kind: Kind = "LINEAR_FUTURE" if dated else "LINEAR_PERPETUAL"
    lot = item.lotSizeFilter
    return Instrument(
        venue=venue,
        symbol=canonical(item.baseCoin, item.quoteCoin, date),
        event_time=time,
        receive_time=receive_time,
        venue_symbol=item.symbol,
        kind="SPOT" if venue == "bybit-spot" else kind,
        base=item.baseCoin,
        quote=item.quoteCoin,
        settle=item.settleCoin or item.quoteCoin,
        status=item.status,
        tick_size=str(item.priceFilter.tickSize),
        lot_size=str(lot.qtyStep or lot.basePrecision),
        min_quantity=str(lot.minOrderQty),
        min_notional=str(lot.minNotionalValue or lot.minOrderAmt),
        contract_size="1",
        expiry=expiry,
    )
