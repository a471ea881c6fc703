"""Feather and Parquet files of candles or trades, a record batch at a time."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.ipc
import pyarrow.parquet

from schemas.errors import ConfigError
from venues.history import columns
from venues.history.files import OnRead, SourceFile, no_progress
from venues.history.merge import numbered
from venues.history.names import Hints
from venues.history.reads import PAYLOAD_LIMIT, Recorded, Refused, Stream
from venues.history.rows import MakeEvent, candle_rows, trade_rows
from venues.history.times import microseconds

FEATHER = b"ARROW1"
FEATHER_OLD = b"FEA1"
PARQUET = b"PAR1"
# What pyarrow raises for damaged files; a damaged length asks for more memory than there is.
_DAMAGED = (pa.ArrowException, OSError, ValueError, MemoryError)


def read(source: SourceFile, hints: Hints, stream: int, on_read: OnRead = no_progress) -> Stream:
    """The events of a Feather or Parquet file; rows that cannot be read are refused by number."""
    names = _names(source.path)
    layout = columns.places(names)
    if layout is None:
        raise ConfigError(
            f"{source.path}: columns {', '.join(names)} are neither candles (time, open, high, "
            "low, close) nor trades (time, price, quantity)"
        )
    table, places = layout
    make = (candle_rows if table == "candles" else trade_rows)(source.path, hints, places)
    batches = _batches(source.path, source.size, on_read)
    return numbered(stream, _rows(batches, hints.venue, make, places["time"]))


def _names(path: Path) -> list[str]:
    with path.open("rb") as file:
        parquet = file.read(4) == PARQUET
    try:
        if parquet:
            return list(pyarrow.parquet.read_schema(path).names)
        with pa.ipc.open_file(path) as reader:
            return list(reader.schema.names)
    except _DAMAGED as error:
        raise _damaged(path, error) from None


def check(path: Path) -> None:
    """Raise ConfigError for a table file that cannot be read whole, from its index to its rows."""
    _names(path)
    try:
        for batch in _batches(path):
            batch.validate(full=True)
            for column in batch.columns:
                _values(column[:1])
    except _DAMAGED as error:
        raise _damaged(path, error) from None


def _damaged(path: Path, error: Exception) -> ConfigError:
    return ConfigError(
        f"{path}: the file is cut short or damaged ({error}); nothing of it was imported: "
        "get it again"
    )


def _batches(path: Path, size: int = 0, on_read: OnRead = no_progress) -> Iterator[pa.RecordBatch]:
    """The file's batches; progress is told by the share of its rows, since reads seek."""
    with path.open("rb") as file:
        parquet = file.read(4) == PARQUET
    if parquet:
        with pyarrow.parquet.ParquetFile(path) as opened:
            total = max(opened.metadata.num_rows, 1)
            for batch in opened.iter_batches():
                yield batch
                on_read(size * batch.num_rows // total)
    else:
        with pa.ipc.open_file(path) as reader:
            for index in range(reader.num_record_batches):
                yield reader.get_batch(index)
                on_read(size // reader.num_record_batches)


def _rows(
    batches: Iterator[pa.RecordBatch], venue: str, make: MakeEvent, time_at: int
) -> Iterator[tuple[int, int, Recorded | Refused]]:
    number = 0
    newest = 0
    for batch in batches:
        values = [_values(batch.column(index)) for index in range(batch.num_columns)]
        for row in zip(*values, strict=True):
            number += 1
            try:
                event = make(_time(row[time_at]), row)
            except (ValueError, TypeError, OverflowError) as error:
                payload = repr(row).encode()[:PAYLOAD_LIMIT]
                yield newest, number, Refused(newest, venue, str(error), payload)
                continue
            newest = max(newest, event.receive_time)
            yield event.receive_time, number, event


def _time(value: Any) -> int:
    if isinstance(value, _Microseconds):
        return value
    return microseconds(str(value))


class _Microseconds(int):
    """A time column's value whose unit the file itself told."""


def _values(column: pa.Array) -> Sequence[Any]:
    if pa.types.is_timestamp(column.type):
        whole = column.cast(pa.timestamp("us", "UTC"), safe=False).cast(pa.int64())
        return [None if value is None else _Microseconds(value) for value in whole.to_pylist()]
    if pa.types.is_date(column.type):
        return _values(column.cast(pa.timestamp("us", "UTC")))
    values: Sequence[Any] = column.to_pylist()
    return values
