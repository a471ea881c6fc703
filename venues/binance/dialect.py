"""How Binance wants to be talked to: spot, Binance.US, USD-M and COIN-M.

Trades come by `aggTrade`, not `trade`: REST gives aggregates from an id on without a key and under
the same ids, so what was missed can be fetched and is known again; for single fills
(`historicalTrades`) futures want a key, and they do not document the stream.

USD-M's streams are on two paths since April 2026, `/public` (books, quotes) and `/market` (the
rest); on a connection without either, or on the wrong one, a stream is silent without an error.
"""

import re
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from urllib.parse import urlencode

import msgspec
from msgspec import Struct

from schemas.errors import VenueError
from schemas.events import Instrument
from venues.config import Channel, CollectorConfig
from venues.live.dialect import Control, Limits, Plan, RateLimited, Request, Subscription
from venues.live.endpoints import endpoints
from venues.live.pages import with_query
from venues.live.plans import batches, shares, subscriptions
from venues.messages import UNREADABLE, Text, decoder

MESSAGE_BYTES = 4088
"""The servers do not answer a longer message (4,096 bytes with the frame's header)."""
PAGE = 1000
MINUTE_MS = 60_000


@dataclass(frozen=True, slots=True)
class _Market:
    """What differs between the markets; weights are of REST's limit."""

    path: str
    limits: Limits
    streams: int
    """At most so many on a connection; futures' pages say 200 and 1,024: the lower."""
    depths: tuple[tuple[int, int], ...]
    """(levels a side of a snapshot, its weight); of those with one weight the most levels."""
    klines: tuple[int, int]
    """(candles in an answer, its weight)"""
    info_weight: int
    trades_weight: int


def _limits(messages_per_s: float, rest_weight: int) -> Limits:
    """Fewer messages than the 5 and 10 allowed: pongs count too. 300 connections in 5 minutes."""
    return Limits(
        messages_per_s, 1.0, rest_weight, 60.0, max_age_s=86_400.0, connections_over_s=60.0
    )


_SPOT_DEPTHS = ((100, 5), (500, 25), (1000, 50), (5000, 250))
_FUTURES_DEPTHS = ((50, 2), (100, 5), (500, 10), (1000, 20))
_SPOT = _Market("/api/v3", _limits(4.0, 6_000), 1024, _SPOT_DEPTHS, (1000, 2), 20, 4)
_FUTURES = {
    path: _Market(path, _limits(8.0, 2_400), 200, _FUTURES_DEPTHS, (499, 2), 1, 20)
    for path in ("/fapi/v1", "/dapi/v1")
}
_MARKETS = {
    "binance-spot": _SPOT,
    # Its weights are lower; counting spot's stays on the safe side of its lower limit.
    "binanceus-spot": _Market("/api/v3", _limits(4.0, 1_200), 1024, _SPOT_DEPTHS, (1000, 2), 20, 4),
    "binance-usdm": _FUTURES["/fapi/v1"],
    "binance-coinm": _FUTURES["/dapi/v1"],
}
_STREAMS: dict[Channel, str] = {
    "trades": "aggTrade",
    "book": "depth@100ms",
    "quote": "bookTicker",
    "kline": "kline_1m",
    "mark": "markPrice@1s",
}
_PUBLIC: frozenset[Channel] = frozenset(("book", "quote"))


class _Error(Struct):
    code: int = 0
    msg: str = ""


class _Head(Struct):
    """A message that is no market data."""

    id: Text | None = None
    e: str = ""
    data: msgspec.Raw = msgspec.Raw()
    result: msgspec.Raw = msgspec.Raw()
    error: _Error | None = None
    code: int | None = None
    msg: str = ""
    event: msgspec.Raw = msgspec.Raw()


class _Time(Struct):
    serverTime: int


class _Trade(Struct):
    a: int


class _Candle(Struct, array_like=True):
    start: int


_head = decoder(_Head)
_time = decoder(_Time)
_error = decoder(_Error)
_trades = decoder(list[_Trade])
_candles = decoder(list[_Candle])
_STREAM = b'{"stream":"'
_SYSTEM = b"!"
# Error codes that mean: not now.
_BUSY = {-1003: 60.0, -1008: 30.0, -1001: 5.0, -1016: 30.0}


class BinanceDialect:
    """One of Binance's markets."""

    def __init__(self, venue: str, config: CollectorConfig) -> None:
        self.venue = venue
        self._market = _MARKETS[venue]
        self.limits = self._market.limits
        self._endpoints = endpoints(venue, config)
        self._routed = venue == "binance-usdm" and not config.address
        depths = self._market.depths
        self._depth = next((each for each in depths if each[0] >= config.book_depth), depths[-1])

    def plans(self, instruments: Sequence[Instrument], channels: Sequence[Channel]) -> list[Plan]:
        """Connections to combined streams; USD-M's of each kind on its own path."""
        if not self._routed:
            return self._on("stream", "/stream", instruments, channels)
        public = [channel for channel in channels if channel in _PUBLIC]
        market = [channel for channel in channels if channel not in _PUBLIC]
        return [
            *self._on("public", "/public/stream", instruments, public),
            *self._on("market", "/market/stream", instruments, market),
        ]

    def _on(
        self, name: str, path: str, instruments: Sequence[Instrument], channels: Sequence[Channel]
    ) -> list[Plan]:
        wanted = [each for each in subscriptions(instruments, channels) if each]
        most = self._market.streams // max((len(each) for each in wanted), default=1)
        plans: list[Plan] = []
        for share in shares(wanted, most):
            on_it = tuple(subscription for each in share for subscription in each)
            streams = [_stream(subscription) for subscription in on_it]
            hello = batches(streams, _subscribe, len(streams), MESSAGE_BYTES)
            url = f"{self._endpoints.ws}{path}"
            plans.append(Plan(self.venue, f"{name}-{len(plans) + 1}", url, hello, on_it))
        return plans

    def control(self, data: bytes) -> Control | None:
        """What a message says about its connection; None for market data."""
        if data.startswith(_STREAM) and data[11:12] != _SYSTEM:
            return None
        try:
            head = _head(data)
            if head.e == "" and (within := head.data or head.event):
                head = _head(within)
        except UNREADABLE:
            return None
        name = "" if head.id is None else str(head.id)
        if head.e == "serverShutdown":
            return Control("shutdown", "the venue announced that it cuts this connection")
        if head.error is not None:
            return Control("error", f"{head.error.code} {head.error.msg}", name)
        if head.code is not None:
            return Control("error", f"{head.code} {head.msg}", name)
        return Control("ack", id=name) if head.result else None

    def resubscribe_book(self, subscription: Subscription) -> tuple[bytes, ...]:
        """Nothing: the stream has changes alone, a snapshot comes by `book`."""
        return ()

    def instruments(self) -> list[Request]:
        """All of them come at once."""
        return [self._request("exchangeInfo", self._market.info_weight)]

    def next_page(self, request: Request, answer: bytes) -> Request | None:
        """Trades after the last of a full answer, candles after the newest of one."""
        try:
            if "/aggTrades?" in request.url:
                trades = _trades(answer)
                if len(trades) >= PAGE:
                    return with_query(request, fromId=trades[-1].a + 1, startTime=None)
            elif "/klines?" in request.url:
                candles = _candles(answer)
                if len(candles) >= self._market.klines[0]:
                    return with_query(request, startTime=candles[-1].start + MINUTE_MS)
        except UNREADABLE:
            return None  # the parser says what is wrong with it
        return None

    def time(self) -> Request:
        """The market's clock."""
        return self._request("time", 1)

    def server_time_us(self, answer: bytes) -> int:
        """Microseconds UTC, to the millisecond; VenueError for another form."""
        try:
            return _time(answer).serverTime * 1000
        except UNREADABLE as error:
            raise VenueError(f"{self.venue}: the time was {answer[:100]!r} ({error})") from None

    def book(self, venue_symbol: str) -> Request:
        """A snapshot of the next depth above `collector.book_depth`."""
        limit, weight = self._depth
        return self._request("depth", weight, symbol=venue_symbol, limit=limit)

    def trades(self, venue_symbol: str, after_id: str, since_us: int) -> Request:
        """Aggregates from the next id on; without an id, from the time on."""
        weight = self._market.trades_weight
        after = {"fromId": int(after_id) + 1} if after_id else {"startTime": since_us // 1000}
        return self._request("aggTrades", weight, symbol=venue_symbol, limit=PAGE, **after)

    def klines(self, venue_symbol: str, since_us: int) -> Request:
        """One-minute candles, oldest first, from the one that holds `since_us`."""
        limit, weight = self._market.klines
        start = since_us // 1000 // MINUTE_MS * MINUTE_MS
        query: dict[str, str | int] = {
            "symbol": venue_symbol,
            "interval": "1m",
            "startTime": start,
            "limit": limit,
        }
        return self._request("klines", weight, **query)

    def refusal(self, answer: bytes) -> RateLimited | str | None:
        """A refusal is `{"code","msg"}`; where it says until when, until then."""
        if not answer.lstrip().startswith(b'{"code"'):
            return None
        try:
            error = _error(answer)
        except UNREADABLE:
            return None
        text = f"{error.code} {error.msg}"
        if error.code not in _BUSY:
            return text
        until = re.search(r"banned until (\d{13})", error.msg)
        wait = _BUSY[error.code]
        if until is not None:
            wait = max(int(until[1]) / 1000 - time.time(), 1.0)
        return RateLimited(wait, banned=until is not None, text=text)

    def _request(self, kind: str, weight: int, **query: str | int) -> Request:
        url = f"{self._endpoints.rest}{self._market.path}/{kind}"
        if query:
            url += f"?{urlencode(query)}"
        return Request(self.venue, url, weight, self._endpoints.headers)


def _stream(subscription: Subscription) -> str:
    return f"{subscription.venue_symbol.lower()}@{_STREAMS[subscription.channel]}"


def _subscribe(streams: Iterable[str], number: int) -> str:
    names = ",".join(f'"{stream}"' for stream in streams)
    return f'{{"method":"SUBSCRIBE","params":[{names}],"id":{number}}}'
