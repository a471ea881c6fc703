"""Captures as hftbacktest records them: `<local time in ns> <raw message>` a line (Binance)."""

import re
from collections.abc import Iterator

from schemas.errors import ConfigError
from venues.frames import Frame
from venues.history.files import OnRead, SourceFile, no_progress
from venues.history.merge import numbered
from venues.history.names import Hints
from venues.history.reads import PAYLOAD_LIMIT, Refused, Stream

_LINE = re.compile(rb"\d{19} \{")
_DEPTH = re.compile(rb'\d{19} \{"stream":"([a-z0-9_]+)@depth')
_SNAPSHOT = b'{"lastUpdateId"'
# Lines looked at to tell the market: its depth updates come several a second.
_LOOK = 10_000
# Where each market's REST snapshots come from; a recorded one does not say.
_DEPTH_URL = {
    "binance-spot": "https://api.binance.com/api/v3/depth",
    "binance-usdm": "https://fapi.binance.com/fapi/v1/depth",
    "binance-coinm": "https://dapi.binance.com/dapi/v1/depth",
}


def looks_like_one(lines: list[bytes]) -> bool:
    """Whether one of a file's first lines has the form of this capture."""
    return any(_LINE.match(line) for line in lines)


def read(source: SourceFile, hints: Hints, stream: int, on_read: OnRead = no_progress) -> Stream:
    """The frames of a capture, line by line; lines of another form are refused by number."""
    venue, symbols = _look(source)
    if not (hints.venue or venue):
        raise ConfigError(
            f"{source.path}: its first {_LOOK} lines have no depth update that tells the market: "
            f"give --venue (one of {', '.join(_DEPTH_URL)})"
        )
    return numbered(stream, _frames(source, hints.venue or venue, symbols, on_read))


def _look(source: SourceFile) -> tuple[str, set[bytes]]:
    """The market by what only its messages have ("": they do not tell), and the books' symbols.

    COIN-M messages name the pair (`ps`); USD-M depth updates name the previous update (`pu`);
    spot depth updates have neither.
    """
    venue = ""
    symbols: set[bytes] = set()
    with source.open() as file:
        for _, line in zip(range(_LOOK), file, strict=False):
            depth = _DEPTH.match(line)
            if depth:
                symbols.add(depth[1])
            if not venue and b'"ps":"' in line:
                venue = "binance-coinm"
            elif not venue and depth:
                venue = "binance-usdm" if b'"pu":' in line else "binance-spot"
    return venue, symbols


def _frames(
    source: SourceFile, venue: str, symbols: set[bytes], on_read: OnRead
) -> Iterator[tuple[int, int, Frame | Refused]]:
    connection = source.sha256[:12]
    newest = 0
    with source.open(on_read) as file:
        for number, line in enumerate(file, start=1):
            # 19 digits of nanoseconds, a space, the message: cut by place, which is fastest.
            stamp, data = line[:19], line[20:].rstrip()
            if not (stamp.isdigit() and data.startswith(b"{") and data.endswith(b"}")):
                if line.strip():
                    yield newest, number, _refused(line, newest, venue)
                continue
            newest = int(stamp) // 1000
            if not data.startswith(_SNAPSHOT):
                yield newest, number, Frame(venue, connection, newest, data)
            elif len(symbols) == 1:
                (symbol,) = symbols
                request = f"{_DEPTH_URL[venue]}?symbol={symbol.decode().upper()}"
                yield newest, number, Frame(venue, connection, newest, data, request)
            else:
                reason = "a depth snapshot that does not say of which of several symbols"
                yield newest, number, Refused(newest, venue, reason, data[:PAYLOAD_LIMIT])


def _refused(line: bytes, newest: int, venue: str) -> Refused:
    reason = "not a line of `<local time in ns> <message>`"
    if line[:19].isdigit() and line[19:20] == b" ":
        reason = "the message is cut short or no JSON object"
    return Refused(newest, venue, reason, line.rstrip(b"\n")[:PAYLOAD_LIMIT])
