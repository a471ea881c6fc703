"""The model's frames through the feed: nothing refused, nothing unknown, no gap."""

from collections import Counter

import pytest

from schemas import events
from venues.feed import Feed
from venues.simulator.faults import Faults
from venues.simulator.listings import VENUE_NAMES
from venues.simulator.market import DEFAULT_SYMBOLS, Market

SECONDS = 62
BOOKS = 2 * len(DEFAULT_SYMBOLS)
# The feed takes quotes from bookTicker, orderbook.1 and bbo-tbt, so tickers add nothing here.
NOT_TAKEN = ("response", "subscribe", "tickers")


def venues_of(exchange: str) -> tuple[str, ...]:
    return tuple(name for name in VENUE_NAMES if name.startswith(exchange))


def told(feed: Feed, market: Market, seconds: int, faults: Faults | None = None) -> list[object]:
    """All events of the market's first seconds."""
    frames = market.frames() if faults is None else faults.apply(market.frames())
    end = market.start_us + seconds * 1_000_000
    out: list[object] = []
    for frame in frames:
        if frame.receive_time >= end:
            break
        out.extend(feed.receive(frame))
    return out


@pytest.mark.parametrize("exchange", ["binance", "bybit", "okx"])
def test_a_minute_of_market_passes_the_feed_without_gap_or_refusal(exchange: str) -> None:
    market = Market(seed=1, venues=venues_of(exchange), events_per_second=350.0, news_per_hour=0.0)
    feed = Feed()
    found = told(feed, market, SECONDS)
    records = Counter(type(event).__name__ for event in found)
    statuses = {event.status for event in found if isinstance(event, events.FeedStatus)}
    assert feed.refused == []
    assert all(kind.startswith(NOT_TAKEN) for _, kind in feed.ignored)
    assert statuses <= {"CONNECTED"}
    assert feed.wants_snapshot() == set()
    assert feed.finish() == []
    assert records["Instrument"] == BOOKS
    assert records["BookSnapshot"] == BOOKS
    assert records["BookDelta"] > 4 * SECONDS * BOOKS
    assert {"Trade", "Quote", "Kline", "MarkPrice", "Funding"} <= set(records)
    closed = [event for event in found if isinstance(event, events.Kline) and event.closed]
    assert len(closed) == BOOKS


@pytest.mark.parametrize("seed", [1, 2])
def test_books_kept_from_the_feed_never_cross(seed: int) -> None:
    """A level that a snapshot showed between two diffs is taken away by the next ones."""
    books: dict[tuple[str, str], tuple[dict[float, float], dict[float, float]]] = {}
    sequences: dict[tuple[str, str], int] = {}
    seen = 0
    for event in told(Feed(), Market(seed=seed, events_per_second=1_500.0), 12):
        if isinstance(event, events.BookSnapshot):
            books[event.venue, event.symbol] = dict(event.bids), dict(event.asks)
            sequences[event.venue, event.symbol] = event.sequence
        elif isinstance(event, events.BookDelta):
            name = event.venue, event.symbol
            if event.sequence <= sequences[name]:
                continue
            sequences[name] = event.sequence
            for side, changed in zip(books[name], (event.bids, event.asks), strict=True):
                side.update(changed)
                for price, quantity in changed:
                    if quantity == 0:
                        del side[price]
            assert max(books[name][0]) < min(books[name][1]), event
            seen += 1
    assert seen > 500


@pytest.mark.parametrize("exchange", ["binance", "bybit", "okx"])
def test_lost_frames_are_announced_as_gaps(exchange: str) -> None:
    market = Market(seed=1, venues=venues_of(exchange), events_per_second=350.0)
    found = told(Feed(), market, 20, Faults(seed=5, drop_share=0.03))
    statuses = Counter(event.status for event in found if isinstance(event, events.FeedStatus))
    assert statuses["GAP"] > 0


def test_headlines_become_news() -> None:
    market = Market(seed=2, venues=("binance-spot",), events_per_second=50.0, news_per_hour=3_600.0)
    feed = Feed()
    found = [event for event in told(feed, market, 30) if isinstance(event, events.News)]
    assert feed.refused == []
    assert len(found) > 10
    assert all(event.receive_time > event.event_time for event in found)
    assert all(event.currencies[0] in ("BTC", "ETH", "SOL") for event in found)
