"""One WebSocket client of one venue: what it listens to, what waits to be written to it."""

import asyncio
from dataclasses import dataclass, field
from typing import Any, cast

from aiohttp import web

from venues.simulator.server.channel import Channel
from venues.simulator.server.websocket import PING, close_frame, frame

MOST_WAITING = 8 << 20
"""Bytes that may wait for a slow client when the market keeps its pace; then it is cut."""
MOST_UNREAD = 64 << 10
"""A client with more waiting for it is not told goodbye: it would not read it."""
HIGH_WATER = 1 << 20
"""Bytes that may wait at full speed before the market waits for the client."""


@dataclass(eq=False, slots=True)
class Session:
    """A connection. `path` and `query` are of its URL; times are the event loop's seconds."""

    number: int
    venue: str
    transport: asyncio.Transport
    path: str
    query: dict[str, str]
    channels: dict[str, Channel] = field(default_factory=dict)
    """What is subscribed, by the client's own name for it."""
    pending: list[bytes] = field(default_factory=list)
    sent: int = 0
    """Messages of the market written."""
    dead: bool = False
    """Half open: nothing is written or answered any more, but the socket stays."""
    heard_at: float = 0.0
    wrote_at: float = 0.0
    pinged_at: float = 0.0
    ponged_at: float = 0.0
    heard: list[float] = field(default_factory=list)
    """When the last messages came in, for the venue's limit of them."""

    def say(self, text: str | bytes) -> None:
        """Send a message that is not of the market, in its place among those that are."""
        data = text.encode() if isinstance(text, str) else text
        self.pending.append(frame(data))

    def ping(self, payload: bytes, now: float) -> None:
        """Send a ping frame."""
        self.pinged_at = now
        self.pending.append(frame(payload, PING))

    def flush(self, now: float) -> None:
        """Write what is pending."""
        pending, self.pending = self.pending, []
        if self.dead or self.transport.is_closing():
            return
        self.wrote_at = now
        self.transport.write(b"".join(pending))

    @property
    def waiting(self) -> int:
        """Bytes not yet taken by the client."""
        return self.transport.get_write_buffer_size()

    def listen(self, name: str, channel: Channel) -> None:
        """Subscribe, by the client's name for the channel."""
        self.channels[name] = channel
        channel.subscribers.append(self)

    def leave(self, name: str) -> bool:
        """Unsubscribe; whether it was subscribed."""
        channel = self.channels.pop(name, None)
        if channel is None:
            return False
        channel.subscribers.remove(self)
        return True

    def leave_all(self) -> None:
        """Unsubscribe everything."""
        for name in list(self.channels):
            self.leave(name)

    def cut(self, code: int = 0, reason: str = "") -> None:
        """End the connection: with a goodbye of that code if it is read, else a reset."""
        self.leave_all()
        self.pending = []
        if self.transport.is_closing():
            return
        if code and not self.dead and self.waiting < MOST_UNREAD:
            self.transport.write(close_frame(code, reason))
            self.transport.close()
        else:
            self.transport.abort()


def transport_of(request: web.Request) -> asyncio.Transport:
    """The transport under a request, for frames that are made here."""
    transport: Any = request.transport
    if transport is None:
        raise ConnectionResetError("the client has gone")
    return cast(asyncio.Transport, transport)
