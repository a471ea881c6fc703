"""News and sentiment: CryptoPanic's posts and the Fear & Greed index to events."""

from collections import OrderedDict
from datetime import UTC, datetime

from msgspec import Struct

from schemas.events import Event, News, SentimentIndex
from venues.messages import Ignored, Number, Parsed, Text, decoder

# Polling gives the same posts again and again; so many of them are remembered.
REMEMBER = 10_000


class Source(Struct, frozen=True):
    """Who published a post."""

    title: str = ""
    domain: str = ""


class Currency(Struct):
    """A currency that a post is about."""

    code: str


class Votes(Struct, frozen=True):
    """Readers' votes; versions of the interface differ in what they have."""

    positive: int | None = None
    negative: int | None = None
    important: int | None = None


class Post(Struct):
    """One post of CryptoPanic."""

    id: Text
    title: str
    published_at: datetime
    source: Source = Source()
    url: str | None = None
    currencies: list[Currency] | None = None
    votes: Votes | None = None


class Posts(Struct):
    """A page of posts."""

    results: list[Post]


class Value(Struct):
    """One day of the Fear & Greed index."""

    value: Number
    value_classification: str
    timestamp: int


class Values(Struct):
    """The index's answer."""

    data: list[Value]


_posts = decoder(Posts)
_values = decoder(Values)


class NewsReader:
    """Reads the answers of one source; what it gave before is ignored."""

    def __init__(self, source: str) -> None:
        self._source = source
        self._seen: OrderedDict[str, None] = OrderedDict()

    def read(self, data: bytes, receive_time: int) -> Parsed:
        """The new posts or values of an answer, oldest first."""
        keyed: list[tuple[str, Event]]
        if self._source == "cryptopanic":
            posts = [_news(post, receive_time) for post in _posts(data).results]
            keyed = [(post.news_id, post) for post in posts]
        else:
            days = _values(data).data
            keyed = [(str(day.timestamp), _sentiment(day, receive_time)) for day in days]
        new: list[Event] = [event for key, event in reversed(keyed) if self._first(key)]
        return new or Ignored("nothing new")

    def _first(self, key: str) -> bool:
        if key in self._seen:
            return False
        self._seen[key] = None
        if len(self._seen) > REMEMBER:
            self._seen.popitem(last=False)
        return True


def _news(post: Post, receive_time: int) -> News:
    published = post.published_at
    if published.tzinfo is None:
        published = published.replace(tzinfo=UTC)
    votes = post.votes or Votes()
    return News(
        event_time=int(published.timestamp()) * 1_000_000 + published.microsecond,
        receive_time=receive_time,
        source="cryptopanic",
        news_id=str(post.id),
        publisher=post.source.title or post.source.domain,
        title=post.title,
        url=post.url,
        currencies=[currency.code for currency in post.currencies or []],
        votes_positive=votes.positive,
        votes_negative=votes.negative,
        votes_important=votes.important,
    )


def _sentiment(value: Value, receive_time: int) -> SentimentIndex:
    return SentimentIndex(
        event_time=value.timestamp * 1_000_000,
        receive_time=receive_time,
        index="fear_and_greed",
        value=value.value,
        classification=value.value_classification,
    )
