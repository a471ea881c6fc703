"""The model's frames through the feed: nothing refused, nothing unknown, no gap."""

from collections import Counter

import pytest

from schemas import events
from venues.simulator.faults import Faults
from venues.simulator.market import Market

feed_module = pytest.importorskip("venues.feed")
SECONDS = 60


def test_a_minute_of_market_passes_the_feed_without_gap_or_refusal() -> None:
    market = Market(seed=1, events_per_second=1_000.0, news_per_hour=240.0)
    feed = feed_module.Feed()
    records: Counter[str] = Counter()
    gaps = []
    end = market.start_us + SECONDS * 1_000_000
    for frame in market.frames():
        if frame.receive_time >= end:
            break
        for event in feed.receive(frame):
            records[type(event).__name__] += 1
            if isinstance(event, events.FeedStatus) and event.status in ("GAP", "LOST"):
                gaps.append(event)
    for event in feed.finish():
        records[type(event).__name__] += 1
    assert gaps == []
    assert list(feed.refused) == []
    assert records["Instrument"] == 18
    assert records["BookSnapshot"] == 18
    kinds = {"Trade", "BookDelta", "Quote", "Kline", "MarkPrice", "Funding", "News"}
    assert kinds <= set(records)
    assert feed.wants_snapshot() == set()


def test_lost_frames_are_announced_as_gaps() -> None:
    market = Market(seed=1, events_per_second=1_000.0)
    feed = feed_module.Feed()
    statuses: Counter[str] = Counter()
    end = market.start_us + 20 * 1_000_000
    for frame in Faults(seed=5, drop_share=0.02).apply(market.frames()):
        if frame.receive_time >= end:
            break
        for event in feed.receive(frame):
            if isinstance(event, events.FeedStatus):
                statuses[event.status] += 1
    assert statuses["GAP"] > 0
