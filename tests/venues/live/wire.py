"""A venue of few words for the tests: its dialect, and a real WebSocket server that speaks it.

    to the server    sub SYMBOL         answered by `ack`, or `error no such symbol: SYMBOL`
                     book SYMBOL        answered by {"book":"SYMBOL"}
                     ping               answered by `pong`
    from the server  ack, pong, error TEXT, shutdown TEXT, and market data: {"s":"SYMBOL","n":N}

Its market counts: each few milliseconds all that are subscribed are sent the next number.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from functools import wraps
from http import HTTPStatus
from typing import Any, ParamSpec

from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response

from venues.config import CollectorConfig
from venues.frames import Frame
from venues.live.connection import Connection, State
from venues.live.dialect import Control, Limits, Plan, Subscription
from venues.live.limits import Attempts

VENUE = "test-spot"
QUICK = Limits(
    messages_per_s=1_000.0, connections_per_s=100.0, rest_weight=1_000, rest_window_s=1.0
)
CONFIG = CollectorConfig(
    connect_timeout_s=0.5,
    silence_s=0.6,
    backoff_first_s=0.02,
    backoff_most_s=0.1,
    handover_before_s=0.5,
)
TICK_S = 0.005
P = ParamSpec("P")


class Plain:
    """The dialect."""

    venue = VENUE

    def __init__(self, limits: Limits = QUICK) -> None:
        self.limits = limits

    def control(self, data: bytes) -> Control | None:
        """By the first word."""
        if data.startswith(b"{"):
            return None
        kind, _, text = data.decode().partition(" ")
        if kind not in {"ack", "pong", "error", "shutdown"}:
            raise ValueError(kind)
        return Control(kind, text)  # type: ignore[arg-type]  # one of these

    def resubscribe_book(self, subscription: Subscription) -> tuple[bytes, ...]:
        """One message."""
        return (f"book {subscription.venue_symbol}".encode(),)


@dataclass(eq=False)
class Seen:
    """One socket as the server sees it."""

    connection: ServerConnection
    symbols: set[str] = field(default_factory=set)
    said: list[str] = field(default_factory=list)
    said_at: list[float] = field(default_factory=list)


class Venue:
    """The server; the tests set what it does, and read what came."""

    def __init__(self) -> None:
        self.url = ""
        self.listed = {"AAA", "BBB"}
        self.number = 0
        self.sockets: list[Seen] = []
        self.asked_at: list[float] = []
        self.thinks_s = 0.0
        """Before it answers a handshake."""
        self.answer: Callable[[ServerConnection], Response | None] = lambda _: None
        self.is_mute: Callable[[int], bool] = lambda _: False
        """Whether a socket, by its place among all, gets no market data."""

    @property
    def live(self) -> list[Seen]:
        """Sockets that are open."""
        return [seen for seen in self.sockets if seen.connection.close_code is None]

    async def handle(self, connection: ServerConnection) -> None:
        """Serve one socket."""
        seen = Seen(connection)
        self.sockets.append(seen)
        with suppress(ConnectionClosed):
            async for message in connection:
                seen.said.append(str(message))
                seen.said_at.append(asyncio.get_running_loop().time())
                await connection.send(self._reply(seen, str(message)))

    def _reply(self, seen: Seen, message: str) -> str:
        word, _, symbol = message.partition(" ")
        if word == "ping":
            return "pong"
        if word == "book":
            return json.dumps({"book": symbol})
        if symbol not in self.listed:
            return f"error no such symbol: {symbol}"
        seen.symbols.add(symbol)
        return "ack"

    async def check(self, connection: ServerConnection, _request: Request) -> Response | None:
        """Before a handshake: take it, or answer otherwise."""
        self.asked_at.append(asyncio.get_running_loop().time())
        await asyncio.sleep(self.thinks_s)
        return self.answer(connection)

    async def market(self) -> None:
        """Send the next number to all."""
        while True:
            await asyncio.sleep(TICK_S)
            self.number += 1
            for place, seen in enumerate(self.sockets):
                if seen in self.live and not self.is_mute(place):
                    for symbol in seen.symbols:
                        data = json.dumps({"s": symbol, "n": self.number}, separators=(",", ":"))
                        with suppress(ConnectionClosed):
                            await seen.connection.send(data)


@asynccontextmanager
async def venue(**options: Any) -> AsyncIterator[Venue]:
    """The server on a free port of loopback."""
    served = Venue()
    async with serve(
        served.handle, "127.0.0.1", 0, process_request=served.check, ping_interval=None, **options
    ) as server:
        scheme = "wss" if options.get("ssl") else "ws"
        port = next(iter(server.sockets)).getsockname()[1]
        served.url = f"{scheme}://localhost:{port}/stream"
        market = asyncio.create_task(served.market())
        try:
            yield served
        finally:
            market.cancel()


def refuse(status: HTTPStatus, **headers: str) -> Callable[[ServerConnection], Response]:
    """An answer in place of a handshake."""

    def answer(connection: ServerConnection) -> Response:
        response = connection.respond(status, "no")
        for name, value in headers.items():
            response.headers[name.replace("_", "-")] = value
        return response

    return answer


class Client:
    """A connection under test and what it gave."""

    def __init__(
        self,
        url: str,
        *symbols: str,
        limits: Limits = QUICK,
        config: CollectorConfig = CONFIG,
        attempts: Attempts | None = None,
    ) -> None:
        self.frames: list[Frame] = []
        self.states: list[State] = []
        plan = Plan(
            VENUE,
            "public-1",
            url,
            tuple(f"sub {symbol}".encode() for symbol in symbols),
            tuple(Subscription(VENUE, f"{name}-USDT", name, "trades") for name in symbols),
        )
        self.connection = Connection(
            plan, Plain(limits), config, self.on_frame, self.states.append, attempts
        )

    def on_frame(self, frame: Frame) -> None:
        """Keep a frame."""
        self.frames.append(frame)

    @property
    def attempts(self) -> int:
        """Sockets tried so far."""
        return self.connection._opened

    @property
    def kinds(self) -> list[str]:
        """The kinds of the states so far."""
        return [state.kind for state in self.states]

    def numbers(self, symbol: str = "AAA") -> list[int]:
        """The market's numbers as they came, twice where they came twice."""
        parsed = (json.loads(frame.data) for frame in self.frames)
        return [each["n"] for each in parsed if each.get("s") == symbol]

    def missing(self, symbol: str = "AAA") -> set[int]:
        """Numbers between the first and the last that did not come."""
        came = set(self.numbers(symbol))
        return set(range(min(came), max(came) + 1)) - came


@asynccontextmanager
async def running(client: Client) -> AsyncIterator[Client]:
    """Run a connection; close it."""
    run = asyncio.create_task(client.connection.run())
    try:
        yield client
    finally:
        await client.connection.close()
        await run


async def until(true: Callable[[], object], within_s: float = 5.0) -> None:
    """Wait until something is so; AssertionError when it does not come to be."""
    end = asyncio.get_running_loop().time() + within_s
    while not true():
        assert asyncio.get_running_loop().time() < end, "waited in vain"
        await asyncio.sleep(0.005)


def bounded(test: Callable[P, Coroutine[Any, Any, None]]) -> Callable[P, None]:
    """Run an asynchronous test, at most 20 s long."""

    @wraps(test)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        asyncio.run(asyncio.wait_for(test(*args, **kwargs), 20))

    return run
