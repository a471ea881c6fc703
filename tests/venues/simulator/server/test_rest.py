"""REST says what the streams said: trades, candles, quotes, marks; and the venues' own errors."""

import asyncio
import json
import time
from typing import Any

import pytest

from schemas.events import Event, Instrument, Kline, Trade
from tests.venues.simulator.server.client import (
    EVERYTHING,
    INSTRUMENTS,
    VENUES,
    Client,
    fetch,
    hello,
    post,
    simulator,
)
from venues.feed import Feed
from venues.simulator.server import binance_rest

TRADES = {
    "binance-spot": "/api/v3/trades?symbol=BTCUSDT&limit=1000",
    "binance-usdm": "/fapi/v1/trades?symbol=BTCUSDT&limit=1000",
    "bybit-spot": "/v5/market/recent-trade?category=spot&symbol=BTCUSDT&limit=60",
    "bybit-linear": "/v5/market/recent-trade?category=linear&symbol=BTCUSDT&limit=1000",
    "okx-spot": "/api/v5/market/trades?instId=BTC-USDT&limit=500",
    "okx-swap": "/api/v5/market/history-trades?instId=BTC-USDT-SWAP&limit=100",
}
KLINES = {
    "binance-spot": "/api/v3/klines?symbol=BTCUSDT&interval=1m",
    "binance-usdm": "/fapi/v1/klines?symbol=BTCUSDT&interval=1m",
    "bybit-spot": "/v5/market/kline?category=spot&symbol=BTCUSDT&interval=1",
    "bybit-linear": "/v5/market/kline?category=linear&symbol=BTCUSDT&interval=1",
    "okx-spot": "/api/v5/market/candles?instId=BTC-USDT",
    "okx-swap": "/api/v5/market/history-candles?instId=BTC-USDT-SWAP",
}
TIMES = {
    "binance-spot": ("/api/v3/time", lambda body: body["serverTime"]),
    "binance-usdm": ("/fapi/v1/time", lambda body: body["serverTime"]),
    "bybit-spot": ("/v5/market/time", lambda body: body["time"]),
    "bybit-linear": ("/v5/market/time", lambda body: body["time"]),
    "okx-spot": ("/api/v5/public/time", lambda body: int(body["data"][0]["ts"])),
    "okx-swap": ("/api/v5/public/time", lambda body: int(body["data"][0]["ts"])),
}


def facts(trade: Trade) -> tuple[Any, ...]:
    """What a trade says, however it came."""
    return (
        trade.trade_id,
        trade.event_time,
        trade.price,
        trade.quantity,
        trade.aggressor_side,
    )


@pytest.mark.parametrize("venue", VENUES)
async def test_trades_and_candles_by_rest_are_those_streamed(venue: str) -> None:
    path = "/ws/v5/business" if venue.startswith("okx") else ""
    async with (
        simulator(venues=(venue,), speed=100.0, rate=60.0) as running,
        Client(running, venue) as client,
        Client(running, venue, path) as business,
    ):
        frames = [await client.get(INSTRUMENTS[venue])]
        await client.say(hello(venue, EVERYTHING[venue][0]))
        await business.say(hello(venue, "candle1m" if path else EVERYTHING[venue][3]))
        await asyncio.sleep(0.75)
        await post(running, "/control/pause")
        await asyncio.sleep(0.1)
        streamed = client.frames + business.frames
        answers = [await client.get(TRADES[venue]), await client.get(KLINES[venue])]
    feed = Feed()
    for frame in frames:
        feed.receive(frame)
    live = [event for frame in streamed for event in feed.receive(frame)]
    asked = [event for frame in answers for event in feed.receive(frame)]
    assert not feed.refused
    compare_trades(live, asked)
    compare_candles(live, asked)


def compare_trades(live: list[Event], asked: list[Event]) -> None:
    of_stream = {e.trade_id: facts(e) for e in live if isinstance(e, Trade)}
    of_rest = {e.trade_id: facts(e) for e in asked if isinstance(e, Trade)}
    both = of_stream.keys() & of_rest.keys()
    assert len(both) >= 50
    assert all(of_stream[identity] == of_rest[identity] for identity in both)
    newest = max(of_stream.values(), key=lambda row: row[1])
    assert newest[0] in of_rest


def compare_candles(live: list[Event], asked: list[Event]) -> None:
    def closed(events: list[Event]) -> dict[int, tuple[float, ...]]:
        return {
            e.open_time: (e.open, e.high, e.low, e.close, e.volume)
            for e in events
            if isinstance(e, Kline) and e.closed
        }

    of_stream, of_rest = closed(live), closed(asked)
    assert of_stream
    assert all(of_rest[at] == candle for at, candle in of_stream.items())


@pytest.mark.parametrize("venue", VENUES)
async def test_a_venues_clock_is_ahead_by_what_was_asked(venue: str) -> None:
    offsets = {venue: 700_000}
    start_us = time.time_ns() // 1000 - 1_000_000
    async with simulator(
        venues=(venue,), speed=1.0, offsets_us=offsets, start_us=start_us
    ) as running:
        path, read = TIMES[venue]
        _, body, _ = await fetch(running, f"/{venue}{path}")
        now_ms = time.time_ns() // 1_000_000
    assert read(body) - now_ms == pytest.approx(700, abs=60)


async def test_times_in_streams_follow_the_venues_clock() -> None:
    offsets = {"binance-spot": 2_000_000, "bybit-spot": -1_000_000}
    venues = tuple(offsets)
    async with (
        simulator(venues=venues, speed=1.0, offsets_us=offsets, rate=200.0) as running,
        Client(running, "binance-spot") as ahead,
        Client(running, "bybit-spot") as behind,
    ):
        await ahead.say(hello("binance-spot", "trade"))
        await behind.say(hello("bybit-spot", "publicTrade"))
        await ahead.until(lambda texts: len(texts) > 3)
        await behind.until(lambda texts: len(texts) > 3)
        _, first, _ = await fetch(running, "/binance-spot/api/v3/time")
        _, second, _ = await fetch(running, "/bybit-spot/v5/market/time")
        told = json.loads(ahead.texts[-1])["data"]["E"], json.loads(behind.texts[-1])["ts"]
    assert first["serverTime"] - told[0] == pytest.approx(0, abs=400)
    assert second["time"] - told[1] == pytest.approx(0, abs=400)
    assert first["serverTime"] - second["time"] == pytest.approx(3_000, abs=100)


@pytest.mark.parametrize("venue", VENUES)
async def test_instruments_are_those_of_the_market(venue: str) -> None:
    async with (
        simulator(venues=(venue,), symbols=("BTC-USDT", "ETH-USDT", "ABC-USDT")) as running,
        Client(running, venue) as client,
    ):
        answer = await client.get(INSTRUMENTS[venue])
    events = Feed().receive(answer)
    assert [e.symbol for e in events if isinstance(e, Instrument)] == [
        "BTC-USDT",
        "ETH-USDT",
        "ABC-USDT",
    ]


async def test_aggregates_go_on_from_an_id_page_by_page() -> None:
    async with simulator(venues=("binance-spot",), speed=60.0) as running:
        await asyncio.sleep(0.3)
        base = "/binance-spot/api/v3/aggTrades?symbol=BTCUSDT"
        _, newest, _ = await fetch(running, f"{base}&limit=30")
        first = newest[0]["a"]
        _, page, _ = await fetch(running, f"{base}&fromId={first}&limit=10")
        assert [row["a"] for row in page] == list(range(first, first + 10))
        _, rest, _ = await fetch(running, f"{base}&fromId={first + 10}&limit=20")
        assert [*page, *rest] == newest


async def test_okx_trades_are_paged_by_id_newest_first() -> None:
    async with simulator(venues=("okx-swap",), speed=60.0) as running:
        await asyncio.sleep(0.3)
        base = "/okx-swap/api/v5/market/history-trades?instId=BTC-USDT-SWAP"
        newest = (await fetch(running, f"{base}&limit=10"))[1]["data"]
        ids = [int(row["tradeId"]) for row in newest]
        assert ids == sorted(ids, reverse=True)
        older = (await fetch(running, f"{base}&limit=5&after={ids[4]}"))[1]["data"]
        assert older == newest[5:]
        newer = (await fetch(running, f"{base}&before={ids[5]}&after={ids[0] + 1}"))[1]["data"]
        assert newer == newest[:5]


@pytest.mark.parametrize(
    ("path", "status", "words"),
    [
        ("/binance-spot/api/v3/depth?symbol=NOPE", 400, "-1121"),
        ("/binance-spot/api/v3/depth", 400, "-1102"),
        ("/binance-usdm/fapi/v1/depth?symbol=BTCUSDT&limit=7", 400, "-4021"),
        ("/binance-spot/api/v3/klines?symbol=BTCUSDT&interval=7m", 400, "-1120"),
        ("/binance-spot/api/v3/nothing", 404, "not served"),
        ("/bybit-spot/v5/market/orderbook?category=spot&symbol=NOPE", 200, "10001"),
        ("/bybit-spot/v5/market/tickers?category=linear", 200, "category invalid"),
        ("/okx-spot/api/v5/market/books?instId=NO-PE", 200, "51001"),
        ("/okx-spot/api/v5/market/books", 200, "50014"),
    ],
)
async def test_errors_are_in_the_venues_own_form(path: str, status: int, words: str) -> None:
    async with simulator(venues=("binance-spot", "binance-usdm", "bybit-spot", "okx-spot")) as sim:
        found, body, _ = await fetch(sim, path)
    assert found == status
    assert words in json.dumps(body)


async def test_quotes_marks_and_tickers_are_given_once_they_were_published() -> None:
    venues = ("binance-usdm", "bybit-linear", "bybit-spot", "okx-swap")
    async with simulator(venues=venues) as running:
        await asyncio.sleep(0.3)
        paths = {
            "/binance-usdm/fapi/v1/premiumIndex?symbol=BTCUSDT": "lastFundingRate",
            "/binance-usdm/fapi/v1/ticker/bookTicker?symbol=BTCUSDT": "bidPrice",
            "/bybit-linear/v5/market/tickers?category=linear&symbol=BTCUSDT": "markPrice",
            "/bybit-spot/v5/market/tickers?category=spot&symbol=BTCUSDT": "bid1Price",
            "/okx-swap/api/v5/public/mark-price?instType=SWAP&instId=BTC-USDT-SWAP": "markPx",
            "/okx-swap/api/v5/public/funding-rate?instId=BTC-USDT-SWAP": "fundingRate",
            "/okx-swap/api/v5/market/ticker?instId=BTC-USDT-SWAP": "bidPx",
        }
        for path, word in paths.items():
            status, body, _ = await fetch(running, path)
            assert status == 200
            assert word in json.dumps(body), path


async def test_too_many_requests_are_refused_until_the_window_is_over() -> None:
    async with simulator(venues=("okx-spot",), speed=4.0) as running:
        path = "/okx-spot/api/v5/market/trades?instId=BTC-USDT"
        statuses = [(await fetch(running, path))[0] for _ in range(41)]
        assert statuses == [200] * 40 + [429]
        _, _, headers = await fetch(running, path)
        assert headers["Retry-After"] == "1"
        assert (await fetch(running, "/okx-spot/api/v5/public/time"))[0] == 200
        await asyncio.sleep(0.6)
        assert (await fetch(running, path))[0] == 200


async def test_news_come_in_both_forms_and_by_page_and_key() -> None:
    async with simulator(
        venues=("okx-spot",), speed=100.0, rate=20.0, news_per_hour=3_000.0, news_key="k"
    ) as running:
        await asyncio.sleep(0.8)
        await post(running, "/control/pause")
        v1, v2 = "/cryptopanic/api/v1/posts/", "/cryptopanic/api/developer/v2/posts/"
        assert (await fetch(running, v1))[0] == 401
        _, first, _ = await fetch(running, f"{v1}?auth_token=k")
        _, second, _ = await fetch(running, f"{v2}?auth_token=k")
        assert [row["id"] for row in first["results"]] == [row["id"] for row in second["results"]]
        assert first["results"][0]["currencies"][0]["code"] == "BTC"
        assert second["results"][0]["instruments"][0]["code"] == "BTC"
        assert len(first["results"]) == 20
        path = first["next"].removeprefix(running.address)
        _, page, _ = await fetch(running, path)
        assert page["results"][0]["id"] < first["results"][-1]["id"]
        times = [row["published_at"] for row in first["results"]]
        assert times == sorted(times, reverse=True)


async def test_fear_and_greed_has_a_value_a_day() -> None:
    async with simulator(venues=("okx-spot",)) as running:
        _, body, _ = await fetch(running, "/alternative/fng/?limit=3")
        assert [int(row["timestamp"]) % 86_400 for row in body["data"]] == [0, 0, 0]
        assert "time_until_update" in body["data"][0]
        assert "time_until_update" not in body["data"][1]


@pytest.mark.parametrize(
    ("market", "path", "query", "counts"),
    [
        ("spot", "/api/v3/depth", {"limit": "1000"}, 50),
        ("spot", "/api/v3/depth", {}, 25),
        ("usdm", "/fapi/v1/depth", {"limit": "1000"}, 20),
        ("usdm", "/fapi/v1/klines", {"limit": "99"}, 1),
        ("usdm", "/fapi/v1/aggTrades", {}, 20),
        ("spot", "/api/v3/ticker/bookTicker", {}, 2),
        ("spot", "/api/v3/time", {}, 1),
    ],
)
def test_binance_counts_its_own_weights(
    market: str, path: str, query: dict[str, str], counts: int
) -> None:
    assert binance_rest.weight(market, path, query) == counts
