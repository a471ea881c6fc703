"""What a venue's streams did not bring, trades and candles, fetched by REST until it is there."""

import asyncio
import random
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from schemas.errors import VenueError
from schemas.events import Event, FeedStatus, Instrument, Kline, Trade
from streams.logs import logger
from venues.live.candles import Candles
from venues.live.dialect import Dialect, Request
from venues.live.duplicates import Lack, Trades
from venues.live.named import NamedTrades
from venues.live.rest import is_final

Ask = Callable[[Request], Awaitable[tuple[bytes, list[Event]]]]
Write = Callable[[Event], None]

AT_ONCE = 8
MOST_PAGES = 100
FIRST_WAIT_S = 0.5
MOST_WAIT_S = 5.0

log = logger("venues.backfill")


class Backfill:
    """Fetches what is missing of one venue's instruments, one request chain an instrument.

    What the venue does not give now is asked for again for `give_up_s`; what it does not have
    is said by a FeedStatus (OTHER).
    """

    def __init__(self, dialect: Dialect, ask: Ask, write: Write, give_up_s: float) -> None:
        self.candles_written = 0
        self.holes = 0
        """Stretches of trades that are missing and that the venue could not give."""
        self._fetched: Counter[str] = Counter()
        self._dialect, self._ask, self._write = dialect, ask, write
        self._give_up_s = give_up_s
        self._at_once = asyncio.Semaphore(AT_ONCE)
        self._running: dict[tuple[str, str], asyncio.Task[None]] = {}

    @property
    def trades_written(self) -> int:
        """Trades written that were fetched."""
        return self._fetched.total()

    @property
    def running(self) -> int:
        """Instruments whose trades or candles are being fetched."""
        return len(self._running)

    def trades(self, instrument: Instrument, order: Trades) -> None:
        """Fetch an instrument's missing trades, unless that is being done."""
        self._start(("trades", instrument.symbol), lambda: self._trades(instrument, order))

    def candles(self, instrument: Instrument, candles: Candles, since_us: int) -> None:
        """Fetch an instrument's missing candles, unless that is being done."""
        self._start(
            ("klines", instrument.symbol), lambda: self._candles(instrument, candles, since_us)
        )

    def audit(self, instrument: Instrument, order: NamedTrades) -> None:
        """Look for trades that the stream passed over in silence."""
        self._start(("trades", instrument.symbol), lambda: self._audit(instrument, order))

    async def close(self) -> None:
        """Leave off."""
        running = list(self._running.values())
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)

    def _start(self, key: tuple[str, str], make: Callable[[], Coroutine[Any, Any, None]]) -> None:
        if key in self._running:
            return
        task = self._running[key] = asyncio.create_task(make())
        task.add_done_callback(lambda _: self._running.pop(key, None))

    async def _trades(self, instrument: Instrument, order: Trades) -> None:
        before = self._fetched[instrument.symbol]
        answered = await self._persistently(instrument, lambda: self._pages(instrument, order))
        held, lacking = order.settle()
        for trade in held:
            self._write(trade)
        for lack in lacking:
            self.holes += 1
            self._write(_status(instrument, order, lack))
        say = log.warning if lacking or not answered else log.info
        say(
            "trades_backfilled", venue=instrument.venue, symbol=instrument.symbol,
            trades=self._fetched[instrument.symbol] - before, answered=answered,
            lacking=[lack.reason for lack in lacking],
        )  # fmt: skip

    async def _audit(self, instrument: Instrument, order: NamedTrades) -> None:
        request = self._dialect.trades(instrument.venue_symbol, "", order.newest)
        order.look(_now_us())
        try:
            async with self._at_once:
                _, events = await self._ask(request)
        except VenueError:
            return  # The next audit looks back as far as the venue's answer does.
        found = (event for event in events if isinstance(event, Trade))
        self.overlooked(instrument, order.overlooked(found, _now_us()))

    def overlooked(self, instrument: Instrument, found: list[Trade]) -> None:
        """Write trades that the stream passed over."""
        for trade in found:
            self._write(trade)
        self._fetched[instrument.symbol] += len(found)
        if found:
            log.warning(
                "trades_overlooked", venue=instrument.venue, symbol=instrument.symbol,
                trades=len(found),
            )  # fmt: skip

    async def _pages(self, instrument: Instrument, order: Trades) -> None:
        after, since_us = order.ask()
        request = self._dialect.trades(instrument.venue_symbol, after, since_us)
        for _ in range(MOST_PAGES):
            answer, events = await self._ask(request)
            trades = [event for event in events if isinstance(event, Trade)]
            for trade in order.fetched(trades):
                self._fetched[trade.symbol] += trade.backfilled
                self._write(trade)
            following = self._dialect.next_page(request, answer)
            if following is None or order.complete or _reaches(trades, after):
                return
            request = following

    async def _candles(self, instrument: Instrument, candles: Candles, since_us: int) -> None:
        async def pages() -> None:
            request: Request | None = self._dialect.klines(instrument.venue_symbol, since_us)
            for _ in range(MOST_PAGES):
                if request is None:
                    return
                answer, events = await self._ask(request)
                for kline in candles.missed(e for e in events if isinstance(e, Kline)):
                    self.candles_written += 1
                    self._write(kline)
                request = self._dialect.next_page(request, answer)

        if await self._persistently(instrument, pages):
            candles.settle(instrument.symbol)

    async def _persistently(
        self, instrument: Instrument, fetch: Callable[[], Awaitable[None]]
    ) -> bool:
        """Fetch, again and again while the venue refuses; False when it was given up."""
        until, wait_s = time.monotonic() + self._give_up_s, FIRST_WAIT_S
        while True:
            try:
                async with self._at_once:
                    await fetch()
                return True
            except VenueError as error:
                log.warning(
                    "backfill_failed", venue=instrument.venue, symbol=instrument.symbol,
                    error=str(error),
                )  # fmt: skip
                if is_final(error) or time.monotonic() > until:
                    return False
            await asyncio.sleep(random.uniform(wait_s / 2, wait_s))
            wait_s = min(2 * wait_s, MOST_WAIT_S)


def _reaches(trades: list[Trade], after: str) -> bool:
    """Whether an answer goes back to the trade that was known (pages from the newest back)."""
    if not after.isdigit():
        return False
    return any(int(trade.trade_id) <= int(after) for trade in trades)


def _status(instrument: Instrument, order: Trades, lack: Lack) -> FeedStatus:
    now_us = _now_us()
    return FeedStatus(
        venue=instrument.venue,
        symbol=instrument.symbol,
        event_time=order.newest or now_us,
        receive_time=now_us,
        status="OTHER",
        channel="trades",
        expected_sequence=lack.first,
        received_sequence=None if lack.last is None else lack.last + 1,
        reason=lack.reason,
    )


def _now_us() -> int:
    return time.time_ns() // 1000
