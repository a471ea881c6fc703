"""One connection to Binance: which parser reads a message, by its stream's name or event type."""

import re
from collections.abc import Callable
from typing import Any, Generic, TypeVar

import msgspec
from msgspec import Struct

from schemas.errors import VenueError
from schemas.events import Event
from venues.binance import stream
from venues.messages import Claims, Ignored, Parsed, decoder
from venues.symbols import Names

T = TypeVar("T")


class Wrapped(Struct, Generic[T], gc=False):
    """A message of a combined stream."""

    data: T


class Head(Struct):
    """What tells the kind of a message without a stream's name."""

    e: str = ""
    s: str = ""
    stream: str = ""
    data: msgspec.Raw = msgspec.Raw()
    u: msgspec.Raw = msgspec.Raw()
    B: msgspec.Raw = msgspec.Raw()
    lastUpdateId: int = -1
    result: msgspec.Raw = msgspec.Raw()
    error: msgspec.Raw = msgspec.Raw()
    method: str = ""
    event: msgspec.Raw = msgspec.Raw()


Decode = Callable[[bytes | msgspec.Raw], Any]
Route = tuple[Decode, stream.Make]

_WRAPPED = b'{"stream":"'
_head = decoder(Head)
_list = decoder(list[msgspec.Raw])
_PLAIN: dict[str, Route] = {
    kind: (decoder(message), make) for kind, (message, make) in stream.KINDS.items()
}
_COMBINED: dict[str, Route] = {
    kind: (decoder(Wrapped[message]), make)  # type: ignore[valid-type]  # made at run time
    for kind, (message, make) in stream.KINDS.items()
}
_PARTIAL: Decode = decoder(stream.PartialMessage)
_STREAMS = {"trade": "trade", "aggTrade": "aggTrade", "bookTicker": "bookTicker",
            "depth": "depthUpdate", "markPrice": "markPriceUpdate"}  # fmt: skip


# Kinds that say the same in two ways; of an instrument the first seen is taken.
_SAME = {"trade": "trades", "aggTrade": "trades", "depthUpdate": "book", "depth": "book"}


class BinanceLink:
    """Reads the WebSocket messages of one connection."""

    def __init__(self, names: Names, claims: Claims) -> None:
        self._names = names
        self._claims = claims
        self._routes: dict[bytes, Route] = {}

    def read(self, data: bytes, receive_time: int, newest: int) -> Parsed:
        """The events of a message; errors of msgspec and VenueError for one out of form."""
        if data.startswith(_WRAPPED):
            name = data[11 : data.find(b'"', 11)]
            route = self._routes.get(name) or self._route(name)
            if route is not None:
                decode, make = route
                try:
                    return make(decode(data).data, self._names, receive_time, newest)
                except msgspec.ValidationError:
                    pass  # perhaps another message in place of the stream's: by its own type
        return self._read_any(data, "", receive_time, newest)

    def _route(self, name: bytes) -> Route | None:
        """The parser of a stream that sends one message at a time of one kind, kept by name."""
        symbol, _, kind = name.decode().partition("@")
        kind = kind.partition("@")[0]
        kind = "kline" if kind.startswith("kline_") else _STREAMS.get(kind, "")
        route = _COMBINED.get(kind)
        if route is None or not self._claim(symbol.upper(), kind):
            return None
        self._routes[name] = route
        return route

    def _claim(self, symbol: str, kind: str) -> bool:
        """Whether this kind of message is the one taken of those that say the same."""
        what = _SAME.get(kind)
        return what is None or self._claims.claim(self._names.venue, symbol, what, kind)

    def _read_any(
        self, data: bytes | msgspec.Raw, name: str, receive_time: int, newest: int
    ) -> Parsed:
        if bytes(memoryview(data)[:1]) == b"[":
            return self._read_list(data, name, receive_time, newest)
        head = _head(data)
        if within := head.data or head.event:
            return self._read_any(within, head.stream or name, receive_time, newest)
        if partial_depth := re.fullmatch(r"(\w+)@depth(5|10|20)(@.*)?", name):
            return self._read_partial(data, partial_depth[1], receive_time, newest)
        kind = head.e or ("bookTicker" if head.u and head.B else "")
        route = _PLAIN.get(kind)
        if route is None:
            return Ignored(_unknown(head, name))
        if not self._claim(head.s, kind):
            return Ignored(f"{kind} beside another stream of {_SAME[kind]}")
        decode, make = route
        return make(decode(data), self._names, receive_time, newest)

    def _read_list(
        self, data: bytes | msgspec.Raw, name: str, receive_time: int, newest: int
    ) -> Parsed:
        """Streams of all symbols (`!bookTicker`, `!markPrice@arr`) send lists."""
        events: list[Event] = []
        for item in _list(data):
            parsed = self._read_any(item, name, receive_time, newest)
            if isinstance(parsed, Ignored):
                return parsed
            events.extend(parsed)
        return events

    def _read_partial(
        self, data: bytes | msgspec.Raw, symbol: str, receive_time: int, newest: int
    ) -> Parsed:
        if not self._claim(symbol.upper(), "depth"):
            return Ignored("partial depth beside another stream of book")
        message = _PARTIAL(data)
        return stream.partial(symbol.upper(), message, self._names, receive_time, newest)


def _unknown(head: Head, name: str) -> str:
    """The name of a kind that is not taken."""
    if head.e:
        return head.e
    if head.result:
        return "response"
    if head.error:
        return "error"
    if head.method:
        return "request"
    if head.lastUpdateId >= 0:
        raise VenueError("a partial depth message does not say of which symbol: use /stream?")
    return name.partition("@")[2] or "message of no known form"
