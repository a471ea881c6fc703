"""A plain client of the simulator for tests; what it gets are frames, as a feed wants them."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import aiohttp

from venues.frames import Frame
from venues.simulator.market import DEFAULT_START_US, Market
from venues.simulator.server.simulator import Options, Simulator
from venues.simulator.server.source import ModelSource

VENUES = ("binance-spot", "binance-usdm", "bybit-spot", "bybit-linear", "okx-spot", "okx-swap")
ADDRESSES = {
    "binance-spot": "https://api.binance.com",
    "binance-usdm": "https://fapi.binance.com",
    "bybit-spot": "https://api.bybit.com",
    "bybit-linear": "https://api.bybit.com",
    "okx-spot": "https://www.okx.com",
    "okx-swap": "https://www.okx.com",
}
SOCKETS = {
    "binance-spot": "/stream",
    "binance-usdm": "/stream",
    "binance-coinm": "/stream",
    "bybit-spot": "/v5/public/spot",
    "bybit-linear": "/v5/public/linear",
    "okx-spot": "/ws/v5/public",
    "okx-swap": "/ws/v5/public",
}
INSTRUMENTS = {
    "binance-spot": "/api/v3/exchangeInfo",
    "binance-usdm": "/fapi/v1/exchangeInfo",
    "bybit-spot": "/v5/market/instruments-info?category=spot",
    "bybit-linear": "/v5/market/instruments-info?category=linear",
    "okx-spot": "/api/v5/public/instruments?instType=SPOT",
    "okx-swap": "/api/v5/public/instruments?instType=SWAP",
}


@asynccontextmanager
async def simulator(
    *,
    speed: float = 10.0,
    venues: tuple[str, ...] = VENUES,
    symbols: tuple[str, ...] = ("BTC-USDT",),
    rate: float = 400.0,
    seed: int = 1,
    news_per_hour: float = 12.0,
    start_us: int = DEFAULT_START_US,
    **options: Any,
) -> AsyncIterator[Simulator]:
    """A running simulator of a small market."""
    market = Market(
        seed=seed,
        symbols=symbols,
        venues=venues,
        events_per_second=rate,
        news_per_hour=news_per_hour,
        start_time_us=start_us,
    )
    source = ModelSource(market, options.get("offsets_us", {}))
    async with Simulator(source, Options(speed=speed, seed=seed, **options)) as running:
        yield running


def name_of(venue: str, symbol: str = "BTC-USDT") -> str:
    """A symbol as a venue writes it."""
    if venue.startswith("okx"):
        return f"{symbol}-SWAP" if venue == "okx-swap" else symbol
    return symbol.replace("-", "")


def hello(venue: str, *channels: str, symbol: str = "BTC-USDT") -> str:
    """The message that subscribes channels by the venue's names for them."""
    name = name_of(venue, symbol)
    if venue.startswith("binance"):
        params = [f"{name.lower()}@{channel}" for channel in channels]
        return json.dumps({"method": "SUBSCRIBE", "params": params, "id": 1})
    if venue.startswith("bybit"):
        return json.dumps({"op": "subscribe", "args": [f"{c}.{name}" for c in channels]})
    args = [{"channel": channel, "instId": name} for channel in channels]
    return json.dumps({"op": "subscribe", "args": args})


EVERYTHING = {
    "binance-spot": ("trade", "depth@100ms", "bookTicker", "kline_1m"),
    "binance-usdm": ("trade", "depth@100ms", "bookTicker", "kline_1m", "markPrice@1s"),
    "bybit-spot": ("publicTrade", "orderbook.200", "orderbook.1", "kline.1", "tickers"),
    "bybit-linear": ("publicTrade", "orderbook.200", "orderbook.1", "kline.1", "tickers"),
    "okx-spot": ("trades", "books", "bbo-tbt", "tickers"),
    "okx-swap": ("trades", "books", "bbo-tbt", "tickers", "mark-price", "funding-rate"),
}


class Client:
    """One connection; `frames` holds what came, `texts` the same as text."""

    def __init__(self, running: Simulator, venue: str, path: str = "") -> None:
        self._address = f"{running.address}/{venue}{path or SOCKETS[venue]}"
        self.venue = venue
        self.frames: list[Frame] = []
        self.closed = asyncio.Event()
        self.pings = 0

    @property
    def texts(self) -> list[str]:
        return [frame.data.decode() for frame in self.frames]

    async def __aenter__(self) -> "Client":
        self._session = aiohttp.ClientSession()
        try:
            self.socket = await self._session.ws_connect(self._address, autoping=False)
        except BaseException:
            await self._session.close()
            raise
        self._reading = asyncio.create_task(self._read())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._reading.cancel()
        await self.socket.close()
        await self._session.close()

    async def _read(self) -> None:
        try:
            async for message in self.socket:
                if message.type is aiohttp.WSMsgType.PING:
                    self.pings += 1
                    await self.socket.pong(message.data)
                elif message.type is aiohttp.WSMsgType.TEXT:
                    now = time.time_ns() // 1000
                    data = message.data.encode()
                    self.frames.append(Frame(self.venue, "test", now, data))
        finally:
            self.closed.set()

    def stop_reading(self) -> None:
        """Let what comes pile up in the sockets."""
        self._reading.cancel()

    async def say(self, text: str) -> None:
        await self.socket.send_str(text)

    async def until(self, holds: Callable[[list[str]], bool], seconds: float = 5.0) -> None:
        """Wait until what came is as wanted; fails with what came."""
        try:
            async with asyncio.timeout(seconds):
                while not holds(self.texts):
                    await asyncio.sleep(0.01)
        except TimeoutError:
            raise AssertionError(f"not so after {seconds} s; last: {self.texts[-3:]}") from None

    async def get(self, path: str) -> Frame:
        """A REST answer as a feed takes it."""
        status, body, _ = await get(self._session, self._address, self.venue, path)
        assert status == 200, (status, body)
        return Frame(self.venue, "rest", time.time_ns() // 1000, body, ADDRESSES[self.venue] + path)


async def get(
    session: aiohttp.ClientSession, address: str, venue: str, path: str
) -> tuple[int, bytes, dict[str, str]]:
    """Status, body and headers of a REST answer of a venue."""
    base = address.partition(f"/{venue}")[0]
    async with session.get(f"{base}/{venue}{path}") as answer:
        return answer.status, await answer.read(), dict(answer.headers)


async def fetch(running: Simulator, path: str) -> tuple[int, Any, dict[str, str]]:
    """Status, JSON and headers of any address of the simulator."""
    async with aiohttp.ClientSession() as session, session.get(running.address + path) as answer:
        body = await answer.read()
        try:
            return answer.status, json.loads(body), dict(answer.headers)
        except ValueError:
            return answer.status, body, dict(answer.headers)


async def post(running: Simulator, path: str, body: Any = None) -> tuple[int, Any]:
    """Status and JSON of a POST."""
    async with (
        aiohttp.ClientSession() as session,
        session.post(running.address + path, json=body) as answer,
    ):
        return answer.status, await answer.json()
