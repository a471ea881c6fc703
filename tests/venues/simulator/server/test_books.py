"""What a client gets, by our own feed and tracker: no gap, and the book that REST then shows."""

import asyncio
import json

import pytest

from schemas.events import BookDelta, BookSnapshot, Event, FeedStatus, Trade
from tests.venues.simulator.server.client import (
    EVERYTHING,
    INSTRUMENTS,
    VENUES,
    Client,
    fetch,
    hello,
    name_of,
    post,
    simulator,
)
from venues.feed import Feed
from venues.frames import Frame
from venues.simulator.server.simulator import Simulator

DEPTH = {
    "binance-spot": "/api/v3/depth?symbol=BTCUSDT&limit=1000",
    "binance-usdm": "/fapi/v1/depth?symbol=BTCUSDT&limit=1000",
    "bybit-spot": "/v5/market/orderbook?category=spot&symbol=BTCUSDT&limit=200",
    "bybit-linear": "/v5/market/orderbook?category=linear&symbol=BTCUSDT&limit=200",
    "okx-spot": "/api/v5/market/books?instId=BTC-USDT&sz=400",
    "okx-swap": "/api/v5/market/books?instId=BTC-USDT-SWAP&sz=400",
}


async def session_of(running: Simulator, venue: str, wall_s: float) -> tuple[list[Frame], Frame]:
    """What a client gets that asks for a snapshot in the middle; and a last one of the end."""
    async with Client(running, venue) as client:
        instruments = await client.get(INSTRUMENTS[venue])
        await client.say(hello(venue, *EVERYTHING[venue]))
        await asyncio.sleep(wall_s / 3)
        middle = len(client.frames)
        snapshot = await client.get(DEPTH[venue])
        await asyncio.sleep(2 * wall_s / 3)
        await post(running, "/control/pause")
        await asyncio.sleep(0.1)
        frames = [instruments, *client.frames[:middle], snapshot, *client.frames[middle:]]
        return frames, await client.get(DEPTH[venue])


def through_feed(frames: list[Frame]) -> tuple[Feed, list[Event]]:
    feed = Feed()
    events = [event for frame in frames for event in feed.receive(frame)]
    return feed, events + feed.finish()


def statuses(events: list[Event], status: str) -> list[FeedStatus]:
    return [e for e in events if isinstance(e, FeedStatus) and e.status == status]


class Book:
    """A book kept by events, as any consumer of the tape keeps one."""

    def __init__(self, events: list[Event]) -> None:
        self.bids: dict[float, float] = {}
        self.asks: dict[float, float] = {}
        self.sequence = -1
        for event in events:
            if isinstance(event, BookSnapshot):
                self.bids, self.asks = dict(event.bids), dict(event.asks)
                self.sequence = event.sequence
            elif isinstance(event, BookDelta) and event.sequence > self.sequence:
                self.sequence = event.sequence
                for side, levels in ((self.bids, event.bids), (self.asks, event.asks)):
                    side.update(levels)
                    for price in [price for price, quantity in side.items() if not quantity]:
                        del side[price]


@pytest.mark.parametrize("venue", VENUES)
async def test_a_client_sees_no_gap_and_builds_the_book_that_rest_then_shows(venue: str) -> None:
    async with simulator(venues=(venue,), speed=20.0) as running:
        frames, last = await session_of(running, venue, 0.6)
    feed, events = through_feed(frames)
    assert not feed.refused
    assert not statuses(events, "GAP")
    assert sum(isinstance(event, Trade) for event in events) > 20
    book = Book(events)
    [shown] = [e for e in Feed().receive(frames[0]) + fresh(frames[0], last) if is_book(e)]
    assert isinstance(shown, BookSnapshot)
    assert book.sequence == shown.sequence
    assert book.bids == dict(shown.bids)
    assert book.asks == dict(shown.asks)


def fresh(instruments: Frame, answer: Frame) -> list[Event]:
    """An answer as a feed takes it that has seen nothing but the instruments."""
    feed = Feed()
    feed.receive(instruments)
    return feed.receive(answer)


def is_book(event: Event) -> bool:
    return isinstance(event, BookSnapshot)


@pytest.mark.parametrize("venue", VENUES)
async def test_every_gap_that_was_planted_is_found_and_no_other(venue: str) -> None:
    async with simulator(venues=(venue,), speed=20.0) as running:
        async with Client(running, venue) as client:
            instruments = await client.get(INSTRUMENTS[venue])
            await client.say(hello(venue, *EVERYTHING[venue]))
            await client.until(lambda texts: diffs(texts) > 2)
            answer = await client.get(DEPTH[venue])
            taken = len(client.frames)
            frames = [instruments, *client.frames, answer]
            for _ in range(3):
                entry = running.inject({"fault": "gap", "venue": venue, "symbol": "BTC-USDT"})
                await client.until(lambda _, entry=entry: entry.ended_us is not None)
                seen = len(client.frames)
                await client.until(lambda texts, seen=seen: diffs(texts[seen:]) > 2)
                answer = await client.get(DEPTH[venue])
                frames += [*client.frames[taken:], answer]
                taken = len(client.frames)
                if not venue.startswith("binance"):
                    # The stream alone heals these: subscribe again.
                    await client.say(hello(venue, EVERYTHING[venue][1]))
                    await asyncio.sleep(0.1)
            frames += client.frames[taken:]
        ledger = (await fetch(running, "/control/faults"))[1]
    assert [entry["messages"] for entry in ledger] == [1, 1, 1]
    assert all(entry["ended_us"] for entry in ledger)
    _, events = through_feed(frames)
    assert len(statuses(events, "GAP")) == 3
    assert len(statuses(events, "RESYNCED")) == 3
    for gap, entry in zip(statuses(events, "GAP"), ledger, strict=True):
        assert left_out(venue, entry["samples"][0], gap)


def diffs(texts: list[str]) -> int:
    """Messages of books; of Bybit's two depths the deep one."""
    marks = ("@depth", '"orderbook.200.', '"channel":"books"')
    return sum(any(mark in text for mark in marks) for text in texts)


def left_out(venue: str, sample: str, gap: FeedStatus) -> bool:
    """Whether the message that was left out follows on what the gap expected."""
    if venue == "binance-spot":
        return f'"U":{gap.expected_sequence + 1},' in sample
    if venue == "binance-usdm":
        return f'"pu":{gap.expected_sequence},' in sample or '"pu"' not in sample
    name = name_of(venue)
    return name in sample


async def test_a_book_subscribed_again_is_sent_whole_and_goes_on() -> None:
    async with (
        simulator(venues=("okx-swap",)) as running,
        Client(running, "okx-swap") as client,
    ):
        await client.say(hello("okx-swap", "books"))
        await client.until(lambda texts: len(texts) > 10)
        await client.say(hello("okx-swap", "books"))
        await client.until(lambda texts: sum('"snapshot"' in t for t in texts) == 2)
        await client.until(lambda texts: '"update"' in texts[-1])
        rows = [json.loads(t) for t in client.texts if '"action"' in t]
    at = [i for i, row in enumerate(rows) if row["action"] == "snapshot"][1]
    assert rows[at]["data"][0]["prevSeqId"] == -1
    assert rows[at + 1]["data"][0]["prevSeqId"] == rows[at]["data"][0]["seqId"]
