"""Made-up events of several venues and symbols, by a seed: trades, books, quotes, pulses."""

import random
from collections.abc import Iterator
from typing import Any

from schemas.events import BookDelta, BookSnapshot, Clock, Event, FeedStatus, Quote, Trade

BEGIN_US = 1_700_000_000_000_000
SYMBOLS = ("BTC-USDT", "ETH-USDT", "SOL-USDT", "XRP-USDT", "ADA-USDT", "LTC-USDT")
VENUES = ("binance-spot", "okx-spot", "bybit-linear")


def events(seed: int, count: int, symbols: tuple[str, ...] = SYMBOLS) -> Iterator[Event]:
    """So many events in the order of their receive time, with pulses and a few gaps."""
    pick = random.Random(seed)
    sequences = {(venue, symbol): 0 for venue in VENUES for symbol in symbols}
    now, pulse = BEGIN_US, BEGIN_US + 1_000_000
    made = 0
    while made < count:
        now += pick.randrange(4_000)
        while pulse <= now:
            yield Clock(event_time=pulse, receive_time=now)
            pulse += 1_000_000
            made += 1
        yield _event(pick, now, sequences, pick.choice(VENUES), pick.choice(symbols))
        made += 1


def _event(
    pick: random.Random, now: int, sequences: dict[tuple[str, str], int], venue: str, symbol: str
) -> Event:
    head: dict[str, Any] = {
        "venue": venue,
        "symbol": symbol,
        "event_time": now - 900,
        "receive_time": now,
    }
    sequence = sequences[venue, symbol]
    price = 100.0 + round(pick.gauss(0, 1), 2)
    kind = pick.randrange(100)
    if sequence == 0 or kind == 0:
        sequences[venue, symbol] = sequence + 10
        bids = [(round(99.9 - i / 10, 1), 1.0 + i) for i in range(20)]
        asks = [(round(100.1 + i / 10, 1), 1.0 + i) for i in range(20)]
        return BookSnapshot(**head, sequence=sequence + 10, depth=20, bids=bids, asks=asks)
    if kind == 1:
        return FeedStatus(**head, status="GAP", channel="book", reason="lost a line")
    if kind < 50:
        return Trade(
            **head, trade_id=str(pick.getrandbits(40)), price=price, quantity=pick.random(),
            aggressor_side=pick.choice(("BUY", "SELL")), kind="MARKET", count=1,
        )  # fmt: skip
    if kind < 60:
        return Quote(
            **head, sequence=sequence, bid_price=price, bid_quantity=1.0,
            ask_price=price + 0.1, ask_quantity=2.0,
        )  # fmt: skip
    previous = sequence + (1 if kind == 99 else 0)  # now and then a gap
    sequences[venue, symbol] = previous + 1
    level = (round(100 + pick.randrange(-30, 30) / 10, 1), float(pick.randrange(3)))
    bids, asks = ([level], []) if level[0] < 100 else ([], [level])
    return BookDelta(
        **head, previous_sequence=previous, sequence=previous + 1, bids=bids, asks=asks
    )
