"""The control endpoint: faults by POST, and the truth that tests compare with."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import msgspec
from aiohttp import web

from schemas.errors import ConfigError
from venues.simulator.server.clock import MarketClock, wall_us
from venues.simulator.server.effects import Effects
from venues.simulator.server.fault import Fault, parse
from venues.simulator.server.faults import Entry, Faults
from venues.simulator.server.news import NewsStand
from venues.simulator.server.player import Player
from venues.simulator.server.stage import Stage
from venues.simulator.server.venue import Venue


@dataclass(slots=True)
class Control:
    """Plants faults; says what was published."""

    stage: Stage
    clock: MarketClock
    faults: Faults
    effects: Effects
    news: NewsStand
    player: Player

    def routes(self, application: web.Application) -> None:
        """Put `/control` into an application."""
        router = application.router
        router.add_get("/control", self._reply(self.status))
        router.add_get("/control/faults", self._reply(self.ledger))
        router.add_post("/control/faults", self._plant)
        router.add_delete("/control/faults", self._reply(self.clear))
        router.add_get("/control/trades", self._trades)
        router.add_post("/control/pause", self._reply(self.pause))
        router.add_post("/control/resume", self._reply(self.resume))

    def inject(self, fault: Fault) -> Entry:
        """Let a fault happen now; ConfigError if it names what is not there."""
        return self.faults.begin(fault, self.effects.make)

    def status(self) -> dict[str, Any]:
        """The market's time, connections, and what was published of each instrument."""
        return {
            "market_us": self.clock.now_us(),
            "wall_us": wall_us(),
            "speed": self.clock.speed or "max",
            "paused": self.clock.paused,
            "ended": self.player.ended,
            "published": self.stage.published,
            "venues": {name: _venue(venue) for name, venue in self.stage.venues.items()},
            "connections": [
                {
                    "number": session.number,
                    "venue": session.venue,
                    "subscribed": len(session.channels),
                    "sent": session.sent,
                    "waiting_bytes": session.waiting,
                    "half_open": session.dead,
                }
                for session in self.stage.sessions
            ],
            "news": self.news.published,
        }

    def ledger(self) -> list[dict[str, Any]]:
        """Every fault so far."""
        return [entry.as_dict() for entry in self.faults.entries]

    def clear(self) -> list[dict[str, Any]]:
        """End the faults that are on."""
        self.faults.clear()
        return self.ledger()

    def pause(self) -> dict[str, Any]:
        """Stop the market; connections and REST go on."""
        self.clock.pause()
        return self.status()

    def resume(self) -> dict[str, Any]:
        """Go on."""
        self.clock.resume()
        return self.status()

    def _reply(self, make: Callable[[], Any]) -> Callable[[web.Request], Awaitable[web.Response]]:
        async def handler(_: web.Request) -> web.Response:
            return _json(make())

        return handler

    async def _plant(self, request: web.Request) -> web.Response:
        try:
            entry = self.inject(parse(await request.read()))
        except ConfigError as error:
            return _json({"error": str(error)}, 400)
        return _json(entry.as_dict())

    async def _trades(self, request: web.Request) -> web.Response:
        """Ids of an instrument's trades, oldest first, as far back as they are remembered."""
        venue = self.stage.venues.get(request.query.get("venue", ""))
        symbol = request.query.get("symbol", "")
        name = Fault("gap", symbol=symbol).symbol_of(venue) if venue is not None else None
        if venue is None or name is None:
            return _json({"error": "give venue= and symbol= of the simulator's"}, 400)
        prints = venue.instrument(name).prints()
        return _json({"published": len(prints), "ids": [row.id for row in prints]})


def _venue(venue: Venue) -> dict[str, Any]:
    instruments = {}
    for symbol, instrument in venue.instruments.items():
        book, prints = instrument.book(), instrument.prints()
        instruments[symbol] = {
            "delisted": instrument.delisted,
            "last_trade_id": prints[-1].id if prints else None,
            "book_sequence": book.sequence if book is not None else None,
            "messages": {
                channel.key.decode(): channel.published
                for channel in venue.channels.values()
                if channel.symbol == symbol and channel.published
            },
        }
    return {
        "now_ms": venue.now_ms(),
        "connections": len(venue.sessions),
        "instruments": instruments,
    }


def _json(body: Any, status: int = 200) -> web.Response:
    text = msgspec.json.format(msgspec.json.encode(body), indent=2)
    return web.Response(body=text + b"\n", status=status, content_type="application/json")
