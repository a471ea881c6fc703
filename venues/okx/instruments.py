"""OKX's `instruments` to instruments, of spot, swaps and dated futures."""

import re
from decimal import Decimal, InvalidOperation
from typing import Literal

from msgspec import Struct

from schemas.errors import VenueError
from schemas.events import Event, Instrument
from venues.messages import Text, optional_micros
from venues.symbols import canonical

Kind = Literal["LINEAR_PERPETUAL", "INVERSE_PERPETUAL", "LINEAR_FUTURE", "INVERSE_FUTURE"]


class InstrumentRow(Struct):
    """An instrument as OKX lists it."""

    instId: str
    instType: str
    baseCcy: str = ""
    quoteCcy: str = ""
    settleCcy: str = ""
    uly: str = ""
    instFamily: str = ""
    ctType: str = ""
    ctVal: Text = ""
    ctMult: Text = ""
    expTime: Text = ""
    tickSz: Text = ""
    lotSz: Text = ""
    minSz: Text = ""
    state: str = ""


def instruments(rows: list[InstrumentRow], receive_time: int) -> list[Event]:
    """Every instrument of the list that is spot, swap or dated future."""
    return [_instrument(row, receive_time) for row in rows if row.instType in _TAKEN]


_TAKEN = {"SPOT", "SWAP", "FUTURES"}


def _instrument(row: InstrumentRow, receive_time: int) -> Instrument:
    spot = row.instType == "SPOT"
    base, _, quote = (row.uly or row.instFamily).partition("-")
    if spot:
        base, quote = row.baseCcy, row.quoteCcy
    date = re.search(r"-(\d{6})$", row.instId)
    inverse = row.ctType == "inverse"
    return Instrument(
        venue="okx-spot" if spot else "okx-inverse" if inverse else "okx-swap",
        symbol=canonical(base, quote, date[1] if date else ""),
        event_time=receive_time,
        receive_time=receive_time,
        venue_symbol=row.instId,
        kind="SPOT" if spot else _kind(inverse, date is not None),
        base=base,
        quote=quote,
        settle=row.settleCcy or quote,
        status=row.state,
        tick_size=str(row.tickSz),
        lot_size=str(row.lotSz),
        min_quantity=str(row.minSz),
        min_notional="",
        contract_size="1" if spot else _size(row),
        expiry=optional_micros(row.expTime) if date else None,
    )


def _kind(inverse: bool, dated: bool) -> Kind:
    if inverse:
        return "INVERSE_FUTURE" if dated else "INVERSE_PERPETUAL"
    return "LINEAR_FUTURE" if dated else "LINEAR_PERPETUAL"


def _size(row: InstrumentRow) -> str:
    """Value of one contract times its multiplier, exactly."""
    try:
        size = Decimal(str(row.ctVal)) * Decimal(str(row.ctMult or 1))
    except InvalidOperation:
        raise VenueError(f"{row.instId}: ctVal was {row.ctVal!r}, ctMult {row.ctMult!r}") from None
    return f"{size.normalize():f}"
