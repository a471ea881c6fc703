"""The HTTP server: every venue at one address, under a prefix of its name."""

import asyncio
import time
from dataclasses import dataclass, field

from aiohttp import WSMsgType, web

from streams.logs import logger
from venues.simulator.server.clock import MarketClock
from venues.simulator.server.faults import Faults
from venues.simulator.server.news import NewsStand
from venues.simulator.server.session import Session, transport_of
from venues.simulator.server.stage import Stage
from venues.simulator.server.venue import Answer, Venue
from venues.simulator.server.websocket import GOING_AWAY, POLICY_VIOLATION, PONG, frame

log = logger("simulator")

LOOK_S = 0.25
"""Connections are looked at this often for pings and silence."""
MOST_SAID = 64 << 10
"""Bytes of a client's message at most."""


@dataclass(slots=True)
class _Budget:
    """REST weight used in the running window."""

    begun_s: float = 0.0
    used: int = 0


@dataclass(slots=True)
class Doors:
    """Lets clients in and hears them; REST by the venues' desks."""

    stage: Stage
    clock: MarketClock
    faults: Faults
    news: NewsStand
    _number: int = 0
    _looked: float = 0.0
    _budgets: dict[tuple[str, str], _Budget] = field(default_factory=dict)

    def routes(self, application: web.Application) -> None:
        """Put the venues' addresses into an application."""
        application.router.add_get("/cryptopanic{path:/.*}", self._cryptopanic)
        application.router.add_get("/alternative/fng{path:/?}", self._alternative)
        application.router.add_get("/{venue}{path:/.*}", self._venue)

    async def _venue(self, request: web.Request) -> web.StreamResponse:
        venue = self.stage.venues.get(request.match_info["venue"])
        path = request.match_info["path"]
        if venue is None:
            known = ", ".join([*self.stage.venues, "cryptopanic", "alternative", "control"])
            raise web.HTTPNotFound(text=f"no venue at {request.path}; there are {known}\n")
        if request.headers.get("Upgrade", "").lower() == "websocket":
            return await self._connect(request, venue, path)
        return await self._rest(request, venue, path)

    async def _rest(self, request: web.Request, venue: Venue, path: str) -> web.Response:
        answer = self.faults.rest(venue) or self._over_limit(venue, path, request)
        delay = self.faults.rest_delay_s(venue)
        if delay:
            await asyncio.sleep(delay)
        return _response(answer or venue.desk.answer(venue, path, request.query))

    def _over_limit(self, venue: Venue, path: str, request: web.Request) -> Answer | None:
        """Count a request's weight; the refusal, if it is over the venue's limit.

        Windows pass as the market's time does; at full speed there is no limit.
        """
        limits = venue.desk.limits
        if not limits.rest_weight or not self.clock.speed:
            return None
        bucket, weight = venue.desk.weight(path, request.query)
        budget = self._budgets.setdefault((venue.name, bucket), _Budget())
        length = limits.rest_s / max(1.0, self.clock.speed)
        now = time.monotonic()
        if now - budget.begun_s >= length:
            budget.begun_s, budget.used = now, 0
        if budget.used + weight > limits.rest_weight:
            return venue.desk.refusal(False, max(1, round(budget.begun_s + length - now)))
        budget.used += weight
        return None

    async def _connect(self, request: web.Request, venue: Venue, path: str) -> web.StreamResponse:
        if not venue.desk.serves(path):
            raise web.HTTPNotFound(text=f"{venue.name} has no WebSocket at {path}\n")
        transport = transport_of(request)
        refused = self.faults.door(venue)
        if refused is not None:
            if refused.status == 0:
                transport.abort()
            return _response(refused if refused.status else Answer("", 503))
        socket = web.WebSocketResponse(
            autoping=False, autoclose=False, compress=False, max_msg_size=MOST_SAID
        )
        await socket.prepare(request)
        now = time.monotonic()
        self._number += 1
        session = Session(self._number, venue.name, transport, path, dict(request.query))
        session.heard_at = session.wrote_at = session.ponged_at = session.pinged_at = now
        session.dead = self.faults.half_open(venue)
        venue.sessions.append(session)
        try:
            venue.desk.welcome(venue, session)
            await self._hear(socket, venue, session)
        finally:
            session.leave_all()
            venue.sessions.remove(session)
        await _left(session)
        return socket

    async def _hear(self, socket: web.WebSocketResponse, venue: Venue, session: Session) -> None:
        async for message in socket:
            if session.dead or session.transport.is_closing():
                continue
            now = session.heard_at = time.monotonic()
            if message.type is WSMsgType.TEXT:
                if self._too_many(venue, session, now):
                    session.cut(POLICY_VIOLATION, "Too many requests")
                    continue
                venue.desk.heard(venue, session, message.data)
            elif message.type is WSMsgType.PING:
                session.pending.append(frame(message.data, PONG))
            elif message.type is WSMsgType.PONG:
                session.ponged_at = now
            if session.pending:
                session.flush(now)

    def _too_many(self, venue: Venue, session: Session, now: float) -> bool:
        most = venue.desk.limits.messages_per_s
        if not most:
            return False
        session.heard = [at for at in session.heard if now - at < 1.0]
        session.heard.append(now)
        return len(session.heard) > most

    def look(self, now: float) -> None:
        """Ping who is to be pinged, cut who does not answer or is silent."""
        if now - self._looked < LOOK_S:
            return
        self._looked = now
        for venue in self.stage.venues.values():
            limits = venue.desk.limits
            for session in list(venue.sessions):
                if session.dead:
                    continue
                unanswered = session.pinged_at > session.ponged_at
                quiet = now - max(session.heard_at, session.wrote_at)
                if unanswered and now - session.pinged_at > limits.pong_s:
                    self._end(session, "no pong")
                elif limits.silence_s and quiet > limits.silence_s:
                    self._end(session, "silence")
                elif limits.ping_s and now - session.pinged_at > limits.ping_s and not unanswered:
                    session.ping(str(venue.now_ms()).encode(), now)

    def _end(self, session: Session, why: str) -> None:
        log.info("client_cut", venue=session.venue, connection=session.number, why=why)
        session.cut(GOING_AWAY, why)

    async def _cryptopanic(self, request: web.Request) -> web.Response:
        refused = self.faults.news()
        base = f"{request.scheme}://{request.host}/cryptopanic"
        path = request.match_info["path"]
        return _response(refused or self.news.posts(path, request.query, base))

    async def _alternative(self, request: web.Request) -> web.Response:
        refused = self.faults.news()
        answer = refused or self.news.fear_and_greed(request.query, self.clock.now_us())
        return _response(answer)


async def _left(session: Session) -> None:
    """Say goodbye; a half-open socket stays until its client has gone."""
    while session.dead and not session.transport.is_closing():
        await asyncio.sleep(0.05)
    session.cut(1000)


def _response(answer: Answer) -> web.Response:
    body = answer.body.encode() if isinstance(answer.body, str) else answer.body
    return web.Response(
        body=body,
        status=answer.status,
        headers=dict(answer.headers),
        content_type="application/json",
    )
