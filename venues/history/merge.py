"""Streams of several files as one, by receive time; ties in the order of the files."""

import heapq
from collections.abc import Iterable, Iterator, Sequence

from venues.history.reads import Read, Stream, What


def merge(streams: Sequence[Stream]) -> Stream:
    """All reads of the streams, earliest first; each stream keeps its own order."""
    if len(streams) == 1:
        return streams[0]
    return heapq.merge(*streams)


def numbered(stream: int, reads: Iterable[tuple[int, int, What]]) -> Stream:
    """Give (receive time, line, what) its stream's number, and never let its time go back.

    A clock that jumps back must not let a later line overtake an earlier one: such a line
    keeps the place that it has in its file.
    """
    newest = 0
    for time, line, what in reads:
        newest = max(newest, time)
        yield newest, stream, line, what


def first_and_rest(stream: Stream) -> tuple[Read | None, Iterator[Read]]:
    """The first read, and the whole stream again."""
    first = next(stream, None)
    if first is None:
        return None, iter(())

    def again() -> Iterator[Read]:
        yield first
        yield from stream

    return first, again()
