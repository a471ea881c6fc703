"""Binance's desk: combined and raw streams, SUBSCRIBE and its like, what streams say."""

import re
from collections.abc import Mapping
from typing import Any, Literal

import msgspec
from msgspec import Struct

from venues.simulator.server import binance_rest as rest
from venues.simulator.server.channel import Channel, Kind, Transform
from venues.simulator.server.memory import Book, Print, Row
from venues.simulator.server.session import Session
from venues.simulator.server.venue import Answer, Limits, Venue

Market = Literal["spot", "usdm", "coinm"]
MOST_STREAMS = 1_024
_LIMITS = {
    "spot": Limits(messages_per_s=5, ping_s=20.0, pong_s=60.0, rest_weight=6_000),
    "usdm": Limits(messages_per_s=10, ping_s=180.0, pong_s=600.0, rest_weight=2_400),
    "coinm": Limits(messages_per_s=10, ping_s=180.0, pong_s=600.0, rest_weight=2_400),
}
_KINDS: dict[str, Kind] = {
    "trade": "trades",
    "aggTrade": "trades",
    "depth": "book",
    "bookTicker": "quote",
    "kline_1m": "kline",
    "markPrice": "mark",
}
_SYMBOL = re.compile(r"[a-z0-9_]{2,30}")
_TRADE = re.compile(rb'"t":(\d+)')


class Trade(Struct):
    """`trade` and `aggTrade`."""

    p: str
    q: str
    T: int
    m: bool
    t: int = -1
    a: int = -1
    f: int = -1
    l: int = -1  # noqa: E741  # the venue's name


class Depth(Struct):
    """`depthUpdate`."""

    U: int
    u: int
    E: int
    b: list[list[str]]
    a: list[list[str]]


class Candle(Struct):
    """The `k` of a `kline`."""

    t: int
    T: int
    o: str
    h: str
    l: str  # noqa: E741  # the venue's name
    c: str
    v: str
    q: str
    n: int
    V: str
    Q: str


class Kline(Struct):
    """`kline`."""

    k: Candle


class Snapshot(Struct):
    """`depth` by REST."""

    lastUpdateId: int
    bids: list[list[str]]
    asks: list[list[str]]
    T: int = 0
    E: int = 0


class Wrapped(Struct):
    """A message of a combined stream."""

    data: msgspec.Raw


class Said(Struct):
    """What a client says."""

    method: str
    id: int | str | None = None
    params: list[Any] = []


_wrapped = msgspec.json.Decoder(Wrapped)
_trade = msgspec.json.Decoder(Trade)
_depth = msgspec.json.Decoder(Depth)
_kline = msgspec.json.Decoder(Kline)
_snapshot = msgspec.json.Decoder(Snapshot)
_said = msgspec.json.Decoder(Said)


class BinanceReader:
    """Reads messages of combined streams."""

    sends_whole = False

    def trades(self, data: bytes) -> list[Print]:
        """One trade or aggregate."""
        trade = _trade.decode(_wrapped.decode(data).data)
        aggregate = trade.a >= 0
        return [
            Print(
                str(trade.a if aggregate else trade.t),
                trade.T,
                trade.p,
                trade.q,
                trade.m,
                first=str(trade.f) if aggregate else "",
                last=str(trade.l) if aggregate else "",
            )
        ]

    def diff(self, book: Book, data: bytes) -> None:
        """A diff; one that the snapshot has already changes nothing."""
        diff = _depth.decode(_wrapped.decode(data).data)
        if diff.u > book.sequence:
            book.sequence, book.time_ms = diff.u, diff.E
            book.change(diff.b, diff.a)

    def candle(self, data: bytes) -> tuple[int, list[Any]]:
        """The row that `klines` gives."""
        k = _kline.decode(_wrapped.decode(data).data).k
        return k.t, [k.t, k.o, k.h, k.l, k.c, k.v, k.T, k.q, k.n, k.V, k.Q, "0"]

    def ticker(self, data: bytes) -> dict[str, Any]:
        """None is published."""
        return {}


class BinanceDesk:
    """One market of Binance."""

    def __init__(self, market: Market) -> None:
        self.market = market
        self.reader = BinanceReader()
        self.limits = _LIMITS[market]

    def key(self, data: bytes) -> bytes:
        """The stream's name."""
        if not data.startswith(b'{"stream":"'):
            return b""
        return data[11 : data.find(b'"', 11)]

    def classify(self, key: bytes) -> tuple[Kind, str]:
        """By the name's second part."""
        symbol, _, what = key.decode().partition("@")
        kind = _KINDS.get(what.partition("@")[0], "other")
        return kind, symbol.upper() if kind != "other" else ""

    def natives(self, symbol: str) -> tuple[bytes, ...]:
        """The streams that the market model publishes."""
        names = ["trade", "depth@100ms", "bookTicker", "kline_1m"]
        if self.market != "spot":
            names.append("markPrice@1s")
        return tuple(f"{symbol.lower()}@{name}".encode() for name in names)

    def listed(self, request: str, body: bytes) -> dict[str, dict[str, Any]] | None:
        """`exchangeInfo`'s symbols."""
        if "/exchangeInfo" not in request:
            return None
        return {entry["symbol"]: entry for entry in msgspec.json.decode(body)["symbols"]}

    def seed(self, venue: Venue, request: str, body: bytes) -> None:
        """The first snapshot of a book."""
        found = re.search(r"/depth\?.*\bsymbol=(\w+)", request)
        if found is None:
            return
        first = _snapshot.decode(body)
        book = Book(first.lastUpdateId, time_ms=first.T or first.E)
        bids: list[Row] = [*first.bids]
        book.replace(bids, [*first.asks])
        venue.instrument(found[1].upper()).begin_book(book)

    def serves(self, path: str) -> bool:
        """`/stream` and `/ws`, with or without names after it."""
        return path.rstrip("/") in {"/stream", "/ws"} or path.startswith("/ws/")

    def welcome(self, venue: Venue, session: Session) -> None:
        """`/stream?streams=a/b` and `/ws/a/b`; both may go on with SUBSCRIBE."""
        combined = session.path.startswith("/stream")
        names = session.query.get("streams", "") if combined else session.path[4:]
        for name in names.split("/"):
            if self._well_formed(name):
                self._listen(venue, session, name)

    def heard(self, venue: Venue, session: Session, text: str) -> None:
        """SUBSCRIBE, UNSUBSCRIBE and LIST_SUBSCRIPTIONS; errors in Binance's form."""
        try:
            said = _said.decode(text)
        except msgspec.ValidationError as error:
            session.say(_error(2, f"Invalid request: {error}", None))
            return
        except msgspec.DecodeError as error:
            session.say(_error(3, f"Invalid JSON: {error}", None))
            return
        match said.method:
            case "SUBSCRIBE" | "UNSUBSCRIBE":
                self._subscriptions(venue, session, said)
            case "LIST_SUBSCRIPTIONS":
                session.say(_result(list(session.channels), said.id))
            case _:
                session.say(
                    _error(
                        2,
                        f"Invalid request: unknown variant `{said.method}`, expected one of "
                        "`SUBSCRIBE`, `UNSUBSCRIBE`, `LIST_SUBSCRIPTIONS`",
                        said.id,
                    )
                )

    def _subscriptions(self, venue: Venue, session: Session, said: Said) -> None:
        for name in said.params:
            if not isinstance(name, str) or not self._well_formed(name):
                session.say(_error(2, f"Invalid request: invalid stream {name!r}", said.id))
                return
        if said.method == "UNSUBSCRIBE":
            for name in said.params:
                session.leave(name)
        else:
            if len(set(session.channels) | set(said.params)) > MOST_STREAMS:
                session.say(_error(2, f"Invalid request: over {MOST_STREAMS} streams", said.id))
                return
            for name in said.params:
                self._listen(venue, session, name)
        session.say(_result(None, said.id))

    def _well_formed(self, name: str) -> bool:
        symbol, at, what = name.partition("@")
        first, _, rest_of = what.partition("@")
        if not at or first not in _KINDS or not _SYMBOL.fullmatch(symbol):
            return False
        if first == "depth":
            return rest_of in {"", "0ms", "100ms", "250ms", "500ms", "1000ms"}
        if first == "markPrice":
            return self.market != "spot" and rest_of in {"", "1s"}
        return not rest_of

    def _listen(self, venue: Venue, session: Session, name: str) -> None:
        """Subscribe; a symbol that is not listed is accepted and silent, as on Binance."""
        if name in session.channels:
            return
        channel = self._channel(venue, name)
        if not session.path.startswith("/stream"):
            raw = b"raw " + channel.key
            channel = venue.derived(raw, channel, _unwrapped)
        session.listen(name, channel)

    def _channel(self, venue: Venue, name: str) -> Channel:
        key = name.encode()
        if key in venue.channels:
            return venue.channels[key]
        kind, symbol = self.classify(key)
        instrument = venue.find(symbol)
        native = instrument.channels.get(kind) if instrument is not None else None
        change = _change(native.key, key) if native is not None else None
        if native is None or change is None:
            return venue.channel(key) if instrument is not None else _silent(venue, key)
        return venue.derived(key, native, change)

    def weight(self, path: str, query: Mapping[str, str]) -> tuple[str, int]:
        """One limit for all."""
        return "", rest.weight(self.market, path, query)

    def answer(self, venue: Venue, path: str, query: Mapping[str, str]) -> Answer:
        """`/api/v3/…`, `/fapi/v1/…`, `/dapi/v1/…`."""
        return rest.answer(self.market, venue, path, query)

    def delisted(self, listing: dict[str, Any]) -> dict[str, Any] | None:
        """It stays in the list with another status."""
        listing["status"] = "BREAK" if self.market == "spot" else "SETTLING"
        return listing

    def notices(self, now_ms: int) -> tuple[str, ...]:
        """The event that announces the 24 h cut or a restart."""
        return (f'{{"stream":"!serverShutdown","data":{{"e":"serverShutdown","E":{now_ms}}}}}',)

    def maintenance(self) -> tuple[str, Answer]:
        """Binance's words for a system that is down."""
        text = '{"code":-1016,"msg":"This service is no longer available."}'
        return text, Answer(text, 503)

    def refusal(self, banned: bool, wait_s: int) -> Answer:
        """429, then 418."""
        text = "IP banned." if banned else "Too many requests."
        return Answer(
            f'{{"code":-1003,"msg":"{text} Please use WebSocket Streams for live updates."}}',
            418 if banned else 429,
            (("Retry-After", str(wait_s)),),
        )


def _silent(venue: Venue, key: bytes) -> Channel:
    return venue.channels.setdefault(key, Channel(venue.name, key, "other", ""))


def _change(native: bytes, wanted: bytes) -> Transform | None:
    """How a stream becomes another of its kind: another name, or trades as aggregates."""
    start, named = b'{"stream":"' + native, b'{"stream":"' + wanted
    cut = len(start)
    if native.endswith(b"@trade") and wanted.endswith(b"@aggTrade"):

        def aggregated(data: bytes) -> bytes:
            changed = _TRADE.sub(_aggregate, data[cut:], count=1)
            return named + changed.replace(b'"e":"trade"', b'"e":"aggTrade"', 1)

        return aggregated
    if native.partition(b"@")[2][:5] != wanted.partition(b"@")[2][:5]:
        return None
    return lambda data: named + data[cut:]


def _aggregate(found: re.Match[bytes]) -> bytes:
    trade = int(found[1])
    return b'"a":%d,"f":%d,"l":%d' % (trade - rest.AGGREGATES_BEHIND, trade, trade)


def _unwrapped(data: bytes) -> bytes:
    at = data.find(b',"data":')
    return data[at + 8 : -1] if at >= 0 else data


def _result(result: Any, identity: int | str | None) -> bytes:
    return msgspec.json.encode({"result": result, "id": identity})


def _error(code: int, message: str, identity: int | str | None) -> bytes:
    return msgspec.json.encode({"error": {"code": code, "msg": message}, "id": identity})
