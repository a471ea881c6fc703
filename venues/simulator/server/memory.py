"""What a venue has published of one instrument, for REST: made of the streamed bytes themselves.

Messages are read late, when somebody asks or there are many; so a market that nobody asks by REST
costs next to nothing, and an answer cannot say anything else than the streams said.
"""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from venues.simulator.server.channel import MOST_TRADES, Channel, Kind

MOST_CANDLES = 1_500
MOST_UNREAD = 4_096
MOST_WITHOUT_BOOK = 1_000
"""Diffs kept while no snapshot of their book is known."""

Row = Sequence[str]
"""A book's level as the venue writes it: price, quantity, perhaps more."""


@dataclass(frozen=True, slots=True)
class Print:
    """One trade; numbers as the venue wrote them."""

    id: str
    time_ms: int
    price: str
    quantity: str
    sold: bool
    """The taker sold."""
    sequence: int = -1
    first: str = ""
    """Of an aggregate: the first and last trade in it."""
    last: str = ""


@dataclass(slots=True)
class Book:
    """A book after the last published diff."""

    sequence: int = -1
    second_sequence: int = -1
    """Bybit's `seq`, beside its `u`."""
    time_ms: int = 0
    checksum: int = 0
    bids: dict[str, Row] = field(default_factory=dict)
    asks: dict[str, Row] = field(default_factory=dict)

    def change(self, bids: Sequence[Row], asks: Sequence[Row]) -> None:
        """Set levels to absolute quantities; zero removes."""
        for side, rows in ((self.bids, bids), (self.asks, asks)):
            for row in rows:
                if float(row[1]):
                    side[row[0]] = row
                else:
                    side.pop(row[0], None)

    def replace(self, bids: Sequence[Row], asks: Sequence[Row]) -> None:
        """Begin anew from whole sides."""
        self.bids, self.asks = {}, {}
        self.change(bids, asks)

    def sides(self, depth: int) -> tuple[list[Row], list[Row]]:
        """The best `depth` bids and asks, best first."""
        bids = sorted(self.bids.values(), key=_price, reverse=True)
        return bids[:depth], sorted(self.asks.values(), key=_price)[:depth]


def _price(row: Row) -> float:
    return float(row[0])


class Reader(Protocol):
    """How a venue's messages are read."""

    @property
    def sends_whole(self) -> bool:
        """A book's stream begins with the whole book; else it is begun by a REST snapshot."""

    def trades(self, data: bytes) -> list[Print]:
        """The trades of one message."""

    def diff(self, book: Book, data: bytes) -> None:
        """Follow one message of a book; one that is older than the book changes nothing."""

    def candle(self, data: bytes) -> tuple[int, list[Any]]:
        """Start (ms) and REST row of a candle."""

    def ticker(self, data: bytes) -> dict[str, Any]:
        """The fields that a ticker's message says."""


class Instrument:
    """One instrument's streams and what they said."""

    def __init__(self, symbol: str, reader: Reader) -> None:
        self.symbol = symbol
        self.delisted = False
        self.channels: dict[Kind, Channel] = {}
        self._reader = reader
        self._prints: deque[Print] = deque(maxlen=MOST_TRADES)
        self._candles: dict[int, list[Any]] = {}
        self._ticker: dict[str, Any] = {}
        whole = Book() if reader.sends_whole else None
        self._books: dict[Kind, Book | None] = {"book": whole, "top": Book()}

    def begin_book(self, book: Book) -> None:
        """A snapshot by REST; taken only where none is known."""
        if self._books["book"] is None:
            self._books["book"] = book

    def prints(self) -> deque[Print]:
        """Trades, oldest first."""
        for data in self._unread("trades"):
            self._prints.extend(self._reader.trades(data))
        return self._prints

    def candles(self) -> dict[int, list[Any]]:
        """One-minute candles by their start, ms, oldest first; the last may still be open."""
        for data in self._unread("kline"):
            start, row = self._reader.candle(data)
            self._candles[start] = row
        while len(self._candles) > MOST_CANDLES:
            del self._candles[next(iter(self._candles))]
        return self._candles

    def ticker(self) -> dict[str, Any]:
        """All fields that the ticker has said, each as it was said last."""
        for data in self._unread("ticker"):
            self._ticker.update(self._reader.ticker(data))
        return self._ticker

    def book(self, kind: Kind = "book") -> Book | None:
        """The book (or the `top` of it that a stream of its own says); None if none is known."""
        book = self._books[kind]
        if book is None:
            return None
        for data in self._unread(kind):
            self._reader.diff(book, data)
        return book if book.bids or book.asks else None

    def last(self, kind: Kind) -> bytes:
        """The newest message of a kind; empty if none came."""
        channel = self.channels.get(kind)
        if channel is None or not channel.recent:
            return b""
        return channel.recent[-1]

    def tidy(self) -> None:
        """Read what has piled up."""
        for kind, read in (("book", self.book), ("kline", self.candles), ("ticker", self.ticker)):
            if self._piled(kind):  # type: ignore[arg-type]  # kinds, all three
                read()
        if self._piled("top"):
            self.book("top")
        channel = self.channels.get("book")
        if self._books["book"] is None and channel is not None:
            while len(channel.recent) > MOST_WITHOUT_BOOK:
                channel.recent.popleft()

    def _piled(self, kind: Kind) -> bool:
        channel = self.channels.get(kind)
        return channel is not None and len(channel.recent) > MOST_UNREAD

    def _unread(self, kind: Kind) -> list[bytes]:
        channel = self.channels.get(kind)
        if channel is None:
            return []
        unread = list(channel.recent)
        channel.recent.clear()
        return unread
