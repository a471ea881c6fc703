"""The features of sentiment are what their formulas give over the raw headlines and values."""

import csv
from dataclasses import dataclass
from datetime import date
from itertools import pairwise
from math import isnan, nan, sqrt
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from processors.features import sentiment
from schemas.events import News
from tests.data import shared_data
from venues.news import NewsReader
from venues.sentiment import scorer

Floats = NDArray[np.float64]

MINUTE = 60_000_000
HOUR = 60 * MINUTE
DAY = 24 * HOUR
BASE = 20_000 * DAY + 12 * HOUR + 17 * MINUTE
NAMES = [feature.name for feature in sentiment.FEATURES]


@dataclass(frozen=True)
class Headline:
    time: int
    name: int
    own: bool = True
    score: float = 0.0
    positive: int = -1
    negative: int = -1


@dataclass(frozen=True)
class Value:
    time: int
    value: float


Seen = Headline | Value


class State:
    """The kernel's state, fed with events."""

    def __init__(self, *events: Seen) -> None:
        self.floats = np.zeros(sentiment.FLOATS)
        self.integers = np.zeros(sentiment.INTEGERS, dtype=np.int64)
        for event in events:
            self.take(event)

    def take(self, event: Seen) -> None:
        if isinstance(event, Value):
            sentiment.on_index(self.floats, self.integers, event.time, event.value)
            return
        sentiment.on_news(
            self.floats, self.integers, event.time, event.own, event.name, event.score,
            event.positive, event.negative,
        )  # fmt: skip

    def vector(self, now: int) -> Floats:
        out = np.full(len(NAMES), 12345.0)
        sentiment.decide(self.floats, self.integers, now, out)
        return out

    def decide(self, now: int) -> dict[str, float]:
        return dict(zip(NAMES, self.vector(now).tolist(), strict=True))


def decided(now: int, *events: Seen) -> dict[str, float]:
    return State(*events).decide(now)


def average(scored: list[tuple[int, float]], half_life: int) -> float:
    weights = [0.5 ** (age / half_life) for age, _ in scored]
    return float(np.dot(weights, [score for _, score in scored]) / sum(weights))


def reference(events: list[Seen], now: int) -> dict[str, float]:
    """The formulas over all events, slowly: the last version of each headline, each day's value."""
    found = dict.fromkeys(NAMES, nan)
    headlines = {e.name: e for e in events if isinstance(e, Headline)}.values()
    own = [h for h in headlines if h.own]
    ages = {h.name: max(0, now - h.time) for h in own}
    day = [h for h in own if ages[h.name] < DAY]
    scored = [(ages[h.name], h.score) for h in day if not isnan(h.score)]
    scores = np.array([score for _, score in scored])
    votes = [h for h in day if h.positive >= 0 and h.negative >= 0]
    positive, negative = sum(h.positive for h in votes), sum(h.negative for h in votes)
    if headlines:
        found["news_count_24h"] = len(day)
    if own:
        found["minutes_since_news"] = max(0, now - max(h.time for h in own)) / MINUTE
    if day:
        last_hour = sum(ages[h.name] < HOUR for h in day)
        found["news_velocity"] = last_hour / (len(day) / 24)
    if positive + negative:
        found["vote_balance_24h"] = (positive - negative) / (positive + negative)
    if scored:
        fast, slow = average(scored, HOUR), average(scored, DAY)
        found |= {"news_score_1h": fast, "news_score_24h": slow, "score_momentum": fast - slow}
    if len(scored) > 1:
        found["news_dispersion_24h"] = float(scores.std())
    hours = [h for h in headlines if h.time // HOUR > now // HOUR - 24]
    if hours:
        found["social_share"] = sum(h.own for h in hours) / len(hours)
    return found | index_reference(events, now)


def index_reference(events: list[Seen], now: int) -> dict[str, float]:
    values = {e.time // DAY: e.value for e in events if isinstance(e, Value)}
    last = max(values, default=0)
    if last < now // DAY - 1:
        return {}
    found = {"fear_greed": values[last]}
    if last - 1 in values:
        found["fear_greed_change"] = values[last] - values[last - 1]
    month = np.array([values[d] for d in range(last - 29, last + 1) if d in values])
    if len(month) >= 20:
        same = (month == month[0]).all()
        found["fear_greed_z_30"] = 0.0 if same else (values[last] - month.mean()) / month.std()
    return found


def assert_same(found: dict[str, float], expected: dict[str, float]) -> None:
    assert found == pytest.approx(expected, rel=1e-9, abs=1e-12, nan_ok=True)


scores = st.floats(-1.0, 1.0) | st.just(nan)
votes = st.integers(-1, 50)
times = st.integers(BASE - 30 * HOUR, BASE + 2 * HOUR)
any_headline = st.builds(
    Headline,
    time=times,
    name=st.integers(-40, 40).filter(bool),
    own=st.booleans(),
    score=scores,
    positive=votes,
    negative=votes,
)
# The calendar's days, those of 31 before among them, in any order.
any_value = st.builds(
    Value, time=st.integers(BASE - 30 * DAY, BASE), value=st.integers(0, 100).map(float)
)
any_events = st.lists(any_headline | any_value, max_size=60)


@given(events=any_events, after=st.integers(0, 3 * DAY))
@settings(max_examples=120, deadline=None)
def test_a_vector_is_what_the_formulas_give(events: list[Seen], after: int) -> None:
    assert_same(decided(BASE + after, *events), reference(events, BASE + after))


@given(events=st.lists(any_headline, max_size=80, unique_by=lambda h: h.name), seed=st.randoms())
@settings(max_examples=100, deadline=None)
def test_headlines_may_come_in_any_order(events: list[Seen], seed: Any) -> None:
    shuffled = list(events)
    seed.shuffle(shuffled)
    assert_same(decided(BASE, *shuffled), decided(BASE, *events))


@given(events=any_events, after=st.integers(-DAY, 40 * DAY))
@settings(max_examples=100, deadline=None)
def test_values_lie_in_their_ranges(events: list[Seen], after: int) -> None:
    vector = State(*events).vector(BASE + after)
    for feature, value in zip(sentiment.FEATURES, vector, strict=True):
        assert isnan(value) or feature.low - 1e-12 <= value <= feature.high + 1e-12, feature.name


@given(events=any_events, cut=st.integers(0, 80))
@settings(max_examples=50, deadline=None)
def test_a_copy_of_the_state_goes_on_with_the_same_bits(events: list[Seen], cut: int) -> None:
    whole, first = State(), State(*events[:cut])
    for event in events:
        whole.take(event)
        # A decision leaves the state as it is.
        whole.decide(BASE)
    copied = State()
    copied.floats = np.frombuffer(first.floats.tobytes()).copy()
    copied.integers = np.frombuffer(first.integers.tobytes(), dtype=np.int64).copy()
    for event in events[cut:]:
        copied.take(event)
    assert copied.vector(BASE).tobytes() == whole.vector(BASE).tobytes()


def test_nothing_is_known_at_first() -> None:
    state = State()
    assert all(isnan(value) for value in state.vector(BASE))
    assert sentiment.last_time(state.integers) == 0


def test_half_lives_of_scores() -> None:
    found = decided(BASE, Headline(BASE, 1, score=1.0), Headline(BASE - HOUR, 2, score=-1.0))
    assert found["news_score_1h"] == pytest.approx(1 / 3)
    slow = 0.5 ** (1 / 24)
    assert found["news_score_24h"] == pytest.approx((1 - slow) / (1 + slow))
    assert found["score_momentum"] == pytest.approx(1 / 3 - (1 - slow) / (1 + slow))


def test_dispersion_of_opposite_scores_is_one_less_their_agreement() -> None:
    made = [Headline(BASE, i, score=1.0 if i <= 3 else -1.0) for i in range(1, 5)]
    balance = (3 - 1) / 4
    assert decided(BASE, *made)["news_dispersion_24h"] == pytest.approx(sqrt(1 - balance**2))


def test_an_edit_replaces_its_headline() -> None:
    found = decided(
        BASE,
        Headline(BASE - 2 * MINUTE, 7, score=1.0, positive=9, negative=0),
        Headline(BASE - 2 * MINUTE, 7, score=-0.5, positive=1, negative=3),
    )
    assert found["news_count_24h"] == 1
    assert found["news_score_1h"] == -0.5
    assert found["vote_balance_24h"] == -0.5
    assert found["social_share"] == 1.0


def test_an_edit_may_give_and_take_the_symbol() -> None:
    other = Headline(BASE, 1, own=False)
    given_it = decided(BASE, other, Headline(BASE, 2, own=False), Headline(BASE, 2))
    assert (given_it["news_count_24h"], given_it["social_share"]) == (1, 0.5)
    taken = decided(BASE, other, Headline(BASE, 2), Headline(BASE, 2, own=False))
    assert (taken["news_count_24h"], taken["social_share"]) == (0, 0.0)
    assert isnan(taken["minutes_since_news"])


def test_headlines_of_others_make_no_score_but_a_count_of_zero() -> None:
    found = decided(BASE, Headline(BASE, 1, own=False, score=1.0, positive=5, negative=0))
    assert found["news_count_24h"] == 0
    assert found["social_share"] == 0.0
    assert isnan(found["news_score_1h"])
    assert isnan(found["vote_balance_24h"])
    assert isnan(found["news_velocity"])


def test_a_headline_without_a_score_counts() -> None:
    found = decided(BASE, Headline(BASE, 1, score=nan), Headline(BASE, 2, score=float("inf")))
    assert found["news_count_24h"] == 2
    assert isnan(found["news_score_24h"])


def test_votes_that_are_half_known_are_left_out() -> None:
    found = decided(
        BASE,
        Headline(BASE, 1, positive=5, negative=-1),
        Headline(BASE, 2, positive=1, negative=3),
    )
    assert found["vote_balance_24h"] == -0.5


def test_a_headline_ages_out_after_a_day() -> None:
    made = Headline(BASE, 1, score=1.0)
    assert decided(BASE + DAY - 1, made)["news_score_24h"] == 1.0
    found = decided(BASE + DAY, made)
    assert isnan(found["news_score_24h"])
    assert found["news_count_24h"] == 0
    assert found["minutes_since_news"] == 24 * 60


def test_a_headline_of_a_time_to_come_has_no_age() -> None:
    found = decided(BASE, Headline(BASE + 5 * MINUTE, 1, score=0.5))
    assert found["minutes_since_news"] == 0.0
    assert found["news_score_1h"] == 0.5
    assert found["news_velocity"] == 24.0
    assert found["social_share"] == 1.0


def test_a_late_headline_leaves_the_newer_ones() -> None:
    found = decided(BASE, Headline(BASE - MINUTE, 1), Headline(BASE - 3 * DAY, 2))
    assert found["minutes_since_news"] == 1.0
    assert found["news_count_24h"] == 1


def test_the_newest_headlines_are_kept_and_the_share_counts_all() -> None:
    own = [Headline(BASE - i * MINUTE, 1_000 + i, score=i / 300) for i in range(300)]
    others = [Headline(BASE - i * MINUTE, 5_000 + i, own=False) for i in range(300)]
    kept = own[: sentiment.HEADLINES]
    for order in (1, -1):
        found = decided(BASE, *own[::order], *others[::order])
        expected = reference(list(kept), BASE)
        expected["social_share"] = 0.5
        assert_same(found, expected)


def test_the_share_forgets_what_is_older_than_a_day_after_silence() -> None:
    old = [Headline(BASE - i * HOUR, 10 + i, own=False) for i in range(60)]
    found = decided(BASE + 5 * DAY, *old, Headline(BASE + 5 * DAY, 1))
    assert found["social_share"] == 1.0


def test_the_share_is_of_this_hour_and_the_23_before() -> None:
    first = (BASE // HOUR - 23) * HOUR
    own = Headline(BASE, 1)
    assert decided(BASE, own, Headline(first, 2, own=False))["social_share"] == 0.5
    assert decided(BASE, own, Headline(first - 1, 2, own=False))["social_share"] == 1.0


def test_headlines_of_the_next_two_hours_displace_none() -> None:
    hours = [Headline(BASE + i * HOUR, 100 + i, own=False) for i in range(-23, 3)]
    assert decided(BASE, *hours, Headline(BASE, 1))["social_share"] == 1 / 27


def test_last_time_is_of_any_headline_or_value() -> None:
    state = State(Headline(BASE, 1, own=False), Headline(BASE - HOUR, 2))
    assert sentiment.last_time(state.integers) == BASE
    state.take(Value(BASE + 1, 50.0))
    assert sentiment.last_time(state.integers) == BASE + 1


def test_a_second_value_of_a_day_replaces_the_first() -> None:
    today = BASE // DAY * DAY
    found = decided(BASE, Value(today - DAY, 40.0), Value(today, 50.0), Value(today + HOUR, 55.0))
    assert (found["fear_greed"], found["fear_greed_change"]) == (55.0, 15.0)


def test_an_index_that_has_stopped_is_null_after_the_next_day() -> None:
    today = BASE // DAY * DAY
    assert decided(today + 2 * DAY - 1, Value(today, 50.0))["fear_greed"] == 50.0
    assert isnan(decided(today + 2 * DAY, Value(today, 50.0))["fear_greed"])


def test_a_value_older_than_the_days_that_are_kept_is_left_out() -> None:
    today = BASE // DAY * DAY
    made = [Value(today - i * DAY, 50.0 + i) for i in range(30)]
    found = decided(BASE, *made)
    assert decided(BASE, *made, Value(today - 32 * DAY, 1.0), Value(today, nan)) == pytest.approx(
        found, nan_ok=True
    )
    assert found["fear_greed_z_30"] == pytest.approx(-14.5 / sqrt((30**2 - 1) / 12))


def test_score_of_an_index_that_does_not_move_is_zero() -> None:
    today = BASE // DAY * DAY
    made = [Value(today - i * DAY, 33.3) for i in range(20)]
    assert decided(BASE, *made)["fear_greed_z_30"] == 0.0
    assert isnan(decided(BASE, *made[:19])["fear_greed_z_30"])


def test_recorded_index() -> None:
    path = shared_data() / "fng" / "fear_greed_2018-02_2022-12.csv"
    epoch = date(1970, 1, 1)
    with path.open() as lines:
        days = [
            Value((date.fromisoformat(row["date"]) - epoch).days * DAY, float(row["fng"]))
            for row in csv.DictReader(lines)
        ]
    assert len(days) == 1792
    # Days are missing in the record.
    assert any(b.time - a.time > DAY for a, b in pairwise(days))
    state = State()
    for i, value in enumerate(days):
        state.take(value)
        now = value.time + 7 * HOUR
        expected = dict.fromkeys(NAMES, nan) | index_reference(list(days[: i + 1]), now)
        assert_same(state.decide(now), expected)


def test_recorded_posts() -> None:
    path = shared_data() / "news" / "cryptopanic_posts_hot_2018-01-18.json"
    reader = NewsReader("cryptopanic", scorer())
    posts = reader.read(path.read_bytes(), BASE)
    assert isinstance(posts, list)
    events: list[Seen] = []
    state = State()
    for number, post in enumerate(posts, start=1):
        assert isinstance(post, News)
        events.append(
            Headline(
                time=post.event_time,
                name=number,
                own="BTC" in post.currencies,
                score=nan if post.sentiment is None else post.sentiment,
                positive=-1 if post.votes_positive is None else post.votes_positive,
                negative=-1 if post.votes_negative is None else post.votes_negative,
            )
        )
        state.take(events[-1])
        now = post.event_time + 3 * MINUTE
        assert_same(state.decide(now), reference(events, now))
    assert any(isinstance(event, Headline) and event.own for event in events)


def test_entries_of_the_catalogue() -> None:
    assert len(set(NAMES)) == len(NAMES) == 12
    assert {feature.group for feature in sentiment.FEATURES} == {"sentiment"}
    assert {i for feature in sentiment.FEATURES for i in feature.inputs} == {"news", "index"}
