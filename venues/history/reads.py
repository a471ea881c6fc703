"""What readers give: frames, events and refused lines in the order of receive time."""

from collections.abc import Iterator
from dataclasses import dataclass

from schemas.events import Funding, Kline, MarkPrice, Trade
from venues.frames import Frame


@dataclass(frozen=True, slots=True)
class Refused:
    """A line or row that could not be read, and why; it becomes a dead letter."""

    receive_time: int
    venue: str
    reason: str
    payload: bytes


# What files hold as events already; captures hold frames, which the feed makes events of.
Recorded = Trade | Kline | MarkPrice | Funding
What = Frame | Recorded | Refused

# (receive time in microseconds that never goes back within a stream, stream, line, what).
# A plain tuple, since streams are merged by comparing them: stream numbers differ, so that
# the comparison never reaches the line.
Read = tuple[int, int, int, What]
Stream = Iterator[Read]

# A dead letter keeps this much of what was refused.
PAYLOAD_LIMIT = 64 * 1024

# Streams of one file have numbers from its index times this.
STREAMS_A_FILE = 1_000
