"""Captures as cryptofeed's version 3 records them: JSON lines, grouped by connection."""

from collections.abc import Iterator
from urllib.parse import parse_qs, urlsplit

import msgspec

from schemas.errors import ConfigError
from venues.frames import Frame
from venues.history.files import OnRead, SourceFile, no_progress
from venues.history.merge import merge, numbered
from venues.history.names import Hints
from venues.history.reads import PAYLOAD_LIMIT, STREAMS_A_FILE, Refused, Stream


class Line(msgspec.Struct):
    """One line: a request's response (http), a connection (connect), what came in (recv)."""

    t: str
    conn: str = ""
    ts: float = 0.0
    url: str = ""
    addr: str = ""
    data: str = ""


_decode = msgspec.json.Decoder(Line).decode
_HEADER = b'{"t":"header"'


def looks_like_one(lines: list[bytes]) -> bool:
    """Whether one of a file's first lines has the form of this capture."""
    return any(line.startswith((_HEADER, b'{"t":"recv"', b'{"t":"http"')) for line in lines)


def read(source: SourceFile, hints: Hints, stream: int, on_read: OnRead = no_progress) -> Stream:
    """The frames of a capture by receive time; lines of another form are refused by number.

    The recorder writes one connection after the other, so the file is read once a connection
    and these streams are merged: it is never held whole.
    """
    connections = _connections(source)
    streams = [
        numbered(
            stream + index,
            _frames(source, connection, hints.venue, index == 0, on_read if index == 0 else _none),
        )
        for index, connection in enumerate(connections)
    ]
    return merge(streams)


_none = no_progress


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
    source: SourceFile, connection: str, venue: str, first: bool, on_read: OnRead
) -> Iterator[tuple[int, int, Frame | Refused]]:
    wanted = f'"conn":"{connection}"'.encode()
    address = ""
    newest = 0
    with source.open(on_read) as file:
        for number, raw in enumerate(file, start=1):
            if not first and wanted not in raw[:200]:
                continue
            if _connection(raw) != connection or raw.startswith(_HEADER):
                continue
            try:
                line = _decode(raw)
            except msgspec.MsgspecError as error:
                if raw.strip():
                    yield newest, number, _refused(raw, newest, venue, str(error))
                continue
            address = line.addr or address
            if line.t not in {"http", "recv"}:
                continue
            newest = round(line.ts * 1_000_000)
            market = venue or venue_of(line.url or address)
            if not market:
                reason = f"no known venue at {line.url or address or 'an address not given'}"
                yield newest, number, _refused(raw, newest, venue, reason)
                continue
            data = line.data.encode()
            yield newest, number, Frame(market, connection, newest, data, line.url)


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
    parts = urlsplit(address)
    host = parts.hostname or ""
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
