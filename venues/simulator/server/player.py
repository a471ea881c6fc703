"""Plays the market: items at their time, or as fast as they are read."""

import asyncio
import gc
import time
from bisect import bisect_right
from collections.abc import Callable, Iterator
from operator import attrgetter

from streams.logs import logger
from venues.simulator.server.clock import MarketClock
from venues.simulator.server.session import HIGH_WATER, MOST_WAITING, Session
from venues.simulator.server.source import Batch, Source
from venues.simulator.server.stage import Item, Stage
from venues.simulator.server.websocket import OVERLOADED

log = logger("simulator")

SLICE = 256
"""Items that are published between two looks at the sockets."""
STEP_S = 0.001
"""The finest pace."""
IDLE_S = 0.02
MOST_BEHIND_S = 3.0
"""A market that is made slower than it is played goes on at the speed it is made at."""
STUCK_S = 10.0
"""At full speed the market waits for its slowest client, but not longer than this."""


class Player:
    """Publishes a source's items; `tick` is called between slices, with the market's time.

    At full speed nothing is published until somebody listens.
    """

    def __init__(
        self, stage: Stage, source: Source, clock: MarketClock, tick: Callable[[int], None]
    ) -> None:
        self._stage = stage
        self._clock = clock
        self._tick = tick
        self._batches = source.batches()
        self._prepared: Iterator[list[Item]] = iter(())
        self._model = source.model
        self._slow = False
        self._begun = False
        first: Batch = next(self._batches, [])
        stage.open(first, source.model)
        self._first: list[Item] | None = stage.items(first)
        self.ended = False

    def prepare(self, count: int) -> int:
        """Make at least `count` items beforehand, if the source has so many; how many there are."""
        batches = [[item for item in self._first or [] if item.channel is not None]]
        made = len(batches[0])
        while made < count:
            frames = next(self._batches, None)
            if frames is None:
                break
            items = self._stage.items(frames)
            batches.append(items)
            made += len(items)
        self._first = None
        self._prepared = iter(batches)
        # So many objects that live long are not to be looked through again and again.
        gc.collect()
        gc.freeze()
        return made

    async def run(self) -> None:
        """Play until the source ends; then only ticks go on."""
        making = asyncio.create_task(self._next())
        try:
            while (items := await self._made(making)) is not None:
                making = asyncio.create_task(self._next())
                await self._play(items)
                self._stage.tidy()
            self.ended = True
            log.info("market_ended", published=self._stage.published)
            while True:
                await asyncio.sleep(IDLE_S)
                self._between()
        finally:
            making.cancel()

    async def _made(self, making: "asyncio.Task[list[Item] | None]") -> list[Item] | None:
        """The next items; ticks go on while they are made."""
        while not making.done():
            await asyncio.wait([making], timeout=IDLE_S)
            if not making.done():
                self._between()
        return making.result()

    async def _next(self) -> list[Item] | None:
        """The next batch: of those prepared, else made in a thread."""
        if self._first is not None:
            first, self._first = self._first, None
            return first
        prepared = next(self._prepared, None)
        if prepared is not None:
            return prepared
        return await asyncio.to_thread(self._make) if self._model else self._make()

    def _make(self) -> list[Item] | None:
        frames = next(self._batches, None)
        return None if frames is None else self._stage.items(frames)

    async def _play(self, items: list[Item]) -> None:
        at = 0
        if items and self._begun:
            self._keep_pace(items[0].time_us)
        self._begun = True
        while at < len(items):
            end = min(self._due(items, at), at + SLICE)
            if end == at:
                await self._wait(items[at].time_us)
                self._between()
                continue
            self._stage.publish(items[at:end])
            self._clock.reached(items[end - 1].time_us)
            at = end
            self._between()
            if self._clock.speed:
                await asyncio.sleep(0)
            else:
                await self._drained()

    def _due(self, items: list[Item], at: int) -> int:
        """Up to where items are due now."""
        if self._clock.paused:
            return at
        if self._clock.speed:
            return bisect_right(items, self._clock.now_us(), at, key=_time)
        return len(items) if any(s.channels and not s.dead for s in self._stage.sessions) else at

    async def _wait(self, until_us: int) -> None:
        left_s = self._clock.wall_seconds(until_us - self._clock.now_us())
        await asyncio.sleep(min(max(left_s, STEP_S), IDLE_S))

    def _keep_pace(self, next_us: int) -> None:
        """Set the clock back to what is there, if making it took longer than playing it."""
        behind_s = self._clock.wall_seconds(self._clock.now_us() - next_us)
        if behind_s > MOST_BEHIND_S and not self._clock.paused:
            self._clock.set(next_us)
            if not self._slow:
                self._slow = True
                log.warning("market_slower_than_asked", speed=self._clock.speed, behind_s=behind_s)

    def _between(self) -> None:
        """Faults, what is pending, slow clients."""
        self._tick(self._clock.now_us())
        now = time.monotonic()
        self._stage.flush(now)
        if self._clock.speed:
            for session in self._stage.sessions:
                if session.waiting > MOST_WAITING and not session.dead:
                    self._cut(session, "it reads too slowly")

    async def _drained(self) -> None:
        """Wait for the slowest client."""
        await asyncio.sleep(0)
        begun = time.monotonic()
        while slow := [s for s in self._stage.sessions if not s.dead and s.waiting > HIGH_WATER]:
            if time.monotonic() - begun > STUCK_S:
                for session in slow:
                    self._cut(session, "it reads nothing")
                return
            await asyncio.sleep(STEP_S)
            self._tick(self._clock.now_us())

    def _cut(self, session: Session, why: str) -> None:
        log.warning("client_cut", venue=session.venue, connection=session.number, why=why)
        session.cut(OVERLOADED, why)


_time = attrgetter("time_us")
