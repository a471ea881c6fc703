"""Flat state of a stage: rows of numbers, one for each instrument, that grow and are packed."""

import struct
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from processors.instruments import Instruments
from schemas.errors import SchemaError

_HEADER = struct.Struct("<BH")
_VENUE = struct.Struct("<HI")


class Cells:
    """A row of integers, of floats and of totals for each instrument, and which changed.

    Rows begin as `integers` and `floats` say; totals (named by `totals`) begin at 0 and survive
    `reset`. Kernels write the arrays and set `dirty`.
    """

    def __init__(
        self, integers: Sequence[int], floats: Sequence[float], totals: Sequence[str]
    ) -> None:
        self._blank_integers = np.array(integers, np.int64)
        self._blank_floats = np.array(floats, np.float64)
        self._names = tuple(totals)
        self.integers = np.empty((0, len(integers)), np.int64)
        self.floats = np.empty((0, len(floats)), np.float64)
        self.totals = np.empty((0, len(totals)), np.int64)
        self.dirty = np.empty(0, np.uint8)
        self._blank = b""
        self.fit(1)
        self._blank = self.pack(0)

    def fit(self, count: int) -> None:
        """Have rows for `count` instruments."""
        have = len(self.dirty)
        if count <= have:
            return
        more = max(16, 2 * count) - have
        self.integers = np.vstack((self.integers, np.tile(self._blank_integers, (more, 1))))
        self.floats = np.vstack((self.floats, np.tile(self._blank_floats, (more, 1))))
        self.totals = np.vstack((self.totals, np.zeros((more, len(self._names)), np.int64)))
        self.dirty = np.concatenate((self.dirty, np.zeros(more, np.uint8)))

    def reset(self, instrument: int) -> None:
        """Put an instrument back to its start; its totals stay."""
        self.integers[instrument] = self._blank_integers
        self.floats[instrument] = self._blank_floats
        self.dirty[instrument] = 1

    def counts(self) -> dict[str, int]:
        """The totals over all instruments."""
        return dict(zip(self._names, self.totals.sum(axis=0).tolist(), strict=True))

    def changed(self, instruments: Instruments) -> set[str]:
        """Symbols of the instruments that are dirty, which they are then no more."""
        found = np.flatnonzero(self.dirty)
        self.dirty[found] = 0
        names = instruments.symbol_names
        return {names[symbol] for symbol in set(instruments.symbols[found].tolist())}

    def known(self, instruments: Instruments, symbol: str) -> list[int]:
        """A symbol's instruments to which something has happened."""
        found = instruments.of_symbol(symbol)
        return [i for i in found if i < len(self.dirty) and not self.is_blank(i)]

    def restore(
        self, instruments: Instruments, stage: str, symbol: str, layout: int, state: bytes
    ) -> None:
        """Take over a symbol's rows as `pack_symbol` gave them; SchemaError for another layout."""
        for venue, body in unpack_symbol(stage, symbol, layout, state):
            instrument = instruments.add(venue, symbol.encode())
            self.fit(instrument + 1)
            self.unpack(instrument, body)

    def forget(self, instruments: Instruments, symbol: str) -> None:
        """Put a symbol back to its start; its totals stay."""
        for instrument in self.known(instruments, symbol):
            self.reset(instrument)

    @property
    def packed_size(self) -> int:
        """Bytes that `pack` gives."""
        return len(self._blank)

    def is_blank(self, instrument: int) -> bool:
        """Whether nothing has happened to an instrument."""
        return self.pack(instrument) == self._blank

    def pack(self, instrument: int) -> bytes:
        """An instrument's row as bytes, little-endian: integers, floats, totals."""
        parts: tuple[tuple[NDArray[Any], str], ...] = (
            (self.integers, "<i8"),
            (self.floats, "<f8"),
            (self.totals, "<i8"),
        )
        return b"".join(rows[instrument].astype(kind).tobytes() for rows, kind in parts)

    def unpack(self, instrument: int, data: bytes) -> None:
        """Take over an instrument's row as `pack` gave it."""
        at = 0
        for rows, kind in ((self.integers, "<i8"), (self.floats, "<f8"), (self.totals, "<i8")):
            width = rows.shape[1]
            rows[instrument] = np.frombuffer(data, kind, width, at)
            at += 8 * width


def pack_symbol(
    layout: int, instruments: Instruments, found: Sequence[int], body: Callable[[int], bytes]
) -> bytes:
    """A symbol's state: layout and count, then for each venue its name and body."""
    parts = [_HEADER.pack(layout, len(found))]
    for instrument in found:
        venue, data = instruments.venue(instrument), body(instrument)
        parts += (_VENUE.pack(len(venue), len(data)), venue, data)
    return b"".join(parts)


def unpack_symbol(
    stage: str, symbol: str, layout: int, data: bytes
) -> Iterator[tuple[bytes, bytes]]:
    """Venue and body of each instrument; SchemaError when the layout is another."""
    found, count = _HEADER.unpack_from(data)
    if found != layout:
        raise SchemaError(
            f"the state of stage {stage!r}, symbol {symbol!r}, has layout {found}, this version "
            f"reads {layout}: start from the beginning of the tape instead"
        )
    at = _HEADER.size
    for _ in range(count):
        name_length, length = _VENUE.unpack_from(data, at)
        at += _VENUE.size
        venue = data[at : at + name_length]
        at += name_length
        yield venue, data[at : at + length]
        at += length
