"""Headlines: their rate, their shape, their effect on the path."""

import json
from itertools import islice

import numpy as np

from venues.sentiment import scorer
from venues.simulator.engine import random_for
from venues.simulator.market import DEFAULT_START_US, Market
from venues.simulator.news import BAD, GOOD, NEUTRAL, Newsroom, kicks, post

HOUR_US = 3_600_000_000


def newsroom(per_hour: float) -> Newsroom:
    return Newsroom(random_for(1, "news"), ["BTC", "ETH"], per_hour)


def test_headlines_come_at_the_configured_rate_and_in_order() -> None:
    headlines = newsroom(50.0).headlines(0, 20 * HOUR_US)
    assert 850 < len(headlines) < 1_150
    times = [headline.published_us for headline in headlines]
    assert times == sorted(times)
    ids = [headline.news_id for headline in headlines]
    assert ids == sorted(set(ids))


def test_no_headlines_at_rate_zero() -> None:
    assert newsroom(0.0).headlines(0, 100 * HOUR_US) == []


def test_sentiment_shows_in_words_and_votes() -> None:
    headlines = newsroom(500.0).headlines(0, 4 * HOUR_US)
    good = [headline for headline in headlines if headline.sentiment > 0]
    bad = [headline for headline in headlines if headline.sentiment < 0]
    starts = [line.partition("{")[0] for line in GOOD if not line.startswith("{")]
    assert any(headline.title.startswith(tuple(starts)) for headline in good)
    words = {line.rpartition("}")[2] for line in BAD}
    assert all(any(headline.title.endswith(word) for word in words) for headline in bad)
    assert np.mean([item.votes[1] for item in good]) > 2 * np.mean([item.votes[1] for item in bad])


def test_kick_falls_on_the_symbol_and_step_of_its_headline() -> None:
    headline = newsroom(500.0).headlines(0, HOUR_US)[0]
    start = headline.published_us - headline.published_us % 1_000_000
    found = kicks([headline], start, 20, 2, 0.001)
    step = (headline.published_us - start) // 50_000
    assert found[step, headline.symbol] == 0.001 * headline.sentiment
    assert np.count_nonzero(found) <= 1


def test_post_has_the_shape_of_the_service() -> None:
    headline = newsroom(500.0).headlines(DEFAULT_START_US, DEFAULT_START_US + HOUR_US)[0]
    answer = json.loads(post(headline))
    assert set(answer) == {"count", "next", "previous", "results"}
    (found,) = answer["results"]
    assert found["currencies"][0]["code"] == headline.base
    assert found["published_at"].startswith("2026-01-01T00:")
    assert found["id"] == headline.news_id
    needed = {"domain", "votes", "source", "title", "published_at", "slug", "url", "created_at"}
    assert needed <= set(found)


def test_frames_carry_each_headline_once_and_after_its_publication() -> None:
    market = Market(seed=2, news_per_hour=3_600.0, events_per_second=200.0)
    frames = [f for f in islice(market.frames(), 20_000) if f.venue == "cryptopanic"]
    assert len(frames) > 20
    assert all(frame.request.startswith("https://cryptopanic.com/") for frame in frames)
    ids = [json.loads(frame.data)["results"][0]["id"] for frame in frames]
    assert ids == sorted(set(ids))


def test_headlines_say_in_words_what_they_do_to_the_price() -> None:
    score = scorer().score
    for lines, sign in ((GOOD, 1), (BAD, -1), (NEUTRAL, 0)):
        for line in lines:
            found = score(line.format(name="Bitcoin"), None)
            assert (found > 0.05) - (found < -0.05) == sign, line
