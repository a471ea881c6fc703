"""Tables of derived events: the columns that all of them share, and joining of rows."""

from collections.abc import Sequence
from functools import cache

import numpy as np
from numpy.typing import NDArray

from processors import instrument_kernel
from processors.work import Work
from schemas import catalogue
from schemas.columns import Rows, item_dtypes, table_dtype

Integers = NDArray[np.int64]


def emitted_table(
    record: str, work: Work, origin: Integers, seq: Integers, instrument: Integers
) -> NDArray[np.void]:
    """A table of derived events with origin, seq, names and times filled in.

    `origin[k]` is the index in the batch of the event that caused row k; times are its own.
    """
    at = columns(record)
    cells = np.zeros((len(origin), len(at)), np.int64)
    cells[:, at["origin_topic_start"]], cells[:, at["origin_topic_length"]] = work.instruments.word(
        catalogue.TAPE.encode()
    )
    cells[:, at["origin_partition"]] = work.batch.partition
    cells[:, at["origin_offset"]] = work.batch.offsets[origin]
    cells[:, at["seq"]] = seq
    cells[:, at["event_time"]] = work.event_time[origin]
    cells[:, at["receive_time"]] = work.receive_time[origin]
    spans = work.instruments.spans[instrument]
    if "venue_start" in at:
        cells[:, at["venue_start"]] = spans[:, instrument_kernel.VENUE_START]
        cells[:, at["venue_length"]] = spans[:, instrument_kernel.VENUE_LENGTH]
    cells[:, at["symbol_start"]] = spans[:, instrument_kernel.SYMBOL_START]
    cells[:, at["symbol_length"]] = spans[:, instrument_kernel.SYMBOL_LENGTH]
    return np.ndarray(len(origin), table_dtype(record), cells.data)


@cache
def columns(record: str) -> dict[str, int]:
    """Where a record's columns lie in a row of eight-byte cells."""
    return {name: at for at, name in enumerate(table_dtype(record).names or ())}


def one_nan(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """The values with every NaN of the same bits, which processors do not agree on."""
    return np.where(np.isnan(values), np.nan, values)


def join(parts: Sequence[Rows]) -> Rows:
    """The rows of several emissions of one topic, one after the other."""
    if len(parts) == 1:
        return parts[0]
    record = parts[0].record
    tables = [part.table.copy() for part in parts]
    items: dict[str, list[NDArray[np.void]]] = {
        f"{record}.{name}": [] for name in item_dtypes(record)
    }
    text_base = 0
    item_base = dict.fromkeys(items, 0)
    for part, table in zip(parts, tables, strict=True):
        _shift_text(table, text_base)
        for key, found in items.items():
            own = part.items[key].copy()
            _shift_text(own, text_base)
            found.append(own)
            table[f"{key.removeprefix(f'{record}.')}_start"] += item_base[key]
            item_base[key] += len(own)
        text_base += len(part.text)
    return Rows(
        parts[0].topic,
        record,
        np.concatenate(tables),
        {key: np.concatenate(found) for key, found in items.items()},
        np.concatenate([part.text for part in parts]),
    )


def _shift_text(table: NDArray[np.void], base: int) -> None:
    names = table.dtype.names or ()
    for name in names:
        stem = name.removesuffix("_length")
        if stem != name and f"{stem}_start" in names:
            table[f"{stem}_start"] += base
