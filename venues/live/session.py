"""One venue collected: its instruments, connections, and what keeps their data true."""

import asyncio
import random
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, Literal

from schemas.errors import VenueError
from schemas.events import Event, FeedStatus, Instrument
from streams.logs import logger
from venues.config import Channel, CollectorConfig
from venues.frames import Frame
from venues.live.backfill import Backfill
from venues.live.books import Book, Healer
from venues.live.candles import MINUTE_US
from venues.live.clocks import ClockEstimate, keep
from venues.live.connection import Connection, State
from venues.live.dialect import Dialect, Plan, Request, Subscription
from venues.live.instruments import DELISTED, Listings
from venues.live.intake import Intake, Writer
from venues.live.limits import Attempts
from venues.live.named import NamedTrades
from venues.live.recorder import Recorder
from venues.live.rest import Rest
from venues.live.selection import trades
from venues.live.tail import Tail

log = logger("venues.session")

# FeedStatus.channel of a lost connection that had no books.
_CHANNELS: dict[Channel, str] = {
    "trades": "trades",
    "book": "book",
    "quote": "quotes",
    "kline": "klines",
    "mark": "marks",
}
# A closed socket may still have a frame on its way.
_FORGET_S = 10.0

Status = Literal["LOST", "OTHER"]
Choose = Callable[[Sequence[Instrument]], Sequence[Instrument]]


class Session:
    """One venue: `list_instruments`, then `start`, then `tick` often, at last `close`."""

    def __init__(
        self,
        dialect: Dialect,
        config: CollectorConfig,
        rest: Rest,
        writer: Writer,
        attempts: Attempts,
        recorder: Recorder | None = None,
    ) -> None:
        self.venue = dialect.venue
        self.intake = Intake(dialect.venue, writer, record=recorder.take if recorder else None)
        self.clock = ClockEstimate(dialect.venue)
        self.backfill = Backfill(dialect, self._ask, writer.write, config.look_back_s)
        self.healer = Healer(self.venue, self._snapshot, self._held)
        self.states: Counter[str] = Counter()
        """Connections' changes by kind: connected, lost, handover, refused."""
        self.problem = "its instruments are being read"
        """Why it is not started."""
        self._dialect, self._config, self._rest = dialect, config, rest
        self._attempts, self._writer, self._recorder = attempts, writer, recorder
        self._listings = Listings()
        self._choose: Choose = lambda found: found
        self._connections: dict[str, Connection] = {}
        self._sockets: dict[str, str] = {}
        self._up: set[str] = set()
        self._outdated = False
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def not_ready(self) -> str:
        """Why the venue is not collected now; empty while it is."""
        if not self._connections:
            return f"{self.venue}: {self.problem}"
        down = sorted(self._connections.keys() - self._up)
        return f"{self.venue}: not connected ({', '.join(down)})" if down else ""

    async def list_instruments(self) -> list[Instrument]:
        """All instruments that the venue lists; VenueError when it does not answer."""
        found: list[Instrument] = []
        for first in self._dialect.instruments():
            request: Request | None = first
            while request is not None:
                answer, events = await self._ask(request)
                found += [event for event in events if isinstance(event, Instrument)]
                request = self._dialect.next_page(request, answer)
        if not found:
            raise VenueError(f"{self.venue}: its list of instruments was empty")
        return found

    def start(self, instruments: Sequence[Instrument], choose: Choose, tail: Tail) -> None:
        """Collect these from now on, going on after what is on the tape.

        `choose` finds in a later list what is to be collected by then.
        """
        self._choose = choose
        for each in instruments:
            self._follow(each, tail)
        self._connect()
        self._spawn(self._keep_instruments())
        self._spawn(keep(self.clock, self._time_us, self._writer.write, self._config.clock_s))
        log.info(
            "collecting", venue=self.venue, connections=len(self._connections),
            symbols=[each.symbol for each in instruments],
        )  # fmt: skip

    def recall(self, tail: Tail) -> None:
        """Fetch what was missed before the start, by what a tape that was away then holds."""
        for (venue, symbol), found in tail.trades.items():
            if venue == self.venue and symbol in self.intake.trades:
                self.intake.trades[symbol].recall(found)
                self.intake.troubled.add(symbol)
        for instrument, order in self._named():
            if order.idle:
                self.backfill.audit(instrument, order)

    def tick(self, now_us: int) -> None:
        """Look after what waits: held trades, holes, unknown books."""
        intake = self.intake
        intake.expire(now_us)
        self._audit(now_us)
        for symbol in tuple(intake.troubled):
            order, instrument = intake.trades[symbol], self._listings.get(symbol)
            if instrument is not None and order.wants(now_us):
                self.backfill.trades(instrument, order)
        while intake.without_candles:
            self._fetch_candles(intake.without_candles.pop(), now_us)
        self.healer.look({symbol for _, symbol in intake.feed.wants_snapshot()})

    async def close(self) -> None:
        """End all tasks, and the connections with them, then write what is held."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.backfill.close()
        await self.healer.close()
        self.intake.finish()

    def dropped(self, symbol: str) -> None:
        """Events of a symbol were lost on our side: its book has to be sent again."""
        reason = "events were dropped by the collector"
        self.intake.lose(self._status("LOST", symbol, "book", _now_us(), reason))

    # Instruments and connections

    def _follow(self, instrument: Instrument, tail: Tail) -> None:
        symbol, key = instrument.symbol, (self.venue, instrument.symbol)
        self.intake.write(self._listings.follow(instrument))
        for kline in tail.klines.get(key, ()):
            self.intake.candles.is_new(kline)
        running = _now_us() - tail.newest_us.get(self.venue, 0) <= self._config.look_back_s * 1e6
        if running and key in tail.trades:
            self.intake.order(symbol).seed(tail.trades[key])
            self.intake.troubled.add(symbol)
        self._heal(instrument)

    def _heal(self, instrument: Instrument) -> None:
        """Heal an instrument's book for as long as it trades."""
        symbol = instrument.symbol
        if not trades(instrument):
            self.healer.leave(symbol)
            return
        if "book" not in self._config.channels or self.healer.follows(symbol):
            return
        request = self._dialect.book(instrument.venue_symbol)
        self.healer.follow(Book(symbol, request, lambda: self._resubscribe(symbol)))
        if any(self._carries(plan, symbol) for plan in self._up):
            self.healer.connected(symbol)

    def _carries(self, plan: str, symbol: str) -> bool:
        subscriptions = self._connections[plan].plan.subscriptions
        return any(each.symbol == symbol and each.channel == "book" for each in subscriptions)

    def _connect(self) -> None:
        """Make the connections of the plan as it is now; those that are the same stay."""
        followed = [each for each in self._listings if each.status != DELISTED]
        plans = {p.name: p for p in self._dialect.plans(followed, self._config.channels)}
        for name in self._connections.keys() | plans.keys():
            old, plan = self._connections.get(name), plans.get(name)
            if old is None or old.plan != plan:
                self._up.discard(name)
                self._connections.pop(name, None)
                if plan is not None:
                    self._connections[name] = self._connection(plan)
                self._spawn(self._replace(name, old, self._connections.get(name)))
        self._outdated = False

    def _connection(self, plan: Plan) -> Connection:
        return Connection(
            plan, self._dialect, self._config, self.intake.take, self._on_state, self._attempts
        )

    async def _replace(self, name: str, old: Connection | None, new: Connection | None) -> None:
        """End one connection, then keep another: their sockets have the same names."""
        if old is not None:
            await old.close()
            self.intake.feed.disconnect(self.venue, self._sockets.pop(name, ""))
        while new is not None:
            try:
                await new.run()
                return
            except Exception:  # the edge: a fault of ours ends no collecting
                log.exception("connection_failed", venue=self.venue, connection=name)
            self._up.discard(name)
            await asyncio.sleep(1.0)
            if self._connections.get(name) is not new:
                return
            new = self._connections[name] = self._connection(new.plan)

    async def _resubscribe(self, symbol: str) -> None:
        for connection in self._connections.values():
            for subscription in connection.plan.subscriptions:
                if subscription.symbol == symbol and subscription.channel == "book":
                    await connection.resubscribe(subscription)

    async def _keep_instruments(self) -> None:
        while True:
            await asyncio.sleep(self._config.instruments_s * random.uniform(0.9, 1.0))
            try:
                listed = await self.list_instruments()
            except VenueError as error:
                log.warning("instruments_not_read", venue=self.venue, error=str(error))
                continue
            self._refresh(listed)

    def _refresh(self, listed: list[Instrument]) -> None:
        for event in self._listings.update(listed, _now_us()):
            if isinstance(event, Instrument):
                self._heal(event)
                self._outdated |= event.status == DELISTED
                self.intake.write([event])
            elif isinstance(event, FeedStatus):
                log.warning(
                    "instrument_changed", venue=self.venue, symbol=event.symbol,
                    reason=event.reason,
                )  # fmt: skip
                (self.intake.lose(event) if event.status == "LOST" else self.intake.write([event]))
        new = [
            each
            for each in self._choose(listed)
            if (known := self._listings.get(each.symbol)) is None or known.status == DELISTED
        ]
        if new:
            for each in new:
                self._follow(each, Tail())
            self._connect()

    # What happens to connections

    def _on_state(self, state: State) -> None:
        self.states[state.kind] += 1
        plan = state.connection.rpartition("#")[0]
        if self._recorder is not None and plan in self._connections:
            self._recorder.state(state, self._connections[plan].plan.url)
        if state.kind == "lost":
            self._lost(plan, state)
        elif state.kind == "refused":
            self._refused(state)
        else:
            self._came(plan, state)

    def _refused(self, state: State) -> None:
        for each in state.subscriptions:
            reason = f"the venue refuses the subscription: {state.reason}"
            channel = _CHANNELS[each.channel]
            status = self._status("OTHER", each.symbol, channel, state.at_us, reason)
            self.intake.write([status])

    def _lost(self, plan: str, state: State) -> None:
        self._up.discard(plan)
        channels: dict[str, set[Channel]] = defaultdict(set)
        for subscription in state.subscriptions:
            channels[subscription.symbol].add(subscription.channel)
        for symbol, gone in channels.items():
            if "trades" in gone:
                self.intake.order(symbol).lost()
                self.intake.troubled.add(symbol)
            told = ["*"] if "book" in gone else sorted(_CHANNELS[each] for each in gone)
            if "book" in gone:
                self.healer.lost(symbol)
            for channel in told:
                reason = f"the connection was lost: {state.reason}"
                self.intake.lose(self._status("LOST", symbol, channel, state.at_us, reason))
        if self._outdated:
            self._connect()

    def _came(self, plan: str, state: State) -> None:
        self._up.add(plan)
        before, self._sockets[plan] = self._sockets.get(plan), state.connection
        if before is not None:
            loop = asyncio.get_running_loop()
            loop.call_later(_FORGET_S, self.intake.feed.disconnect, self.venue, before)
        if state.kind == "handover":
            return
        for subscription in state.subscriptions:
            self._resumed(subscription, state.at_us)

    def _resumed(self, subscription: Subscription, at_us: int) -> None:
        symbol = subscription.symbol
        if subscription.channel == "book":
            self.healer.connected(symbol)
        elif subscription.channel == "trades":
            self.intake.order(symbol).resumed(at_us)
        elif subscription.channel == "kline":
            now_us = self._venue_us(at_us)
            self.intake.candles.begin(symbol, now_us)
            if now_us - self.intake.candles.since(symbol) >= MINUTE_US:
                self._fetch_candles(symbol, at_us)

    def _fetch_candles(self, symbol: str, at_us: int) -> None:
        instrument, candles = self._listings.get(symbol), self.intake.candles
        if instrument is not None:
            earliest = self._venue_us(at_us) - int(self._config.look_back_s * 1e6)
            self.backfill.candles(instrument, candles, max(candles.since(symbol), earliest))

    def _named(self) -> list[tuple[Instrument, NamedTrades]]:
        """The instruments in whose streams nothing tells that a trade is missing."""
        orders = ((each, self.intake.trades.get(each.symbol)) for each in self._listings)
        return [(each, order) for each, order in orders if isinstance(order, NamedTrades)]

    def _audit(self, now_us: int) -> None:
        for instrument, order in self._named():
            self.backfill.overlooked(instrument, order.ripe(now_us))
            if order.due(now_us):
                self.backfill.audit(instrument, order)

    # Requests

    async def _ask(self, request: Request) -> tuple[bytes, list[Event]]:
        answer = await self._rest.get(request, self._dialect.limits)
        refusal = self._dialect.refusal(answer)
        if refusal is not None:
            why = refusal if isinstance(refusal, str) else refusal.text
            raise VenueError(f"{self.venue} refused {request.url}: {why}")
        frame = Frame(self.venue, "rest", _now_us(), answer, request.url)
        return answer, self.intake.answer(frame)

    async def _snapshot(self, request: Request) -> None:
        _, events = await self._ask(request)
        self.intake.write(events)

    def _held(self, symbol: str) -> int:
        return self.intake.feed.held(self.venue, symbol)

    async def _time_us(self) -> int:
        answer = await self._rest.get(self._dialect.time(), self._dialect.limits)
        return self._dialect.server_time_us(answer)

    def _venue_us(self, at_us: int) -> int:
        """A time of ours by the venue's clock, as far as that is known."""
        best = self.clock.best
        return at_us + best.offset_us if best is not None else at_us

    def _status(
        self, status: Status, symbol: str, channel: str, at_us: int, reason: str
    ) -> FeedStatus:
        return FeedStatus(
            venue=self.venue,
            symbol=symbol,
            event_time=self._venue_us(at_us),
            receive_time=at_us,
            status=status,
            channel=channel,
            reason=reason,
        )

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("task_failed", venue=self.venue, exc_info=error)


def _now_us() -> int:
    return time.time_ns() // 1000
