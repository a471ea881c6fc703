"""Bybit's REST answers to events; the request's URL says what an answer is."""

from collections.abc import Callable
from typing import Any

import msgspec
from msgspec import Struct

from schemas.errors import VenueError
from schemas.events import BookSnapshot, Event, Funding, Kline, Trade
from venues.bybit import instruments, stream, top
from venues.messages import (
    Ignored,
    Levels,
    Millis,
    Number,
    Parsed,
    Signed,
    Text,
    Whole,
    asked,
    decoder,
    depth_of,
)
from venues.symbols import Names


class Answer(Struct):
    """What wraps every answer; `time` is the venue's clock."""

    retCode: int
    retMsg: str = ""
    result: msgspec.Raw = msgspec.Raw()
    time: Millis = 0


class Category(Struct):
    """The market of an answer, where it says so."""

    category: str = ""


class Book(Struct):
    """`market/orderbook`."""

    s: str
    b: Levels
    a: Levels
    u: Whole
    ts: Millis
    cts: Millis = 0


class RestTrade(Struct):
    """`market/recent-trade`."""

    execId: Text
    symbol: str
    price: Number
    size: Number
    side: str
    time: Millis
    isBlockTrade: bool = False


class Trades(Struct):
    """A list of trades."""

    list: list[RestTrade]


class FundingRow(Struct):
    """`market/funding/history`."""

    symbol: str
    fundingRate: Signed
    fundingRateTimestamp: Millis


class Rates(Struct):
    """A list of settled rates."""

    list: list[FundingRow]


class Candles(Struct):
    """`market/kline`: rows of start, open, high, low, close, volume, turnover."""

    list: list[tuple[Millis, Number, Number, Number, Number, Number, Number]]
    symbol: str = ""


class Tickers(Struct):
    """`market/tickers`."""

    list: list[top.TickerData]


_answer = decoder(Answer)
_category = decoder(Category)
_book = decoder(Book)
_trades = decoder(Trades)
_rates = decoder(Rates)
_candles = decoder(Candles)
_tickers = decoder(Tickers)

Query = dict[str, str]
Make = Callable[[Any, Query, Names, int, int], Parsed]


def parse(data: bytes, request: str, names: Names, receive_time: int, newest: int) -> Parsed:
    """The events of an answer; markets other than spot and linear are ignored by name."""
    path, query = asked(request)
    kind = path.partition("/market/")[2].rstrip("/")
    make = _KINDS.get(kind)
    if make is None:
        return Ignored(kind or path or "unknown request")
    answer = _answer(data)
    if answer.retCode:
        return Ignored(f"error {answer.retCode} of {kind}")
    category = query.get("category") or _category(answer.result).category
    if category and f"bybit-{category}" != names.venue:
        if category in {"spot", "linear"}:
            raise VenueError(f"an answer of {category} came as one of {names.venue}")
        return Ignored(f"{kind} of {category}")
    return make(answer.result, query, names, receive_time, answer.time * 1000 or receive_time)


def _instruments(
    result: msgspec.Raw, query: Query, names: Names, receive_time: int, time: int
) -> list[Event]:
    listed = instruments.decode(result)
    return instruments.instruments(listed, names.venue, time, receive_time)


def _snapshot(
    result: msgspec.Raw, query: Query, names: Names, receive_time: int, time: int
) -> list[Event]:
    book = _book(result)
    listing = names[book.s]
    limit = query.get("limit", "")
    return [
        BookSnapshot(
            venue=listing.venue,
            symbol=listing.symbol,
            event_time=(book.cts or book.ts) * 1000,
            receive_time=receive_time,
            sequence=book.u,
            depth=depth_of(limit, max(len(book.b), len(book.a))),
            bids=book.b,
            asks=book.a,
        )
    ]


def _trade_events(
    result: msgspec.Raw, query: Query, names: Names, receive_time: int, time: int
) -> list[Event]:
    events: list[Event] = []
    for trade in _trades(result).list:
        listing = names[trade.symbol]
        events.append(
            Trade(
                venue=listing.venue,
                symbol=listing.symbol,
                event_time=trade.time * 1000,
                receive_time=receive_time,
                trade_id=str(trade.execId),
                price=trade.price,
                quantity=trade.size,
                aggressor_side=stream.side(trade.side),
                kind="BLOCK" if trade.isBlockTrade else "MARKET",
                count=1,
                backfilled=True,
            )
        )
    return events


def _funding_events(
    result: msgspec.Raw, query: Query, names: Names, receive_time: int, time: int
) -> list[Event]:
    events: list[Event] = []
    for row in _rates(result).list:
        listing = names[row.symbol]
        events.append(
            Funding(
                venue=listing.venue,
                symbol=listing.symbol,
                event_time=row.fundingRateTimestamp * 1000,
                receive_time=receive_time,
                rate=row.fundingRate,
                funding_time=row.fundingRateTimestamp * 1000,
                settled=True,
            )
        )
    return events


def _kline_events(
    result: msgspec.Raw, query: Query, names: Names, receive_time: int, time: int
) -> list[Event]:
    """Candles, newest first; all but one that may be the running one are closed."""
    candles = _candles(result)
    listing = names[candles.symbol or query.get("symbol", "")]
    interval = query.get("interval", "")
    if not interval:
        raise VenueError("the request of these candles does not say their interval (interval=)")
    newest = max((row[0] for row in candles.list), default=0)
    events: list[Event] = []
    for row in candles.list:
        length = instruments.INTERVAL_US.get(interval)
        closed = row[0] < newest if length is None else row[0] * 1000 + length <= time
        end = row[0] * 1000 + length if length is not None and closed else time
        events.append(
            Kline(
                venue=listing.venue,
                symbol=listing.symbol,
                event_time=end,
                receive_time=receive_time,
                interval=stream.interval_name(interval),
                open_time=row[0] * 1000,
                open=row[1],
                high=row[2],
                low=row[3],
                close=row[4],
                volume=row[5],
                notional=row[6],
                closed=closed,
            )
        )
    return events


def _ticker_events(
    result: msgspec.Raw, query: Query, names: Names, receive_time: int, time: int
) -> Parsed:
    events: list[Event] = []
    for data in _tickers(result).list:
        message = top.TickerMessage(type="snapshot", ts=time // 1000, data=data)
        events.extend(top.ticker(data, message, names, receive_time, with_quote=True))
    return events or Ignored("tickers without quote, mark price or funding")


_KINDS: dict[str, Make] = {
    "instruments-info": _instruments,
    "orderbook": _snapshot,
    "recent-trade": _trade_events,
    "funding/history": _funding_events,
    "kline": _kline_events,
    "tickers": _ticker_events,
}
