"""One WebSocket client of `benchmarks.sockets`: takes frames, stamps and counts them.

Prints frames, seconds and the process's seconds from the first frame to the last, as JSON.
Run: python -m benchmarks._sockets_client tape|picows|websockets|aiohttp URL
"""

import asyncio
import json
import sys
import time
from collections.abc import Awaitable, Callable

import structlog

from venues.config import CollectorConfig
from venues.live.connection import Connection, State
from venues.live.dialect import Control, Limits, Plan, Subscription


class Count:
    """What each client does with a frame: its time, and that it came."""

    def __init__(self) -> None:
        self.frames = self.octets = self.last_us = 0
        self._began = self._began_cpu = 0.0

    def take(self, data: bytes) -> None:
        """A frame."""
        self.last_us = time.time_ns() // 1000
        if not self.frames:
            self._began, self._began_cpu = time.perf_counter(), time.process_time()
        self.frames += 1
        self.octets += len(data)

    def told(self) -> dict[str, float]:
        """The figures."""
        return {
            "frames": self.frames,
            "octets": self.octets,
            "seconds": time.perf_counter() - self._began,
            "cpu_seconds": time.process_time() - self._began_cpu,
        }


class Speech:
    """A venue whose every message is market data, once its first byte was looked at."""

    venue = "bench-spot"
    limits = Limits(messages_per_s=5, connections_per_s=5, rest_weight=1, rest_window_s=1)

    def control(self, data: bytes) -> Control | None:
        """None, unless a message is empty."""
        return None if data.startswith(b"x") else Control("notice")

    def resubscribe_book(self, _subscription: Subscription) -> tuple[bytes, ...]:
        """There are no books."""
        return ()


async def tape_client(url: str, count: Count) -> None:
    """Ours: `venues.live.connection`, picows with all that a collector's connection does."""
    closing: list[asyncio.Task[None]] = []

    def on_state(state: State) -> None:
        if state.kind == "lost":
            closing.append(asyncio.create_task(connection.close()))

    plan = Plan("bench-spot", "public-1", url, (), ())
    connection = Connection(
        plan, Speech(), CollectorConfig(), lambda frame: count.take(frame.data), on_state
    )
    await connection.run()
    await closing[0]


async def picows_client(url: str, count: Count) -> None:
    """picows: a callback a frame."""
    from picows import WSFrame, WSListener, WSMsgType, WSTransport, ws_connect  # noqa: PLC0415

    class Listener(WSListener):
        def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
            if frame.msg_type == WSMsgType.TEXT:
                count.take(frame.get_payload_as_bytes())
            elif frame.msg_type == WSMsgType.CLOSE:
                transport.disconnect()

    transport, _ = await ws_connect(Listener, url)
    await transport.wait_disconnected()


async def websockets_client(url: str, count: Count) -> None:
    """Websockets: an asynchronous iterator; as bytes and without compression, its fastest way."""
    from websockets.asyncio.client import connect  # noqa: PLC0415
    from websockets.exceptions import ConnectionClosed  # noqa: PLC0415

    async with connect(url, compression=None, ping_interval=None) as socket:
        try:
            while True:
                count.take(await socket.recv(decode=False))
        except ConnectionClosed:
            return


async def aiohttp_client(url: str, count: Count) -> None:
    """aiohttp: an asynchronous iterator; as bytes and without compression."""
    from aiohttp import ClientSession, WSMsgType  # noqa: PLC0415

    async with (
        ClientSession() as session,
        session.ws_connect(url, compress=0, decode_text=False) as socket,
    ):
        async for message in socket:
            if message.type is WSMsgType.TEXT:
                count.take(message.data)


CLIENTS: dict[str, Callable[[str, Count], Awaitable[None]]] = {
    "tape": tape_client,
    "picows": picows_client,
    "websockets": websockets_client,
    "aiohttp": aiohttp_client,
}


async def _main(name: str, url: str) -> None:
    count = Count()
    await CLIENTS[name](url, count)
    print(json.dumps(count.told()))


if __name__ == "__main__":
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    asyncio.run(_main(sys.argv[1], sys.argv[2]))
