"""Bybit's WebSocket messages to events: one pure function a topic.

The same name is on spot and linear, so the names are those of the connection's own market.
"""

from typing import Literal

from msgspec import Struct

from schemas.errors import VenueError
from schemas.events import BookDelta, BookSnapshot, Event, Kline, Trade
from venues.messages import Levels, Millis, Number, Text, Whole
from venues.symbols import Names


class BookData(Struct, gc=False):
    """Levels of a book; `seq` orders messages of different depths and is not needed."""

    s: str
    b: Levels
    a: Levels
    u: Whole


class BookMessage(Struct, gc=False):
    """`orderbook.DEPTH.SYMBOL`: `cts` is the matching engine's time, `ts` the pusher's."""

    type: str
    ts: Millis
    data: BookData
    cts: Millis = 0


class TradeRow(Struct, gc=False):
    """One trade; `S` is the aggressor's side."""

    T: Millis
    s: str
    S: str
    v: Number
    p: Number
    i: Text
    BT: bool = False


class TradeMessage(Struct, gc=False):
    """`publicTrade.SYMBOL`."""

    data: list[TradeRow]


class KlineRow(Struct, gc=False):
    """One candle, open or confirmed."""

    start: Millis
    interval: str
    open: Number
    high: Number
    low: Number
    close: Number
    volume: Number
    turnover: Number
    confirm: bool
    timestamp: Millis


class KlineMessage(Struct, gc=False):
    """`kline.INTERVAL.SYMBOL`; the rows do not name the symbol."""

    topic: str
    data: list[KlineRow]


_SIDES: dict[str, Literal["BUY", "SELL"]] = {"Buy": "BUY", "Sell": "SELL"}
_INTERVALS = {
    "1": "1m", "3": "3m", "5": "5m", "15": "15m", "30": "30m", "60": "1h", "120": "2h",
    "240": "4h", "360": "6h", "720": "12h", "D": "1d", "W": "1w", "M": "1M",
}  # fmt: skip


def interval_name(interval: str) -> str:
    """Bybit's interval (minutes, or D, W, M) by its usual name; VenueError for another."""
    name = _INTERVALS.get(interval)
    if name is None:
        raise VenueError(f"the interval {interval!r} is none of {', '.join(_INTERVALS)}")
    return name


def side(name: str) -> Literal["BUY", "SELL", "UNKNOWN"]:
    """The aggressor's side."""
    return _SIDES.get(name, "UNKNOWN")


def book(message: BookMessage, names: Names, receive_time: int, depth: int) -> list[Event]:
    """A whole book or changed levels; u = 1 is a whole book after a restart of the service."""
    data = message.data
    listing = names[data.s]
    event_time = (message.cts or message.ts) * 1000
    if message.type == "snapshot" or data.u == 1:
        return [
            BookSnapshot(
                venue=listing.venue,
                symbol=listing.symbol,
                event_time=event_time,
                receive_time=receive_time,
                sequence=data.u,
                depth=depth,
                bids=data.b,
                asks=data.a,
            )
        ]
    return [
        BookDelta(
            venue=listing.venue,
            symbol=listing.symbol,
            event_time=event_time,
            receive_time=receive_time,
            previous_sequence=data.u - 1,
            sequence=data.u,
            bids=data.b,
            asks=data.a,
        )
    ]


def trades(message: TradeMessage, names: Names, receive_time: int) -> list[Event]:
    """Trades; those agreed on outside the book are BLOCK."""
    events: list[Event] = []
    for row in message.data:
        listing = names[row.s]
        events.append(
            Trade(
                venue=listing.venue,
                symbol=listing.symbol,
                event_time=row.T * 1000,
                receive_time=receive_time,
                trade_id=str(row.i),
                price=row.p,
                quantity=row.v,
                aggressor_side=_SIDES.get(row.S, "UNKNOWN"),
                kind="BLOCK" if row.BT else "MARKET" if row.p and row.v else "OTHER",
                count=1,
            )
        )
    return events


def klines(message: KlineMessage, names: Names, receive_time: int) -> list[Event]:
    """Candles; Bybit counts no trades in them."""
    listing = names[message.topic.rpartition(".")[2]]
    return [
        Kline(
            venue=listing.venue,
            symbol=listing.symbol,
            event_time=row.timestamp * 1000,
            receive_time=receive_time,
            interval=interval_name(row.interval),
            open_time=row.start * 1000,
            open=row.open,
            high=row.high,
            low=row.low,
            close=row.close,
            volume=row.volume,
            notional=row.turnover,
            closed=row.confirm,
        )
        for row in message.data
    ]
