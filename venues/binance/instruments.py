"""Binance's `exchangeInfo` to instruments, of spot, USD-M and COIN-M."""

import re
from typing import Literal

from msgspec import Struct

from schemas.events import Event, Instrument
from venues.messages import Text, decoder, optional_micros
from venues.symbols import canonical

Kind = Literal[
    "SPOT", "LINEAR_PERPETUAL", "INVERSE_PERPETUAL", "LINEAR_FUTURE", "INVERSE_FUTURE", "OTHER"
]


class Filter(Struct):
    """One of a symbol's trading rules; each type has a few of the fields."""

    filterType: str = ""
    tickSize: Text = ""
    stepSize: Text = ""
    minQty: Text = ""
    minNotional: Text = ""
    notional: Text = ""


class Symbol(Struct):
    """An instrument as Binance lists it."""

    symbol: str
    baseAsset: str
    quoteAsset: str
    status: str = ""
    contractStatus: str = ""
    marginAsset: str = ""
    contractType: str = ""
    contractSize: Text = "1"
    deliveryDate: Text = ""
    filters: list[Filter] = []


class ExchangeInfo(Struct):
    """The answer to `exchangeInfo`."""

    symbols: list[Symbol]


decode = decoder(ExchangeInfo)


def instruments(info: ExchangeInfo, venue: str, receive_time: int) -> list[Event]:
    """Every instrument of the list, tradable or not."""
    return [_instrument(symbol, venue, receive_time) for symbol in info.symbols]


def _instrument(symbol: Symbol, venue: str, receive_time: int) -> Instrument:
    expiry = re.search(r"_(\d{6})$", symbol.symbol)
    rules = {rule.filterType: rule for rule in symbol.filters}
    price = rules.get("PRICE_FILTER", Filter())
    lot = rules.get("LOT_SIZE", Filter())
    value = rules.get("NOTIONAL") or rules.get("MIN_NOTIONAL") or Filter()
    return Instrument(
        venue=venue,
        symbol=canonical(symbol.baseAsset, symbol.quoteAsset, expiry[1] if expiry else ""),
        event_time=receive_time,
        receive_time=receive_time,
        venue_symbol=symbol.symbol,
        kind=_kind(venue, symbol, expiry is not None),
        base=symbol.baseAsset,
        quote=symbol.quoteAsset,
        settle=symbol.marginAsset or symbol.quoteAsset,
        status=symbol.status or symbol.contractStatus,
        tick_size=str(price.tickSize),
        lot_size=str(lot.stepSize),
        min_quantity=str(lot.minQty),
        min_notional=str(value.minNotional or value.notional),
        contract_size=str(symbol.contractSize),
        expiry=optional_micros(symbol.deliveryDate) if expiry else None,
    )


def _kind(venue: str, symbol: Symbol, dated: bool) -> Kind:
    if venue.endswith("-spot"):
        return "SPOT"
    if not dated and "PERPETUAL" not in symbol.contractType:
        return "OTHER"
    if venue == "binance-coinm":
        return "INVERSE_FUTURE" if dated else "INVERSE_PERPETUAL"
    return "LINEAR_FUTURE" if dated else "LINEAR_PERPETUAL"
