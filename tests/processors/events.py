"""Events in few words, for tests that read as a specification. Times are seconds from a start."""

import math
from typing import Any

from schemas.events import (
    BookDelta,
    BookSnapshot,
    Clock,
    FeedStatus,
    Kline,
    Quote,
    Trade,
)
from tests.processors.sequences import SECOND_US, START_US

VENUE, SYMBOL = "binance-spot", "BTC-USDT"
# A whole hour.
START = START_US - START_US % (3600 * SECOND_US)

Levels = list[tuple[float, float]]


def at(seconds: float) -> int:
    """Microseconds UTC."""
    return START + round(seconds * SECOND_US)


def common(seconds: float, venue: str, symbol: str) -> dict[str, Any]:
    return {
        "venue": venue,
        "symbol": symbol,
        "event_time": at(seconds),
        "receive_time": at(seconds) + 5,
    }


def trade(
    seconds: float, price: float, quantity: float = 1.0, venue: str = VENUE, symbol: str = SYMBOL,
    **fields: Any,
) -> Trade:  # fmt: skip
    return Trade(
        **common(seconds, venue, symbol),
        price=price,
        quantity=quantity,
        **{"trade_id": "", "aggressor_side": "BUY", "kind": "MARKET", "count": 1, **fields},
    )


def snapshot(
    seconds: float, sequence: int, bids: Levels, asks: Levels, venue: str = VENUE,
    symbol: str = SYMBOL,
) -> BookSnapshot:  # fmt: skip
    return BookSnapshot(
        **common(seconds, venue, symbol), sequence=sequence, depth=0, bids=bids, asks=asks
    )


def delta(
    seconds: float, previous: int, sequence: int, bids: Levels, asks: Levels, venue: str = VENUE,
    symbol: str = SYMBOL,
) -> BookDelta:  # fmt: skip
    return BookDelta(
        **common(seconds, venue, symbol),
        previous_sequence=previous,
        sequence=sequence,
        bids=bids,
        asks=asks,
    )


def quote(
    seconds: float, bid: float, ask: float, venue: str = VENUE, symbol: str = SYMBOL
) -> Quote:
    return Quote(
        **common(seconds, venue, symbol),
        sequence=-1,
        bid_price=bid,
        bid_quantity=0.0 if math.isnan(bid) else 1.0,
        ask_price=ask,
        ask_quantity=0.0 if math.isnan(ask) else 1.0,
    )


def feed(
    seconds: float, status: Any, channel: str, venue: str = VENUE, symbol: str = SYMBOL
) -> FeedStatus:
    return FeedStatus(**common(seconds, venue, symbol), status=status, channel=channel, reason="")


def kline(
    opened: float, interval: str, close: float, volume: float = 1.0, venue: str = VENUE,
    symbol: str = SYMBOL, **fields: Any,
) -> Kline:  # fmt: skip
    return Kline(
        **common(opened + 1, venue, symbol),
        interval=interval,
        open_time=at(opened),
        open=close - 1,
        high=close + 2,
        low=close - 3,
        close=close,
        volume=volume,
        **{"closed": True, **fields},
    )


def clock(seconds: float) -> Clock:
    return Clock(event_time=at(seconds), receive_time=at(seconds) + 9)
