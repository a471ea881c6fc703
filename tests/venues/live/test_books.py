"""Healing books: at once, once at a time, again when it did not help, never in a rush."""

import asyncio
import time
from collections.abc import Callable

from schemas.errors import VenueError
from venues.live.books import FIRST_DELTA_S, STREAM_S, Book, Healer
from venues.live.dialect import Request
from venues.live.rest import RestError

REQUEST = Request("binance-spot", "http://x/depth?symbol=BTCUSDT")


class Venue:
    """What is asked of a venue, and when."""

    def __init__(self, answers: Callable[[], None] = lambda: None) -> None:
        self.asked: list[float] = []
        self.held = 1
        self._answers = answers
        self.healer = Healer("binance-spot", self.snapshot, lambda _: self.held)

    async def snapshot(self, _: Request) -> None:
        await self.resubscribe()

    async def resubscribe(self) -> None:
        self.asked.append(time.monotonic())
        await asyncio.sleep(0)
        self._answers()

    async def look(self, seconds: float, unknown: str = "BTC-USDT") -> None:
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            self.healer.look({unknown})
            await asyncio.sleep(0.01)


def follow(venue: Venue, request: Request | None) -> None:
    venue.healer.follow(Book("BTC-USDT", request, venue.resubscribe))


def test_a_gap_is_asked_for_at_once_and_only_once_until_it_failed() -> None:
    async def run() -> None:
        venue = Venue()
        follow(venue, REQUEST)
        await venue.look(0.05)
        assert venue.asked == []  # there is no connection yet
        venue.healer.connected("BTC-USDT")
        await venue.look(0.03)
        assert len(venue.asked) == 1
        await venue.look(0.3)
        assert 2 <= len(venue.asked) <= 6  # the snapshot was too old
        venue.healer.look(set())
        assert (venue.healer.healed, venue.healer.unknown) == (1, 0)
        await venue.healer.close()

    asyncio.run(run())


def test_after_a_reconnect_rest_is_asked_when_a_delta_waits_or_after_a_moment() -> None:
    async def run() -> None:
        venue = Venue()
        venue.held = 0
        follow(venue, REQUEST)
        venue.healer.connected("BTC-USDT")
        await venue.look(FIRST_DELTA_S / 2)
        assert venue.asked == []
        venue.held = 1
        await venue.look(0.03)
        assert len(venue.asked) == 1
        await venue.healer.close()

    asyncio.run(run())


def test_a_stream_that_sends_its_book_by_itself_is_given_the_time_to() -> None:
    async def run() -> None:
        venue = Venue()
        follow(venue, None)
        venue.healer.connected("BTC-USDT")
        await venue.look(0.2)
        assert venue.asked == []
        venue.healer.look(set())  # it came
        await venue.look(0.2)  # a gap
        assert len(venue.asked) == 1
        await venue.healer.close()

    assert STREAM_S > 0.4
    asyncio.run(run())


def test_a_symbol_that_is_refused_for_good_is_not_asked_for_again_and_again() -> None:
    def refuse() -> None:
        raise RestError("no such symbol", 400)

    async def run() -> None:
        venue = Venue(refuse)
        follow(venue, REQUEST)
        venue.healer.connected("BTC-USDT")
        await venue.look(0.4)
        assert len(venue.asked) == 1
        await venue.healer.close()

    asyncio.run(run())


def test_a_venue_in_trouble_is_asked_again() -> None:
    def refuse() -> None:
        raise VenueError("busy")

    async def run() -> None:
        venue = Venue(refuse)
        follow(venue, REQUEST)
        venue.healer.connected("BTC-USDT")
        await venue.look(0.5)
        assert 2 <= len(venue.asked) <= 7
        venue.healer.lost("BTC-USDT")
        count = len(venue.asked)
        await venue.look(0.2)
        assert len(venue.asked) == count
        await venue.healer.close()

    asyncio.run(run())
