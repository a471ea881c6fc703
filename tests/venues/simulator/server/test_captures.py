"""Recorded captures are played with their timing, and REST goes on from what was recorded."""

import asyncio
import time
from collections import Counter
from pathlib import Path

import msgspec
import pytest

from schemas.errors import ConfigError
from schemas.events import FeedStatus, Instrument
from tests.venues.simulator.server.client import Client, fetch
from venues.feed import Feed
from venues.frames import Frame
from venues.simulator.server.captures import CaptureSource
from venues.simulator.server.simulator import Options, Simulator

DATA = Path(__file__).parents[5] / "shared" / "data"
WS = DATA / "ws"
BYBIT = WS / "bybit_v5_2026-08-09.jsonl.zst"
OKX = WS / "okx_v5_2022-05-13.jsonl.zst"
SPOT = WS / "binance_spot_2021-10-12.jsonl.zst"
USDM = WS / "binance_usdm_2021-07-22.jsonl.zst"
COINM = WS / "binance_cm_btcusd_perp_20240808.hft.gz"
SUBSCRIBE = '{"method":"SUBSCRIBE","params":[%s],"id":1}'

pytestmark = pytest.mark.skipif(not WS.is_dir(), reason="the shared captures are not here")


def statuses(feed: Feed, frames: list[Frame]) -> Counter[str]:
    events = [event for frame in frames for event in feed.receive(frame)]
    return Counter(event.status for event in events if isinstance(event, FeedStatus))


async def test_a_capture_of_two_markets_is_served_as_both() -> None:
    source = CaptureSource([BYBIT])
    assert source.venues == ("bybit-spot", "bybit-linear")
    async with Simulator(source, Options(speed=20.0)) as running:
        await asyncio.sleep(0.3)
        feed = Feed()
        for venue in source.venues:
            async with Client(running, venue) as client:
                path = f"/v5/market/instruments-info?category={venue[6:]}&symbol=BTCUSDT"
                assert len(feed.receive(await client.get(path))) == 1
                await client.say(
                    '{"op":"subscribe","args":["orderbook.200.BTCUSDT","publicTrade.BTCUSDT"]}'
                )
                await client.until(lambda texts: len(texts) > 40)
                found = statuses(feed, client.frames)
                assert found["CONNECTED"] == 1
                assert not found["GAP"]
        assert not feed.refused


async def test_okx_books_of_2022_keep_their_checksums_when_sent_whole() -> None:
    async with Simulator(CaptureSource([OKX]), Options(speed=10.0)) as running:
        await asyncio.sleep(0.2)
        async with Client(running, "okx-spot") as client:
            await client.say('{"op":"subscribe","args":[{"channel":"books","instId":"BTC-USDT"}]}')
            await client.until(lambda texts: len(texts) > 25)
        feed = Feed()
        assert not statuses(feed, client.frames)["GAP"]
        assert not feed.refused


@pytest.mark.parametrize(
    ("path", "venue", "symbol", "base", "streams"),
    [
        (SPOT, "binance-spot", "NKNUSDT", "/api/v3", ["depth@100ms", "bookTicker"]),
        (USDM, "binance-usdm", "SUSHIUSDT", "/fapi/v1", ["depth@100ms", "aggTrade"]),
        (COINM, "binance-coinm", "BTCUSD_PERP", "/dapi/v1", ["depth@100ms", "trade"]),
    ],
)
async def test_a_snapshot_asked_for_at_any_time_bridges_to_the_recorded_diffs(
    path: Path, venue: str, symbol: str, base: str, streams: list[str]
) -> None:
    names = ",".join(f'"{symbol.lower()}@{stream}"' for stream in streams)
    async with (
        Simulator(CaptureSource([path]), Options(speed=10.0)) as running,
        Client(running, venue) as client,
    ):
        await client.say(SUBSCRIBE % names)
        await client.until(lambda texts: sum("depthUpdate" in text for text in texts) > 5)
        status, body, _ = await fetch(running, f"/{venue}{base}/depth?symbol={symbol}&limit=1000")
        assert status == 200
        assert body["bids"]
        await client.until(lambda texts: sum("depthUpdate" in text for text in texts) > 20)
        hosts = {"/api/v3": "api", "/fapi/v1": "fapi", "/dapi/v1": "dapi"}
        url = f"https://{hosts[base]}.binance.com{base}/depth?symbol={symbol}&limit=1000"
        now = time.time_ns() // 1000
        snapshot = Frame(venue, "rest", now, msgspec.json.encode(body), url)
        feed = Feed()
        found = statuses(feed, [*client.frames[:4], snapshot, *client.frames[4:]])
        assert not found["GAP"]
        assert not feed.refused
        assert not feed.wants_snapshot()


async def test_instruments_of_a_capture_without_a_list_are_told_by_its_messages() -> None:
    async with (
        Simulator(CaptureSource([COINM]), Options(speed=5.0)) as running,
        Client(running, "binance-coinm") as client,
    ):
        _, body, _ = await fetch(running, "/binance-coinm/dapi/v1/exchangeInfo")
    frame = Frame(
        "binance-coinm",
        "rest",
        1,
        msgspec.json.encode(body),
        "https://dapi.binance.com/dapi/v1/exchangeInfo",
    )
    [instrument] = Feed().receive(frame)
    assert isinstance(instrument, Instrument)
    assert (instrument.symbol, instrument.tick_size, instrument.lot_size) == ("BTC-USD", "0.1", "1")
    assert instrument.kind == "INVERSE_PERPETUAL"
    assert float(instrument.contract_size) == 100
    assert client.texts == []


async def test_timing_is_the_recordings_times_the_speed() -> None:
    source = CaptureSource([OKX])
    length_s = 10.0
    async with Simulator(source, Options(speed=20.0)) as running:
        begun = time.monotonic()
        while not running.player.ended:
            await asyncio.sleep(0.01)
        taken = time.monotonic() - begun
    assert taken == pytest.approx(length_s / 20.0, abs=0.4)


def test_a_file_that_is_no_capture_is_refused_by_name() -> None:
    with pytest.raises(ConfigError, match="tape import"):
        CaptureSource([DATA / "ohlcv" / "bybit_XRPUSDT-5m.csv.gz"])
    with pytest.raises(ConfigError, match="no such file"):
        CaptureSource([DATA / "nothing.jsonl"])
