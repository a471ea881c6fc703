"""One venue as it is known from outside: its instruments, channels and sessions."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from venues.simulator.server.channel import Channel, Kind, Transform, new_channel
from venues.simulator.server.clock import MarketClock
from venues.simulator.server.memory import Instrument, Reader
from venues.simulator.server.session import Session


@dataclass(frozen=True, slots=True)
class Answer:
    """What a REST request gets."""

    body: str | bytes
    status: int = 200
    headers: tuple[tuple[str, str], ...] = ()


class Desk(Protocol):
    """What differs by exchange: message names, what clients may say, REST."""

    @property
    def reader(self) -> Reader:
        """How messages are read."""

    @property
    def limits(self) -> "Limits":
        """What the venue allows."""

    def key(self, data: bytes) -> bytes:
        """The name of a message's stream, as the message says it; empty if it says none."""

    def classify(self, key: bytes) -> tuple[Kind, str]:
        """What a stream says, and of which instrument (the venue's name; empty for none)."""

    def listed(self, request: str, body: bytes) -> dict[str, dict[str, Any]] | None:
        """The instruments in an answer to a list's request, by name; None for another answer."""

    def seed(self, venue: "Venue", request: str, body: bytes) -> None:
        """Learn a book from a recorded REST answer."""

    def natives(self, symbol: str) -> tuple[bytes, ...]:
        """The streams of an instrument that the market model publishes."""

    def serves(self, path: str) -> bool:
        """Whether WebSockets are served at this path (after the venue's prefix)."""

    def welcome(self, venue: "Venue", session: Session) -> None:
        """Subscribe what the address itself asks for."""

    def heard(self, venue: "Venue", session: Session, text: str) -> None:
        """Act on a client's message."""

    def weight(self, path: str, query: Mapping[str, str]) -> tuple[str, int]:
        """Against which limit a REST request counts, and how much."""

    def answer(self, venue: "Venue", path: str, query: Mapping[str, str]) -> Answer:
        """A REST answer; `path` begins after the venue's prefix."""

    def delisted(self, listing: dict[str, Any]) -> dict[str, Any] | None:
        """An instrument's entry after its end; None where the list leaves it out."""

    def notices(self, now_ms: int) -> tuple[str, ...]:
        """What is said before a planned cut."""

    def maintenance(self) -> tuple[str, Answer]:
        """What is sent in place of data, and in place of REST answers."""

    def refusal(self, banned: bool, wait_s: int) -> Answer:
        """The answer to too many requests."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What a venue does to clients that ask too much or say too little."""

    messages_per_s: int = 0
    """More than so many messages in a second end the connection; 0: no such limit."""
    ping_s: float = 0.0
    """It sends ping frames this often; 0: none."""
    pong_s: float = 60.0
    """A ping has to be answered within this."""
    silence_s: float = 0.0
    """A connection on which nothing went either way for so long is cut; 0: never."""
    rest_weight: int = 0
    """REST weight that may be used within `rest_s`; 0: no limit."""
    rest_s: float = 60.0


class Venue:
    """A venue's state; what it says is its desk's."""

    def __init__(self, name: str, desk: Desk, clock: MarketClock, offset_us: int = 0) -> None:
        self.name = name
        self.desk = desk
        self.channels: dict[bytes, Channel] = {}
        self.instruments: dict[str, Instrument] = {}
        self.listings: dict[str, dict[str, Any]] = {}
        self.sessions: list[Session] = []
        self._clock = clock
        self._offset_us = offset_us

    def now_ms(self) -> int:
        """The venue's clock, milliseconds."""
        return (self._clock.now_us() + self._offset_us) // 1000

    def seed(self, request: str, body: bytes) -> None:
        """Learn instruments and books from a REST answer of the market."""
        listed = self.desk.listed(request, body)
        if listed is None:
            self.desk.seed(self, request, body)
            return
        for symbol, listing in listed.items():
            self.listings[symbol] = listing
            self.instrument(symbol)

    def instrument(self, symbol: str) -> Instrument:
        """What is known of an instrument, made anew for one not met yet."""
        found = self.instruments.get(symbol)
        if found is None:
            found = self.instruments[symbol] = Instrument(symbol, self.desk.reader)
        return found

    def find(self, symbol: str) -> Instrument | None:
        """An instrument that is traded; None for an unknown or delisted one."""
        found = self.instruments.get(symbol)
        return None if found is None or found.delisted else found

    def channel(self, key: bytes) -> Channel:
        """The channel of a published message's key."""
        found = self.channels.get(key)
        if found is None:
            kind, symbol = self.desk.classify(key)
            found = self.channels[key] = new_channel(self.name, key, kind, symbol)
            if symbol:
                self.instrument(symbol).channels.setdefault(kind, found)
        return found

    def derived(self, key: bytes, origin: Channel, change: Transform) -> Channel:
        """A channel that says in another form what `origin` says."""
        found = self.channels.get(key)
        if found is None:
            found = self.channels[key] = Channel(self.name, key, origin.kind, origin.symbol)
            found.closed = origin.closed
            origin.derived.append((found, change))
        return found

    def delist(self, symbol: str) -> None:
        """End an instrument: nothing more of it is published or answered."""
        instrument = self.instrument(symbol)
        instrument.delisted = True
        for channel in self.channels.values():
            if channel.symbol == symbol:
                channel.closed = True
        listing = self.listings.pop(symbol, None)
        left = self.desk.delisted(dict(listing)) if listing is not None else None
        if left is not None:
            self.listings[symbol] = left
