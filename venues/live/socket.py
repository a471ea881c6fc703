"""One WebSocket: market data to a callback, controls aside, heartbeats, and why it ended."""

import asyncio
import logging
import time
from collections.abc import Callable, Iterable

import msgspec
from picows import (
    WSCloseCode,
    WSError,
    WSFrame,
    WSListener,
    WSMsgType,
    WSTransport,
    ws_connect,
)

from schemas.errors import VenueError
from venues.frames import Frame
from venues.live.dialect import Control, Speech
from venues.live.limits import Turns, window_of_rate
from venues.live.proxies import proxy_of
from venues.live.silence import Silence

_MOST_BYTES = 32 * 1024 * 1024
_CLOSE_S = 1.0
_LOOKS = 8
_TEXT, _CLOSE, _PONG = WSMsgType.TEXT, WSMsgType.CLOSE, WSMsgType.PONG

# picows tells of each connection and its end, as we do.
_logger = logging.getLogger("picows.tape")
_logger.setLevel(logging.WARNING)


class Socket(WSListener):
    """A connection by picows: `open`, `say`, `tend`; `ended` tells when and why it is over.

    `received` counts messages, pongs included, `delivered` those of market data. What a callback
    raises ends the socket, and `ended` raises it.
    """

    def __init__(
        self,
        name: str,
        dialect: Speech,
        on_frame: Callable[[Frame], None],
        on_control: Callable[["Socket", Control], None],
    ) -> None:
        self.name = name
        self.on_frame = on_frame
        self.received = self.delivered = 0
        self.opened_at = 0.0
        self._venue = dialect.venue
        self._limits = dialect.limits
        self._control = dialect.control
        self._on_control = on_control
        self._turns = Turns(window_of_rate(dialect.limits.messages_per_s))
        self._transport: WSTransport
        self._parts: list[bytes] = []
        self._abandoned = self._is_open = False
        self._reason = ""

    async def open(self, url: str, timeout_s: float) -> None:
        """Connect; OSError, TimeoutError or picows' WSError where that fails."""
        try:
            async with asyncio.timeout(timeout_s):
                await ws_connect(
                    lambda: self, url, websocket_handshake_timeout=timeout_s, proxy=proxy_of(url),
                    max_frame_size=_MOST_BYTES, logger_name=_logger,
                )  # fmt: skip
        except BaseException:
            # picows goes on with a handshake that nobody waits for.
            self._abandoned = True
            raise
        if not self._is_open:
            # picows returns in silence when it is reset before the answer.
            raise ConnectionResetError("reset during the handshake")
        self.opened_at = asyncio.get_running_loop().time()

    def on_ws_connected(self, transport: WSTransport) -> None:
        """The handshake is done; called by picows."""
        self._transport = transport
        self._is_open = True
        if self._abandoned:
            transport.disconnect(graceful=False)

    # This and `_message` run tens of thousands of times a second.
    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        """A frame came; called by picows, which has answered pings."""
        self.received += 1
        if frame.msg_type == _TEXT and frame.fin:
            self._message(frame.get_payload_as_bytes())
        else:
            self._unusual(transport, frame)

    def _message(self, data: bytes) -> None:
        receive_time = time.time_ns() // 1000
        try:
            control = self._control(data)
        except (VenueError, msgspec.MsgspecError, ValueError):
            # What cannot be read is for the feed to refuse.
            control = None
        if control is None:
            self.delivered += 1
            self.on_frame(Frame(self._venue, self.name, receive_time, data))
        else:
            self._on_control(self, control)

    def _unusual(self, transport: WSTransport, frame: WSFrame) -> None:
        """A close, a pong, or a part of a message."""
        if frame.msg_type == _CLOSE:
            transport.send_close(WSCloseCode.OK)
            transport.disconnect()
        elif frame.msg_type != _PONG:
            self._parts.append(frame.get_payload_as_bytes())
            if sum(map(len, self._parts)) > _MOST_BYTES:
                self.abort(f"a message of more than {_MOST_BYTES} bytes")
            elif frame.fin:
                whole, self._parts = b"".join(self._parts), []
                self._message(whole)

    async def say(self, messages: Iterable[bytes]) -> None:
        """Send texts, in order, each in its turn; VenueError when the socket is over."""
        for message in messages:
            await self._turns.wait()
            if self._transport.is_disconnected:
                raise VenueError(f"{self.name} ended while we subscribed: {self._told()}")
            self._transport.send(_TEXT, message)

    async def tend(self, silence: Silence) -> None:
        """Send pings and end the socket when it is dead; returns when the socket is over."""
        clock = asyncio.get_running_loop().time
        every_s = self._limits.ping_every_s if self._limits.ping else float("inf")
        look_s = min(silence.silence_s / _LOOKS, every_s / 2)
        pinged_at = clock()
        while not self._transport.is_disconnected:
            await asyncio.sleep(look_s)
            now = clock()
            dead = silence.look(now, self.received, self.delivered)
            if dead:
                self.abort(dead)
            since = now - pinged_at
            if since >= every_s - look_s or min(since, silence.quiet_s(now)) >= 2 * look_s:
                pinged_at = now
                await self._ping()

    async def _ping(self) -> None:
        await self._turns.wait()
        if self._limits.ping:
            self._transport.send(_TEXT, self._limits.ping)
        else:
            self._transport.send_ping()

    async def ended(self) -> str:
        """Wait for the end; the reason of it. Raises what a callback raised."""
        try:
            await self._transport.wait_disconnected()
        except WSError as error:
            return self._reason or f"not the WebSocket protocol: {error}"
        return self._told()

    def _told(self) -> str:
        handshake = self._transport.close_handshake
        if self._reason or handshake is None or handshake.recv is None:
            return self._reason or "cut without a word"
        code = handshake.recv.code
        number = getattr(code, "value", code)
        return f"closed by the venue: {number} {handshake.recv.reason}".rstrip()

    def abort(self, reason: str) -> None:
        """End it without waiting for the other side."""
        self._reason = self._reason or reason
        self._transport.disconnect(graceful=False)

    async def close(self, reason: str) -> None:
        """End it in order: what was on its way still comes, within a second."""
        self._reason = self._reason or reason
        self._transport.send_close(WSCloseCode.OK)
        try:
            async with asyncio.timeout(_CLOSE_S):
                await self.ended()
        except TimeoutError:
            self.abort(reason)
