"""The stage `seen` once more, in plain Python: what it must equal."""

import math
from collections import defaultdict

from processors.config import ProcessorsConfig
from schemas.events import (
    Clock,
    Event,
    Funding,
    Kline,
    MarkPrice,
    News,
    Quote,
    SentimentIndex,
    Trade,
)

_NEVER = -(1 << 62)

Key = tuple[str, str]


def one_nan(value: float) -> float:
    """All NaN as one, as the stages give them."""
    return math.nan if math.isnan(value) else value


class SeenModel:
    """Events that came before, as lists of what identifies them."""

    def __init__(self, config: ProcessorsConfig) -> None:
        self._config = config.seen
        self._keys: defaultdict[object, list[object]] = defaultdict(list)
        self._newest: dict[object, int] = {}
        self._quotes: dict[Key, tuple[int, int, tuple[str, ...]]] = {}

    def repeats(self, event: Event) -> bool:
        """Whether an event came before; it has come then."""
        most, others = self._config.trades, self._config.others
        match event:
            case Clock():
                repeated = self._old("clock", event.event_time)
            case News() | SentimentIndex():
                repeated = self._among("global", _content(event), others)
            case Quote():
                repeated = self._quote((event.symbol, event.venue), event)
            case Trade():
                key = (event.symbol, event.venue, "trade")
                repeated = bool(event.trade_id) and self._among(key, event.trade_id, most)
            case MarkPrice() | Funding(settled=False):
                repeated = self._old((event.symbol, event.venue, type(event)), event.event_time)
            case Funding() | Kline(closed=True):
                repeated = self._among((event.symbol, event.venue), _content(event), others)
            case _:
                repeated = False
        return repeated

    def _quote(self, key: Key, event: Quote) -> bool:
        prices = event.bid_price, event.bid_quantity, event.ask_price, event.ask_quantity
        said = tuple(map(repr, map(one_nan, prices)))
        sequence, newest, before = self._quotes.get(key, (-1, _NEVER, ()))
        time = event.event_time
        if event.sequence >= 0:
            limit = newest + 1000 * self._config.restart_ms
            repeated = event.sequence <= sequence and time < limit
        else:
            near = newest - time <= 1000 * self._config.set_back_ms
            repeated = near and (time < newest or (time == newest and said == before))
        if not repeated:
            known = event.sequence if event.sequence >= 0 else sequence
            self._quotes[key] = known, time, said
        return repeated

    def _old(self, key: object, time: int) -> bool:
        newest = self._newest.get(key, _NEVER)
        if time <= newest and newest - time <= 1000 * self._config.set_back_ms:
            return True
        self._newest[key] = time
        return False

    def _among(self, key: object, said: object, most: int) -> bool:
        if said in self._keys[key]:
            return True
        self._keys[key] = [*self._keys[key], said][-most:]
        return False


def _content(event: News | SentimentIndex | Kline | Funding) -> tuple[object, ...]:
    """What makes an event the same as another."""
    if isinstance(event, Kline):
        prices = event.open, event.high, event.low, event.close, event.volume
        return (event.interval, event.open_time, *map(repr, prices))
    unsaid = {"receive_time"} | ({"event_time"} if isinstance(event, News) else set())
    fields = {name: getattr(event, name) for name in event.__struct_fields__}
    return (type(event), *(repr(value) for name, value in fields.items() if name not in unsaid))
