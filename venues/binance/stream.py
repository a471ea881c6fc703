"""Binance's WebSocket messages to events: one pure function a stream.

Each takes the decoded message, the venue's names, the receive time and the newest event time of
the connection, and gives events. Spot's best bid and ask have no time of their own.
"""

from collections.abc import Callable
from typing import Any

from msgspec import Struct

from schemas.events import BookDelta, BookSnapshot, Event, Funding, Kline, MarkPrice, Quote, Trade
from venues.messages import (
    Levels,
    Millis,
    Number,
    Signed,
    Text,
    Whole,
    count_of,
    optional_micros,
    optional_number,
)
from venues.symbols import Names


class TradeMessage(Struct, gc=False, rename={"time": "T", "price": "p", "quantity": "q"}):
    """`trade`: one fill."""

    s: str
    t: Text
    price: Number
    quantity: Number
    time: Millis
    m: bool
    X: str = "MARKET"


class AggTradeMessage(Struct, gc=False, rename={"time": "T", "price": "p", "quantity": "q"}):
    """`aggTrade`: fills of one taker order at one price."""

    s: str
    a: Text
    price: Number
    quantity: Number
    time: Millis
    m: bool
    f: Whole
    l: Whole  # noqa: E741  # the venue's name


class DepthMessage(Struct, gc=False):
    """`depthUpdate`: changed levels; `pu` and `T` on futures only."""

    s: str
    E: Millis
    U: Whole
    u: Whole
    b: Levels
    a: Levels
    pu: Whole = -1
    T: Millis = 0


class PartialMessage(Struct, gc=False):
    """`depth5`, `depth10`, `depth20` of spot: the best levels, without a name or a time."""

    lastUpdateId: Whole
    bids: Levels
    asks: Levels


class BookTickerMessage(Struct, gc=False):
    """`bookTicker`: best bid and ask; `T` on futures only."""

    s: str
    u: Whole
    b: Number
    B: Number
    a: Number
    A: Number
    T: Millis = 0


class KlineBody(Struct, gc=False):
    """The candle within a `kline` message."""

    t: Millis
    i: str
    o: Number
    c: Number
    h: Number
    l: Number  # noqa: E741  # the venue's name
    v: Number
    n: Whole
    x: bool
    q: Number
    V: Number
    Q: Number


class KlineMessage(Struct, gc=False):
    """`kline`: a candle, open or closed."""

    E: Millis
    s: str
    k: KlineBody


class MarkPriceMessage(Struct, gc=False):
    """`markPriceUpdate`; `r` and `T` are empty for dated contracts."""

    E: Millis
    s: str
    p: Signed
    i: Text | None = None
    r: Text | None = None
    T: Text | None = None


_KINDS = {"MARKET": "MARKET", "INSURANCE_FUND": "INSURANCE_FUND", "ADL": "ADL"}


def trade(message: TradeMessage, names: Names, receive_time: int, newest: int) -> list[Event]:
    """A fill; what did not happen in the order book is of another kind than MARKET.

    A price or quantity of zero is no market trade, whatever `X` says.
    """
    listing = names[message.s]
    price, quantity = message.price, message.quantity
    kind = "MARKET"
    if message.X != "MARKET" or price == 0.0 or quantity == 0.0:
        kind = _KINDS.get(message.X, "OTHER")
        if kind == "MARKET":
            kind = "OTHER"
    if listing.contract_size:
        quantity = listing.base(quantity, price)
    return [
        Trade(
            venue=listing.venue,
            symbol=listing.symbol,
            event_time=message.time * 1000,
            receive_time=receive_time,
            trade_id=str(message.t),
            price=price,
            quantity=quantity,
            aggressor_side="SELL" if message.m else "BUY",
            kind=kind,  # type: ignore[arg-type]  # one of the kinds, by the table
            count=1,
        )
    ]


def agg_trade(
    message: AggTradeMessage, names: Names, receive_time: int, newest: int
) -> list[Event]:
    """Fills of one taker order at one price as one trade."""
    listing = names[message.s]
    return [
        Trade(
            venue=listing.venue,
            symbol=listing.symbol,
            event_time=message.time * 1000,
            receive_time=receive_time,
            trade_id=str(message.a),
            price=message.price,
            quantity=listing.base(message.quantity, message.price),
            aggressor_side="SELL" if message.m else "BUY",
            kind="MARKET" if message.price and message.quantity else "OTHER",
            count=count_of(message.f, message.l),
        )
    ]


def depth(message: DepthMessage, names: Names, receive_time: int, newest: int) -> list[Event]:
    """Changed levels; spot follows on U - 1, futures on `pu`."""
    listing = names[message.s]
    bids, asks = message.b, message.a
    if listing.contract_size:
        bids, asks = listing.levels(bids), listing.levels(asks)
    previous = message.pu
    return [
        BookDelta(
            venue=listing.venue,
            symbol=listing.symbol,
            event_time=(message.T or message.E) * 1000,
            receive_time=receive_time,
            previous_sequence=previous if previous >= 0 else message.U - 1,
            sequence=message.u,
            bids=bids,
            asks=asks,
        )
    ]


def partial(
    name: str, message: PartialMessage, names: Names, receive_time: int, newest: int
) -> list[Event]:
    """The best levels of spot's partial depth stream as a snapshot of that depth."""
    listing = names[name]
    return [
        BookSnapshot(
            venue=listing.venue,
            symbol=listing.symbol,
            event_time=newest or receive_time,
            receive_time=receive_time,
            sequence=message.lastUpdateId,
            depth=max(len(message.bids), len(message.asks)),
            bids=listing.levels(message.bids),
            asks=listing.levels(message.asks),
        )
    ]


def book_ticker(
    message: BookTickerMessage, names: Names, receive_time: int, newest: int
) -> list[Event]:
    """Best bid and ask; a price of zero means an empty side."""
    listing = names[message.s]
    bid, ask = message.b, message.a
    bid_quantity, ask_quantity = message.B, message.A
    if listing.contract_size:
        bid_quantity = listing.base(bid_quantity, bid)
        ask_quantity = listing.base(ask_quantity, ask)
    return [
        Quote(
            venue=listing.venue,
            symbol=listing.symbol,
            event_time=message.T * 1000 or newest or receive_time,
            receive_time=receive_time,
            sequence=message.u,
            bid_price=bid or float("nan"),
            bid_quantity=bid_quantity,
            ask_price=ask or float("nan"),
            ask_quantity=ask_quantity,
        )
    ]


def kline(message: KlineMessage, names: Names, receive_time: int, newest: int) -> list[Event]:
    """A candle. COIN-M counts contracts in `v` and base units in `q`."""
    listing, body = names[message.s], message.k
    volume, taker, notional = body.v, body.V, body.q
    if listing.contract_size:
        volume, taker, notional = body.q, body.Q, body.v * listing.contract_size
    return [
        Kline(
            venue=listing.venue,
            symbol=listing.symbol,
            event_time=message.E * 1000,
            receive_time=receive_time,
            interval=body.i,
            open_time=body.t * 1000,
            open=body.o,
            high=body.h,
            low=body.l,
            close=body.c,
            volume=volume,
            notional=notional,
            trade_count=body.n,
            taker_buy_volume=taker,
            closed=body.x,
        )
    ]


def mark_price(
    message: MarkPriceMessage, names: Names, receive_time: int, newest: int
) -> list[Event]:
    """Mark and index price, and for a perpetual its funding rate."""
    return mark_and_funding(
        names, receive_time, message.s, message.E * 1000,
        (message.p, message.i, message.r, message.T),
    )  # fmt: skip


def mark_and_funding(
    names: Names,
    receive_time: int,
    name: str,
    event_time: int,
    values: tuple[float, Text | None, Text | None, Text | None],
) -> list[Event]:
    """Events of (mark price, index price, funding rate, next funding time in ms)."""
    listing = names[name]
    mark, index, rate, due = values
    events: list[Event] = [
        MarkPrice(
            venue=listing.venue,
            symbol=listing.symbol,
            event_time=event_time,
            receive_time=receive_time,
            mark_price=mark,
            index_price=optional_number(index),
        )
    ]
    funding = optional_number(rate)
    if funding is not None:
        events.append(
            Funding(
                venue=listing.venue,
                symbol=listing.symbol,
                event_time=event_time,
                receive_time=receive_time,
                rate=funding,
                funding_time=optional_micros(due),
            )
        )
    return events


Make = Callable[[Any, Names, int, int], list[Event]]

# By the venue's event type `e`, and for messages without one by the stream's name.
KINDS: dict[str, tuple[type[Struct], Make]] = {
    "trade": (TradeMessage, trade),
    "aggTrade": (AggTradeMessage, agg_trade),
    "depthUpdate": (DepthMessage, depth),
    "bookTicker": (BookTickerMessage, book_ticker),
    "kline": (KlineMessage, kline),
    "markPriceUpdate": (MarkPriceMessage, mark_price),
}
