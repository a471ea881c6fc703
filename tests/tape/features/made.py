"""Forty minutes of a made market: three venues, two symbols, a headline, an index, funding."""

import random
from collections.abc import Iterator
from typing import Any

from schemas.events import (
    BookSnapshot,
    Clock,
    Event,
    Funding,
    MarkPrice,
    News,
    SentimentIndex,
    Trade,
)

BEGIN_US = 1_700_000_040_000_000
SECOND_US = 1_000_000
SECONDS = 2_400
VENUES = ("binance-spot", "bybit-spot", "okx-swap")
SYMBOLS = ("BTC-USDT", "ETH-USDT")
LEVELS = 10


def events(seed: int = 1, seconds: int = SECONDS) -> Iterator[Event]:
    """Each second: trades of every market, books of half of them, then the pulse."""
    pick = random.Random(seed)
    markets = [(venue, symbol) for venue in VENUES for symbol in SYMBOLS]
    prices = dict.fromkeys(SYMBOLS, 100.0)
    for second in range(seconds):
        now = BEGIN_US + second * SECOND_US
        yield Clock(event_time=now, receive_time=now + 10)
        for symbol in SYMBOLS:
            prices[symbol] *= 1 + pick.gauss(0, 2e-4)
        for venue, symbol in markets:
            price = prices[symbol] + pick.gauss(0, 0.01)
            time = now + pick.randrange(100_000, 900_000)
            head = {
                "venue": venue, "symbol": symbol, "event_time": time, "receive_time": time + 900
            }  # fmt: skip
            if pick.random() < 0.5 or second == 0:
                yield _book(pick, price, second + 1, head)
            for _ in range(pick.randrange(1, 3)):
                yield _trade(pick, price, head)
            if venue == "okx-swap" and second % 60 == 30:
                yield MarkPrice(**head, mark_price=price, index_price=price - 0.01)
                yield Funding(
                    **head, rate=1e-4, funding_time=now + 3_600 * SECOND_US, interval_hours=8.0
                )
        if second == 100:
            yield _headline(now)
            yield SentimentIndex(
                event_time=now, receive_time=now, index="fear_greed", value=60.0,
                classification="Greed",
            )  # fmt: skip


def _book(pick: random.Random, price: float, sequence: int, head: dict[str, Any]) -> BookSnapshot:
    sides = [
        [
            (round(price + sign * (0.02 + 0.01 * level), 2), round(1 + 5 * pick.random(), 3))
            for level in range(LEVELS)
        ]
        for sign in (-1, 1)
    ]
    return BookSnapshot(**head, sequence=sequence, depth=LEVELS, bids=sides[0], asks=sides[1])


def _trade(pick: random.Random, price: float, head: dict[str, Any]) -> Trade:
    return Trade(
        **head, trade_id=str(pick.getrandbits(40)), price=round(price + pick.gauss(0, 0.02), 2),
        quantity=round(0.001 + pick.random(), 3), aggressor_side=pick.choice(("BUY", "SELL")),
        kind="MARKET", count=1,
    )  # fmt: skip


def _headline(time: int) -> News:
    return News(
        event_time=time, receive_time=time, source="made", news_id="1", publisher="", title="Up",
        currencies=["BTC"], votes_positive=3, votes_negative=1, sentiment=0.5,
    )  # fmt: skip
