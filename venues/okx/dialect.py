"""How OKX v5 wants to be talked to: spot, linear and inverse.

Trades come by `trades-all`, one a fill: REST gives fills under the same ids. The channel `trades`
sends several fills as one under the last one's id, so a fill that was fetched could not be known
for one that was in it. It and candles are on the `business` service, all else on `public`.
"""

from collections.abc import Iterable, Sequence
from typing import Literal
from urllib.parse import urlencode

import msgspec
from msgspec import Struct

from schemas.errors import VenueError
from schemas.events import Instrument
from venues.config import Channel, CollectorConfig
from venues.live.dialect import Control, Limits, Plan, RateLimited, Request, Subscription
from venues.live.endpoints import endpoints
from venues.live.pages import query_of, with_query
from venues.live.plans import batches, shares, subscriptions
from venues.messages import UNREADABLE, Text, decoder

DEEP_BOOKS = 25
"""Books of 400 levels on a connection; OKX asks for fewer than 30."""
INSTRUMENTS = 100
"""Instruments on a connection without deep books; not a limit of OKX."""
REQUEST_ARGS = 100
MESSAGE_BYTES = 32_768
"""Half of what OKX takes."""
TRADES, CANDLES = 100, 300
MINUTE_MS = 60_000
SHALLOW = 5

_BUSINESS: frozenset[Channel] = frozenset(("trades", "kline"))
_TYPES = {
    "okx-spot": ("SPOT",),
    "okx-swap": ("SWAP", "FUTURES"),
    "okx-inverse": ("SWAP", "FUTURES"),
}
Kind = Literal["ack", "error", "notice", "shutdown"]
_UPGRADE = "64008"
_EVENTS: dict[str, Literal["ack", "error"]] = {
    "subscribe": "ack",
    "unsubscribe": "ack",
    "error": "error",
}
# Error codes that mean: not now.
_BUSY = {"50011": 2.0, "50001": 5.0, "50004": 2.0, "50013": 2.0, "50026": 5.0, "50061": 2.0}


class _Head(Struct):
    """A message that is no market data."""

    event: str = ""
    code: Text = ""
    msg: str = ""
    id: str = ""


class _Answer(Struct):
    code: Text
    msg: str = ""
    data: list[msgspec.Raw] = []


class _Time(Struct):
    ts: Text


class _Trade(Struct):
    tradeId: int


class _Candle(Struct, array_like=True):
    start: int


_head = decoder(_Head)
_answer = decoder(_Answer)
_time = decoder(_Time)
_trade = decoder(_Trade)
_candle = decoder(_Candle)
_ARGUMENT = b'{"arg":{'


class OkxDialect:
    """One of OKX's markets."""

    # A request weighs what it takes of 20 in 2 s, the limit of most kinds; the kinds are counted
    # apart by OKX and together here, on the safe side.
    limits = Limits(
        messages_per_s=3.0,
        connections_per_s=3.0,
        rest_weight=20,
        rest_window_s=2.0,
        rest_busy=b'{"code":"50011"',
        ping=b"ping",
        ping_every_s=20.0,
    )

    def __init__(self, venue: str, config: CollectorConfig) -> None:
        self.venue = venue
        self._endpoints = endpoints(venue, config)
        self._book = "books5" if config.book_depth <= SHALLOW else "books"

    def plans(self, instruments: Sequence[Instrument], channels: Sequence[Channel]) -> list[Plan]:
        """Connections to `public` and to `business`."""
        public = [channel for channel in channels if channel not in _BUSINESS]
        business = [channel for channel in channels if channel in _BUSINESS]
        deep = "book" in channels and self._book == "books"
        return [
            *self._on("public", instruments, public, DEEP_BOOKS if deep else INSTRUMENTS),
            *self._on("business", instruments, business, INSTRUMENTS),
        ]

    def _on(
        self, name: str, instruments: Sequence[Instrument], channels: Sequence[Channel], most: int
    ) -> list[Plan]:
        wanted = [each for each in subscriptions(instruments, channels) if each]
        url = f"{self._endpoints.ws}/ws/v5/{name}"
        plans: list[Plan] = []
        for share in shares(wanted, most):
            on_it = tuple(subscription for each in share for subscription in each)
            args = [arg for subscription in on_it for arg in self._args(subscription)]
            hello = batches(args, _subscribe, REQUEST_ARGS, MESSAGE_BYTES)
            plans.append(Plan(self.venue, f"{name}-{len(plans) + 1}", url, hello, on_it))
        return plans

    def _args(self, subscription: Subscription) -> list[str]:
        names = {
            "trades": ["trades-all"],
            "book": [self._book],
            "quote": ["bbo-tbt"],
            "kline": ["candle1m"],
            "mark": ["mark-price"],
        }[subscription.channel]
        name = subscription.venue_symbol
        if subscription.channel == "mark" and name.endswith("-SWAP"):
            names.append("funding-rate")
        return [f'{{"channel":"{channel}","instId":"{name}"}}' for channel in names]

    def control(self, data: bytes) -> Control | None:
        """What a message says about its connection; None for market data."""
        if data.startswith(_ARGUMENT):
            return None
        if data == b"pong":
            return Control("pong")
        try:
            head = _head(data)
        except UNREADABLE:
            return None
        if not head.event:
            return None
        kind: Kind = _EVENTS.get(head.event, "notice")
        if head.event == "notice" and str(head.code) == _UPGRADE:
            kind = "shutdown"
        return Control(kind, f"{head.code} {head.msg}".strip(), head.id)

    def resubscribe_book(self, subscription: Subscription) -> tuple[bytes, ...]:
        """A new subscription begins with the whole book."""
        args = self._args(subscription)
        return _request_of("unsubscribe", args, "book"), _request_of("subscribe", args, "book")

    def instruments(self) -> list[Request]:
        """A request a type; linear and inverse share types, so their answers hold both."""
        return [self._request("public/instruments", instType=kind) for kind in _TYPES[self.venue]]

    def next_page(self, request: Request, answer: bytes) -> Request | None:
        """What is older than a full answer and still newer than what was asked from."""
        before = query_of(request).get("before", "")
        try:
            if "/market/history-trades?" in request.url:
                ids = [_trade(row).tradeId for row in _answer(answer).data]
                full = TRADES
            elif "/market/candles?" in request.url:
                ids = [_candle(row).start for row in _answer(answer).data]
                full = CANDLES
            else:
                return None
        except UNREADABLE:
            return None  # the parser says what is wrong with it
        if len(ids) < full or not before or min(ids) <= int(before) + 1:
            return None
        return with_query(request, after=min(ids))

    def time(self) -> Request:
        """The venue's clock: 10 requests in 2 s."""
        return Request(self.venue, f"{self._endpoints.rest}/api/v5/public/time", 2, self._headers)

    def server_time_us(self, answer: bytes) -> int:
        """Microseconds UTC, to the millisecond; VenueError for another form."""
        try:
            return int(_time(_answer(answer).data[0]).ts) * 1000
        except (*UNREADABLE, ValueError, IndexError) as error:
            raise VenueError(f"{self.venue}: the time was {answer[:100]!r} ({error})") from None

    def book(self, venue_symbol: str) -> None:
        """Nothing: the stream begins with the whole book; REST's lags it."""
        return

    def trades(self, venue_symbol: str, after_id: str, since_us: int) -> Request:
        """Fills newer than an id, newest first; without an id the newest 100."""
        newer = {"type": "1", "before": after_id} if after_id else {}
        return self._request("market/history-trades", instId=venue_symbol, limit=TRADES, **newer)

    def klines(self, venue_symbol: str, since_us: int) -> Request:
        """One-minute candles from the one that holds `since_us`, newest first."""
        before = since_us // 1000 // MINUTE_MS * MINUTE_MS - 1
        query: dict[str, str | int] = {
            "instId": venue_symbol,
            "bar": "1m",
            "before": before,
            "limit": CANDLES,
        }
        return self._request("market/candles", **query)

    def refusal(self, answer: bytes) -> RateLimited | str | None:
        """OKX answers with a `code`, some with status 200."""
        try:
            said = _answer(answer)
        except UNREADABLE:
            return None
        code = str(said.code)
        if code == "0":
            return None
        text = f"{code} {said.msg}"
        wait = _BUSY.get(code)
        return text if wait is None else RateLimited(wait, text=text)

    @property
    def _headers(self) -> tuple[tuple[str, str], ...]:
        return self._endpoints.headers

    def _request(self, kind: str, **query: str | int) -> Request:
        url = f"{self._endpoints.rest}/api/v5/{kind}?{urlencode(query)}"
        return Request(self.venue, url, 1, self._headers)


def _subscribe(args: Iterable[str], number: int) -> str:
    return _request_of("subscribe", args, str(number)).decode()


def _request_of(op: str, args: Iterable[str], number: str) -> bytes:
    return f'{{"id":"{number}","op":"{op}","args":[{",".join(args)}]}}'.encode()
