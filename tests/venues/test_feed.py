"""The feed: nothing is dropped in silence, nothing crashes it, connections are told."""

import json
from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.events import DeadLetter, FeedStatus
from tests.venues import samples
from tests.venues.binance.test_stream import NOW, trade
from venues.feed import PAYLOAD_LIMIT, Feed
from venues.frames import Frame

TRADE = json.dumps({"stream": "btcusdt@trade", "data": trade()}, separators=(",", ":")).encode()


def test_a_malformed_frame_is_a_dead_letter_with_its_reason() -> None:
    feed = Feed()
    data = TRADE.replace(b'"60000.5"', b'"nan"')
    assert feed.receive(Frame("binance-usdm", "one", NOW, data)) == []
    (letter,) = feed.refused
    assert letter == DeadLetter(
        source="feed", topic="binance-usdm", partition=-1, offset=-1, event_time=NOW,
        reason=letter.reason, payload=data,
    )  # fmt: skip
    assert "float" in letter.reason


def test_a_dead_letters_payload_is_cut() -> None:
    feed = Feed()
    feed.receive(Frame("binance-usdm", "one", NOW, b"x" * (PAYLOAD_LIMIT + 9)))
    assert len(feed.refused[0].payload) == PAYLOAD_LIMIT


def test_an_unknown_venue_is_refused_by_name() -> None:
    feed = Feed()
    feed.receive(Frame("kraken-spot", "one", NOW, b"{}"))
    feed.receive(Frame("kraken-spot", "one", NOW, b"{}", "https://example.org/x"))
    assert ["kraken-spot" in letter.reason for letter in feed.refused] == [True, True]


def test_the_first_message_of_each_connection_says_connected() -> None:
    feed = Feed()
    for connection in ("one", "one", "two"):
        feed.receive(Frame("binance-usdm", connection, NOW, TRADE))
    assert feed.counts == {
        ("binance-usdm", "BTC-USDT", "Trade"): 3,
        ("binance-usdm", "BTC-USDT", "FeedStatus"): 2,
    }


def test_a_new_connection_that_goes_on_without_a_gap_keeps_its_book() -> None:
    feed = Feed()
    url = "https://api.binance.com/api/v3/depth?symbol=BTCUSDT&limit=5"
    snapshot = b'{"lastUpdateId":10,"bids":[["1","1"]],"asks":[["2","1"]]}'
    feed.receive(Frame("binance-spot", "rest", NOW, snapshot, url))
    statuses = []
    for connection, first in (("one", 11), ("two", 12), ("three", 14)):
        message = {"e": "depthUpdate", "E": NOW // 1000, "s": "BTCUSDT", "U": first, "u": first,
                   "b": [], "a": []}  # fmt: skip
        events = feed.receive(Frame("binance-spot", connection, NOW, json.dumps(message).encode()))
        statuses.append([e.status for e in events if isinstance(e, FeedStatus)])
    assert statuses == [["CONNECTED"], ["CONNECTED"], ["CONNECTED", "GAP"]]
    assert feed.wants_snapshot() == {("binance-spot", "BTC-USDT")}


def test_counts_are_of_what_came_out() -> None:
    feed = Feed()
    out: Counter[str] = Counter()
    for name, exchange, data in samples.examples():
        for event in feed.receive(samples.frame(name, exchange, data)):
            out[type(event).__name__] += 1
    for event in feed.finish():
        out[type(event).__name__] += 1
    found: Counter[str] = Counter()
    for (_, _, record), number in feed.counts.items():
        found[record] += number
    assert found == out


def test_news_and_sentiment_are_read_once() -> None:
    feed = Feed()
    post = {"id": 5, "title": "Ünïcode", "published_at": "2026-01-01T00:00:00Z",
            "currencies": [{"code": "BTC"}], "votes": {"positive": 3}}  # fmt: skip
    page = Frame("cryptopanic", "r", NOW, json.dumps({"results": [post]}).encode(), "https://x")
    (news,) = feed.receive(page)
    assert (news.title, news.votes_positive, news.event_time) == (  # type: ignore[attr-defined]
        "Ünïcode", 3, 1_767_225_600_000_000,
    )  # fmt: skip
    assert feed.receive(page) == []
    day = {"value": "23", "value_classification": "Extreme Fear", "timestamp": "1767225600"}
    answer = json.dumps({"data": [day]}).encode()
    (index,) = feed.receive(Frame("alternative", "r", NOW, answer, "https://x"))
    assert index.value == 23.0  # type: ignore[attr-defined]


EXAMPLES = [samples.frame(name, exchange, data) for name, exchange, data in samples.examples()]


@settings(max_examples=250)
@given(st.sampled_from(EXAMPLES), st.data())
def test_damaged_frames_never_crash_and_never_pass_in_silence(
    frame: Frame, data: st.DataObject
) -> None:
    place = data.draw(st.integers(0, max(len(frame.data) - 1, 0)))
    cut = data.draw(st.integers(0, 8))
    put = data.draw(st.binary(max_size=4))
    damaged = frame.data[:place] + put + frame.data[place + cut :]
    feed = Feed()
    events = feed.receive(Frame(frame.venue, "x", NOW, damaged, frame.request))
    events += feed.finish()
    assert bool(events) + bool(feed.ignored) + bool(feed.refused) >= 1 or not json.loads(damaged)


@settings(max_examples=100)
@given(st.binary(max_size=60), st.sampled_from(["binance-spot", "bybit-linear", "okx-swap"]))
def test_any_bytes_at_all_are_refused_or_ignored(data: bytes, venue: str) -> None:
    feed = Feed()
    assert feed.receive(Frame(venue, "x", NOW, data)) == []
    assert len(feed.refused) + feed.ignored.total() == 1
