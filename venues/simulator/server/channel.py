"""One stream of one venue: who listens, what is remembered of it, what disturbs it."""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, Protocol

if TYPE_CHECKING:
    from venues.simulator.server.session import Session

Kind = Literal["trades", "book", "top", "quote", "kline", "ticker", "mark", "funding", "other"]
Transform = Callable[[bytes], bytes]

MOST_TRADES = 20_000
"""Messages of trades remembered of an instrument; older ones can no longer be asked for."""


class Tap(Protocol):
    """A disturbance on the way from the venue to who listens."""

    def passed(self, channel: "Channel", data: bytes) -> list[bytes]:
        """What is sent in place of one message, now."""


@dataclass(slots=True, eq=False)
class Channel:
    """A stream by its key, as its venue's messages name it.

    `recent` holds messages that memory has not read yet: all since it last did, of trades at most
    `MOST_TRADES`, of kinds that are whole in each message only the last.
    """

    venue: str
    key: bytes
    kind: Kind
    symbol: str
    """The venue's own."""
    recent: deque[bytes] = field(default_factory=deque)
    published: int = 0
    """Messages so far, whether or not anybody listened."""
    subscribers: list["Session"] = field(default_factory=list)
    derived: list[tuple["Channel", Transform]] = field(default_factory=list)
    """Streams that say the same in another form."""
    taps: list[Tap] = field(default_factory=list)
    closed: bool = False
    """Its instrument was delisted: nothing is published any more."""


def new_channel(venue: str, key: bytes, kind: Kind, symbol: str) -> Channel:
    """A channel that remembers what its kind needs."""
    most = {"trades": MOST_TRADES, "quote": 1, "mark": 1, "funding": 1, "other": 1}.get(kind)
    return Channel(venue, key, kind, symbol, deque(maxlen=most))
