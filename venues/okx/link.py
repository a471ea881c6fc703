"""One connection to OKX: which parser reads a message, by its channel and instrument."""

import re
from collections.abc import Callable

from msgspec import Struct

from schemas.events import Event, FeedStatus
from venues.messages import Claims, Ignored, Parsed, decoder
from venues.okx import instruments, stream
from venues.okx.checksum import SentBook
from venues.symbols import Names


class Argument(Struct, frozen=True):
    """What a message answers to."""

    channel: str = ""
    instId: str = ""


class Head(Struct):
    """What tells the kind of a message."""

    arg: Argument = Argument()
    event: str = ""
    op: str = ""


class BookMessage(Struct, gc=False):
    """`books` and its like; `action` is missing where every message is whole."""

    data: list[stream.BookRow]
    action: str = "snapshot"


class TradeMessage(Struct, gc=False):
    """`trades`, `trades-all`."""

    data: list[stream.TradeRow]


class TickerMessage(Struct, gc=False):
    """`tickers`."""

    data: list[stream.TickerRow]


class MarkPriceMessage(Struct, gc=False):
    """`mark-price`."""

    data: list[stream.MarkPriceRow]


class FundingMessage(Struct, gc=False):
    """`funding-rate`."""

    data: list[stream.FundingRow]


class CandleMessage(Struct, gc=False):
    """`candle1m` and its like."""

    data: list[stream.CandleRow]


class InstrumentMessage(Struct):
    """`instruments`."""

    data: list[instruments.InstrumentRow]


_ARGUMENT = b'{"arg":{'
_head = decoder(Head)
_books = decoder(BookMessage)
_trades = decoder(TradeMessage)
_tickers = decoder(TickerMessage)
_marks = decoder(MarkPriceMessage)
_funding = decoder(FundingMessage)
_candles = decoder(CandleMessage)
_instruments = decoder(InstrumentMessage)
# Levels a side of each channel; those of `books5` and `bbo-tbt` are sent whole every time.
_DEPTHS = {"books": 400, "books5": 5, "books-l2-tbt": 400, "books50-l2-tbt": 50}

Reader = Callable[[str, str, bytes, int, int], Parsed]


def _ignore(channel: str, name: str, data: bytes, receive_time: int, newest: int) -> Parsed:
    return Ignored(channel)


class OkxLink:
    """Reads the WebSocket messages of one connection."""

    def __init__(self, names: Names, claims: Claims) -> None:
        self._names = names
        self._claims = claims
        self._routes: dict[bytes, tuple[Reader, str, str]] = {}
        self._best: set[str] = set()
        self._sent: dict[str, SentBook] = {}

    def read(self, data: bytes, receive_time: int, newest: int) -> Parsed:
        """The events of a message; errors of msgspec and VenueError for one out of form."""
        if data.startswith(_ARGUMENT):
            end = data.find(b"}")
            route = self._routes.get(data[:end])
            if route is not None:
                reader, channel, name = route
                return reader(channel, name, data, receive_time, newest)
        if data == b"pong":
            return Ignored("pong")
        head = _head(data)
        if head.event or not head.arg.channel:
            return Ignored(head.event or head.op or "message of no known form")
        reader, channel = self._reader(head.arg)
        name = head.arg.instId
        if data.startswith(_ARGUMENT):
            self._routes[data[: data.find(b"}")]] = (reader, channel, name)
        return reader(channel, name, data, receive_time, newest)

    def _reader(self, arg: Argument) -> tuple[Reader, str]:
        channel = arg.channel
        if arg.instId.count("-") > 3:
            return _ignore, f"{channel} of options"
        if channel in _DEPTHS:
            return self._read_book, channel
        if re.fullmatch(r"candle\d\w+", channel):
            return self._read_candles, channel
        reader = {
            "bbo-tbt": self._read_best,
            "trades": self._read_trades,
            "trades-all": self._read_trades,
            "tickers": self._read_tickers,
            "mark-price": self._read_marks,
            "funding-rate": self._read_funding,
            "instruments": self._read_instruments,
        }.get(channel, _ignore)
        return reader, channel

    def _read_book(
        self, channel: str, name: str, data: bytes, receive_time: int, newest: int
    ) -> Parsed:
        if not self._claims.claim("okx", name, "book", channel):
            return Ignored(f"{channel} beside another depth")
        message = _books(data)
        whole = message.action == "snapshot"
        events: list[Event] = []
        for row in message.data:
            if whole:
                depth = _DEPTHS[channel]
                events += stream.snapshot(name, row, self._names, receive_time, depth)
            else:
                events += stream.delta(name, row, self._names, receive_time)
        checksum = message.data[-1].checksum if message.data else 0
        if checksum and not self._agrees(name, data, message, checksum):
            # A whole book that is wrong is no book; changes that make it wrong are not of it.
            place = len(events) if whole else 0
            events.insert(place, self._disagreement(name, message.data[-1], receive_time))
        return events

    def _agrees(self, name: str, data: bytes, message: BookMessage, checksum: int) -> bool:
        """Whether the book with this message has the checksum that came with it.

        Nothing is compared from a disagreement on until the book was sent whole again.
        """
        book = self._sent.get(name)
        whole = message.action == "snapshot"
        if whole:
            book = self._sent[name] = SentBook()
        if book is None:
            return True
        book.apply(data, message.data, whole)
        if book.checksum() == checksum:
            return True
        del self._sent[name]
        return False

    def _disagreement(self, name: str, row: stream.BookRow, receive_time: int) -> FeedStatus:
        listing = self._names[name]
        return FeedStatus(
            venue=listing.venue,
            symbol=listing.symbol,
            event_time=row.ts * 1000,
            receive_time=receive_time,
            status="GAP",
            channel="book",
            reason=f"the book's checksum is not the one that the venue sent ({row.checksum})",
        )

    def _read_best(
        self, channel: str, name: str, data: bytes, receive_time: int, newest: int
    ) -> Parsed:
        self._best.add(name)
        events: list[Event] = []
        for row in _books(data).data:
            events += stream.best(name, row, self._names, receive_time)
        return events

    def _read_trades(
        self, channel: str, name: str, data: bytes, receive_time: int, newest: int
    ) -> Parsed:
        if not self._claims.claim("okx", name, "trades", channel):
            return Ignored(f"{channel} beside another channel of trades")
        return stream.trades(_trades(data).data, self._names, receive_time)

    def _read_tickers(
        self, channel: str, name: str, data: bytes, receive_time: int, newest: int
    ) -> Parsed:
        if name in self._best:
            return Ignored("tickers beside bbo-tbt")
        return stream.quotes(_tickers(data).data, self._names, receive_time)

    def _read_marks(
        self, channel: str, name: str, data: bytes, receive_time: int, newest: int
    ) -> Parsed:
        return stream.mark_prices(_marks(data).data, self._names, receive_time)

    def _read_funding(
        self, channel: str, name: str, data: bytes, receive_time: int, newest: int
    ) -> Parsed:
        return stream.funding(_funding(data).data, self._names, receive_time, newest)

    def _read_candles(
        self, channel: str, name: str, data: bytes, receive_time: int, newest: int
    ) -> Parsed:
        rows = _candles(data).data
        return stream.candles(name, channel[6:], rows, self._names, receive_time, newest)

    def _read_instruments(
        self, channel: str, name: str, data: bytes, receive_time: int, newest: int
    ) -> Parsed:
        events = instruments.instruments(_instruments(data).data, receive_time)
        return events or Ignored("instruments of other types")
