"""CSV files of candles or trades, with a header line or with the columns of Binance's dumps."""

import csv
import re
from collections.abc import Iterator
from dataclasses import replace
from typing import BinaryIO

from schemas.errors import ConfigError
from venues.history import columns
from venues.history.columns import Places, Table
from venues.history.files import OnRead, SourceFile, no_progress
from venues.history.merge import numbered
from venues.history.names import Hints
from venues.history.reads import PAYLOAD_LIMIT, Recorded, Refused, Stream
from venues.history.rows import MakeEvent, candle_rows, trade_rows
from venues.history.times import interval_name, microseconds

_HEADLESS: dict[int, tuple[str, ...]] = {
    12: columns.KLINE_COLUMNS,
    8: columns.AGG_TRADE_COLUMNS,
    7: columns.TRADE_COLUMNS,
    6: columns.TRADE_COLUMNS[:6],
}
_NUMBER = re.compile(r"-?\d+(\.\d+)?([eE][-+]?\d+)?")


def looks_delimited(line: str) -> bool:
    """Whether a file's first line is one of a table that is known here."""
    try:
        cells = next(csv.reader([line]), [])
    except csv.Error:  # what is within a line, or its length, is no table's
        return False
    return _layout(cells, Hints()) is not None


def _layout(cells: list[str], hints: Hints) -> tuple[Table, Places, bool] | None:
    """Table, places and whether the first line is a header; None for an unknown table."""
    if any(_NUMBER.fullmatch(cell.strip()) for cell in cells):
        names = _HEADLESS.get(len(cells))
        # Futures aggTrades have 7 columns as spot trades do, but their 6th is the time.
        if len(cells) == 7 and cells[5].strip().isdigit():
            names = columns.AGG_TRADE_COLUMNS[:7]
        if names is None:
            return None
        found = columns.places(names)
        return None if found is None else (*found, False)
    found = columns.places(cells)
    return None if found is None else (*found, True)


def read(source: SourceFile, hints: Hints, stream: int, on_read: OnRead = no_progress) -> Stream:
    """The events of a CSV file, row by row; rows that cannot be read are refused by line."""
    with source.open() as file:
        head = [line for _, line in zip(range(2), _text(file), strict=False)]
    cells = next(csv.reader(head[:1]), [])
    layout = _layout(cells, hints)
    if layout is None:
        raise ConfigError(f"{source.path}: its columns are unknown: {head[0][:200].rstrip()}")
    table, places, header = layout
    hints = _completed(hints, cells, header, table, head)
    make = (candle_rows if table == "candles" else trade_rows)(source.path, hints, places)
    return numbered(stream, _rows(source, hints.venue, make, places["time"], header, on_read))


def _completed(
    hints: Hints, cells: list[str], header: bool, table: Table, head: list[str]
) -> Hints:
    """Venue and interval where the table itself tells them.

    Only Binance has these headless tables: spot aggTrades have 8 columns and spot trades a
    flag of the best match, which futures have not. Candles say their length by close_time.
    """
    if not hints.venue and not header and table == "trades":
        flags = sum(cell.strip().lower() in {"true", "false"} for cell in cells)
        hints = replace(hints, venue="binance-spot" if flags == 2 else _futures(hints.symbol))
    if not hints.interval and table == "candles" and len(cells) == 12:
        try:
            row = next(csv.reader(head[-1:]), [])
            length = microseconds(row[6]) + 1 - microseconds(row[0])
            hints = replace(hints, interval=interval_name(round(length / 1_000_000) * 1_000_000))
        except (ValueError, IndexError, csv.Error):
            return hints
    return hints


def _futures(symbol: str) -> str:
    return "binance-coinm" if "-USD" in f"{symbol}-" and "-USDT" not in symbol else "binance-usdm"


def _text(file: BinaryIO) -> Iterator[str]:
    for line in file:
        yield line.decode("utf-8", "replace")


def _rows(
    source: SourceFile, venue: str, make: MakeEvent, time_at: int, header: bool, on_read: OnRead
) -> Iterator[tuple[int, int, Recorded | Refused]]:
    newest = 0
    with source.open(on_read) as file:
        lines = enumerate(_text(file), start=1)
        if header:
            next(lines)
        for number, line in lines:
            text = line.lstrip("\ufeff").rstrip("\r\n")
            if not text:
                continue
            try:
                row = text.split(",") if '"' not in text else next(csv.reader([text]))
                event = make(microseconds(row[time_at]), row)
            except (ValueError, IndexError, OverflowError, csv.Error) as error:
                reason = "a column is missing" if isinstance(error, IndexError) else str(error)
                payload = text.encode()[:PAYLOAD_LIMIT]
                yield newest, number, Refused(newest, venue, reason, payload)
                continue
            newest = max(newest, event.receive_time)
            yield event.receive_time, number, event
