"""Bybit's desk: topics, subscribe and ping, what topics say."""

from collections.abc import Mapping
from typing import Any, Literal

import msgspec
from msgspec import Struct

from venues.simulator.server import bybit_rest as rest
from venues.simulator.server.channel import Channel, Kind
from venues.simulator.server.memory import Book, Print, Row
from venues.simulator.server.session import Session
from venues.simulator.server.venue import Answer, Limits, Venue

Category = Literal["spot", "linear"]
MOST_SPOT_ARGS = 10
_KINDS: dict[str, Kind] = {
    "publicTrade": "trades",
    "orderbook.1": "top",
    "orderbook.200": "book",
    "orderbook.1000": "book",
    "kline.1": "kline",
    "tickers": "ticker",
}
_TOPIC = b'{"topic":"'


class Trade(Struct):
    """One of a `publicTrade` message."""

    T: int
    S: str
    v: str
    p: str
    i: str
    seq: int = -1


class Trades(Struct):
    """`publicTrade`."""

    data: list[Trade]


class Levels(Struct):
    """The book's part of `orderbook`."""

    b: list[list[str]]
    a: list[list[str]]
    u: int
    seq: int = -1


class Diff(Struct):
    """`orderbook`."""

    type: str
    ts: int
    data: Levels
    cts: int = 0


class Candle(Struct):
    """One of a `kline` message."""

    start: int
    open: str
    high: str
    low: str
    close: str
    volume: str
    turnover: str


class Kline(Struct):
    """`kline`."""

    data: list[Candle]


class Ticker(Struct):
    """`tickers`: whole, or the fields that changed."""

    data: dict[str, Any]


class Said(Struct):
    """What a client says."""

    op: str
    args: list[Any] = []
    req_id: str = ""


_trades = msgspec.json.Decoder(Trades)
_diff = msgspec.json.Decoder(Diff)
_kline = msgspec.json.Decoder(Kline)
_ticker = msgspec.json.Decoder(Ticker)
_said = msgspec.json.Decoder(Said)


class BybitReader:
    """Reads topics' messages."""

    sends_whole = True

    def trades(self, data: bytes) -> list[Print]:
        """All trades of a message."""
        return [
            Print(row.i, row.T, row.p, row.v, row.S == "Sell", row.seq)
            for row in _trades.decode(data).data
        ]

    def diff(self, book: Book, data: bytes) -> None:
        """A snapshot begins the book anew; a delta before the first is passed over."""
        message = _diff.decode(data)
        bids: list[Row] = [*message.data.b]
        asks: list[Row] = [*message.data.a]
        if message.type == "snapshot":
            book.replace(bids, asks)
        elif book.sequence < 0:
            return
        else:
            book.change(bids, asks)
        book.sequence, book.second_sequence = message.data.u, message.data.seq
        book.time_ms = message.cts or message.ts

    def candle(self, data: bytes) -> tuple[int, list[Any]]:
        """The row that `kline` gives by REST."""
        row = _kline.decode(data).data[-1]
        values = [row.open, row.high, row.low, row.close, row.volume, row.turnover]
        return row.start, [str(row.start), *values]

    def ticker(self, data: bytes) -> dict[str, Any]:
        """The fields said."""
        return _ticker.decode(data).data


class BybitDesk:
    """One category of Bybit."""

    limits = Limits(silence_s=600.0, rest_weight=600, rest_s=5.0)

    def __init__(self, category: Category) -> None:
        self.category = category
        self.reader = BybitReader()

    def key(self, data: bytes) -> bytes:
        """The topic."""
        if not data.startswith(_TOPIC):
            return b""
        return data[10 : data.find(b'"', 10)]

    def classify(self, key: bytes) -> tuple[Kind, str]:
        """By the topic's first parts."""
        what, _, symbol = key.decode().rpartition(".")
        kind = _KINDS.get(what, "other")
        return kind, symbol if kind != "other" else ""

    def natives(self, symbol: str) -> tuple[bytes, ...]:
        """The topics that the market model publishes."""
        names = ("publicTrade", "orderbook.200", "orderbook.1", "kline.1", "tickers")
        return tuple(f"{name}.{symbol}".encode() for name in names)

    def listed(self, request: str, body: bytes) -> dict[str, dict[str, Any]] | None:
        """The list of `instruments-info`."""
        if "/instruments-info" not in request:
            return None
        entries = msgspec.json.decode(body)["result"]["list"]
        return {entry["symbol"]: entry for entry in entries}

    def seed(self, venue: Venue, request: str, body: bytes) -> None:
        """Books begin by their streams."""

    def serves(self, path: str) -> bool:
        """The category's own path."""
        return path.rstrip("/") == f"/v5/public/{self.category}"

    def welcome(self, venue: Venue, session: Session) -> None:
        """Nothing is subscribed by the address."""

    def heard(self, venue: Venue, session: Session, text: str) -> None:
        """Subscribe, unsubscribe and ping; errors in Bybit's form."""
        try:
            said = _said.decode(text)
        except msgspec.MsgspecError as error:
            session.say(self._reply(session, False, f"Json format error: {error}", "", ""))
            return
        match said.op:
            case "ping":
                session.say(self._reply(session, True, "pong", said.req_id, "ping"))
            case "subscribe":
                self._subscribe(venue, session, said)
            case "unsubscribe":
                for topic in said.args:
                    session.leave(topic)
                session.say(self._reply(session, True, "", said.req_id, "unsubscribe"))
            case _:
                text = f"error:unknown op {said.op}"
                session.say(self._reply(session, False, text, said.req_id, said.op))

    def _reply(self, session: Session, good: bool, text: str, identity: str, op: str) -> bytes:
        return msgspec.json.encode(
            {
                "success": good,
                "ret_msg": text,
                "conn_id": f"simulator-{self.category}-{session.number}",
                "req_id": identity,
                "op": op,
            }
        )

    def _subscribe(self, venue: Venue, session: Session, said: Said) -> None:
        """All of a request or nothing; then the snapshots that some topics begin with."""
        fault = self._fault(venue, said.args)
        if fault:
            session.say(self._reply(session, False, fault, said.req_id, "subscribe"))
            return
        done = "subscribe" if self.category == "spot" else ""
        session.say(self._reply(session, True, done, said.req_id, "subscribe"))
        for topic in said.args:
            session.leave(topic)
            channel = self._channel(venue, topic)
            first = self._first(venue, topic, channel)
            if first:
                session.say(first)
            session.listen(topic, channel)

    def _fault(self, venue: Venue, topics: list[Any]) -> str:
        """What is wrong with a request; empty if nothing is."""
        if self.category == "spot" and len(topics) > MOST_SPOT_ARGS:
            return f"args size >{MOST_SPOT_ARGS}"
        for topic in topics:
            kind, symbol = self.classify(str(topic).encode())
            if kind == "other":
                return f"error:handler not found,topic:{topic}"
            if venue.find(symbol) is None:
                return f"Invalid symbol :[{topic}]"
        return ""

    def _channel(self, venue: Venue, topic: str) -> Channel:
        key = topic.encode()
        if key in venue.channels:
            return venue.channels[key]
        kind, symbol = self.classify(key)
        native = venue.instrument(symbol).channels.get(kind)
        if native is None:
            return venue.channel(key)
        start, named = _TOPIC + native.key, _TOPIC + key
        return venue.derived(key, native, lambda data: named + data[len(start) :])

    def _first(self, venue: Venue, topic: str, channel: Channel) -> bytes:
        """What a topic begins with: books whole, and linear tickers."""
        instrument = venue.instrument(channel.symbol)
        if channel.kind in {"book", "top"}:
            book = instrument.book(channel.kind)
            return b"" if book is None else self._whole(topic, instrument.symbol, book)
        if channel.kind == "ticker" and self.category == "linear" and instrument.ticker():
            ms = venue.now_ms()
            return msgspec.json.encode(
                {
                    "topic": topic,
                    "type": "snapshot",
                    "data": instrument.ticker(),
                    "cs": ms,
                    "ts": ms,
                }
            )
        return b""

    def _whole(self, topic: str, symbol: str, book: Book) -> bytes:
        depth = int(topic.split(".")[1])
        bids, asks = book.sides(depth)
        return msgspec.json.encode(
            {
                "topic": topic,
                "type": "snapshot",
                "ts": book.time_ms + 1,
                "data": {
                    "s": symbol,
                    "b": bids,
                    "a": asks,
                    "u": book.sequence,
                    "seq": book.second_sequence,
                },
                "cts": book.time_ms,
            }
        )

    def weight(self, path: str, query: Mapping[str, str]) -> tuple[str, int]:
        """One limit for all."""
        return "", 1

    def answer(self, venue: Venue, path: str, query: Mapping[str, str]) -> Answer:
        """`/v5/market/…`."""
        return rest.answer(self.category, venue, path, query)

    def delisted(self, listing: dict[str, Any]) -> dict[str, Any] | None:
        """The list has only what is traded."""
        return None

    def notices(self, now_ms: int) -> tuple[str, ...]:
        """Bybit documents no announcement."""
        return ()

    def maintenance(self) -> tuple[str, Answer]:
        """Bybit's words for a system that is down."""
        text = '{"success":false,"ret_msg":"System under maintenance","op":"","conn_id":""}'
        body = '{"retCode":10016,"retMsg":"System under maintenance","result":{},"retExtInfo":{}}'
        return text, Answer(body, 503)

    def refusal(self, banned: bool, wait_s: int) -> Answer:
        """Bybit bans by 403."""
        return Answer(
            '{"retCode":10006,"retMsg":"Too many visits!","result":{},"retExtInfo":{}}',
            403 if banned else 429,
            (("Retry-After", str(wait_s)),),
        )
