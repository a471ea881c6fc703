"""Captures as cryptofeed's version 3 records them: JSON lines, grouped by connection.

Those of `tape record` too, which are in the order of receiving and name the venue in each line.
"""

import base64
import binascii
from collections.abc import Iterator
from typing import Annotated
from urllib.parse import parse_qs, urlsplit

import msgspec
from msgspec import Meta

from schemas.errors import ConfigError
from venues.frames import Frame
from venues.history.files import OnRead, SourceFile, no_progress
from venues.history.merge import merge, numbered
from venues.history.names import Hints
from venues.history.reads import PAYLOAD_LIMIT, STREAMS_A_FILE, Refused, Stream
from venues.messages import LATEST_MS, UNREADABLE

IN_ORDER = "received"


class Line(msgspec.Struct, omit_defaults=True):
    """One line: a request's response (http), a connection (connect), what came in (recv)."""

    t: str
    conn: str = ""
    ts: Annotated[float, Meta(ge=0.0, le=LATEST_MS / 1000)] = 0.0
    """Seconds UTC: of a number of microseconds, the nearest that there is, so none is lost."""
    venue: str = ""
    url: str = ""
    addr: str = ""
    reason: str = ""
    data: str = ""
    base64: str = ""
    """In place of `data` where that is no text."""


class _Header(msgspec.Struct):
    """The first line; `order`: `received` where the lines are not grouped by connection."""

    order: str = ""


_decode = msgspec.json.Decoder(Line).decode
_decode_header = msgspec.json.Decoder(_Header).decode
_HEADER = b'{"t":"header"'


def looks_like_one(lines: list[bytes]) -> bool:
    """Whether one of a file's first lines has the form of this capture."""
    return any(line.startswith((_HEADER, b'{"t":"recv"', b'{"t":"http"')) for line in lines)


def read(source: SourceFile, hints: Hints, stream: int, on_read: OnRead = no_progress) -> Stream:
    """The frames of a capture by receive time; lines of another form are refused by number.

    The recorder writes one connection after the other, so the file is read once a connection
    and these streams are merged: it is never held whole.
    """
    if _is_in_order(source):
        return numbered(stream, _frames(source, None, hints.venue, on_read))
    connections = _connections(source)
    streams = [
        numbered(
            stream + index,
            _frames(source, connection, hints.venue, _none if index else on_read),
        )
        for index, connection in enumerate(connections)
    ]
    return merge(streams)


_none = no_progress


def _is_in_order(source: SourceFile) -> bool:
    with source.open() as file:
        first = file.readline()
    try:
        return first.startswith(_HEADER) and _decode_header(first).order == IN_ORDER
    except UNREADABLE:
        return False


def _connections(source: SourceFile) -> list[str]:
    """The connections in the order of their first lines, and `` for what names none."""
    found: dict[str, None] = {"": None}
    with source.open() as file:
        for line in file:
            found[_connection(line)] = None
    if len(found) > STREAMS_A_FILE:
        raise ConfigError(f"{source.path}: {len(found)} connections; at most {STREAMS_A_FILE}")
    return list(found)


def _connection(line: bytes) -> str:
    """The connection that a line names, by its beginning; `` if it has none."""
    start, mark, rest = line[:200].partition(b'"conn":"')
    if not mark or b'"data"' in start:
        return ""
    return rest.partition(b'"')[0].decode("utf-8", "replace")


def _frames(
    source: SourceFile, connection: str | None, venue: str, on_read: OnRead
) -> Iterator[tuple[int, int, Frame | Refused]]:
    """The frames of a connection, or of all in the order of the lines."""
    wanted = f'"conn":"{connection}"'.encode() if connection else b""
    address = ""
    newest = 0
    with source.open(on_read) as file:
        for number, raw in enumerate(file, start=1):
            if wanted not in raw[:200] or raw.startswith(_HEADER):
                continue
            if connection is not None and _connection(raw) != connection:
                continue
            try:
                line = _decode(raw)
                data = base64.b64decode(line.base64) if line.base64 else line.data.encode()
            except (*UNREADABLE, binascii.Error) as error:
                if raw.strip():
                    yield newest, number, _refused(raw, newest, venue, str(error))
                continue
            address = line.addr or address
            if line.t not in {"http", "recv"}:
                continue
            newest = round(line.ts * 1_000_000)
            market = venue or line.venue or venue_of(line.url or address)
            if not market:
                reason = f"no known venue at {line.url or address or 'an address not given'}"
                yield newest, number, _refused(raw, newest, venue, reason)
                continue
            yield newest, number, Frame(market, line.conn, newest, data, line.url)


def _refused(line: bytes, newest: int, venue: str, reason: str) -> Refused:
    return Refused(newest, venue, reason, line.rstrip(b"\n")[:PAYLOAD_LIMIT])


# Hosts by their ends, longest first where one is the end of another.
_HOSTS: tuple[tuple[str, str], ...] = (
    ("binance.us", "binanceus-spot"),
    ("fapi.binance.com", "binance-usdm"),
    ("fstream.binance.com", "binance-usdm"),
    ("dapi.binance.com", "binance-coinm"),
    ("dstream.binance.com", "binance-coinm"),
    ("binance.com", "binance-spot"),
    ("binance.vision", "binance-spot"),
)


def venue_of(address: str) -> str:
    """The market at a URL, by host, path and query; `` for an unknown one.

    An OKX connection carries all its markets: the feed tells them by the instrument's name.
    """
    try:
        parts = urlsplit(address)
        host = parts.hostname or ""
    except ValueError:  # no URL at all
        return ""
    for end, venue in _HOSTS:
        if host == end or host.endswith(f".{end}"):
            return venue
    query = parse_qs(parts.query)
    if "bybit" in host:
        category = query.get("category", [parts.path.rstrip("/").rpartition("/")[2]])[0]
        return f"bybit-{category}" if category in {"spot", "linear"} else ""
    if "okx" in host:
        return "okx-swap" if query.get("instType") == ["SWAP"] else "okx-spot"
    return ""
