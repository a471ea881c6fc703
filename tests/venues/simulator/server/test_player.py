"""How the market is played: the same from the same seed, at its pace, as fast as it is read."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from schemas.errors import ConfigError
from tests.venues.simulator.server.client import (
    EVERYTHING,
    Client,
    fetch,
    hello,
    post,
    simulator,
)
from venues.simulator.market import Market
from venues.simulator.server import player
from venues.simulator.server.clock import MarketClock
from venues.simulator.server.simulator import Options, Simulator
from venues.simulator.server.source import ModelSource

VENUE = "binance-spot"


async def trades_of(seed: int, speed: float) -> list[str]:
    async with (
        simulator(venues=(VENUE,), seed=seed, speed=speed) as running,
        Client(running, VENUE) as client,
    ):
        await client.say(hello(VENUE, "trade"))
        await client.until(lambda texts: len(texts) > 200)
        return [text for text in client.texts if "@trade" in text]


async def test_the_same_seed_is_the_same_market_at_any_speed() -> None:
    slow, fast, other = [
        {json.loads(text)["data"]["t"]: text for text in await trades_of(seed, speed)}
        for seed, speed in ((7, 10.0), (7, 0.0), (8, 10.0))
    ]
    common = slow.keys() & fast.keys()
    assert len(common) > 50
    assert all(slow[identity] == fast[identity] for identity in common)
    assert any(other[identity] != slow[identity] for identity in other.keys() & slow.keys())


async def test_at_full_speed_nothing_is_missed_by_a_client_that_reads_slowly() -> None:
    async with (
        simulator(venues=(VENUE,), speed=0.0, rate=5_000.0) as running,
        Client(running, VENUE) as client,
    ):
        await asyncio.sleep(0.2)
        assert running.stage.published == 0, "nobody listens yet"
        await client.say(hello(VENUE, *EVERYTHING[VENUE]))
        client.stop_reading()
        held = await standing_still(running)
        assert held > 0
        assert 0 < max(session.waiting for session in running.stage.sessions) < 4 << 20
        ids = []
        while len(ids) < 3_000:
            message = await client.socket.receive()
            if "@trade" in message.data:
                ids.append(json.loads(message.data)["data"]["t"])
        assert ids == list(range(ids[0], ids[0] + len(ids)))


async def standing_still(running: Simulator) -> int:
    """Wait until nothing more is published: the sockets are full."""
    async with asyncio.timeout(10):
        before = -1
        while before != running.stage.published or not before:
            before = running.stage.published
            await asyncio.sleep(0.3)
    return before


async def test_at_its_own_pace_a_client_that_reads_too_slowly_is_cut(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(player, "MOST_WAITING", 1 << 20)
    async with (
        simulator(venues=(VENUE,), speed=100.0, rate=2_000.0) as running,
        Client(running, VENUE) as client,
    ):
        await client.say(hello(VENUE, *EVERYTHING[VENUE]))
        client.stop_reading()
        async with asyncio.timeout(20):
            while running.stage.sessions:
                await asyncio.sleep(0.05)


async def test_prepared_messages_are_those_that_are_made_as_it_goes(tmp_path: Path) -> None:
    ledgers = []
    for number, prepare in enumerate((0, 2_000)):
        path = tmp_path / f"{number}.jsonl"
        async with simulator(venues=(VENUE,), speed=20.0, prepare=prepare, ledger=path) as running:
            await asyncio.sleep(0.6)
            assert running.stage.published > 2_000
        ledgers.append(trades_in(path))
    first, second = ledgers
    count = min(len(first), len(second))
    assert count > 100
    assert first[:count] == second[:count]


def trades_in(path: Path) -> list[str]:
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    return [identity for line in lines for identity in line.get("trades", [])]


async def test_the_ledger_has_every_trade_once_and_where_each_book_is(tmp_path: Path) -> None:
    path = tmp_path / "ledger.jsonl"
    venues = (VENUE, "bybit-linear", "okx-swap")
    async with simulator(venues=venues, ledger=path) as running:
        async with Client(running, VENUE) as client:
            await client.say(hello(VENUE, "aggTrade"))
            await asyncio.sleep(0.6)
            _, truth = await post(running, "/control/pause")
            await asyncio.sleep(0.2)
            streamed = [json.loads(text)["data"]["a"] for text in client.texts if "Trade" in text]
        ids = {
            venue: (await fetch(running, f"/control/trades?venue={venue}&symbol=BTC-USDT"))[1]
            for venue in venues
        }
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    for venue in venues:
        of_venue = [line for line in lines if line["venue"] == venue]
        written = [identity for line in of_venue for identity in line.get("trades", [])]
        [instrument] = truth["venues"][venue]["instruments"].values()
        assert written == ids[venue]["ids"]
        assert len(set(written)) == len(written)
        assert written[-1] == instrument["last_trade_id"]
        assert of_venue[-1]["book"] == instrument["book_sequence"]
    aggregates = [int(identity) for line in lines for identity in line.get("aggregates", [])]
    assert aggregates[-len(streamed) :] == streamed


async def test_a_paused_market_stands_still_and_goes_on() -> None:
    async with simulator(venues=(VENUE,)) as running:
        _, first = await post(running, "/control/pause")
        await asyncio.sleep(0.2)
        _, second, _ = await fetch(running, "/control")
        assert first["published"] == second["published"]
        assert first["market_us"] == second["market_us"]
        await post(running, "/control/resume")
        await asyncio.sleep(0.3)
        _, third, _ = await fetch(running, "/control")
        assert third["published"] > second["published"]


async def test_a_port_in_use_is_named() -> None:
    async with simulator(venues=("okx-spot",)) as running:
        port = int(running.address.rpartition(":")[2])
        source = ModelSource(Market(venues=("okx-spot",)), {})
        with pytest.raises(ConfigError, match=f"port {port} of 127.0.0.1 is in use"):
            await Simulator(source, Options(port=port)).start()


def test_market_time_is_wall_time_times_speed() -> None:
    now = [1_000_000]
    clock = MarketClock(20.0, lambda: now[0])
    clock.set(50)
    now[0] += 10
    assert clock.now_us() == 250
    clock.pause()
    now[0] += 1_000
    assert clock.now_us() == 250
    clock.resume()
    now[0] += 1
    assert clock.now_us() == 270
    assert clock.wall_seconds(20_000_000) == 1.0


def test_at_full_speed_market_time_is_what_was_published() -> None:
    clock: Any = MarketClock(0.0)
    clock.set(5)
    clock.reached(9)
    clock.reached(8)
    assert clock.now_us() == 9
