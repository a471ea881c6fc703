"""OKX's CRC-32 of a book's best 25 levels, over prices and sizes as they were sent.

Retired by the venue (the field is fixed to 0 now); recordings of before have it.
"""

from heapq import nlargest, nsmallest
from zlib import crc32

from msgspec import Struct

from venues.messages import decoder

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


class SentBook:
    """A book of the texts that were sent, to compute the venue's checksum over."""

    def __init__(self) -> None:
        self._bids: dict[float, str] = {}
        self._asks: dict[float, str] = {}

    def apply(self, data: bytes, whole: bool) -> None:
        """Follow a message; `whole` replaces the book."""
        if whole:
            self._bids.clear()
            self._asks.clear()
        for row in _decode(data).data:
            _apply(self._bids, row.bids)
            _apply(self._asks, row.asks)

    def checksum(self) -> int:
        """The signed CRC-32 of bid:ask interleaved, best first."""
        bids = [self._bids[price] for price in nlargest(LEVELS, self._bids)]
        asks = [self._asks[price] for price in nsmallest(LEVELS, self._asks)]
        parts: list[str] = []
        for index in range(max(len(bids), len(asks))):
            parts.extend(bids[index : index + 1])
            parts.extend(asks[index : index + 1])
        found = crc32(":".join(parts).encode())
        return found - (1 << 32) if found >= 1 << 31 else found


def _apply(side: dict[float, str], levels: list[SentLevel]) -> None:
    for level in levels:
        price = float(level.price)
        if float(level.size) == 0.0:
            side.pop(price, None)
        else:
            side[price] = f"{level.price}:{level.size}"
