"""Binance's REST answers to events; the request's URL says what an answer is."""

from collections.abc import Callable
from typing import Annotated, Any

from msgspec import Meta, Struct

from schemas.errors import VenueError
from schemas.events import BookSnapshot, Event, Funding, Kline, Quote, Trade
from venues.binance import instruments, stream
from venues.messages import (
    Ignored,
    Millis,
    Number,
    Parsed,
    Signed,
    Text,
    Whole,
    asked,
    count_of,
    decoder,
    depth_of,
)
from venues.symbols import Names


class Depth(Struct):
    """`depth`: a snapshot; `E`, `T` on futures only, `symbol` on COIN-M only."""

    lastUpdateId: Whole
    bids: list[Annotated[list[Number], Meta(min_length=2)]]
    asks: list[Annotated[list[Number], Meta(min_length=2)]]
    E: Millis = 0
    T: Millis = 0
    symbol: str = ""


class RestTrade(Struct):
    """`trades` and `historicalTrades`."""

    id: Text
    price: Number
    qty: Number
    time: Millis
    isBuyerMaker: bool


class RestAggTrade(Struct):
    """`aggTrades`; without a symbol, which the request has."""

    a: Text
    p: Number
    q: Number
    f: Whole
    l: Whole  # noqa: E741  # the venue's name
    T: Millis
    m: bool


class RestQuote(Struct):
    """`ticker/bookTicker`; `time` and `lastUpdateId` on futures only."""

    symbol: str
    bidPrice: Number
    bidQty: Number
    askPrice: Number
    askQty: Number
    time: Millis = 0
    lastUpdateId: Whole = -1


class PremiumIndex(Struct):
    """`premiumIndex`: mark price and running funding rate."""

    symbol: str
    markPrice: Signed
    time: Millis
    indexPrice: Text | None = None
    lastFundingRate: Text | None = None
    nextFundingTime: Text | None = None


class FundingRate(Struct):
    """`fundingRate`: a settled rate."""

    symbol: str
    fundingRate: Signed
    fundingTime: Millis


class Error(Struct):
    """An answer that says why there is none."""

    code: int
    msg: str


KlineRow = tuple[
    Millis, Number, Number, Number, Number, Number, Millis, Number, Whole, Number, Number, Any
]
_depth = decoder(Depth)
_trades = decoder(list[RestTrade])
_agg_trades = decoder(list[RestAggTrade])
_quotes: Callable[[bytes], list[RestQuote] | RestQuote] = decoder(
    list[RestQuote] | RestQuote  # type: ignore[arg-type]  # a union is no type to mypy
)
_indexes: Callable[[bytes], list[PremiumIndex] | PremiumIndex] = decoder(
    list[PremiumIndex] | PremiumIndex  # type: ignore[arg-type]  # a union is no type to mypy
)
_rates = decoder(list[FundingRate])
_klines = decoder(list[KlineRow])
_error = decoder(Error)

Query = dict[str, str]


def parse(data: bytes, request: str, names: Names, receive_time: int, newest: int) -> Parsed:
    """The events of an answer; VenueError where the URL does not give what the answer leaves out.

    `newest` is the newest event time seen of the venue, 0 for none, for answers without a time.
    """
    path, query = asked(request)
    path = path.rstrip("/")
    kind = "ticker/bookTicker" if path.endswith("ticker/bookTicker") else path.rpartition("/")[2]
    make = _KINDS.get(kind)
    if make is None:
        return Ignored(kind or "unknown request")
    if data.lstrip().startswith(b'{"code"'):
        return _refusal(data, kind)
    return make(data, query, names, receive_time, newest)


def _refusal(data: bytes, kind: str) -> Ignored:
    error = _error(data)
    return Ignored(f"error {error.code} of {kind}")


def _name(query: Query, parameter: str = "symbol") -> str:
    name = query.get(parameter)
    if not name:
        raise VenueError(f"the answer does not say of which symbol, nor its request ({parameter}=)")
    return name.upper()


def _instruments(
    data: bytes, query: Query, names: Names, receive_time: int, newest: int
) -> list[Event]:
    return instruments.instruments(instruments.decode(data), names.venue, receive_time)


def _snapshot(
    data: bytes, query: Query, names: Names, receive_time: int, newest: int
) -> list[Event]:
    answer = _depth(data)
    listing = names[answer.symbol or _name(query)]
    bids = [(level[0], level[1]) for level in answer.bids]
    asks = [(level[0], level[1]) for level in answer.asks]
    limit = query.get("limit", "")
    return [
        BookSnapshot(
            venue=listing.venue,
            symbol=listing.symbol,
            event_time=(answer.T or answer.E) * 1000 or newest or receive_time,
            receive_time=receive_time,
            sequence=answer.lastUpdateId,
            depth=depth_of(limit, max(len(bids), len(asks))),
            bids=listing.levels(bids),
            asks=listing.levels(asks),
        )
    ]


def _trade_events(
    data: bytes, query: Query, names: Names, receive_time: int, newest: int
) -> list[Event]:
    listing = names[_name(query)]
    return [
        Trade(
            venue=listing.venue,
            symbol=listing.symbol,
            event_time=trade.time * 1000,
            receive_time=receive_time,
            trade_id=str(trade.id),
            price=trade.price,
            quantity=listing.base(trade.qty, trade.price),
            aggressor_side="SELL" if trade.isBuyerMaker else "BUY",
            kind="MARKET" if trade.price and trade.qty else "OTHER",
            count=1,
            backfilled=True,
        )
        for trade in _trades(data)
    ]


def _agg_trade_events(
    data: bytes, query: Query, names: Names, receive_time: int, newest: int
) -> list[Event]:
    listing = names[_name(query)]
    return [
        Trade(
            venue=listing.venue,
            symbol=listing.symbol,
            event_time=trade.T * 1000,
            receive_time=receive_time,
            trade_id=str(trade.a),
            price=trade.p,
            quantity=listing.base(trade.q, trade.p),
            aggressor_side="SELL" if trade.m else "BUY",
            kind="MARKET" if trade.p and trade.q else "OTHER",
            count=count_of(trade.f, trade.l),
            backfilled=True,
        )
        for trade in _agg_trades(data)
    ]


def _kline_events(
    data: bytes, query: Query, names: Names, receive_time: int, newest: int
) -> list[Event]:
    """Candles; the last may still be open: closed are those whose end is not ahead of us."""
    listing = names[_name(query)]
    interval = query.get("interval")
    if not interval:
        raise VenueError("the request of these candles does not say their interval (interval=)")
    events: list[Event] = []
    for row in _klines(data):
        end = (row[6] + 1) * 1000
        volume, notional, taker = row[5], row[7], row[9]
        if listing.contract_size:
            volume, notional, taker = row[7], row[5] * listing.contract_size, row[10]
        events.append(
            Kline(
                venue=listing.venue,
                symbol=listing.symbol,
                event_time=min(end, newest or receive_time),
                receive_time=receive_time,
                interval=interval,
                open_time=row[0] * 1000,
                open=row[1],
                high=row[2],
                low=row[3],
                close=row[4],
                volume=volume,
                notional=notional,
                trade_count=row[8],
                taker_buy_volume=taker,
                closed=end <= (newest or receive_time),
            )
        )
    return events


def _continuous(data: bytes, query: Query, names: Names, receive_time: int, newest: int) -> Parsed:
    """Candles of a contract that rolls: the perpetual's are its own, others are no instrument's."""
    if query.get("contractType") != "PERPETUAL":
        return Ignored("continuousKlines of a rolling contract")
    suffix = "_PERP" if names.venue == "binance-coinm" else ""
    own = {**query, "symbol": _name(query, "pair") + suffix}
    return _kline_events(data, own, names, receive_time, newest)


def _quote_events(
    data: bytes, query: Query, names: Names, receive_time: int, newest: int
) -> list[Event]:
    answer = _quotes(data)
    events: list[Event] = []
    for quote in answer if isinstance(answer, list) else [answer]:
        listing = names[quote.symbol]
        events.append(
            Quote(
                venue=listing.venue,
                symbol=listing.symbol,
                event_time=quote.time * 1000 or newest or receive_time,
                receive_time=receive_time,
                sequence=quote.lastUpdateId,
                bid_price=quote.bidPrice or float("nan"),
                bid_quantity=listing.base(quote.bidQty, quote.bidPrice),
                ask_price=quote.askPrice or float("nan"),
                ask_quantity=listing.base(quote.askQty, quote.askPrice),
            )
        )
    return events


def _premium_events(
    data: bytes, query: Query, names: Names, receive_time: int, newest: int
) -> list[Event]:
    answer = _indexes(data)
    events: list[Event] = []
    for index in answer if isinstance(answer, list) else [answer]:
        values = (index.markPrice, index.indexPrice, index.lastFundingRate, index.nextFundingTime)
        made = stream.mark_and_funding(names, receive_time, index.symbol, index.time * 1000, values)
        events.extend(made)
    return events


def _funding_events(
    data: bytes, query: Query, names: Names, receive_time: int, newest: int
) -> list[Event]:
    events: list[Event] = []
    for rate in _rates(data):
        listing = names[rate.symbol]
        events.append(
            Funding(
                venue=listing.venue,
                symbol=listing.symbol,
                event_time=rate.fundingTime * 1000,
                receive_time=receive_time,
                rate=rate.fundingRate,
                funding_time=rate.fundingTime * 1000,
                settled=True,
            )
        )
    return events


_KINDS: dict[str, Callable[[bytes, Query, Names, int, int], Parsed]] = {
    "exchangeInfo": _instruments,
    "depth": _snapshot,
    "trades": _trade_events,
    "historicalTrades": _trade_events,
    "aggTrades": _agg_trade_events,
    "klines": _kline_events,
    "continuousKlines": _continuous,
    "ticker/bookTicker": _quote_events,
    "premiumIndex": _premium_events,
    "fundingRate": _funding_events,
}
