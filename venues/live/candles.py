"""Closed one-minute candles of a venue: each once, and from where on they are missing."""

from collections import OrderedDict
from collections.abc import Iterable

from schemas.events import Kline

# Candles remembered of an instrument: two hours.
REMEMBER = 120
MINUTE_US = 60_000_000

Values = tuple[float, float, float, float, float]


class Candles:
    """What closed candles were written, by symbol."""

    def __init__(self) -> None:
        self._closed: dict[str, OrderedDict[int, Values]] = {}
        self._begun: dict[str, int] = {}

    def begin(self, symbol: str, time_us: int) -> None:
        """Candles of a symbol are wanted from the one of this time on."""
        self._begun.setdefault(symbol, time_us // MINUTE_US * MINUTE_US)

    def is_new(self, kline: Kline) -> bool:
        """Whether a closed candle was not written yet, or is corrected; then it is noted."""
        closed = self._closed.setdefault(kline.symbol, OrderedDict())
        values = (kline.open, kline.high, kline.low, kline.close, kline.volume)
        if closed.get(kline.open_time) == values:
            return False
        closed[kline.open_time] = values
        if len(closed) > REMEMBER:
            closed.popitem(last=False)
        return True

    def missed(self, klines: Iterable[Kline]) -> list[Kline]:
        """Those of an answer that are closed and were not written, oldest first; noted then."""
        found = sorted((each for each in klines if each.closed), key=_open_time)
        since = {each.symbol: self.since(each.symbol) for each in found}
        return [
            each for each in found if each.open_time >= since[each.symbol] and self.is_new(each)
        ]

    def since(self, symbol: str) -> int:
        """Open time of the first candle that is missing or still open, microseconds."""
        closed = self._closed.get(symbol)
        return max(closed) + MINUTE_US if closed else self._begun.get(symbol, 0)


def _open_time(kline: Kline) -> int:
    return kline.open_time
