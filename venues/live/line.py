"""One socket of a plan: opened and subscribed, and what is known of its subscriptions."""

import asyncio
from collections.abc import Callable, Iterable
from contextlib import suppress

from schemas.errors import VenueError
from streams.logs import logger
from venues.config import CollectorConfig
from venues.frames import Frame
from venues.live.dialect import Control, Plan, Speech
from venues.live.silence import Silence
from venues.live.socket import Socket

log = logger("link")


class Line:
    """A socket that has said its plan's hello.

    `over` is done when it has ended, with the reason or with what a callback raised. `leaving` is
    set when the venue says that it will cut. A successor sets `covered` when all of the hello is
    acknowledged and every symbol of the plan was seen in market data.
    """

    def __init__(
        self,
        name: str,
        plan: Plan,
        dialect: Speech,
        on_frame: Callable[[Frame], None],
        on_refused: Callable[["Line", str], None],
        is_successor: bool = False,
    ) -> None:
        self.name = name
        self.over: asyncio.Task[str]
        self.leaving = asyncio.Event()
        self.leave_reason = ""
        self.covered = asyncio.Event()
        self._plan = plan
        first = self._watched if is_successor else on_frame
        self._socket = Socket(name, dialect, first, self._on_control)
        self._on_frame = on_frame
        self._on_refused = on_refused
        self._acks = 0
        self._unseen = {
            (f'"{symbol}"'.encode(), f'.{symbol}"'.encode())
            for symbol in {subscription.venue_symbol for subscription in plan.subscriptions}
        }

    @property
    def age_s(self) -> float:
        """Seconds since it was opened."""
        return asyncio.get_running_loop().time() - self._socket.opened_at

    @property
    def delivered(self) -> int:
        """Messages of market data so far."""
        return self._socket.delivered

    @property
    def acknowledged(self) -> bool:
        """Whether the venue has answered each message of the hello."""
        return self._acks >= len(self._plan.hello)

    @property
    def patience_s(self) -> float:
        """How long it is to be without market data before it counts as half open."""
        return self._silence.patience_s

    async def open(self, config: CollectorConfig, patience_s: float) -> None:
        """Connect and say hello; what `Socket.open` and `Socket.say` raise."""
        await self._socket.open(self._plan.url, config.connect_timeout_s)
        self.over = asyncio.create_task(self._socket.ended())
        try:
            await self._socket.say(self._plan.hello)
        except BaseException as error:
            self._socket.abort("not subscribed")
            if isinstance(error, VenueError):
                await self.over
            raise
        now = asyncio.get_running_loop().time()
        self._silence = Silence(config.silence_s, patience_s, now)
        tending = asyncio.create_task(self._socket.tend(self._silence))
        self.over.add_done_callback(lambda _: tending.cancel())

    async def say(self, messages: Iterable[bytes]) -> None:
        """Send texts, unless it is over."""
        with suppress(VenueError):
            await self._socket.say(messages)

    async def close(self, reason: str) -> None:
        """End it in order; what was on its way still comes."""
        await self._socket.close(reason)

    def settle(self) -> None:
        """Watch no more for symbols; frames go straight on."""
        self._socket.on_frame = self._on_frame

    def mute(self) -> None:
        """Deliver nothing any more."""
        self._socket.on_frame = _nobody

    def _watched(self, frame: Frame) -> None:
        """Pass a frame on, and see which symbol it is of."""
        self._on_frame(frame)
        data = frame.data
        self._unseen = {forms for forms in self._unseen if not any(form in data for form in forms)}
        self._see()

    def _see(self) -> None:
        if not self._unseen and self.acknowledged:
            self.covered.set()

    def _on_control(self, _socket: Socket, control: Control) -> None:
        match control.kind:
            case "ack":
                self._acks += 1
                self._see()
            case "error":
                self._acks += 1
                self._on_refused(self, control.text)
                self._see()
            case "shutdown":
                self.leave_reason = control.text or "the venue says that it will cut"
                self.leaving.set()
            case "notice":
                log.info("venue_notice", connection=self.name, text=control.text)


def _nobody(_frame: Frame) -> None:
    """Take a frame that nobody wants any more."""
