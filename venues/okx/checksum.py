"""OKX's CRC-32 of a book's best 25 levels, over prices and sizes as they were sent.

Retired by the venue (the field is fixed to 0 now); recordings of before have it.
"""

from bisect import bisect_left, insort
from itertools import zip_longest
from zlib import crc32

from msgspec import Struct

from venues.messages import decoder
from venues.okx.stream import BookRow, Level

LEVELS = 25


class SentLevel(Struct, array_like=True, gc=False):
    """Price and size as sent."""

    price: str
    size: str


class SentRow(Struct, gc=False):
    """A book row with its numbers as text."""

    asks: list[SentLevel]
    bids: list[SentLevel]


class SentMessage(Struct, gc=False):
    """A book message with its numbers as text."""

    data: list[SentRow]


_decode = decoder(SentMessage)


class _Side:
    """One side's texts by price, and its prices in order, the best first."""

    def __init__(self, sign: float) -> None:
        self._sign = sign
        self._texts: dict[float, str] = {}
        self._order: list[float] = []

    def replace(self, levels: list[Level], sent: list[SentLevel]) -> None:
        """Begin anew with these levels."""
        self._texts.clear()
        self._order.clear()
        self.apply(levels, sent)

    def apply(self, levels: list[Level], sent: list[SentLevel]) -> None:
        """Change these levels; a size of zero removes."""
        texts, order, sign = self._texts, self._order, self._sign
        for level, text in zip(levels, sent, strict=True):
            place = level.price * sign
            if level.size != 0.0:
                if place not in texts:
                    insort(order, place)
                texts[place] = f"{text.price}:{text.size}"
            elif place in texts:
                del texts[place]
                del order[bisect_left(order, place)]

    def best(self) -> list[str]:
        """The texts of the best levels."""
        return [self._texts[place] for place in self._order[:LEVELS]]


class SentBook:
    """A book of the texts that were sent, to compute the venue's checksum over."""

    def __init__(self) -> None:
        self._bids, self._asks = _Side(-1.0), _Side(1.0)

    def apply(self, data: bytes, rows: list[BookRow], whole: bool) -> None:
        """Follow a message, of which `rows` are the decoded ones; `whole` replaces the book."""
        for row, sent in zip(rows, _decode(data).data, strict=True):
            if whole:
                self._bids.replace(row.bids, sent.bids)
                self._asks.replace(row.asks, sent.asks)
            else:
                self._bids.apply(row.bids, sent.bids)
                self._asks.apply(row.asks, sent.asks)

    def checksum(self) -> int:
        """The signed CRC-32 of bid:ask interleaved, best first."""
        bids, asks = self._bids.best(), self._asks.best()
        if len(bids) == len(asks):
            parts = [text for pair in zip(bids, asks, strict=True) for text in pair]
        else:
            pairs = zip_longest(bids, asks)
            parts = [text for pair in pairs for text in pair if text is not None]
        found = crc32(":".join(parts).encode())
        return found - (1 << 32) if found >= 1 << 31 else found
