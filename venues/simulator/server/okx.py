"""OKX's desk: channels by instrument, subscribe and ping, what channels say."""

from collections.abc import Mapping
from typing import Any, Literal

import msgspec
from msgspec import Struct

from venues.simulator.server import okx_rest as rest
from venues.simulator.server.channel import Channel, Kind
from venues.simulator.server.memory import Book, Print, Row
from venues.simulator.server.session import Session
from venues.simulator.server.venue import Answer, Limits, Venue

Type = Literal["SPOT", "SWAP"]
_KINDS: dict[str, Kind] = {
    "trades": "trades",
    "trades-all": "trades",
    "books": "book",
    "bbo-tbt": "quote",
    "candle1m": "kline",
    "tickers": "ticker",
    "mark-price": "mark",
    "funding-rate": "funding",
}
BUSINESS = {"candle1m", "trades-all"}
"""Channels of the address `business`; the others are of `public`."""
_ONLY_SWAP = {"mark-price", "funding-rate"}
_ARG = b'{"arg":{'


class Trade(Struct):
    """A row of `trades`."""

    tradeId: str
    px: str
    sz: str
    side: str
    ts: str
    seqId: int = -1


class Trades(Struct):
    """`trades`."""

    data: list[Trade]


class Levels(Struct):
    """A row of `books`."""

    asks: list[list[str]]
    bids: list[list[str]]
    ts: str
    seqId: int = 0
    checksum: int = 0


class Diff(Struct):
    """`books`."""

    data: list[Levels]
    action: str = "snapshot"


class Rows(Struct):
    """Channels whose rows are given by REST as they are."""

    data: list[Any]


class Said(Struct):
    """What a client says."""

    op: str
    args: list[dict[str, str]]
    id: str = ""


_trades = msgspec.json.Decoder(Trades)
_diff = msgspec.json.Decoder(Diff)
_rows = msgspec.json.Decoder(Rows)
_said = msgspec.json.Decoder(Said)


class OkxReader:
    """Reads channels' messages."""

    sends_whole = True

    def trades(self, data: bytes) -> list[Print]:
        """All trades of a message."""
        return [
            Print(row.tradeId, int(row.ts), row.px, row.sz, row.side == "sell", row.seqId)
            for row in _trades.decode(data).data
        ]

    def diff(self, book: Book, data: bytes) -> None:
        """A snapshot begins the book anew; an update before the first is passed over."""
        message = _diff.decode(data)
        for row in message.data:
            bids: list[Row] = [*row.bids]
            asks: list[Row] = [*row.asks]
            if message.action == "snapshot":
                book.replace(bids, asks)
            elif book.sequence < 0:
                return
            else:
                book.change(bids, asks)
            book.sequence, book.time_ms, book.checksum = row.seqId, int(row.ts), row.checksum

    def candle(self, data: bytes) -> tuple[int, list[Any]]:
        """The row as it is."""
        row = _rows.decode(data).data[-1]
        return int(row[0]), row

    def ticker(self, data: bytes) -> dict[str, Any]:
        """The row as it is."""
        row: dict[str, Any] = _rows.decode(data).data[-1]
        return row


class OkxDesk:
    """One instrument type of OKX."""

    limits = Limits(silence_s=30.0, rest_weight=40, rest_s=2.0)

    def __init__(self, kind: Type) -> None:
        self.kind = kind
        self.reader = OkxReader()

    def key(self, data: bytes) -> bytes:
        """Channel and instrument, as the message's `arg` has them."""
        if not data.startswith(_ARG):
            return b""
        return data[8 : data.find(b"}", 8)]

    def classify(self, key: bytes) -> tuple[Kind, str]:
        """By the channel's name."""
        arg = msgspec.json.decode(b"{" + key + b"}")
        kind = _KINDS.get(arg.get("channel", ""), "other")
        return kind, arg.get("instId", "") if kind != "other" else ""

    def natives(self, symbol: str) -> tuple[bytes, ...]:
        """The channels that the market model publishes."""
        names = [name for name in _KINDS if name != "trades-all"]
        if self.kind == "SPOT":
            names = [name for name in names if name not in _ONLY_SWAP]
        return tuple(_key(name, symbol) for name in names)

    def listed(self, request: str, body: bytes) -> dict[str, dict[str, Any]] | None:
        """The rows of `public/instruments` of the type."""
        if "/public/instruments" not in request:
            return None
        rows = msgspec.json.decode(body)["data"]
        return {row["instId"]: row for row in rows if row["instType"] == self.kind}

    def seed(self, venue: Venue, request: str, body: bytes) -> None:
        """Books begin by their streams."""

    def serves(self, path: str) -> bool:
        """`/ws/v5/public` and `/ws/v5/business`."""
        return path in {"/ws/v5/public", "/ws/v5/business"}

    def welcome(self, venue: Venue, session: Session) -> None:
        """Nothing is subscribed by the address."""

    def heard(self, venue: Venue, session: Session, text: str) -> None:
        """Subscribe, unsubscribe and ping; errors in OKX's form."""
        if text == "ping":
            session.say("pong")
            return
        try:
            said = _said.decode(text)
        except msgspec.MsgspecError:
            session.say(self._error(session, "60012", f"Invalid request: {text[:200]}"))
            return
        for arg in said.args:
            if said.op == "subscribe":
                self._subscribe(venue, session, arg)
            elif said.op == "unsubscribe":
                session.leave(_name(arg))
                session.say(self._event(session, "unsubscribe", arg))
            else:
                session.say(self._error(session, "60012", f"Invalid request: {text[:200]}"))

    def _event(self, session: Session, event: str, arg: Mapping[str, str]) -> bytes:
        return msgspec.json.encode({"event": event, "arg": arg, "connId": f"{session.number:08x}"})

    def _error(self, session: Session, code: str, text: str) -> bytes:
        body = {"event": "error", "code": code, "msg": text, "connId": f"{session.number:08x}"}
        return msgspec.json.encode(body)

    def _subscribe(self, venue: Venue, session: Session, arg: dict[str, str]) -> None:
        name, symbol = arg.get("channel", ""), arg.get("instId", "")
        here = (name in BUSINESS) == session.path.endswith("business")
        if name not in _KINDS or not here or (self.kind == "SPOT" and name in _ONLY_SWAP):
            text = (
                f"Wrong URL or channel:{name},instId:{symbol} doesn't exist. Please use the "
                "correct URL, channel and parameters referring to API document."
            )
            session.say(self._error(session, "60018", text))
            return
        if venue.find(symbol) is None:
            text = f"channel:{name},instId:{symbol} doesn't exist"
            session.say(self._error(session, "60018", text))
            return
        session.say(self._event(session, "subscribe", arg))
        session.leave(_name(arg))
        channel = self._channel(venue, name, symbol)
        for data in self._first(venue, channel):
            session.say(data)
        session.listen(_name(arg), channel)

    def _channel(self, venue: Venue, name: str, symbol: str) -> Channel:
        key = _key(name, symbol)
        if key in venue.channels:
            return venue.channels[key]
        native = venue.instrument(symbol).channels.get(_KINDS[name])
        if native is None:
            return venue.channel(key)
        cut, named = len(_ARG + native.key), _ARG + key
        return venue.derived(key, native, lambda data: named + data[cut:])

    def _first(self, venue: Venue, channel: Channel) -> list[bytes]:
        """What a channel begins with: the book whole; of slow channels the newest message."""
        instrument = venue.instrument(channel.symbol)
        if channel.kind == "book":
            book = instrument.book()
            return [] if book is None else [self._whole(channel, book)]
        if channel.kind in {"mark", "funding", "quote"} and channel.recent:
            return [channel.recent[-1]]
        return []

    def _whole(self, channel: Channel, book: Book) -> bytes:
        bids, asks = book.sides(400)
        row = {
            "asks": asks,
            "bids": bids,
            "ts": str(book.time_ms),
            "checksum": book.checksum,
        }
        if book.sequence:
            row |= {"prevSeqId": -1, "seqId": book.sequence}
        data = msgspec.json.encode([row])
        return _ARG + channel.key + b'},"action":"snapshot","data":' + data + b"}"

    def weight(self, path: str, query: Mapping[str, str]) -> tuple[str, int]:
        """Each path has a limit of its own."""
        return path, 1

    def answer(self, venue: Venue, path: str, query: Mapping[str, str]) -> Answer:
        """`/api/v5/…`."""
        return rest.answer(self.kind, venue, path, query)

    def delisted(self, listing: dict[str, Any]) -> dict[str, Any] | None:
        """The list has only what is traded."""
        return None

    def notices(self, now_ms: int) -> tuple[str, ...]:
        """The notice of a service upgrade."""
        return (
            '{"event":"notice","code":"64008","msg":"The connection will soon be closed for a '
            'service upgrade. Please reconnect.","connId":"a4d3ae55"}',
        )

    def maintenance(self) -> tuple[str, Answer]:
        """OKX's words for a system that is down."""
        text = (
            '{"event":"error","code":"50001","msg":"Service temporarily unavailable. '
            'Try again later.","connId":"a4d3ae55"}'
        )
        body = '{"code":"50001","data":[],"msg":"Service temporarily unavailable. Try again later"}'
        return text, Answer(body, 503)

    def refusal(self, banned: bool, wait_s: int) -> Answer:
        """OKX's code for too many requests."""
        return Answer(
            '{"code":"50011","data":[],"msg":"Too Many Requests"}',
            403 if banned else 429,
            (("Retry-After", str(wait_s)),),
        )


def _key(name: str, symbol: str) -> bytes:
    return f'"channel":"{name}","instId":"{symbol}"'.encode()


def _name(arg: Mapping[str, str]) -> str:
    return f"{arg.get('channel', '')}:{arg.get('instId', '')}"
