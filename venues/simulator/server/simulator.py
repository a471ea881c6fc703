"""The whole simulator: a source played to whoever connects, until it is stopped."""

import asyncio
import contextlib
import errno
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any

from aiohttp import web

from schemas.errors import ConfigError
from streams.logs import logger
from venues.simulator.server.clock import MarketClock, wall_us
from venues.simulator.server.control import Control
from venues.simulator.server.effects import effects
from venues.simulator.server.fault import Fault, parse
from venues.simulator.server.faults import Entry, Faults
from venues.simulator.server.ledger import Ledger
from venues.simulator.server.news import NewsStand
from venues.simulator.server.player import Player
from venues.simulator.server.server import Doors
from venues.simulator.server.source import Source
from venues.simulator.server.stage import Stage

log = logger("simulator")

DEFAULT_PORT = 19443
MOST_LATE_US = 5_000_000


@dataclass(frozen=True, slots=True)
class Options:
    """How a source is played.

    `port` 0 takes a free one. `speed`: market seconds a second; 0: as fast as it is read.
    `offsets_us`: how far venues' clocks are ahead. `faults`: by their time `at`, maybe endless.
    `prepare`: so many messages are made before anybody is let in.
    """

    host: str = "127.0.0.1"
    port: int = 0
    speed: float = 1.0
    seed: int = 1
    offsets_us: Mapping[str, int] = field(default_factory=dict)
    faults: Iterable[Fault] = ()
    prepare: int = 0
    ledger: Path | None = None
    news_key: str = ""


class Simulator:
    """Servers on one address. `async with Simulator(source, options) as simulator: …`."""

    def __init__(self, source: Source, options: Options) -> None:
        self._options = options
        self._source = source
        self.clock = MarketClock(options.speed)
        self.clock.set(source.start_us)
        self.stage = Stage(source.venues, self.clock, options.offsets_us)
        self.news = NewsStand(options.news_key, options.seed)
        self.faults = Faults(self.stage, self.clock)
        self.player = Player(self.stage, source, self.clock, self._tick)
        made = effects(self.stage, self.clock, self.news, options.seed, self._bases())
        self.control = Control(self.stage, self.clock, self.faults, made, self.news, self.player)
        self._doors = Doors(self.stage, self.clock, self.faults, self.news)
        self._coming = iter(options.faults)
        self._next = next(self._coming, None)
        self._runner: web.AppRunner | None = None
        self._playing: asyncio.Task[None] | None = None
        self.address = ""

    def _bases(self) -> list[str]:
        """Currencies that bursts of news are about."""
        names = chain.from_iterable(venue.listings.values() for venue in self.stage.venues.values())
        found = (row.get("baseAsset") or row.get("baseCoin") or row.get("baseCcy") for row in names)
        return sorted({name for name in found if name})

    async def __aenter__(self) -> "Simulator":
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def start(self) -> None:
        """Make what is asked for beforehand, let clients in, play; ConfigError for a taken port."""
        if self._options.prepare:
            count = self.player.prepare(self._options.prepare)
            log.info("messages_prepared", count=count)
        if self._options.ledger is not None:
            self.stage.ledger = Ledger(self._options.ledger, self.stage)
        application = web.Application()
        self.control.routes(application)
        self._doors.routes(application)
        runner = web.AppRunner(application, access_log=None, shutdown_timeout=1.0)
        await runner.setup()
        host, port = self._options.host, self._options.port
        try:
            await web.TCPSite(runner, host, port).start()
        except OSError as error:
            await runner.cleanup()
            raise _not_bound(host, port, error) from None
        self._runner = runner
        self.address = f"http://{host}:{runner.addresses[0][1]}"
        self.clock.set(self._begin_us())
        self._playing = asyncio.create_task(self.player.run())

    def _begin_us(self) -> int:
        """The market's time at its start, when its opening is there already.

        A market that is of now keeps the time of now.
        """
        begin, now = self._source.start_us + self._source.opening_us, wall_us()
        live = self.clock.speed == 1.0 and begin <= now < begin + MOST_LATE_US
        return now if live else begin

    def inject(self, fault: dict[str, Any]) -> Entry:
        """Let a fault happen now, given as for the control endpoint."""
        return self.control.inject(parse(fault))

    async def ended(self) -> None:
        """Wait for as long as it plays; raises what ended it."""
        if self._playing is not None:
            await self._playing

    async def stop(self) -> None:
        """Cut all connections, close files."""
        if self._playing is not None:
            self._playing.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._playing
        for session in self.stage.sessions:
            session.cut(1001, "the simulator ends")
        if self._runner is not None:
            await self._runner.cleanup()
        if self.stage.ledger is not None:
            self.stage.ledger.close()

    def _tick(self, now_us: int) -> None:
        while self._next is not None and self._source.start_us + self._next.at * 1e6 <= now_us:
            fault, self._next = self._next, next(self._coming, None)
            self.control.inject(fault)
        self.faults.tick(now_us)
        self._doors.look(time.monotonic())
        for answer in self.stage.news:
            self.news.publish(answer)
        self.stage.news.clear()


def _not_bound(host: str, port: int, error: OSError) -> ConfigError:
    if error.errno == errno.EADDRINUSE:
        return ConfigError(
            f"port {port} of {host} is in use, perhaps by another `tape sim`: end it, or give "
            "--port (0 takes a free one)"
        )
    return ConfigError(f"cannot listen on {host}:{port}: {error.strerror}")
