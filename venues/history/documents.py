"""JSON files: freqtrade's candles and trades, and arrays of ccxt's trades."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import msgspec

from schemas.errors import ConfigError
from venues.history.columns import Places
from venues.history.files import OnRead, SourceFile, no_progress
from venues.history.merge import numbered
from venues.history.names import Hints, canonical
from venues.history.reads import PAYLOAD_LIMIT, Recorded, Refused, Stream
from venues.history.rows import MakeEvent, candle_rows, trade_rows
from venues.history.times import microseconds
from venues.messages import UNREADABLE

_CANDLE: Places = {"time": 0, "open": 1, "high": 2, "low": 3, "close": 4, "volume": 5}
_FREQTRADE_TRADE: Places = {"time": 0, "id": 1, "side": 3, "price": 4, "quantity": 5}
_CCXT = ("timestamp", "id", "side", "price", "amount")
_CCXT_TRADE: Places = {
    "time": 0, "id": 1, "side": 2, "price": 3, "quantity": 4, "first": 5, "last": 6,
}  # fmt: skip


def looks_like_one(start: bytes) -> bool:
    """Whether a file's first bytes open an array of arrays or of objects."""
    return re.match(rb"\s*\[\s*[\[{\]]", start) is not None


def read(source: SourceFile, hints: Hints, stream: int, on_read: OnRead = no_progress) -> Stream:
    """The events of a JSON array; the array is read whole, since JSON cannot be cut.

    Rows that cannot be read are refused by their number. ConfigError for what is no JSON
    array, or one whose rows are of no known form.
    """
    try:
        with source.open(on_read) as file:
            rows = msgspec.json.decode(file.read(), type=list[msgspec.Raw])
    except UNREADABLE as error:
        raise ConfigError(
            f"{source.path}: the JSON is cut short or damaged ({error}); nothing of it was "
            "imported: get it again"
        ) from None
    first = _first(rows, source)
    if isinstance(first, dict):
        return numbered(stream, _ccxt_rows(rows, first, source, hints))
    if len(first) >= 7 and first[3] in ("buy", "sell"):
        make, places = trade_rows(source.path, hints, _FREQTRADE_TRADE), _FREQTRADE_TRADE
    else:
        make, places = candle_rows(source.path, hints, _CANDLE), _CANDLE
    return numbered(stream, _rows(rows, hints.venue, make, places["time"]))


def _first(rows: list[msgspec.Raw], source: SourceFile) -> dict[str, Any] | list[Any]:
    for row in rows[:20]:
        try:
            value = msgspec.json.decode(row)
        except UNREADABLE:  # its reader refuses it by number
            continue
        known = isinstance(value, dict) and {"timestamp", "price", "amount"} <= value.keys()
        if known or (isinstance(value, list) and len(value) >= 6):
            found: dict[str, Any] | list[Any] = value
            return found
    raise ConfigError(
        f"{source.path}: its JSON is neither candles ([[ms, open, high, low, close, volume], …]) "
        "nor trades (freqtrade's lists or ccxt's objects)"
    )


def _ccxt_rows(
    rows: list[msgspec.Raw], first: dict[str, Any], source: SourceFile, hints: Hints
) -> Iterator[tuple[int, int, Recorded | Refused]]:
    symbol = canonical(str(first.get("symbol", "")))
    hints = replace(hints, symbol=hints.symbol or symbol)
    make = trade_rows(source.path, hints, _CCXT_TRADE)
    return _rows(rows, hints.venue, make, 0)


def _flat(value: Any) -> Sequence[Any]:
    """A ccxt trade as a row; how many fills it holds is only in the exchange's own `info`."""
    if not isinstance(value, dict):
        return value  # type: ignore[no-any-return]  # checked by the row's maker
    info = value.get("info") or {}
    first = info.get("f", 0) if isinstance(info, dict) else 0
    last = info.get("l", first) if isinstance(info, dict) else first
    return [*(value.get(name) for name in _CCXT), first, last]


def _rows(
    rows: list[msgspec.Raw], venue: str, make: MakeEvent, time_at: int
) -> Iterator[tuple[int, int, Recorded | Refused]]:
    newest = 0
    for number, raw in enumerate(rows, start=1):
        try:
            row = _flat(msgspec.json.decode(raw))
            event = make(microseconds(str(row[time_at])), row)
        except (*UNREADABLE, ValueError, TypeError, LookupError, OverflowError) as error:
            payload = bytes(raw)[:PAYLOAD_LIMIT]
            reason = str(error) or type(error).__name__
            yield newest, number, Refused(newest, venue, reason, payload)
            continue
        newest = max(newest, event.receive_time)
        yield event.receive_time, number, event
