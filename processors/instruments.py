"""Instruments met so far: (venue, symbol) as dense indexes, their names and kinds."""

from collections.abc import Iterable
from typing import Final

import numpy as np
from numpy.typing import NDArray

from processors import instrument_kernel as kernel
from schemas.columns import Batch, table_dtype
from schemas.venues import BY_NAME

SPOT: Final = 0
LINEAR: Final = 1
INVERSE: Final = 2
UNKNOWN_KIND: Final = 3
_KINDS = {"spot": SPOT, "linear": LINEAR, "inverse": INVERSE}


class Instruments:
    """Interns the venues and symbols of events.

    Indexes are in the order of first meeting, which a restored worker does not share: nothing
    that is emitted or stored may depend on them. `order` gives an order that all workers share.
    """

    def __init__(self) -> None:
        self._text = np.zeros(256, np.uint8)
        self._used = 0
        self._words: dict[bytes, tuple[int, int]] = {}
        self._spans = np.zeros((16, kernel.SPAN_COLUMNS), np.int64)
        self._table = np.full(64, -1, np.int64)
        self._processed = np.zeros(16, np.uint8)
        self._selected: frozenset[str] = frozenset()
        self._names: list[tuple[bytes, bytes]] = []
        self._kinds = np.zeros(16, np.int64)
        self._symbols = np.zeros(16, np.int64)
        self._index: dict[tuple[bytes, bytes], int] = {}
        self._order = np.zeros(0, np.int64)
        self.symbol_names: list[str] = []
        self._by_symbol: dict[str, list[int]] = {}

    def __len__(self) -> int:
        return len(self._names)

    @property
    def text(self) -> NDArray[np.uint8]:
        """The bytes of all names and words; what has been given out never changes."""
        return self._text[: self._used]

    @property
    def spans(self) -> NDArray[np.int64]:
        """Where each instrument's names lie in `text`, columns as in `instrument_kernel`."""
        return self._spans[: len(self)]

    @property
    def kinds(self) -> NDArray[np.int64]:
        """Each instrument's market: SPOT, LINEAR, INVERSE, or UNKNOWN_KIND for other venues."""
        return self._kinds[: len(self)]

    @property
    def symbols(self) -> NDArray[np.int64]:
        """Each instrument's symbol as an index of `symbol_names`."""
        return self._symbols[: len(self)]

    def venue(self, instrument: int) -> bytes:
        """An instrument's venue."""
        return self._names[instrument][0]

    def of_symbol(self, symbol: str) -> list[int]:
        """The instruments of a symbol in the order of their venues' bytes."""
        return sorted(self._by_symbol.get(symbol, ()), key=lambda i: self._names[i][0])

    def order(self) -> NDArray[np.int64]:
        """All instruments by the bytes of symbol, then venue."""
        if len(self._order) != len(self):
            names = self._names
            ordered = sorted(range(len(names)), key=lambda i: (names[i][1], names[i][0]))
            self._order = np.array(ordered, np.int64)
        return self._order

    def select(self, symbols: Iterable[str]) -> None:
        """Process these symbols; all when there are none."""
        self._selected = frozenset(symbols)
        for index, (_, symbol) in enumerate(self._names):
            self._processed[index] = self.is_selected(symbol.decode())

    def is_selected(self, symbol: str) -> bool:
        """Whether a symbol is processed."""
        return not self._selected or symbol in self._selected

    def word(self, data: bytes) -> tuple[int, int]:
        """Start and length of some bytes in `text`, put there when they are new."""
        span = self._words.get(data)
        if span is None:
            if self._used + len(data) > len(self._text):
                grown = np.zeros(max(2 * len(self._text), self._used + len(data)), np.uint8)
                grown[: self._used] = self.text
                self._text = grown
            span = (self._used, len(data))
            self._text[self._used : self._used + len(data)] = np.frombuffer(data, np.uint8)
            self._used += len(data)
            self._words[data] = span
        return span

    def add(self, venue: bytes, symbol: bytes) -> int:
        """The index of an instrument, which is entered when it is new."""
        known = self._index.get((venue, symbol))
        if known is not None:
            return known
        index = len(self._names)
        if index == len(self._spans):
            self._grow()
        self._spans[index] = (*self.word(venue), *self.word(symbol))
        name = symbol.decode()
        if name not in self._by_symbol:
            self._by_symbol[name] = []
            self.symbol_names.append(name)
            self._symbols[index] = len(self.symbol_names) - 1
        else:
            self._symbols[index] = self._symbols[self._by_symbol[name][0]]
        self._by_symbol[name].append(index)
        known_venue = BY_NAME.get(venue.decode())
        self._kinds[index] = _KINDS[known_venue.kind] if known_venue else UNKNOWN_KIND
        self._processed[index] = self.is_selected(name)
        self._names.append((venue, symbol))
        self._index[venue, symbol] = index
        kernel.insert(self._table, self._spans, self._text, index)
        return index

    def _grow(self) -> None:
        self._spans = np.concatenate((self._spans, np.zeros_like(self._spans)))
        self._processed = np.concatenate((self._processed, np.zeros_like(self._processed)))
        self._kinds = np.concatenate((self._kinds, np.zeros_like(self._kinds)))
        self._symbols = np.concatenate((self._symbols, np.zeros_like(self._symbols)))
        self._table = np.full(4 * len(self._spans), -1, np.int64)
        for index in range(len(self._names)):
            kernel.insert(self._table, self._spans, self._text, index)

    def intern(
        self,
        batch: Batch,
        record: str,
        kind: int,
        instrument: NDArray[np.int64],
        event_time: NDArray[np.int64],
        receive_time: NDArray[np.int64],
    ) -> None:
        """Fill in index (-1: not processed) and times of the events of one record."""
        table = batch.tables[record]
        columns = [
            table[name]
            for name in (
                "venue_start", "venue_length", "symbol_start", "symbol_length", "event_time",
                "receive_time",
            )
        ]  # fmt: skip
        at = 0
        while True:
            at = kernel.look_up(
                at, kind, batch.kind, batch.row, *columns, batch.text, self._table, self._spans,
                self._text, self._processed, instrument, event_time, receive_time,
            )  # fmt: skip
            if at == len(batch):
                return
            row = int(batch.row[at])
            self.add(*(_slice(batch, table, name, row) for name in ("venue", "symbol")))


def _slice(batch: Batch, table: NDArray[np.void], name: str, row: int) -> bytes:
    start = int(table[f"{name}_start"][row])
    return batch.text[start : start + int(table[f"{name}_length"][row])].tobytes()


def has_instrument(record: str) -> bool:
    """Whether a record names a venue and a symbol."""
    names = table_dtype(record).names or ()
    return "venue_start" in names and "symbol_start" in names
