"""Posts and index values: both versions' forms, edits, votes, corrections, repeats."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.events import Event, News, SentimentIndex
from tests.data import shared_data
from venues import news
from venues.feed import Feed
from venues.frames import Frame
from venues.news import NewsReader
from venues.sentiment import Scorer, method, scorer

NOW = 1_767_225_700_000_000
SAMPLE = json.loads(Path(__file__).with_name("cryptopanic_v2.json").read_text())


def post(**changes: Any) -> dict[str, Any]:
    made = {
        "id": 7,
        "title": "Ether rallies",
        "published_at": "2026-01-01T00:00:00Z",
        "votes": {"positive": 10, "negative": 2, "important": 0},
        "currencies": [{"code": "ETH"}],
    }
    return {**made, **changes}


class Tape:
    """A feed that gets pages."""

    def __init__(self, news_scorer: Scorer | None = None) -> None:
        self.feed = Feed(news_scorer)

    def posts(self, *posts: Any) -> list[News]:
        events = self.answer("cryptopanic", {"results": list(posts)})
        assert all(isinstance(event, News) for event in events)
        return events  # type: ignore[return-value]  # checked above

    def answer(self, venue: str, answer: Any) -> list[Event]:
        data = json.dumps(answer).encode()
        return self.feed.receive(Frame(venue, f"{venue}-rest", NOW, data, "https://x"))


def test_v1_capture_is_read_whole() -> None:
    data = (shared_data() / "news" / "cryptopanic_posts_hot_2018-01-18.json").read_bytes()
    feed = Feed()
    frame = Frame("cryptopanic", "rest", NOW, data, "https://cryptopanic.com/api/posts/")
    events = [event for event in feed.receive(frame) if isinstance(event, News)]
    assert (len(events), feed.refused) == (40, [])
    newest = events[-1]
    assert newest.title == "NEO ($NEO) price is up 20.99%"
    assert newest.text == "This post is auto-generated based on coinmarketcap.com data."
    assert (newest.publisher, newest.currencies) == ("CoinMarketCap", ["NEO"])
    assert (newest.votes_positive, newest.votes_negative, newest.votes_important) == (4, 0, 2)
    assert newest.sentiment is not None
    assert newest.sentiment > 0
    assert feed.receive(frame) == []


def test_v2_posts_of_all_plans_are_read() -> None:
    full, developer, bare = Tape().posts(*reversed(SAMPLE["results"]))
    assert (full.news_id, full.publisher) == ("25112203", "Example Wire")
    assert full.url == "https://wire.example/etf-approved"
    assert full.currencies == ["BTC", "ETH"]
    assert (full.votes_positive, full.votes_negative, full.votes_important) == (12, 1, 7)
    assert full.text == "The approval follows a decade of filings & refusals. It is final."
    assert full.event_time == 1_767_225_600_000_000
    # The developer plan has title, description and times only.
    assert developer.text == "Withdrawals were halted after the theft."
    assert (developer.publisher, developer.url, developer.currencies) == ("", None, [])
    assert developer.votes_positive is None
    assert (developer.sentiment or 0) < 0 < (full.sentiment or 0)
    # Nothing but id and title: the time is when it was received.
    assert (bare.title, bare.event_time) == ("Weekly report", NOW)


def test_score_is_of_title_and_text_and_says_by_what_method() -> None:
    (found,) = Tape().posts(post(title="Ether up", description="The exploit drained it."))
    assert found.sentiment == scorer().score("Ether up", "The exploit drained it.")
    assert found.sentiment_method == method(scorer()) == "lexicon-1"


def test_another_method_takes_the_place_of_the_default() -> None:
    class Constant:
        name, version = "constant", "2"

        def score(self, title: str, text: str | None) -> float:
            return 0.25

    (found,) = Tape(Constant()).posts(post())
    assert (found.sentiment, found.sentiment_method) == (0.25, "constant-2")


def test_repeats_are_no_events() -> None:
    tape = Tape()
    assert len(tape.posts(post())) == 1
    assert tape.posts(post()) == []
    # White space and markup are no edit.
    assert tape.posts(post(title=" <b>Ether</b>  rallies")) == []
    assert tape.feed.ignored["cryptopanic", "nothing new"] == 2


@pytest.mark.parametrize(
    "change",
    [
        {"title": "Ether crashes"},
        {"description": "More is known."},
        {"url": "https://y"},
        {"source": {"title": "Wire"}},
        {"currencies": [{"code": "ETH"}, {"code": "BTC"}]},
    ],
)
def test_edit_is_an_event_of_the_same_id_scored_anew(change: dict[str, Any]) -> None:
    tape = Tape()
    (first,) = tape.posts(post())
    (second,) = tape.posts(post(**change))
    assert second.news_id == first.news_id
    assert second.sentiment == scorer().score(second.title, second.text)
    assert tape.posts(post(**change)) == []
    # Taken back, it is an edit once more.
    assert len(tape.posts(post())) == 1


def test_votes_are_an_event_when_three_and_half_as_many_again_were_cast() -> None:
    tape = Tape()

    def voted(positive: int, negative: int = 0) -> int:
        return len(tape.posts(post(votes={"positive": positive, "negative": negative})))

    assert voted(0) == 1
    assert voted(2) == 0
    assert voted(3) == 1
    assert voted(4, 1) == 0
    assert voted(5, 1) == 1
    assert voted(8, 0) == 1  # four moved: three more for it, one against it taken back
    assert voted(11) == 0
    # A post is few events on its way to many votes.
    assert sum(voted(votes) for votes in range(12, 1_001)) <= 13


def test_posts_come_oldest_first_and_one_that_is_damaged_spoils_no_other() -> None:
    tape = Tape()
    page = [post(id=3), {"id": 2, "title": None}, post(id=1)]
    assert [event.news_id for event in tape.posts(*page)] == ["1", "3"]
    (letter,) = tape.feed.refused
    assert letter.payload == b'{"id": 2, "title": null}'
    assert "title" in letter.reason
    # The next polls bring it again; once is enough.
    assert tape.posts(*page) == []
    assert len(tape.feed.refused) == 1


def test_errors_of_the_service_are_refused_with_what_it_said() -> None:
    tape = Tape()
    said = {"status": "api_error", "info": "API monthly quota exceeded"}
    assert tape.answer("cryptopanic", said) == []
    assert tape.answer("alternative", {"data": [], "metadata": {"error": "down"}}) == []
    assert tape.answer("alternative", {}) == []
    reasons = [letter.reason for letter in tape.feed.refused]
    assert "API monthly quota exceeded" in reasons[0]
    assert "down" in reasons[1]
    assert len(reasons) == 3


def day(timestamp: int, value: str, name: str = "Fear") -> dict[str, str]:
    return {"value": value, "value_classification": name, "timestamp": str(timestamp)}


def test_index_values_are_read_once_and_corrections_again() -> None:
    tape = Tape()
    days = [{**day(1_767_312_000, "30"), "time_until_update": "100"}, day(1_767_225_600, "23")]

    def values(data: list[dict[str, str]]) -> list[tuple[int, float]]:
        answer = {"name": "Fear and Greed Index", "data": data, "metadata": {"error": None}}
        events = tape.answer("alternative", answer)
        return [(e.event_time, e.value) for e in events if isinstance(e, SentimentIndex)]

    today, yesterday = 1_767_312_000_000_000, 1_767_225_600_000_000
    assert values(days) == [(yesterday, 23.0), (today, 30.0)]
    assert values(days) == []
    days[1] = day(1_767_225_600, "24")
    assert values(days) == [(yesterday, 24.0)]
    days[0] = day(1_767_312_000, "30", "Neutral")
    assert values(days) == [(today, 30.0)]


def test_memory_is_bounded_and_keeps_what_was_seen_last(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(news, "REMEMBER", 2)
    tape = Tape()
    tape.posts(post(id=1), post(id=2))
    assert tape.posts(post(id=2)) == []
    tape.posts(post(id=3))
    assert tape.posts(post(id=2)) == []
    assert len(tape.posts(post(id=1))) == 1


def test_long_texts_are_cut() -> None:
    (found,) = Tape().posts(post(description="word " * 10_000))
    assert len(found.text or "") == news.TEXT_LIMIT


@settings(max_examples=100)
@given(
    st.lists(
        st.lists(
            st.tuples(st.integers(1, 3), st.sampled_from("ab"), st.integers(0, 40)), max_size=4
        ),
        max_size=6,
    )
)
def test_last_event_of_a_post_is_near_what_the_service_last_said(
    pages: list[list[tuple[int, str, int]]],
) -> None:
    reader = NewsReader("cryptopanic", scorer())
    told: dict[str, News] = {}
    said: dict[str, tuple[str, int]] = {}
    for page in pages:
        results = [post(id=i, title=title, votes={"positive": v}) for i, title, v in page]
        found = reader.read(json.dumps({"results": results}).encode(), NOW)
        for event in found if isinstance(found, list) else []:
            assert isinstance(event, News)
            told[event.news_id] = event
        said |= {str(i): (title, votes) for i, title, votes in reversed(page)}
    assert told.keys() == said.keys()
    for key, (title, votes) in said.items():
        assert told[key].title == title
        before = told[key].votes_positive or 0
        assert abs(before - votes) < max(news.VOTES_MOVED, news.VOTES_SHARE * before)
