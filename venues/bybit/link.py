"""One connection to Bybit: which parser reads a message, by its topic."""

import re
from collections.abc import Callable

from msgspec import Struct

from schemas.events import Event
from venues.bybit import stream, top
from venues.messages import Claims, Ignored, Parsed, decoder, notice
from venues.symbols import Names


class Head(Struct):
    """What tells the kind of a message."""

    topic: str = ""
    op: str = ""
    ret_msg: str = ""


_TOPIC = b'{"topic":"'
_head = decoder(Head)
_book = decoder(stream.BookMessage)
_trades = decoder(stream.TradeMessage)
_klines = decoder(stream.KlineMessage)
_ticker = decoder(top.TickerMessage)
# Instruments that are dated by strike and side, e.g. BTC-6JAN23-17500-C.
_OPTION_DASHES = 3


Reader = Callable[[str, str, bytes, int], Parsed]


def _ignore(kind: str, symbol: str, data: bytes, receive_time: int) -> Parsed:
    return Ignored(kind)


class BybitLink:
    """Reads the WebSocket messages of one connection to one market."""

    def __init__(self, names: Names, claims: Claims) -> None:
        self._names = names
        self._claims = claims
        self._routes: dict[bytes, tuple[Reader, str, str]] = {}
        self._tops: dict[str, top.Top | None] = {}
        self._tickers: dict[str, top.TickerData] = {}

    def read(self, data: bytes, receive_time: int, newest: int) -> Parsed:
        """The events of a message; errors of msgspec and VenueError for one out of form."""
        if data.startswith(_TOPIC):
            topic = data[10 : data.find(b'"', 10)]
        else:
            head = _head(data)
            if not head.topic:
                return Ignored(head.op or "message of no known form")
            topic = head.topic.encode()
        route = self._routes.get(topic)
        if route is None:
            route = self._routes[topic] = self._route(topic.decode())
        reader, kind, symbol = route
        return reader(kind, symbol, data, receive_time)

    def _route(self, topic: str) -> tuple[Reader, str, str]:
        kind, _, symbol = topic.rpartition(".")
        reader: Reader = _ignore
        if symbol.count("-") >= _OPTION_DASHES:
            kind = f"{kind} of options"
        elif kind == "orderbook.1":
            reader = self._read_top
        elif re.fullmatch(r"orderbook\.\d+", kind):
            reader = self._read_book
        elif kind == "publicTrade" or kind.startswith("trade."):
            reader = self._read_trades
        elif kind == "tickers":
            reader = self._read_ticker
        elif kind.startswith("kline."):
            reader = self._read_klines
        return reader, kind or topic, symbol

    def _read_trades(self, kind: str, symbol: str, data: bytes, receive_time: int) -> Parsed:
        return stream.trades(_trades(data), self._names, receive_time)

    def _read_klines(self, kind: str, symbol: str, data: bytes, receive_time: int) -> Parsed:
        return stream.klines(_klines(data), self._names, receive_time)

    def _read_book(self, kind: str, symbol: str, data: bytes, receive_time: int) -> Parsed:
        if not self._claims.claim(self._names.venue, symbol, "book", kind):
            return Ignored(f"{kind} beside another depth")
        return stream.book(_book(data), self._names, receive_time, int(kind[10:]))

    def _read_top(self, kind: str, symbol: str, data: bytes, receive_time: int) -> Parsed:
        """`orderbook.1`; where an update is missing it says so and waits for the snapshot."""
        before = self._tops.get(symbol)
        message = _book(data)
        after, events = top.quote(before, message, self._names, receive_time)
        self._tops[symbol] = after
        if after is not None:
            return events
        if before is None:
            return Ignored("orderbook.1 update without its snapshot")
        said: list[Event] = [
            notice(
                self._names[symbol],
                (message.cts or message.ts) * 1000,
                receive_time,
                "quotes",
                f"orderbook.1 jumped from u={before.update_id} to u={message.data.u}",
            )
        ]
        return said

    def _read_ticker(self, kind: str, symbol: str, data: bytes, receive_time: int) -> Parsed:
        message = _ticker(data)
        state = self._tickers[symbol] = top.merge(self._tickers.get(symbol), message)
        # orderbook.1 says the same sooner and with a sequence.
        with_quote = symbol not in self._tops
        events = top.ticker(state, message, self._names, receive_time, with_quote)
        return events or Ignored("tickers without quote, mark price or funding")
