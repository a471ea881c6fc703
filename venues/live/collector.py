"""The collector: every venue's session, Clock pulses and news, until it is told to stop.

A venue that is away holds up no other: it is asked until it answers. Wrong configuration is
refused at the start, with the nearest names.
"""

import asyncio
import time
from collections.abc import Coroutine, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from schemas.errors import VenueError
from schemas.events import Event, Instrument
from streams.logs import logger
from streams.telemetry import Health
from venues.config import CollectorConfig
from venues.feed import Feed
from venues.live.backoff import Backoff
from venues.live.dialects import dialect_of
from venues.live.intake import Intake
from venues.live.limits import Attempts
from venues.live.news import pollers
from venues.live.pulses import pulse
from venues.live.recorder import Recorder
from venues.live.rest import Rest
from venues.live.selection import select, select_of
from venues.live.session import Session
from venues.live.tail import Tail
from venues.sentiment import scorer

log = logger("venues.collector")

# Venues that have not answered by then are waited for while the others are collected.
START_S = 5.0
TICK_S = 0.025
NEWS = "news"


class Writer(Protocol):
    """The tape, or the spool while Kafka is away."""

    written: int

    def write(self, event: Event) -> None:
        """Hand over one event; does not wait."""

    def write_beside(self, topic: str, key: bytes, event: Event) -> None:
        """Hand over an event for another topic of the tape, by its logical name."""

    def poll(self) -> None:
        """Take Kafka's answers; to be called often."""


@dataclass(frozen=True, slots=True)
class Parts:
    """What a collector is made of."""

    config: CollectorConfig
    venues: tuple[str, ...]
    symbols: tuple[str, ...]
    writer: Writer
    health: Health
    recorder: Recorder | None = None
    """Gets every frame, too."""


class Collector:
    """Collects until `stop`."""

    def __init__(self, parts: Parts, tail: Tail) -> None:
        self._parts, self._tail = parts, tail
        self._rest = Rest(parts.config)
        attempts, recorder = Attempts(), parts.recorder
        self.sessions = {
            venue: Session(
                dialect_of(venue, parts.config),
                parts.config,
                self._rest,
                parts.writer,
                attempts,
                recorder,
            )
            for venue in dict.fromkeys(parts.venues)
        }
        feed = Feed(scorer(parts.config.news.sentiment))
        self.news = Intake(NEWS, parts.writer, feed, recorder.take if recorder else None)
        self._pollers = pollers(parts.config, self._rest, self.news.take)
        self._stopping = asyncio.Event()

    def stop(self) -> None:
        """End `run` in order."""
        self._stopping.set()

    def dropped(self, counts: Mapping[tuple[str, str], int]) -> None:
        """Events, by venue and symbol, were dropped past the spool's bound."""
        for venue, symbol in counts:
            if venue in self.sessions:
                self.sessions[venue].dropped(symbol)

    def recall(self, tail: Tail) -> None:
        """Fetch what was missed before the start; the tape was away then."""
        for session in self.sessions.values():
            session.recall(tail)

    async def run(self) -> None:
        """Collect; ConfigError at the start, for symbols that no venue trades and the like."""
        working = [asyncio.create_task(each) for each in self._work()]
        stopping = asyncio.create_task(self._stopping.wait())
        try:
            await self._until_stopped(stopping, working)
        finally:
            for task in (stopping, *working):
                task.cancel()
            await asyncio.gather(stopping, *working, return_exceptions=True)
            await asyncio.gather(*(each.close() for each in self.sessions.values()))
            self.news.finish()
            await self._rest.close()

    async def _until_stopped(
        self, stopping: "asyncio.Task[bool]", working: list["asyncio.Task[None]"]
    ) -> None:
        """Wait for `stop`; what ends one of our tasks ends us."""
        pending = {stopping, *working}
        while not stopping.done():
            done, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()

    def _work(self) -> list[Coroutine[Any, Any, None]]:
        return [
            pulse(self._parts.writer.write),
            self._tick(),
            self._start(),
            *(poller.run() for poller in self._pollers),
        ]

    async def _start(self) -> None:
        """Read all venues' instruments at once and start those that answer in time."""
        listing = {
            venue: asyncio.create_task(self._list(session))
            for venue, session in self.sessions.items()
        }
        try:
            await asyncio.wait(listing.values(), timeout=START_S)
            listed = {venue: task.result() for venue, task in listing.items() if task.done()}
            if len(listed) == len(listing):
                for warning in select(listed, self._parts.symbols).warnings:
                    log.warning("not_collected", reason=warning)
            for venue, found in listed.items():
                self._begin(venue, found)
            late = [venue for venue in listing if venue not in listed]
            await asyncio.gather(*(self._begin_late(venue, listing[venue]) for venue in late))
        finally:
            for task in listing.values():
                task.cancel()

    async def _list(self, session: Session) -> list[Instrument]:
        config = self._parts.config
        backoff = Backoff(config.backoff_first_s, config.backoff_most_s)
        while True:
            try:
                return await session.list_instruments()
            except VenueError as error:
                session.problem = str(error)
                log.warning("venue_away", venue=session.venue, error=str(error))
            await asyncio.sleep(backoff.next())

    async def _begin_late(self, venue: str, listing: "asyncio.Task[list[Instrument]]") -> None:
        self._begin(venue, await listing)

    def _begin(self, venue: str, found: list[Instrument]) -> None:
        chosen = self._choose(venue, found)
        if not chosen:
            self.sessions[venue].problem = f"trades none of {', '.join(self._parts.symbols)}"
            log.error("nothing_to_collect", venue=venue, reason=self.sessions[venue].problem)
            return
        self.sessions[venue].start(chosen, lambda listed: self._choose(venue, listed), self._tail)

    def _choose(self, venue: str, found: Sequence[Instrument]) -> Sequence[Instrument]:
        return select_of(venue, found, self._parts.symbols)

    async def _tick(self) -> None:
        """Look after what waits, and say how we are."""
        writer, health = self._parts.writer, self._parts.health
        told_at = 0.0
        while True:
            now_us = time.time_ns() // 1000
            for session in self.sessions.values():
                session.tick(now_us)
            writer.poll()
            health.beat()
            if time.monotonic() - told_at >= 0.5:
                told_at = time.monotonic()
                self._tell()
            await asyncio.sleep(TICK_S)

    def _tell(self) -> None:
        health = self._parts.health
        health.ready()
        for venue, session in self.sessions.items():
            if reason := session.not_ready:
                health.unready(venue, reason)
            else:
                health.ready(venue)
