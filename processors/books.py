"""The stage `books`: one L2 order book a venue and symbol, its top levels and integrity.

The rules are in docs/processors.md. Fills `best_bid`, `best_ask`, `top_time`, `book_live` and
`books` of the work.
"""

import struct
from typing import Any

import numpy as np
from numpy.typing import NDArray

from processors import book_kernel as kernel
from processors.cells import Cells, pack_symbol, unpack_symbol
from processors.config import BooksConfig, ProcessorsConfig, SeenConfig
from processors.emitted import emitted_table
from processors.instruments import Instruments
from processors.work import Work
from schemas.columns import Rows, enum_symbols, item_dtypes

_LAYOUT = 2
_COUNTS = struct.Struct("<II")
_CLOSING = {enum_symbols("FeedStatus", "status").index(name) for name in ("GAP", "LOST")}
_CLOSES = {
    b"book": kernel.CLOSES_BOOK,
    b"quotes": kernel.CLOSES_QUOTES,
    b"*": kernel.CLOSES_BOOK | kernel.CLOSES_QUOTES,
}
_STATES = np.array([enum_symbols("Book", "state").index(name) for name in ("UNKNOWN", "LIVE")])


class Books:
    """Order books by the venues' sequences (Stage)."""

    name = "books"

    def __init__(self, instruments: Instruments) -> None:
        self._instruments = instruments
        self._config, self._restart = BooksConfig(), 1000 * SeenConfig().restart_ms
        self._cells = Cells(kernel.INTEGER_START, kernel.FLOAT_START, kernel.TOTALS)
        self._sides = np.zeros((0, 3), np.int64)
        self._pool = np.empty((4096, 2))
        self._used = np.zeros(5, np.int64)
        self._out = np.empty((64, kernel.OUT_COLUMNS), np.int64)
        self._out_bids = np.empty((1024, 2))
        self._out_asks = np.empty((1024, 2))

    def configure(self, config: ProcessorsConfig) -> None:
        """Go on under this configuration; it concerns only what is emitted, not the books."""
        self._config, self._restart = config.books, 1000 * config.seen.restart_ms

    def process(self, work: Work) -> list[Rows]:
        """Advance the books over a batch."""
        self._fit(len(self._instruments))
        self._used[kernel.USED_OUT :] = 0
        at = 0
        while True:
            at = self._advance(at, work)
            if at == len(work.batch):
                return self._emitted(work)
            if self._used[kernel.SHORT_OF] == kernel.POOL:
                self._grow_pool()
            else:
                self._grow_out()

    def _advance(self, first: int, work: Work) -> int:
        snapshots, deltas = work.table("BookSnapshot"), work.table("BookDelta")
        quotes, config = work.table("Quote"), self._config
        snapshot_bids = work.item_table("BookSnapshot", "bids")
        snapshot_asks = work.item_table("BookSnapshot", "asks")
        delta_bids = work.item_table("BookDelta", "bids")
        delta_asks = work.item_table("BookDelta", "asks")
        return int(kernel.advance(
            first, work.code, work.batch.row, work.instrument, work.event_time,
            snapshots["sequence"], snapshots["bids_start"], snapshots["bids_count"],
            snapshots["asks_start"], snapshots["asks_count"],
            snapshot_bids["price"], snapshot_bids["quantity"],
            snapshot_asks["price"], snapshot_asks["quantity"],
            deltas["previous_sequence"], deltas["sequence"], deltas["bids_start"],
            deltas["bids_count"], deltas["asks_start"], deltas["asks_count"],
            delta_bids["price"], delta_bids["quantity"],
            delta_asks["price"], delta_asks["quantity"],
            quotes["bid_price"], quotes["ask_price"], _feed_closes(work),
            1000 * config.emit_interval_ms, config.levels, self._restart,
            self._instruments.order(),
            self._cells.integers, self._cells.floats, self._cells.totals, self._cells.dirty,
            self._sides, self._pool,
            self._used, self._out, self._out_bids, self._out_asks,
            work.best_bid, work.best_ask, work.top_time, work.book_live,
        ))  # fmt: skip

    def _emitted(self, work: Work) -> list[Rows]:
        out = self._out[: self._used[kernel.USED_OUT]]
        work.books = out
        work.book_bids = self._out_bids[: self._used[kernel.USED_BIDS]]
        work.book_asks = self._out_asks[: self._used[kernel.USED_ASKS]]
        if not len(out):
            return []
        table = emitted_table(
            "Book",
            work,
            out[:, kernel.OUT_EVENT],
            out[:, kernel.OUT_SEQ],
            out[:, kernel.OUT_INSTRUMENT],
        )
        table["state"] = _STATES[out[:, kernel.OUT_LIVE]]
        table["sequence"] = out[:, kernel.OUT_SEQUENCE]
        table["bids_start"] = out[:, kernel.OUT_BIDS_START]
        table["bids_count"] = out[:, kernel.OUT_BIDS_COUNT]
        table["asks_start"] = out[:, kernel.OUT_ASKS_START]
        table["asks_count"] = out[:, kernel.OUT_ASKS_COUNT]
        items = {
            "Book.bids": _levels("bids", self._out_bids[: self._used[kernel.USED_BIDS]]),
            "Book.asks": _levels("asks", self._out_asks[: self._used[kernel.USED_ASKS]]),
        }
        return [Rows("books", "Book", table, items, self._instruments.text)]

    def changed(self) -> set[str]:
        """Symbols whose books changed since the last call."""
        return self._cells.changed(self._instruments)

    def snapshot(self, symbol: str) -> bytes:
        """The books of a symbol."""
        found = [i for i in self._instruments.of_symbol(symbol) if self._is_known(i)]
        return pack_symbol(_LAYOUT, self._instruments, found, self._pack)

    def restore(self, symbol: str, state: bytes) -> None:
        """Take over the books of a symbol."""
        for venue, body in unpack_symbol(self.name, symbol, _LAYOUT, state):
            instrument = self._instruments.add(venue, symbol.encode())
            self._fit(instrument + 1)
            self._unpack(instrument, body)

    def forget(self, symbol: str) -> None:
        """Put the books of a symbol back to their start."""
        for instrument in self._instruments.of_symbol(symbol):
            if self._is_known(instrument):
                self._cells.reset(instrument)
                self._sides[2 * instrument : 2 * instrument + 2, kernel.COUNT] = 0

    def counts(self) -> dict[str, int]:
        """Snapshots, deltas applied and left out, gaps, books that went on after one."""
        return self._cells.counts()

    def _is_known(self, instrument: int) -> bool:
        return instrument < len(self._sides) // 2 and not self._cells.is_blank(instrument)

    def _side(self, side: int) -> NDArray[np.float64]:
        start, _, count = self._sides[side]
        return self._pool[start : start + count]

    def _pack(self, instrument: int) -> bytes:
        sides = self._side(2 * instrument), self._side(2 * instrument + 1)
        return (
            self._cells.pack(instrument)
            + _COUNTS.pack(*(len(levels) for levels in sides))
            + b"".join(levels.astype("<f8").tobytes() for levels in sides)
        )

    def _unpack(self, instrument: int, body: bytes) -> None:
        self._cells.unpack(instrument, body)
        at = self._cells.packed_size
        counts = _COUNTS.unpack_from(body, at)
        at += _COUNTS.size
        for side, count in zip((2 * instrument, 2 * instrument + 1), counts, strict=True):
            self._sides[side, kernel.COUNT] = 0
            if self._used[kernel.USED_POOL] + count > len(self._pool):
                self._grow_pool(count)
            self._sides[side] = (self._used[kernel.USED_POOL], count, count)
            self._used[kernel.USED_POOL] += count
            levels = np.frombuffer(body, "<f8", 2 * count, at)
            self._side(side)[:] = levels.reshape(count, 2)
            at += 16 * count

    def _fit(self, count: int) -> None:
        self._cells.fit(count)
        missing = 2 * len(self._cells.dirty) - len(self._sides)
        if missing:
            self._sides = np.vstack((self._sides, np.zeros((missing, 3), np.int64)))

    def _grow_pool(self, more: int = 0) -> None:
        """Close the holes that moved slots left; where there were few, double the room."""
        old = self._pool
        capacities = self._sides[:, kernel.CAPACITY]
        total = int(capacities.sum())
        size = len(old)
        if 2 * total > self._used[kernel.USED_POOL]:
            size *= 2
        while size < total + more:
            size *= 2
        self._pool = np.empty((size, 2))
        starts = np.concatenate(([0], np.cumsum(capacities)[:-1]))
        for side in np.flatnonzero(self._sides[:, kernel.COUNT]).tolist():
            start, _, count = self._sides[side]
            self._pool[starts[side] : starts[side] + count] = old[start : start + count]
        self._sides[:, kernel.START] = starts
        self._used[kernel.USED_POOL] = total

    def _grow_out(self) -> None:
        rows = 2 * len(self._out) + len(self._instruments)
        levels = 2 * len(self._out_bids) + self._config.levels * len(self._instruments)
        self._out = _grown(self._out, rows)
        self._out_bids = _grown(self._out_bids, levels)
        self._out_asks = _grown(self._out_asks, levels)


def _grown(table: NDArray[Any], rows: int) -> NDArray[Any]:
    return np.vstack((table, np.empty((rows - len(table), table.shape[1]), table.dtype)))


def _levels(name: str, pairs: NDArray[np.float64]) -> NDArray[np.void]:
    return pairs.copy().view(item_dtypes("Book")[name]).reshape(len(pairs))


def _feed_closes(work: Work) -> NDArray[np.int64]:
    """For each FeedStatus what it makes unknown; they are few."""
    table = work.table("FeedStatus")
    closes = np.zeros(len(table), np.int64)
    for row, status in enumerate(table["status"].tolist()):
        if status in _CLOSING:
            channel = work.batch.string("FeedStatus", "channel", row)
            closes[row] = _CLOSES.get(channel.encode(), 0)
    return closes
