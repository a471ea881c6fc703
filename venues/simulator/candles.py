"""One-minute candles from a book's trades, in ticks and lots: exact integers."""

from dataclasses import dataclass, replace

MINUTE_US = 60_000_000
Trade = tuple[int, int, int, int, int]
"""(time µs, ordinal, price ticks, lots, 1 where the taker bought)"""


@dataclass(slots=True)
class Candle:
    """A minute of trades; `notional` and `buy_notional` count ticks times lots."""

    open_us: int
    first_id: int
    open: int
    high: int
    low: int
    close: int
    lots: int = 0
    notional: int = 0
    count: int = 0
    buy_lots: int = 0
    buy_notional: int = 0


@dataclass(frozen=True, slots=True)
class Published:
    """A candle as it was at a time."""

    time_us: int
    candle: Candle
    closed: bool


class Candles:
    """The running minute of one book."""

    def __init__(self) -> None:
        self._candle: Candle | None = None
        self._last_close: int | None = None
        self.trade_id = 0
        """Number of trades so far, and so the id of the last one."""

    def advance(
        self, trades: list[Trade], start_us: int, end_us: int, publish_us: int
    ) -> list[Published]:
        """Takes the trades of [start, end), within one minute; what the venue says of its candle.

        The open candle is published at `publish_us` if it changed up to then; the closed one at the
        minute's end.
        """
        out: list[Published] = []
        changed = False
        early = 0
        for trade in trades:
            if trade[0] >= publish_us:
                break
            self._add(trade)
            changed = True
            early += 1
        if changed and self._candle is not None:
            out.append(Published(publish_us, replace(self._candle), False))
        for trade in trades[early:]:
            self._add(trade)
        if end_us % MINUTE_US == 0:
            out.extend(self._close(end_us))
        return out

    def _add(self, trade: Trade) -> None:
        time_us, _, price, lots, bought = trade
        self.trade_id += 1
        candle = self._candle
        if candle is None:
            open_us = time_us - time_us % MINUTE_US
            candle = self._candle = Candle(open_us, self.trade_id, price, price, price, price)
        candle.high = max(candle.high, price)
        candle.low = min(candle.low, price)
        candle.close = price
        candle.lots += lots
        candle.notional += price * lots
        candle.count += 1
        if bought:
            candle.buy_lots += lots
            candle.buy_notional += price * lots

    def _close(self, end_us: int) -> list[Published]:
        candle = self._candle
        if candle is None:
            if self._last_close is None:
                return []
            price = self._last_close
            candle = Candle(end_us - MINUTE_US, 0, price, price, price, price)
        self._last_close = candle.close
        self._candle = None
        return [Published(end_us, candle, True)]
