"""A fault as it is asked for: by the control endpoint, by a script, by the weather."""

from typing import TYPE_CHECKING, Any, Literal, get_args

import msgspec
from msgspec import Struct

from schemas.errors import ConfigError
from venues.messages import UNREADABLE
from venues.simulator.server.channel import Channel, Kind

if TYPE_CHECKING:
    from venues.simulator.server.stage import Stage
    from venues.simulator.server.venue import Venue

FaultKind = Literal[
    "disconnect",
    "half_open",
    "gap",
    "duplicate",
    "reorder",
    "malformed",
    "unknown_field",
    "stale",
    "slow",
    "rate_limited",
    "banned",
    "server_error",
    "maintenance",
    "cut",
    "delisted",
    "news_burst",
    "news_edit",
]
OTHER_NAMES: dict[str, FaultKind] = {
    "half-open": "half_open",
    "429": "rate_limited",
    "418": "banned",
    "5xx": "server_error",
    "24h": "cut",
    "unknown-field": "unknown_field",
}
NEWS = "news"
"""In place of a venue: CryptoPanic and the index."""
Where = Literal["trades", "book", "quote", "kline", "mark", ""]
_KINDS: dict[str, tuple[Kind, ...]] = {
    "trades": ("trades",),
    "book": ("book",),
    "quote": ("quote", "top", "ticker"),
    "kline": ("kline",),
    "mark": ("mark", "funding", "ticker"),
}
_ONE_MESSAGE = {"gap", "duplicate", "reorder", "malformed", "unknown_field"}


class Fault(Struct, frozen=True, forbid_unknown_fields=True):
    """What is to go wrong, and where.

    `seconds` and `delay_s` are of the market (at 20x a twentieth of a wall second each).
    """

    fault: FaultKind
    venue: str = ""
    """Empty: all venues. `news` for 429, 418 and 5xx: the news addresses."""
    symbol: str = ""
    """Canonical or the venue's own; empty: all."""
    channel: Where | None = None
    """Whose messages; empty: all. Default: the book's for single messages, else all."""
    seconds: float = 0.0
    count: int = 1
    """Messages, or headlines of a burst."""
    connections: int = 0
    """At most so many, oldest first; 0: all."""
    delay_s: float = 1.0
    """Of `slow`."""
    status: int = 502
    """Of `server_error`."""
    repeat: bool = False
    """`stale` sends the last messages again each second."""
    at: float = 0.0
    """In scripts: market seconds after the start."""

    def as_dict(self) -> dict[str, Any]:
        """Those fields that were said."""
        found: dict[str, Any] = msgspec.to_builtins(self)
        plain = msgspec.to_builtins(Fault(self.fault))
        return {k: v for k, v in found.items() if k == "fault" or v != plain[k]}

    def venues(self, stage: "Stage") -> list["Venue"]:
        """The venues that it is for; ConfigError for an unknown one."""
        if self.venue == NEWS:
            return []
        if not self.venue:
            return list(stage.venues.values())
        found = stage.venues.get(self.venue)
        if found is None:
            raise ConfigError(
                f"venue was {self.venue!r}; the simulator has {', '.join(stage.venues)}"
            )
        if self.symbol and self.symbol_of(found) is None:
            known = ", ".join(found.instruments)
            raise ConfigError(f"symbol was {self.symbol!r}; {self.venue} has {known}")
        return [found]

    def symbol_of(self, venue: "Venue") -> str | None:
        """The venue's own name of `symbol`; None if it has no such instrument."""
        for name in (self.symbol, self.symbol.replace("-", ""), f"{self.symbol}-SWAP"):
            if name in venue.instruments:
                return name
        return None

    def matches(self, channel: Channel) -> bool:
        """Whether a channel is one of those that it is for."""
        where = self.channel
        if where is None:
            where = "book" if self.fault in _ONE_MESSAGE else ""
        if where and channel.kind not in _KINDS[where]:
            return False
        if not channel.symbol or not self.symbol:
            return bool(channel.symbol)
        plain = self.symbol.replace("-", "").removesuffix("SWAP")
        return channel.symbol.replace("-", "").removesuffix("SWAP") == plain


def parse(data: bytes | dict[str, Any]) -> Fault:
    """A fault from JSON; ConfigError with what was wrong and what is known."""
    try:
        fields = msgspec.json.decode(data) if isinstance(data, bytes) else dict(data)
        if not isinstance(fields, dict):
            raise ConfigError('a fault is a JSON object, e.g. {"fault": "disconnect"}')
        name = str(fields.get("fault", ""))
        fields["fault"] = OTHER_NAMES.get(name, name)
        if fields["fault"] not in get_args(FaultKind):
            raise ConfigError(f"fault was {name!r}; known are {', '.join(get_args(FaultKind))}")
        fault = msgspec.convert(fields, Fault)
    except UNREADABLE as error:
        raise ConfigError(f"the fault cannot be read: {error}") from None
    if fault.seconds < 0 or fault.delay_s < 0 or fault.at < 0 or fault.count < 1:
        raise ConfigError("seconds, delay_s and at must not be negative, count at least 1")
    return fault
