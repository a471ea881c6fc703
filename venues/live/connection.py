"""One planned connection, kept: connected, subscribed, alive, and replaced before it is cut."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from picows import WSError
from python_socks import ProxyError

from schemas.errors import VenueError
from streams.logs import logger
from venues.config import CollectorConfig
from venues.frames import Frame
from venues.live.backoff import Backoff
from venues.live.dialect import Plan, Speech, Subscription
from venues.live.limits import Attempts, rate_limited
from venues.live.line import Line

log = logger("link")

_FAILURES = (OSError, TimeoutError, WSError, ProxyError, VenueError)
Kind = Literal["connected", "lost", "handover", "refused"]


@dataclass(frozen=True, slots=True)
class State:
    """What has become of a connection; `at_us` in microseconds UTC.

    connected: open, and all of its hello is said. lost: over before another took over; data may
    be missing from here to the next `connected`. handover: another socket has taken over and
    nothing is missing. refused: the venue refuses these subscriptions, in its own words; none are
    named where it does not say which.
    """

    venue: str
    connection: str
    kind: Kind
    subscriptions: tuple[Subscription, ...]
    reason: str
    at_us: int


class Connection:
    """Keeps what a plan says coming: `run` until `close`.

    Each message of market data goes to `on_frame` as it comes; during a handover both sockets
    deliver, so the same comes twice. What a callback raises ends `run`, which raises it.
    `attempts` is to be shared by all connections of a process: venues count new connections by
    address.
    """

    def __init__(
        self,
        plan: Plan,
        dialect: Speech,
        config: CollectorConfig,
        on_frame: Callable[[Frame], None],
        on_state: Callable[[State], None],
        attempts: Attempts | None = None,
    ) -> None:
        self.plan = plan
        self._dialect = dialect
        self._config = config
        self._on_frame = on_frame
        self._on_state = on_state
        self._turns = (attempts or Attempts()).at(plan.url, plan.venue, dialect.limits)
        self._backoff = Backoff(config.backoff_first_s, config.backoff_most_s)
        age_s = dialect.limits.max_age_s
        self._lifetime_s = max(age_s - config.handover_before_s, age_s / 2)
        self._patience_s = config.silence_s
        self._opened = 0
        self._lines: set[Line] = set()
        self._current: Line | None = None
        self._refusals: set[str] = set()
        self._closing, self._closed = asyncio.Event(), asyncio.Event()

    async def run(self) -> None:
        """Connect, and stay so until `close`."""
        living = asyncio.create_task(self._live())
        closing = asyncio.create_task(self._closing.wait())
        try:
            await asyncio.wait((living, closing), return_when=asyncio.FIRST_COMPLETED)
        finally:
            living.cancel()
            closing.cancel()
            await asyncio.wait((living, closing))
            for line in self._lines:
                line.mute()
            await asyncio.gather(*(line.close("we are closing") for line in self._lines))
            self._closed.set()
        if not living.cancelled():
            living.result()

    async def close(self) -> None:
        """End `run`; when this returns, the sockets are closed and nothing is delivered."""
        self._closing.set()
        await self._closed.wait()

    async def resubscribe(self, subscription: Subscription) -> None:
        """Have the stream send a book whole again; a socket yet to come does so anyway."""
        if self._current is not None:
            await self._current.say(self._dialect.resubscribe_book(subscription))

    async def _live(self) -> None:
        line = self._connected(await self._connect())
        while True:
            reason = await self._left(line)
            self._backoff.forgive(line.age_s)
            if line.over.done():
                line = await self._replace(line)
            else:
                line = await self._hand_over(line, reason)

    async def _left(self, line: Line) -> str:
        """Wait until a line is over or is to be left; why it is to be left."""
        leaving = asyncio.create_task(line.leaving.wait())
        left_s = self._lifetime_s - line.age_s
        try:
            await asyncio.wait(
                (line.over, leaving),
                timeout=None if left_s == float("inf") else max(0.0, left_s),
                return_when=asyncio.FIRST_COMPLETED,
            )
        finally:
            leaving.cancel()
        return line.leave_reason or f"before the venue's cut at {self._dialect.limits.max_age_s} s"

    async def _replace(self, line: Line) -> Line:
        """A line after one that was lost."""
        self._lose(line)
        await asyncio.sleep(self._backoff.next())
        return self._connected(await self._connect())

    async def _hand_over(self, old: Line, reason: str) -> Line:
        """The line that comes after one that is to be left; both live for a while."""
        while True:
            coming = asyncio.create_task(self._come())
            try:
                await asyncio.wait((coming, old.over), return_when=asyncio.FIRST_COMPLETED)
                if not coming.done():
                    self._lose(old)
                    return self._connected(await coming)
            finally:
                coming.cancel()
            new = coming.result()
            await self._overlap(old, new)
            if old.over.done() and not new.acknowledged:
                self._lose(old)
                return self._connected(new)
            if old.over.done() or not new.over.done():
                self._tell("handover", new, reason)
                await old.close("handed over")
                self._forget(old)
                return new
            log.warning("handover_failed", connection=new.name, reason=self._forget(new))

    async def _overlap(self, old: Line, new: Line) -> None:
        """Wait until the new line has taken over or one is over; end a new one without data."""
        before = old.delivered
        covered = asyncio.create_task(new.covered.wait())
        try:
            await asyncio.wait(
                (covered, new.over, old.over),
                timeout=self._config.silence_s,
                return_when=asyncio.FIRST_COMPLETED,
            )
        finally:
            covered.cancel()
            new.settle()
        both = not (old.over.done() or new.over.done())
        if both and not new.delivered and old.delivered > before:
            await new.close("the new socket brings no data")

    async def _come(self) -> Line:
        await asyncio.sleep(self._backoff.next())
        return await self._connect(is_successor=True)

    async def _connect(self, is_successor: bool = False) -> Line:
        """A line that has said hello; tries until there is one."""
        while True:
            await self._turns.wait()
            self._opened += 1
            name = f"{self.plan.name}#{self._opened}"
            line = Line(name, self.plan, self._dialect, self._on_frame, self._refused, is_successor)
            try:
                await line.open(self._config, self._patience_s)
            except _FAILURES as error:
                await self._failed(name, error)
            else:
                self._lines.add(line)
                return line

    async def _failed(self, name: str, error: Exception) -> None:
        """Wait after an attempt that failed, as the venue says or as the backoff does."""
        reason = str(error) or type(error).__name__
        response = getattr(error, "response", None)
        if response is not None:
            reason = f"HTTP {int(response.status)}"
            limited = rate_limited(int(response.status), response.headers, 1.0)
            if limited is not None:
                self._turns.hold(limited.wait_s)
        wait_s = max(self._backoff.next(), self._turns.held_s)
        log.warning(
            "connect_failed", venue=self.plan.venue, connection=name, url=self.plan.url,
            reason=reason, wait_s=round(wait_s, 2),
        )  # fmt: skip
        await asyncio.sleep(wait_s)

    def _connected(self, line: Line) -> Line:
        self._tell("connected", line, "")
        return line

    def _lose(self, line: Line) -> None:
        self._tell("lost", line, self._forget(line))

    def _forget(self, line: Line) -> str:
        """Let go of a line that is over; why it is."""
        self._lines.discard(line)
        self._patience_s = line.patience_s
        return line.over.result()

    def _refused(self, line: Line, text: str) -> None:
        """Tell what the venue refuses, once: each new socket says the same hello."""
        if text not in self._refusals:
            self._refusals.add(text)
            self._tell("refused", line, text)

    def _tell(self, kind: Kind, line: Line, reason: str) -> None:
        subscriptions = self.plan.subscriptions
        if kind == "refused":
            subscriptions = tuple(s for s in subscriptions if s.venue_symbol in reason)
        else:
            self._current = None if kind == "lost" else line
        told = log.info if kind in {"connected", "handover"} else log.warning
        told(f"connection_{kind}", venue=self.plan.venue, connection=line.name, reason=reason)
        at_us = time.time_ns() // 1000
        self._on_state(State(self.plan.venue, line.name, kind, subscriptions, reason, at_us))
