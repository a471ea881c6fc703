"""Which reader reads a file, by its first bytes; unknown files are refused before any write."""

from collections.abc import Callable
from dataclasses import dataclass

from schemas.errors import ConfigError
from venues.history import cryptofeed, delimited, documents, hftbacktest, tables
from venues.history.files import OnRead, SourceFile
from venues.history.names import Hints, from_path
from venues.history.reads import Stream

Reader = Callable[[SourceFile, Hints, int, OnRead], Stream]

_LOOK_BYTES = 1 << 16
_LOOK_LINES = 20


@dataclass(frozen=True, slots=True)
class Format:
    """A known file format and the reader for it."""

    name: str
    read: Reader


HFTBACKTEST = Format("hftbacktest capture", hftbacktest.read)
CRYPTOFEED = Format("cryptofeed capture", cryptofeed.read)
TABLE = Format("feather or parquet table", tables.read)
DOCUMENT = Format("JSON array", documents.read)
DELIMITED = Format("CSV table", delimited.read)


def detect(source: SourceFile) -> Format:
    """The format of a file; ConfigError if it is none of those that are known."""
    with source.open() as file:
        start = file.read(_LOOK_BYTES)
    if start.startswith(tables.FEATHER_OLD):
        raise ConfigError(f"{source.path}: feather version 1; write it again as version 2")
    if start.startswith((tables.FEATHER, tables.PARQUET)):
        tables.check(source.path)
        return TABLE
    lines = start.split(b"\n")[:_LOOK_LINES]
    if hftbacktest.looks_like_one(lines):
        return HFTBACKTEST
    if cryptofeed.looks_like_one(lines):
        return CRYPTOFEED
    if documents.looks_like_one(start):
        return DOCUMENT
    if delimited.looks_delimited(lines[0].decode("utf-8", "replace")):
        return DELIMITED
    shown = start[:60].decode("utf-8", "backslashreplace")
    raise ConfigError(
        f"{source.path}: not a known format (its first bytes: {shown!r}). Known are captures of "
        "hftbacktest and cryptofeed, CSV, JSON, Feather and Parquet of candles or trades, "
        "packed or not"
    )


def open_stream(
    source: SourceFile, hints: Hints, stream: int, on_read: OnRead
) -> tuple[Format, Stream]:
    """The reader's stream of a file; `hints` are the options given, over the file's name."""
    found = detect(source)
    known = hints.over(from_path(source.path)) if found not in _CAPTURES else hints
    return found, found.read(source, known, stream, on_read)


_CAPTURES = (HFTBACKTEST, CRYPTOFEED)
