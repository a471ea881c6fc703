"""What clients may say to each venue, and how it answers: acks, errors, pings, limits."""

import asyncio
import json
from typing import Any

import aiohttp
import pytest

from tests.venues.simulator.server.client import (
    EVERYTHING,
    VENUES,
    Client,
    fetch,
    hello,
    simulator,
)
from venues.simulator.server.binance import BinanceDesk
from venues.simulator.server.bybit import BybitDesk
from venues.simulator.server.okx import OkxDesk
from venues.simulator.server.venue import Limits


def rows(texts: list[str]) -> list[dict[str, Any]]:
    return [json.loads(text) for text in texts if text.startswith("{")]


@pytest.mark.parametrize("venue", VENUES)
async def test_only_what_is_subscribed_is_sent(venue: str) -> None:
    trades = EVERYTHING[venue][0]
    async with (
        simulator(venues=(venue,), symbols=("BTC-USDT", "ETH-USDT")) as running,
        Client(running, venue) as client,
    ):
        await asyncio.sleep(0.2)
        assert client.texts == []
        await client.say(hello(venue, trades))
        await client.until(lambda texts: len(texts) > 5)
        said = [text for text in client.texts if trades in text and '"event"' not in text]
        assert len(said) >= len(client.texts) - 1
        assert all("ETH" not in text for text in client.texts)


async def test_binance_acknowledges_lists_and_unsubscribes() -> None:
    async with (
        simulator(venues=("binance-spot",)) as running,
        Client(running, "binance-spot") as client,
    ):
        await client.say(hello("binance-spot", "trade", "kline_1m"))
        await client.until(lambda texts: '{"result":null,"id":1}' in texts)
        await client.say('{"method":"LIST_SUBSCRIPTIONS","id":"mine"}')
        wanted = '{"result":["btcusdt@trade","btcusdt@kline_1m"],"id":"mine"}'
        await client.until(lambda texts: wanted in texts)
        await client.say(
            '{"method":"UNSUBSCRIBE","params":["btcusdt@trade","btcusdt@kline_1m"],"id":3}'
        )
        await client.until(lambda texts: '{"result":null,"id":3}' in texts)
        count = len(client.texts)
        await asyncio.sleep(0.2)
        assert len(client.texts) == count


@pytest.mark.parametrize(
    ("said", "code"),
    [
        ("{", 3),
        ('{"method":"JUMP","params":[],"id":1}', 2),
        ('{"method":"SUBSCRIBE","params":["btcusdt@depth7"],"id":1}', 2),
        ('{"method":"SUBSCRIBE","params":[7],"id":1}', 2),
        ('{"id":1}', 2),
    ],
)
async def test_binance_refuses_in_its_own_form(said: str, code: int) -> None:
    async with (
        simulator(venues=("binance-usdm",)) as running,
        Client(running, "binance-usdm") as client,
    ):
        await client.say(said)
        await client.until(bool)
        assert rows(client.texts)[0]["error"]["code"] == code


async def test_binance_aggregates_are_the_trades_by_ids_of_their_own() -> None:
    async with (
        simulator(venues=("binance-spot",)) as running,
        Client(running, "binance-spot") as client,
    ):
        await client.say(hello("binance-spot", "trade", "aggTrade"))
        await client.until(lambda texts: sum("aggTrade" in t for t in texts) > 20)
        data = [row["data"] for row in rows(client.texts) if "data" in row]
    trades = {row["t"]: row for row in data if row["e"] == "trade"}
    for aggregate in (row for row in data if row["e"] == "aggTrade"):
        trade = trades[aggregate["f"]]
        assert aggregate["l"] == aggregate["f"] != aggregate["a"]
        assert [aggregate[k] for k in "pqTm"] == [trade[k] for k in "pqTm"]


async def test_binance_serves_raw_streams_by_their_path() -> None:
    async with (
        simulator(venues=("binance-spot",)) as running,
        Client(running, "binance-spot", "/ws/btcusdt@aggTrade/btcusdt@bookTicker") as client,
    ):
        await client.until(lambda texts: any('"aggTrade"' in t for t in texts) and len(texts) > 5)
        for row in rows(client.texts):
            assert "stream" not in row
            assert row["s"] == "BTCUSDT"


async def test_binance_pings_and_cuts_who_does_not_answer(monkeypatch: Any) -> None:
    quick = Limits(ping_s=0.1, pong_s=0.5)
    async with simulator(venues=("binance-spot",)) as running:
        monkeypatch.setattr(running.stage.venues["binance-spot"].desk, "limits", quick)
        async with (
            Client(running, "binance-spot") as polite,
            aiohttp.ClientSession() as session,
            session.ws_connect(f"{running.address}/binance-spot/stream", autoping=False) as rude,
        ):
            async with asyncio.timeout(5):
                kinds = [message.type async for message in rude]
            assert kinds == [aiohttp.WSMsgType.PING]
            await asyncio.sleep(0.2)
            assert polite.pings > 2
            assert not polite.closed.is_set()


async def test_binance_cuts_who_says_too_much() -> None:
    async with (
        simulator(venues=("binance-spot",)) as running,
        Client(running, "binance-spot") as client,
    ):
        for number in range(6):
            await client.say(json.dumps({"method": "LIST_SUBSCRIPTIONS", "id": number}))
        await asyncio.wait_for(client.closed.wait(), 2)
        assert len(client.texts) == 5
        assert client.socket.close_code == 1008


async def test_bybit_acknowledges_answers_pings_and_begins_with_a_snapshot() -> None:
    async with (
        simulator(venues=("bybit-linear",)) as running,
        Client(running, "bybit-linear") as client,
    ):
        await client.say('{"op":"ping","req_id":"7"}')
        await client.say(hello("bybit-linear", "orderbook.200", "tickers", "orderbook.1"))
        await client.until(lambda texts: len(texts) > 10)
        pong, ack, *data = rows(client.texts)
    assert pong["ret_msg"] == "pong"
    assert pong["req_id"] == "7"
    assert ack["success"] is True
    first = {}
    for row in data:
        first.setdefault(row["topic"], row["type"])
    assert set(first.values()) == {"snapshot"}


async def test_bybit_takes_all_of_a_request_or_nothing() -> None:
    async with (
        simulator(venues=("bybit-spot",)) as running,
        Client(running, "bybit-spot") as client,
    ):
        await client.say(hello("bybit-spot", "publicTrade", "orderbook.7"))
        await client.say(hello("bybit-spot", *["publicTrade"] * 11))
        await client.say('{"op":"subscribe","args":["publicTrade.NOSUCH"]}')
        await client.until(lambda texts: len(texts) == 3)
        answers = rows(client.texts)
        await asyncio.sleep(0.2)
        assert len(client.texts) == 3
    assert [answer["success"] for answer in answers] == [False] * 3
    assert "handler not found,topic:orderbook.7" in answers[0]["ret_msg"]
    assert answers[1]["ret_msg"] == "args size >10"
    assert "NOSUCH" in answers[2]["ret_msg"]


async def test_okx_answers_ping_by_text_and_unknown_channels_by_code() -> None:
    async with (
        simulator(venues=("okx-spot",)) as running,
        Client(running, "okx-spot") as client,
    ):
        await client.say("ping")
        await client.say(hello("okx-spot", "candle1m"))
        await client.say(hello("okx-spot", "mark-price"))
        await client.say('{"op":"subscribe","args":[{"channel":"books","instId":"NO-SUCH"}]}')
        await client.say("nonsense")
        await client.until(lambda texts: len(texts) == 5)
        assert client.texts[0] == "pong"
        assert [row["code"] for row in rows(client.texts)] == ["60018", "60018", "60018", "60012"]


async def test_okx_has_candles_on_its_other_address() -> None:
    async with (
        simulator(venues=("okx-spot",)) as running,
        Client(running, "okx-spot", "/ws/v5/business") as client,
    ):
        await client.say(hello("okx-spot", "candle1m"))
        await client.until(lambda texts: any('"data"' in text for text in texts))


async def test_okx_cuts_a_connection_on_which_nothing_goes(monkeypatch: Any) -> None:
    async with simulator(venues=("okx-spot",)) as running:
        monkeypatch.setattr(running.stage.venues["okx-spot"].desk, "limits", Limits(silence_s=0.5))
        async with Client(running, "okx-spot") as idle, Client(running, "okx-spot") as busy:
            await busy.say(hello("okx-spot", "trades", "books", "bbo-tbt"))
            await asyncio.wait_for(idle.closed.wait(), 3)
            assert not busy.closed.is_set()


async def test_unknown_addresses_are_refused_by_name() -> None:
    async with simulator(venues=("okx-spot",)) as running:
        status, body, _ = await fetch(running, "/kraken/0/public/Time")
        assert status == 404
        assert b"okx-spot" in body
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            async with Client(running, "okx-spot", "/ws/v6/public"):
                pass
        assert refused.value.status == 404


@pytest.mark.parametrize("desk", [BinanceDesk("spot"), BybitDesk("spot"), OkxDesk("SPOT")])
def test_a_streams_name_leads_back_to_its_kind_and_instrument(desk: Any) -> None:
    for name in desk.natives("BTC-USDT"):
        kind, symbol = desk.classify(name)
        assert kind != "other"
        assert symbol == "BTC-USDT"
