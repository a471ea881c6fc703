"""How Bybit v5 wants to be talked to: spot and linear.

REST has no trades after an id, only the newest: 60 on spot, 1,000 on linear. What a busy market
traded before those in a longer interruption cannot be had.
"""

from collections.abc import Iterable, Sequence
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
from venues.messages import UNREADABLE, Millis, Text, decoder

ARGS_CHARACTERS = 21_000
"""All arguments of a connection together."""
SPOT_ARGS = 10
"""In one request; linear has no limit, 100 keep messages small."""
LINEAR_ARGS = 100
MESSAGE_BYTES = 16_384
DEPTHS = (50, 200, 1000)
PAGE = 1000
MINUTE_MS = 60_000
TRADES = {"spot": 60, "linear": 1000}

_TOPIC = b'{"topic":"'
# Error codes that mean: not now. 10006: too many visits, 10018: of this address, 10429: of all.
_BUSY = {10006: 5.0, 10018: 5.0, 10429: 5.0, 10000: 2.0, 10016: 2.0}


class _Head(Struct):
    """A message that is no market data."""

    topic: str = ""
    success: bool | None = None
    ret_msg: str = ""
    op: str = ""
    req_id: str = ""
    type: str = ""


class _Answer(Struct):
    retCode: int
    retMsg: str = ""
    result: msgspec.Raw = msgspec.Raw(b"{}")
    time: Millis = 0


class _Paged(Struct):
    nextPageCursor: str = ""


class _Candle(Struct, array_like=True):
    start: int


class _Candles(Struct):
    rows: list[_Candle] = msgspec.field(name="list", default_factory=list)


class _Time(Struct):
    timeNano: Text = ""


_head = decoder(_Head)
_answer = decoder(_Answer)
_paged = decoder(_Paged)
_time = decoder(_Time)
_candles = decoder(_Candles)


class BybitDialect:
    """One of Bybit's markets (category)."""

    limits = Limits(
        messages_per_s=20.0,
        connections_per_s=500 / 300,
        connections_over_s=60.0,
        rest_weight=600,
        rest_window_s=5.0,
        rest_busy=b'{"retCode":10006',
        ping=b'{"op":"ping"}',
        ping_every_s=20.0,
    )

    def __init__(self, venue: str, config: CollectorConfig) -> None:
        self.venue = venue
        self._category = venue.partition("-")[2]
        self._endpoints = endpoints(venue, config)
        self._depth = next((each for each in DEPTHS if each >= config.book_depth), DEPTHS[-1])
        self._args = SPOT_ARGS if self._category == "spot" else LINEAR_ARGS

    def plans(self, instruments: Sequence[Instrument], channels: Sequence[Channel]) -> list[Plan]:
        """Connections, each with all channels of its instruments."""
        wanted = [each for each in subscriptions(instruments, channels) if each]
        longest = max(
            (sum(len(self._topic(one)) + 3 for one in each) for each in wanted), default=1
        )
        url = f"{self._endpoints.ws}/v5/public/{self._category}"
        plans: list[Plan] = []
        for share in shares(wanted, max(ARGS_CHARACTERS // longest, 1)):
            on_it = tuple(subscription for each in share for subscription in each)
            topics = [self._topic(subscription) for subscription in on_it]
            hello = batches(topics, _subscribe, self._args, MESSAGE_BYTES)
            plans.append(Plan(self.venue, f"public-{len(plans) + 1}", url, hello, on_it))
        return plans

    def _topic(self, subscription: Subscription) -> str:
        kind = {
            "trades": "publicTrade",
            "book": f"orderbook.{self._depth}",
            "quote": "orderbook.1",
            "kline": "kline.1",
            "mark": "tickers",
        }[subscription.channel]
        return f"{kind}.{subscription.venue_symbol}"

    def control(self, data: bytes) -> Control | None:
        """What a message says about its connection; None for market data."""
        if data.startswith(_TOPIC):
            return None
        try:
            head = _head(data)
        except UNREADABLE:
            return None
        if head.topic or not (head.op or head.type):
            return None
        if "pong" in (head.op, head.ret_msg):
            return Control("pong", id=head.req_id)
        if head.success is None:
            return Control("notice", head.ret_msg or head.op, head.req_id)
        return Control("ack" if head.success else "error", head.ret_msg, head.req_id)

    def resubscribe_book(self, subscription: Subscription) -> tuple[bytes, ...]:
        """A new subscription begins with the whole book."""
        topic = self._topic(subscription)
        return _request_of("unsubscribe", [topic], "book"), _request_of(
            "subscribe", [topic], "book"
        )

    def instruments(self) -> list[Request]:
        """The first 1,000; spot has no pages and sends all."""
        return [self._request("instruments-info", limit=PAGE)]

    def next_page(self, request: Request, answer: bytes) -> Request | None:
        """What a cursor leads to; candles after the newest of a full answer."""
        try:
            result = _answer(answer).result
            if "/instruments-info?" in request.url:
                cursor = _paged(result).nextPageCursor
                return with_query(request, cursor=cursor) if cursor else None
            if "/kline?" in request.url and len(candles := _candles(result).rows) >= PAGE:
                return with_query(request, **_minutes(candles[0].start + MINUTE_MS))
        except UNREADABLE:
            return None  # the parser says what is wrong with it
        return None

    def time(self) -> Request:
        """The venue's clock."""
        return Request(self.venue, f"{self._endpoints.rest}/v5/market/time")

    def server_time_us(self, answer: bytes) -> int:
        """Microseconds UTC; VenueError for another form."""
        try:
            whole = _answer(answer)
            nanoseconds = int(_time(whole.result).timeNano or whole.time * 1_000_000)
        except (*UNREADABLE, ValueError) as error:
            raise VenueError(f"{self.venue}: the time was {answer[:100]!r} ({error})") from None
        return nanoseconds // 1000

    def book(self, venue_symbol: str) -> None:
        """Nothing: the stream begins with the whole book; REST's is numbered otherwise."""
        return

    def trades(self, venue_symbol: str, after_id: str, since_us: int) -> Request:
        """The newest trades, whatever is known: the answer may begin before or after it."""
        return self._request("recent-trade", symbol=venue_symbol, limit=TRADES[self._category])

    def klines(self, venue_symbol: str, since_us: int) -> Request:
        """One-minute candles from the one that holds `since_us`; newest first."""
        span = _minutes(since_us // 1000 // MINUTE_MS * MINUTE_MS)
        return self._request("kline", symbol=venue_symbol, interval="1", limit=PAGE, **span)

    def refusal(self, answer: bytes) -> RateLimited | str | None:
        """Bybit answers with status 200 and a `retCode`."""
        try:
            said = _answer(answer)
        except UNREADABLE:
            return None
        if said.retCode == 0:
            return None
        text = f"{said.retCode} {said.retMsg}"
        wait = _BUSY.get(said.retCode)
        return text if wait is None else RateLimited(wait, text=text)

    def _request(self, kind: str, **query: str | int) -> Request:
        asked = urlencode({"category": self._category, **query})
        url = f"{self._endpoints.rest}/v5/market/{kind}?{asked}"
        return Request(self.venue, url, 1, self._endpoints.headers)


def _minutes(start_ms: int) -> dict[str, int]:
    """As many candles as an answer holds: which of more it would hold is not documented."""
    return {"start": start_ms, "end": start_ms + PAGE * MINUTE_MS - 1}


def _subscribe(topics: Iterable[str], number: int) -> str:
    return _request_of("subscribe", topics, str(number)).decode()


def _request_of(op: str, topics: Iterable[str], number: str) -> bytes:
    names = ",".join(f'"{topic}"' for topic in topics)
    return f'{{"req_id":"{number}","op":"{op}","args":[{names}]}}'.encode()
