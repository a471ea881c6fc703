"""News and sentiment: CryptoPanic's posts and the Fear & Greed index to events, each once.

Polling gives the same again and again. A post is an event when it is new, when it was edited, and
when its votes have moved; a day's index when it is new, and when its value was corrected.
"""

import re
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from html import unescape
from typing import Annotated

from msgspec import Meta, Raw, Struct
from msgspec.structs import replace

from schemas.errors import VenueError
from schemas.events import Event, News, SentimentIndex
from venues.messages import LATEST_MS, UNREADABLE, Ignored, Number, Parsed, Text, Whole, decoder
from venues.sentiment import Scorer, method

# So many posts, and days of the index, are remembered, those last seen.
REMEMBER = 10_000
# Votes alone make an event when so many, and half as many as there were, were cast or taken back
# since the post's last event: a post with 1,000 votes is 15 events on its way there, not 1,000.
VOTES_MOVED = 3
VOTES_SHARE = 0.5
# Characters of a text that are kept: an event is one Kafka message, in every partition.
TEXT_LIMIT = 10_000

_TAG = re.compile(r"</?[a-zA-Z][^<>]*>")


class Source(Struct, frozen=True):
    """Who published a post."""

    title: str | None = None
    domain: str | None = None


class Currency(Struct):
    """A currency that a post is about; v2 calls it an instrument."""

    code: str


class Votes(Struct, frozen=True):
    """Readers' votes; versions of the interface differ in what they have."""

    positive: Whole | None = None
    negative: Whole | None = None
    important: Whole | None = None


class Content(Struct):
    """The article itself, which some plans have."""

    clean: str | None = None


class Metadata(Struct):
    """What v1 adds on request."""

    description: str | None = None


class Post(Struct):
    """One post of CryptoPanic, of v1 and of v2; the plans differ in what they fill."""

    id: Text
    title: str
    published_at: datetime | None = None
    created_at: datetime | None = None
    source: Source | None = None
    domain: str | None = None
    url: str | None = None
    original_url: str | None = None
    description: str | None = None
    body: str | None = None
    content: Content | None = None
    metadata: Metadata | None = None
    currencies: list[Currency] | None = None
    instruments: list[Currency] | None = None
    votes: Votes | None = None


class Posts(Struct):
    """A page of posts, or what is wrong instead."""

    results: list[Raw] | None = None
    status: str = ""
    info: str | None = None


class Value(Struct):
    """One day of the Fear & Greed index; `timestamp` in seconds."""

    value: Number
    value_classification: str
    timestamp: Annotated[int, Meta(ge=0, le=LATEST_MS // 1000)]
    time_until_update: Whole | None = None


class Trouble(Struct):
    """What the index's answer says of itself."""

    error: str | None = None


class Values(Struct):
    """The index's answer, newest day first."""

    data: list[Value] | None = None
    metadata: Trouble | None = None


_posts = decoder(Posts)
_post = decoder(Post)
values = decoder(Values)


class NewsReader:
    """Reads the answers of one source; what it gave before is ignored.

    `refused`: reason and bytes of posts that could not be read, each once; the caller takes them
    away. The others of their page are read.
    """

    def __init__(self, source: str, scorer: Scorer) -> None:
        self._source = source
        self._scorer = scorer
        self._known: OrderedDict[bytes | str | int, _Said] = OrderedDict()
        self.refused: list[tuple[str, bytes]] = []

    def read(self, data: bytes, receive_time: int) -> Parsed:
        """The new, edited and corrected of an answer, oldest first; VenueError for an error."""
        if self._source == "cryptopanic":
            new: list[Event] = list(self._news(data, receive_time))
        else:
            new = list(self._index(data, receive_time))
        return new or Ignored("nothing new")

    def _news(self, data: bytes, receive_time: int) -> Iterator[News]:
        page = _posts(data)
        if page.results is None:
            raise VenueError(f"cryptopanic answered without posts: {page.info or page.status!r}")
        for raw in reversed(page.results):
            try:
                news = to_news(_post(raw), receive_time)
            except UNREADABLE as error:
                self._refuse(bytes(raw), str(error))
                continue
            if self._is_new(news.news_id, _fingerprint(news), _votes(news)):
                yield self._scored(news)

    def _index(self, data: bytes, receive_time: int) -> Iterator[SentimentIndex]:
        for day in reversed(_days(data)):
            if self._is_new(day.timestamp, f"{day.value} {day.value_classification}".encode()):
                yield SentimentIndex(
                    event_time=day.timestamp * 1_000_000,
                    receive_time=receive_time,
                    index="fear_and_greed",
                    value=day.value,
                    classification=day.value_classification,
                )

    def _scored(self, news: News) -> News:
        return replace(
            news,
            sentiment=self._scorer.score(news.title, news.text),
            sentiment_method=method(self._scorer),
        )

    def _refuse(self, data: bytes, reason: str) -> None:
        if self._is_new(data, b"refused"):
            self.refused.append((reason, data))

    def _is_new(
        self, key: bytes | str | int, words: bytes, votes: tuple[int, int, int] = (0, 0, 0)
    ) -> bool:
        """Whether this says more than the last of its key that was new; remembered then."""
        last = self._known.get(key)
        new = last is None or last.words != words or _moved(last.votes, votes)
        if new:
            self._known[key] = _Said(words, votes)
        self._known.move_to_end(key)
        if len(self._known) > REMEMBER:
            self._known.popitem(last=False)
        return new


@dataclass(frozen=True, slots=True)
class _Said:
    """What the last event of a key said."""

    words: bytes
    votes: tuple[int, int, int]


def _fingerprint(news: News) -> bytes:
    """A hash of all of a post that an editor can change."""
    parts = (news.title, news.text, news.url, news.publisher, news.currencies)
    return sha256(repr(parts).encode()).digest()


def _votes(news: News) -> tuple[int, int, int]:
    return news.votes_positive or 0, news.votes_negative or 0, news.votes_important or 0


def _moved(before: tuple[int, int, int], after: tuple[int, int, int]) -> bool:
    """Whether votes have moved by what matters."""
    moved = sum(abs(now - then) for then, now in zip(before, after, strict=True))
    return moved >= max(VOTES_MOVED, VOTES_SHARE * sum(before))


def to_news(post: Post, receive_time: int) -> News:
    """A post as an event, not scored; markup taken out of its title and text."""
    source = post.source or Source()
    votes = post.votes or Votes()
    currencies = post.instruments or post.currencies or []
    return News(
        event_time=_micros(post.published_at or post.created_at, receive_time),
        receive_time=receive_time,
        source="cryptopanic",
        news_id=str(post.id),
        publisher=source.title or source.domain or post.domain or "",
        title=plain(post.title),
        text=_text(post),
        url=post.original_url or post.url or None,
        currencies=list(dict.fromkeys(currency.code.upper() for currency in currencies)),
        votes_positive=votes.positive,
        votes_negative=votes.negative,
        votes_important=votes.important,
    )


def plain(text: str) -> str:
    """Text without markup and entities, each run of white space one space.

    >>> plain("up <span class='green'>20%</span> &amp; <b>rising</b>; 1 < 2")
    'up 20% & rising; 1 < 2'
    """
    return " ".join(unescape(_TAG.sub("", text)).split())


def _text(post: Post) -> str | None:
    """The longest that the plan gives: the article, else its summary."""
    article = post.content.clean if post.content else None
    described = post.metadata.description if post.metadata else None
    text = plain(article or post.description or post.body or described or "")
    return text[:TEXT_LIMIT] or None


def _micros(time: datetime | None, otherwise: int) -> int:
    if time is None:
        return otherwise
    time = time if time.tzinfo is not None else time.replace(tzinfo=UTC)
    return int(time.timestamp()) * 1_000_000 + time.microsecond


def _days(data: bytes) -> list[Value]:
    answer = values(data)
    if answer.metadata is not None and answer.metadata.error:
        raise VenueError(f"the Fear & Greed index answered with {answer.metadata.error!r}")
    if answer.data is None:
        raise VenueError("the Fear & Greed index answered without values")
    return answer.data
