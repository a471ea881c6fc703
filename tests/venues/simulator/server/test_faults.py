"""Every fault does what its name says to who is connected, ends, and is in the ledger."""

import asyncio
import json
import time
from itertools import pairwise
from typing import Any

import aiohttp
import pytest

from schemas.errors import ConfigError
from tests.venues.simulator.server.client import Client, fetch, hello, post, simulator
from venues.simulator.server.fault import parse

VENUE = "binance-spot"
TRADES = f"/{VENUE}/api/v3/aggTrades?symbol=BTCUSDT"


def ids(texts: list[str]) -> list[int]:
    """Ids of the trades in what came, in order."""
    rows = [json.loads(text) for text in texts if "@trade" in text]
    return [row["data"]["t"] for row in rows if "data" in row]


def depths(texts: list[str]) -> list[tuple[int, int]]:
    """First and last id of the diffs in what came."""
    rows = [json.loads(text) for text in texts if "@depth" in text and '"U"' in text]
    return [(row["data"]["U"], row["data"]["u"]) for row in rows]


async def ledger(running: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = (await fetch(running, "/control/faults"))[1]
    return found


@pytest.fixture
def venues() -> tuple[str, ...]:
    return (VENUE,)


async def test_disconnect_resets_and_the_missed_trades_are_there_by_rest(
    venues: tuple[str, ...],
) -> None:
    async with simulator(venues=venues, speed=5.0) as running:
        async with Client(running, VENUE) as client:
            await client.say(hello(VENUE, "aggTrade"))
            await client.until(lambda texts: len(texts) > 5)
            status, entry = await post(
                running, "/control/faults", {"fault": "disconnect", "venue": VENUE, "seconds": 3}
            )
            assert status == 200
            assert entry["connections"] == 1
            await asyncio.wait_for(client.closed.wait(), 1)
            last = json.loads(client.texts[-1])["data"]["a"]
        with pytest.raises(aiohttp.ClientError):
            async with Client(running, VENUE):
                pass
        await asyncio.sleep(0.8)
        async with Client(running, VENUE) as again:
            await again.say(hello(VENUE, "aggTrade"))
            await again.until(lambda texts: any("aggTrade" in text for text in texts))
            first = next(json.loads(t)["data"]["a"] for t in again.texts if "aggTrade" in t)
            _, missed, _ = await fetch(running, f"{TRADES}&limit=1000&fromId={last + 1}")
        assert first > last + 1
        assert {row["a"] for row in missed} >= set(range(last + 1, first))
        [entry] = await ledger(running)
        assert entry["ended_market_us"] - entry["begun_market_us"] >= 3_000_000


async def test_disconnect_may_be_of_a_symbol_or_of_some(venues: tuple[str, ...]) -> None:
    async with (
        simulator(venues=venues, symbols=("BTC-USDT", "ETH-USDT")) as running,
        Client(running, VENUE) as btc,
        Client(running, VENUE) as eth,
        Client(running, VENUE) as more,
    ):
        await btc.say(hello(VENUE, "trade"))
        await eth.say(hello(VENUE, "trade", symbol="ETH-USDT"))
        await more.say(hello(VENUE, "trade", symbol="ETH-USDT"))
        for client in (btc, eth, more):
            await client.until(lambda texts: len(texts) > 1)
        running.inject(
            {"fault": "disconnect", "venue": VENUE, "symbol": "ETH-USDT", "connections": 1}
        )
        await asyncio.wait_for(eth.closed.wait(), 1)
        await asyncio.sleep(0.1)
        assert not btc.closed.is_set()
        assert not more.closed.is_set()


async def test_half_open_says_nothing_more_and_answers_no_ping(venues: tuple[str, ...]) -> None:
    async with simulator(venues=venues) as running, Client(running, VENUE) as client:
        await client.say(hello(VENUE, "trade"))
        await client.until(lambda texts: len(texts) > 3)
        running.inject({"fault": "half_open", "venue": VENUE})
        await asyncio.sleep(0.1)
        count = len(client.texts)
        await client.socket.ping(b"there?")
        await client.say('{"method":"LIST_SUBSCRIPTIONS","id":9}')
        await asyncio.sleep(0.3)
        assert len(client.texts) == count
        assert not client.closed.is_set()
        async with Client(running, VENUE) as fresh:
            await fresh.say(hello(VENUE, "trade"))
            await fresh.until(lambda texts: len(texts) > 3)


@pytest.mark.parametrize("channel", ["book", "trades"])
async def test_duplicate_sends_a_message_twice(venues: tuple[str, ...], channel: str) -> None:
    async with simulator(venues=venues) as running, Client(running, VENUE) as client:
        await client.say(hello(VENUE, "trade", "depth@100ms"))
        running.inject({"fault": "duplicate", "venue": VENUE, "channel": channel, "count": 2})
        await client.until(lambda texts: min(len(depths(texts)), len(ids(texts))) > 12)
    found: list[Any] = depths(client.texts) if channel == "book" else ids(client.texts)
    assert len(found) - len(set(found)) == 2
    other: list[Any] = ids(client.texts) if channel == "book" else depths(client.texts)
    assert len(other) == len(set(other))


async def test_reorder_swaps_neighbours_and_loses_none(venues: tuple[str, ...]) -> None:
    async with simulator(venues=venues) as running, Client(running, VENUE) as client:
        await client.say(hello(VENUE, "trade"))
        running.inject({"fault": "reorder", "venue": VENUE, "channel": "trades", "count": 2})
        await client.until(lambda texts: len(ids(texts)) > 20)
    found = ids(client.texts)
    assert sum(later < earlier for earlier, later in pairwise(found)) == 2
    assert sorted(found) == list(range(min(found), max(found) + 1))


async def test_malformed_is_no_json_and_the_next_message_is_sound(venues: tuple[str, ...]) -> None:
    async with simulator(venues=venues) as running, Client(running, VENUE) as client:
        await client.say(hello(VENUE, "depth@100ms"))
        await client.until(lambda texts: len(texts) > 2)
        running.inject({"fault": "malformed", "venue": VENUE})
        await client.until(lambda texts: any(not text.endswith("}") for text in texts))
        await client.until(lambda texts: texts[-1].endswith("}"))
    broken = [text for text in client.texts if not text.endswith("}")]
    assert len(broken) == 1
    assert broken[0].startswith('{"stream"')


@pytest.mark.parametrize("venue", ["binance-spot", "bybit-spot", "okx-spot"])
async def test_an_unknown_field_is_added_where_fields_are(venue: str) -> None:
    trades = {"binance-spot": "trade", "bybit-spot": "publicTrade", "okx-spot": "trades"}[venue]
    async with simulator(venues=(venue,)) as running, Client(running, venue) as client:
        await client.say(hello(venue, trades))
        running.inject({"fault": "unknown_field", "venue": venue, "channel": "trades"})
        await client.until(lambda texts: any("simulatorField" in text for text in texts))
    [text] = [text for text in client.texts if "simulatorField" in text]
    row = json.loads(text)
    assert "simulatorField" in (row["data"] if venue == "binance-spot" else row)


@pytest.mark.parametrize("repeat", [False, True])
async def test_stale_says_nothing_new_while_pings_are_answered(
    venues: tuple[str, ...], repeat: bool
) -> None:
    async with simulator(venues=venues) as running, Client(running, VENUE) as client:
        await client.say(hello(VENUE, "trade"))
        await client.until(lambda texts: len(ids(texts)) > 3)
        running.inject({"fault": "stale", "venue": VENUE, "seconds": 8, "repeat": repeat})
        await asyncio.sleep(0.1)
        count, newest = len(client.texts), max(ids(client.texts))
        await client.say('{"method":"LIST_SUBSCRIPTIONS","id":9}')
        await asyncio.sleep(0.4)
        came = client.texts[count:]
        assert any('"id":9' in text for text in came)
        assert max([newest, *ids(came)]) == newest
        assert (len(ids(came)) > 1) == repeat
        await client.until(lambda texts: max(ids(texts)) > newest + 5)


async def test_slow_delays_everything_and_loses_nothing(venues: tuple[str, ...]) -> None:
    async with simulator(venues=venues) as running, Client(running, VENUE) as client:
        await client.say(hello(VENUE, "trade"))
        await client.until(lambda texts: len(ids(texts)) > 3)
        running.inject({"fault": "slow", "venue": VENUE, "seconds": 6, "delay_s": 3})
        await asyncio.sleep(0.1)
        count = len(client.texts)
        begun = time.monotonic()
        assert (await fetch(running, f"/{VENUE}/api/v3/time"))[0] == 200
        assert time.monotonic() - begun >= 0.25
        await client.until(lambda texts: len(texts) > count + 100)
    found = ids(client.texts)
    assert found == list(range(found[0], found[-1] + 1))
    [entry] = running.control.ledger()
    assert entry["messages"] > 10


@pytest.mark.parametrize(
    ("fault", "status", "header"),
    [
        ({"fault": "429"}, 429, "Retry-After"),
        ({"fault": "banned"}, 418, "Retry-After"),
        ({"fault": "5xx", "status": 503}, 503, ""),
        ({"fault": "maintenance"}, 503, ""),
    ],
)
async def test_rest_is_refused_for_the_time_and_streams_of_others_go_on(
    fault: dict[str, Any], status: int, header: str
) -> None:
    async with simulator(venues=(VENUE, "okx-spot")) as running:
        assert (await fetch(running, TRADES))[0] == 200
        running.inject({**fault, "venue": VENUE, "seconds": 3})
        found, _, headers = await fetch(running, TRADES)
        assert found == status
        assert headers.get(header, "1") == "1"
        assert (await fetch(running, "/okx-spot/api/v5/public/time"))[0] == 200
        await asyncio.sleep(0.5)
        assert (await fetch(running, TRADES))[0] == 200


async def test_maintenance_says_so_in_place_of_data_then_ends_the_connection(
    venues: tuple[str, ...],
) -> None:
    async with simulator(venues=venues) as running, Client(running, VENUE) as client:
        await client.say(hello(VENUE, "trade"))
        await client.until(lambda texts: len(ids(texts)) > 3)
        running.inject({"fault": "maintenance", "venue": VENUE, "seconds": 4})
        await asyncio.sleep(0.1)
        count = len(client.texts)
        with pytest.raises(aiohttp.WSServerHandshakeError):
            async with Client(running, VENUE):
                pass
        await asyncio.wait_for(client.closed.wait(), 2)
        assert client.texts[count:]
        assert all("no longer available" in text for text in client.texts[count:])


async def test_the_cut_is_announced_and_spares_new_connections(venues: tuple[str, ...]) -> None:
    async with simulator(venues=venues) as running, Client(running, VENUE) as client:
        await client.say(hello(VENUE, "trade"))
        await client.until(lambda texts: len(texts) > 3)
        running.inject({"fault": "24h", "venue": VENUE, "seconds": 6})
        await client.until(lambda texts: any("serverShutdown" in text for text in texts))
        async with Client(running, VENUE) as second:
            await second.say(hello(VENUE, "trade"))
            await second.until(lambda texts: len(texts) > 1)
            assert not client.closed.is_set()
            await asyncio.wait_for(client.closed.wait(), 2)
            common = set(ids(client.texts)) & set(ids(second.texts))
            assert common
            await asyncio.sleep(0.1)
            assert not second.closed.is_set()


@pytest.mark.parametrize("venue", ["binance-usdm", "bybit-linear", "okx-swap"])
async def test_a_delisted_symbol_leaves_the_list_and_falls_silent(venue: str) -> None:
    names = {
        "binance-usdm": ("ETHUSDT", "/fapi/v1/exchangeInfo", "trade"),
        "bybit-linear": (
            "ETHUSDT",
            "/v5/market/instruments-info?category=linear",
            "publicTrade",
        ),
        "okx-swap": ("ETH-USDT-SWAP", "/api/v5/public/instruments?instType=SWAP", "trades"),
    }
    name, path, trades = names[venue]
    async with (
        simulator(venues=(venue,), symbols=("BTC-USDT", "ETH-USDT")) as running,
        Client(running, venue) as client,
    ):
        await client.say(hello(venue, trades, symbol="ETH-USDT"))
        await client.until(lambda texts: len(texts) > 3)
        running.inject({"fault": "delisted", "venue": venue, "symbol": "ETH-USDT"})
        await asyncio.sleep(0.05)
        count = len(client.texts)
        _, body, _ = await fetch(running, f"/{venue}{path}")
        text = json.dumps(body)
        assert (name not in text) or "SETTLING" in text
        await asyncio.sleep(0.3)
        assert len(client.texts) == count


async def test_a_burst_of_news_is_there_at_the_next_poll(venues: tuple[str, ...]) -> None:
    async with simulator(venues=venues, news_per_hour=0.0) as running:
        running.inject({"fault": "news_burst", "count": 7})
        running.inject({"fault": "news_edit"})
        _, body, _ = await fetch(running, "/cryptopanic/api/v1/posts/")
        assert len({row["id"] for row in body["results"]}) == 7
        assert body["results"][0]["title"].startswith("Corrected")


async def test_news_have_faults_of_their_own(venues: tuple[str, ...]) -> None:
    async with simulator(venues=venues) as running:
        running.inject({"fault": "429", "venue": "news", "seconds": 4})
        status, _, headers = await fetch(running, "/cryptopanic/api/v1/posts/")
        assert (status, headers["Retry-After"]) == (429, "1")
        assert (await fetch(running, TRADES))[0] == 200


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ({"fault": "flood"}, "known are disconnect"),
        ({"fault": "gap", "venue": "kraken"}, "the simulator has"),
        ({"fault": "gap", "venue": VENUE, "symbol": "NO-PE"}, "BTCUSDT"),
        ({"fault": "gap", "seconds": -1}, "must not be negative"),
        ({"fault": "gap", "second": 1}, "second"),
        ({"fault": "5xx", "status": 404}, "500 to 599"),
        ({"fault": "delisted"}, "which symbol"),
        ([], "JSON object"),
    ],
)
async def test_a_fault_that_cannot_be_is_refused_with_what_can(fault: Any, words: str) -> None:
    async with simulator(venues=(VENUE,)) as running:
        status, body = await post(running, "/control/faults", fault)
        assert status == 400
        assert words in body["error"]
        assert running.control.ledger() == []


async def test_faults_end_at_once_when_they_are_cleared(venues: tuple[str, ...]) -> None:
    async with simulator(venues=venues) as running:
        running.inject({"fault": "5xx", "venue": VENUE, "seconds": 1_000})
        assert (await fetch(running, TRADES))[0] == 502
        async with aiohttp.ClientSession() as session:
            await session.delete(f"{running.address}/control/faults")
        assert (await fetch(running, TRADES))[0] == 200


def test_names_that_people_use_are_understood() -> None:
    assert parse({"fault": "half-open"}).fault == "half_open"
    assert parse(b'{"fault": "429", "seconds": 3}').seconds == 3
    with pytest.raises(ConfigError, match="cannot be read"):
        parse(b"{")
