"""Columns that people and queries want beside the bytes: venue and times out of the values."""

from typing import Any

import numpy as np
import pyarrow as pa

from schemas.catalogue import RECORDS
from schemas.columns import Batch
from streams.archive.gather_kernel import gather

_TIMES = ("event_time", "receive_time")


def readable(batch: Batch) -> dict[str, Any]:
    """The columns of a batch's records, in their order; null where a record has no such field."""
    columns: dict[str, Any] = {name: _times(batch, name) for name in _TIMES}
    starts, ends = _slices(batch, "venue")
    if (starts >= 0).any():
        columns["venue"] = _text(batch, starts, ends)
    return columns


def _rows(batch: Batch, column: str) -> Any:
    """For each type of records that has the column: which records, and their rows of the table."""
    for name, table in batch.tables.items():
        if len(table) and column in (table.dtype.names or ()):
            which = np.flatnonzero(batch.kind == RECORDS.index(name))
            yield which, table[batch.row[which]]


def _times(batch: Batch, name: str) -> Any:
    values = np.zeros(len(batch), np.int64)
    missing = np.ones(len(batch), np.bool_)
    for which, rows in _rows(batch, name):
        values[which], missing[which] = rows[name], False
    return pa.array(values, mask=missing).cast(pa.timestamp("us", "UTC"))


def _slices(batch: Batch, name: str) -> tuple[Any, Any]:
    starts = np.full(len(batch), -1, np.int64)
    ends = np.full(len(batch), -1, np.int64)
    for which, rows in _rows(batch, f"{name}_start"):
        starts[which] = rows[f"{name}_start"]
        ends[which] = starts[which] + rows[f"{name}_length"]
    return starts, ends


def _text(batch: Batch, starts: Any, ends: Any) -> Any:
    data, limits = gather(batch.text, starts, ends)
    missing = pa.array(starts < 0)
    # Bytes that are no text were refused when the record was decoded.
    found = pa.StringArray.from_buffers(len(starts), pa.py_buffer(limits), pa.py_buffer(data))
    return pa.compute.if_else(missing, pa.scalar(None, pa.string()), found)
