"""OKX's REST answers to events; the request's URL says what an answer is."""

from collections.abc import Callable

import msgspec
from msgspec import Struct

from schemas.errors import VenueError
from schemas.events import Event
from venues.messages import Ignored, Parsed, Text, asked, decoder, depth_of
from venues.okx import instruments, stream
from venues.symbols import Names


class Answer(Struct):
    """What wraps every answer."""

    code: Text
    data: msgspec.Raw = msgspec.Raw(b"[]")


_answer = decoder(Answer)
_books = decoder(list[stream.BookRow])
_trades = decoder(list[stream.TradeRow])
_candles = decoder(list[stream.CandleRow])
_marks = decoder(list[stream.MarkPriceRow])
_funding = decoder(list[stream.FundingRow])
_tickers = decoder(list[stream.TickerRow])
_instruments = decoder(list[instruments.InstrumentRow])

Query = dict[str, str]
Make = Callable[[msgspec.Raw, Query, Names, int, int], Parsed]


def parse(data: bytes, request: str, names: Names, receive_time: int, newest: int) -> Parsed:
    """The events of an answer; VenueError where the URL does not give what the answer leaves out.

    `newest` is the newest event time seen of the venue, 0 for none, for answers without a time.
    """
    path, query = asked(request)
    kind = path.partition("/v5/")[2].rstrip("/")
    make = _KINDS.get(kind)
    if make is None:
        return Ignored(kind or path or "unknown request")
    answer = _answer(data)
    if str(answer.code) != "0":
        return Ignored(f"error {answer.code} of {kind}")
    if query.get("instType") == "OPTION" or query.get("instId", "").count("-") > 3:
        return Ignored(f"{kind} of options")
    return make(answer.data, query, names, receive_time, newest)


def _name(query: Query) -> str:
    name = query.get("instId")
    if not name:
        raise VenueError("the answer does not say of which instrument, nor its request (instId=)")
    return name


def _instrument_events(
    data: msgspec.Raw, query: Query, names: Names, receive_time: int, newest: int
) -> Parsed:
    events = instruments.instruments(_instruments(data), receive_time)
    return events or Ignored("instruments of other types")


def _snapshots(
    data: msgspec.Raw, query: Query, names: Names, receive_time: int, newest: int
) -> list[Event]:
    events: list[Event] = []
    for row in _books(data):
        size = query.get("sz", "")
        depth = depth_of(size, max(len(row.bids), len(row.asks)))
        events += stream.snapshot(_name(query), row, names, receive_time, depth)
    return events


def _trade_events(
    data: msgspec.Raw, query: Query, names: Names, receive_time: int, newest: int
) -> list[Event]:
    return stream.trades(_trades(data), names, receive_time, backfilled=True)


def _candle_events(
    data: msgspec.Raw, query: Query, names: Names, receive_time: int, newest: int
) -> list[Event]:
    interval = query.get("bar", "1m")
    return stream.candles(_name(query), interval, _candles(data), names, receive_time, newest)


def _mark_events(
    data: msgspec.Raw, query: Query, names: Names, receive_time: int, newest: int
) -> list[Event]:
    return stream.mark_prices(_marks(data), names, receive_time)


def _funding_events(
    data: msgspec.Raw, query: Query, names: Names, receive_time: int, newest: int
) -> list[Event]:
    return stream.funding(_funding(data), names, receive_time, newest)


def _settled_events(
    data: msgspec.Raw, query: Query, names: Names, receive_time: int, newest: int
) -> list[Event]:
    return stream.funding(_funding(data), names, receive_time, newest, settled=True)


def _ticker_events(
    data: msgspec.Raw, query: Query, names: Names, receive_time: int, newest: int
) -> list[Event]:
    return stream.quotes(_tickers(data), names, receive_time)


_KINDS: dict[str, Make] = {
    "public/instruments": _instrument_events,
    "public/mark-price": _mark_events,
    "public/funding-rate": _funding_events,
    "public/funding-rate-history": _settled_events,
    "market/books": _snapshots,
    "market/books-full": _snapshots,
    "market/books-lite": _snapshots,
    "market/trades": _trade_events,
    "market/history-trades": _trade_events,
    "market/candles": _candle_events,
    "market/history-candles": _candle_events,
    "market/ticker": _ticker_events,
    "market/tickers": _ticker_events,
}
