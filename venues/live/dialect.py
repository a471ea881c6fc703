"""How a venue wants to be talked to: the seam between connections and what differs by venue."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

from schemas.events import Instrument
from venues.config import Channel


@dataclass(frozen=True, slots=True)
class Request:
    """One REST request (GET); `weight` counts against the venue's limit."""

    venue: str
    url: str
    weight: int = 1
    headers: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Subscription:
    """One channel of one instrument."""

    venue: str
    symbol: str
    venue_symbol: str
    channel: Channel


@dataclass(frozen=True, slots=True)
class Plan:
    """One connection: where to, what to say once it is open, what then comes on it."""

    venue: str
    name: str
    """Unique within the venue: `public-1`; a Frame's `connection` begins with it."""
    url: str
    hello: tuple[bytes, ...]
    """Text messages to send, in order, within the venue's rate of messages."""
    subscriptions: tuple[Subscription, ...]


@dataclass(frozen=True, slots=True)
class Limits:
    """What a venue allows and does; seconds."""

    messages_per_s: float
    """Messages that we may send on a connection."""
    connections_per_s: float
    """New connections, over all of an address."""
    rest_weight: int
    rest_window_s: float
    """At most `rest_weight` within a window, per host."""
    max_age_s: float = float("inf")
    """The venue cuts a connection after this."""
    ping: bytes = b""
    """Text message that we send every `ping_every_s`; empty: only WebSocket pings."""
    ping_every_s: float = 20.0
    rest_busy: bytes = b""
    """How an answer of status 200 begins that means: too many requests; empty: none does."""
    connections_over_s: float = 1.0
    """`connections_per_s` holds on average over this time; so many may come at once."""


@dataclass(frozen=True, slots=True)
class Control:
    """A message that is about the connection and not the market."""

    kind: Literal["pong", "ack", "error", "shutdown", "notice"]
    """shutdown: the venue will cut this connection soon, so hand over now."""
    text: str = ""
    id: str = ""


@dataclass(frozen=True, slots=True)
class RateLimited:
    """What REST answers mean: the venue wants us to wait `wait_s` from now."""

    wait_s: float
    banned: bool = field(default=False)
    text: str = ""


class Speech(Protocol):
    """What a connection must know of its venue."""

    venue: str
    limits: Limits

    def control(self, data: bytes) -> Control | None:
        """What a message says about its connection; None for market data (checked fast)."""

    def resubscribe_book(self, subscription: Subscription) -> tuple[bytes, ...]:
        """Messages that make the stream send the book whole again; none: ask by `book`."""


class Dialect(Speech, Protocol):
    """One venue of one exchange, at one address."""

    def plans(self, instruments: Sequence[Instrument], channels: Sequence[Channel]) -> list[Plan]:
        """Connections for these instruments, spread within the venue's limits."""

    def instruments(self) -> list[Request]:
        """All instruments; paged answers name the next by `next_page`."""

    def next_page(self, request: Request, answer: bytes) -> Request | None:
        """The request for what did not fit into an answer: instruments, trades, candles."""

    def refusal(self, answer: bytes) -> RateLimited | str | None:
        """Why an answer is none, also one with status 200; RateLimited: ask again later."""

    def time(self) -> Request:
        """The venue's clock."""

    def server_time_us(self, answer: bytes) -> int:
        """Microseconds UTC out of the answer to `time`; VenueError for another form."""

    def book(self, venue_symbol: str) -> Request | None:
        """A snapshot of a book; None where the stream alone gives it."""

    def trades(self, venue_symbol: str, after_id: str, since_us: int) -> Request:
        """Trades later than one that is known; the answer may begin before it or be cut short."""

    def klines(self, venue_symbol: str, since_us: int) -> Request:
        """One-minute candles from a time on."""
