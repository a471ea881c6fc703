"""A batch on its way through the stages: the events, and what earlier stages found."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from processors import bar_kernel, book_kernel
from processors.codes import BY_KIND
from processors.instruments import Instruments, has_instrument
from schemas import catalogue
from schemas.columns import Batch, item_dtypes, table_dtype

_INSTRUMENT_KINDS = {
    record: kind for kind, record in enumerate(catalogue.RECORDS) if has_instrument(record)
}
_TIMED_KINDS = {
    record: kind
    for kind, record in enumerate(catalogue.RECORDS)
    if record not in _INSTRUMENT_KINDS
    and {"event_time", "receive_time"} <= set(table_dtype(record).names or ())
}


@dataclass(slots=True)
class Work:
    """One batch with the columns that stages hand on, aligned with its events.

    `code[i]` is the kind of event i (processors/codes.py); a stage that finds an event to be of
    no effect sets it to OTHER, and later stages do not see it. `instrument[i]` is the index in
    `instruments` of event i's venue and symbol, -1 for global events and for symbols that are
    not processed. Times are microseconds UTC. The `books` stage fills `best_bid` and `best_ask`
    (NaN: unknown), `top_time` (event time at which they were last confirmed) and `book_live`
    (1: the book follows the venue) with its instrument's state after event i. The `quality`
    stage fills `exclusions`: from which event on (index, instrument, 1 or 0) a venue's price is
    not to be used, or is again. What `books` and `bars` emit they hand on as well: `books` with
    its levels `book_bids` and `book_asks`, `bars` with `bar_values` (columns as in book_kernel and
    bar_kernel). The `indicators` stage fills `indicators`, rows (index, instrument) from which
    event on an instrument's bars give the numbers of the same row of `indicator_values`.
    """

    batch: Batch
    instruments: Instruments
    code: NDArray[np.int64]
    instrument: NDArray[np.int64]
    event_time: NDArray[np.int64]
    receive_time: NDArray[np.int64]
    best_bid: NDArray[np.float64]
    best_ask: NDArray[np.float64]
    top_time: NDArray[np.int64]
    book_live: NDArray[np.uint8]
    exclusions: NDArray[np.int64]
    books: NDArray[np.int64]
    book_bids: NDArray[np.float64]
    book_asks: NDArray[np.float64]
    bars: NDArray[np.int64]
    bar_values: NDArray[np.float64]
    indicators: NDArray[np.int64]
    indicator_values: NDArray[np.float64]

    def table(self, record: str) -> NDArray[np.void]:
        """A record's rows, none where the batch has none."""
        found = self.batch.tables.get(record)
        return np.empty(0, table_dtype(record)) if found is None else found

    def item_table(self, record: str, name: str) -> NDArray[np.void]:
        """The rows of a record's array field, none where the batch has none."""
        found = self.batch.items.get(f"{record}.{name}")
        return np.empty(0, item_dtypes(record)[name]) if found is None else found


def open_work(batch: Batch, instruments: Instruments) -> Work:
    """Prepare a batch: intern its instruments, gather its times."""
    count = len(batch)
    work = Work(
        batch,
        instruments,
        code=BY_KIND[batch.kind],
        instrument=np.full(count, -1, np.int64),
        event_time=np.zeros(count, np.int64),
        receive_time=np.zeros(count, np.int64),
        best_bid=np.full(count, np.nan),
        best_ask=np.full(count, np.nan),
        top_time=np.zeros(count, np.int64),
        book_live=np.zeros(count, np.uint8),
        exclusions=np.zeros((0, 3), np.int64),
        books=np.zeros((0, book_kernel.OUT_COLUMNS), np.int64),
        book_bids=np.zeros((0, 2)),
        book_asks=np.zeros((0, 2)),
        bars=np.zeros((0, bar_kernel.OUT_COLUMNS), np.int64),
        bar_values=np.zeros((0, bar_kernel.SLOT_FLOATS)),
        indicators=np.zeros((0, 2), np.int64),
        indicator_values=np.zeros((0, 0)),
    )
    for record, table in batch.tables.items():
        if not len(table):
            continue
        if record in _INSTRUMENT_KINDS:
            instruments.intern(
                batch, record, _INSTRUMENT_KINDS[record], work.instrument, work.event_time,
                work.receive_time,
            )  # fmt: skip
        elif record in _TIMED_KINDS:
            at = np.flatnonzero(batch.kind == _TIMED_KINDS[record])
            rows = batch.row[at]
            work.event_time[at] = table["event_time"][rows]
            work.receive_time[at] = table["receive_time"][rows]
    return work
