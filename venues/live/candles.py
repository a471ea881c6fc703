"""Closed one-minute candles of a venue: each once, and which are missing."""

from collections import OrderedDict
from collections.abc import Iterable

from schemas.events import Kline

# Candles remembered of an instrument: two hours.
REMEMBER = 120
MINUTE_US = 60_000_000

Values = tuple[float, float, float, float, float]


class Candles:
    """What closed candles were written, by symbol; none is missing before a symbol's floor."""

    def __init__(self) -> None:
        self._closed: dict[str, OrderedDict[int, Values]] = {}
        self._floor: dict[str, int] = {}

    def begin(self, symbol: str, time_us: int) -> None:
        """Candles of a symbol are wanted from the one of this time on."""
        self._floor.setdefault(symbol, time_us // MINUTE_US * MINUTE_US)

    def is_new(self, kline: Kline) -> bool:
        """Whether a closed candle was not written yet, or is corrected; then it is noted."""
        symbol, at = kline.symbol, kline.open_time
        closed = self._closed.setdefault(symbol, OrderedDict())
        values = (kline.open, kline.high, kline.low, kline.close, kline.volume)
        if closed.get(at) == values:
            return False
        closed[at] = values
        self._floor.setdefault(symbol, at)
        if len(closed) > REMEMBER:
            oldest, _ = closed.popitem(last=False)
            self._floor[symbol] = max(self._floor[symbol], oldest + MINUTE_US)
        return True

    def missed(self, klines: Iterable[Kline]) -> list[Kline]:
        """Those of an answer that are closed and were not written, oldest first; noted then."""
        return [
            each
            for each in sorted((each for each in klines if each.closed), key=_open_time)
            if each.open_time >= self._floor.get(each.symbol, 0)
            and each.open_time not in self._closed.get(each.symbol, ())
            and self.is_new(each)
        ]

    def has_hole(self, symbol: str) -> bool:
        """Whether one is missing before the newest that was written."""
        closed = self._closed.get(symbol)
        return bool(closed) and self.since(symbol) < max(closed or (0,))

    def since(self, symbol: str) -> int:
        """Open time of the first candle that is missing or still open, microseconds."""
        at = self._floor.get(symbol, 0)
        closed = self._closed.get(symbol, OrderedDict())
        while at in closed:
            at += MINUTE_US
        return at

    def settle(self, symbol: str) -> None:
        """The venue was asked: what is still missing is not to be had."""
        closed = self._closed.get(symbol)
        if closed:
            self._floor[symbol] = max(self._floor[symbol], *closed)


def _open_time(kline: Kline) -> int:
    return kline.open_time
