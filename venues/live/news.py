"""Polls CryptoPanic and the Fear & Greed index; what they answer becomes frames.

What a request needs the key for is done here: neither frames nor logs nor errors hold it.
"""

import asyncio
import re
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from hashlib import sha256
from typing import Protocol
from urllib.parse import quote, urlencode

import msgspec
from msgspec import Struct

from schemas.errors import ConfigError, VenueError
from streams.logs import MASK, logger
from venues.config import CollectorConfig
from venues.frames import Frame
from venues.live.backoff import Backoff
from venues.live.dialect import Limits, Request
from venues.live.endpoints import base_address
from venues.live.rest import Rest, RestError
from venues.messages import Text
from venues.news import values

log = logger("venues.live.news")

# CryptoPanic: two requests a second on the smallest plan. The index: 60 a minute. A simulator's
# time may run faster than ours.
CRYPTOPANIC_LIMITS = Limits(1.0, 1.0, rest_weight=1, rest_window_s=1.0)
FEAR_GREED_LIMITS = Limits(1.0, 1.0, rest_weight=10, rest_window_s=60.0)
SIMULATOR_LIMITS = Limits(1.0, 1.0, rest_weight=50, rest_window_s=1.0)

# Seconds between requests that a month's quota lasts for: 100 requests on the developer plan; the
# others' are by contract, these take 3,000 and 43,000. A simulator has none.
POLL_S = {"developer": 28_800.0, "growth": 900.0, "enterprise": 60.0}
SIMULATOR_POLL_S = 5.0
# The index changes once a day; it is asked when it says it will, and within these.
INDEX_SOONEST_S, INDEX_LATEST_S = 60.0, 3_600.0
INDEX_AFTER_S = 5.0
# Failed polls are repeated after up to a minute at first, then up to six hours.
FAILED_FIRST_S, FAILED_MOST_S = 60.0, 21_600.0

_TOKEN = re.compile(r"(auth_token=)[^&\s\"'\\]+")
# A shorter key could be a part of any text.
_TELLING = 8

Get = Callable[[str], Awaitable["Answer"]]


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer, when it came (microseconds UTC), and to what."""

    url: str
    data: bytes
    receive_time: int


class Source(Protocol):
    """What is polled."""

    venue: str
    limits: Limits
    wait_s: float
    """Seconds until the next poll, as of the last."""

    async def poll(self, get: Get) -> list[Answer]:
        """All that is new, oldest first."""

    def mask(self, text: str) -> str:
        """Text without the key."""


class _Id(Struct):
    id: Text


class _Page(Struct):
    results: list[_Id]
    next: str | None = None


_page = msgspec.json.Decoder(_Page, strict=False).decode


class CryptoPanic:
    """CryptoPanic's posts, by the API that is configured.

    A poll reads the first page, and further ones back to the last poll's posts, up to a bound.
    """

    venue = "cryptopanic"

    def __init__(self, config: CollectorConfig) -> None:
        news = config.news
        self._key = news.cryptopanic_key.get_secret_value()
        if not self._key and not config.address:
            raise ConfigError(
                "collector.news.cryptopanic is on, but there is no key: set "
                "collector.news.cryptopanic_key (TAPE_COLLECTOR__NEWS__CRYPTOPANIC_KEY) to the one "
                "that cryptopanic.com/developers/api shows, or turn cryptopanic off"
            )
        path = "v1" if news.cryptopanic_api == "v1" else f"{news.cryptopanic_plan}/v2"
        self._url = f"{_base(config, self.venue, 'https://cryptopanic.com')}/api/{path}/posts/"
        self.limits = SIMULATOR_LIMITS if config.address else CRYPTOPANIC_LIMITS
        self._query = {"public": "true", "regions": "en"}
        if self._key:
            self._query = {"auth_token": self._key, **self._query}
        if news.currencies:
            self._query["currencies"] = ",".join(news.currencies)
        usual_s = SIMULATOR_POLL_S if config.address else POLL_S[news.cryptopanic_plan]
        self.wait_s = news.poll_s or usual_s
        self._pages = news.pages
        self._known: set[str] = set()

    async def poll(self, get: Get) -> list[Answer]:
        """The pages that hold what is new, oldest first."""
        answers: list[Answer] = []
        ids: set[str] = set()
        for number in range(1, self._pages + 1):
            answers.append(await get(self._page_url(number)))
            on_page, more = _ids(answers[-1].data)
            ids |= on_page
            if not more or not self._known or on_page & self._known:
                break
        else:
            log.warning("news_missed", venue=self.venue, pages=self._pages)
        self._known = ids or self._known
        return answers[::-1]

    def mask(self, text: str) -> str:
        """Text without the key, also where the service repeats it: in the next page's URL."""
        if len(self._key) >= _TELLING:
            text = text.replace(self._key, MASK).replace(quote(self._key, safe=""), MASK)
        return _TOKEN.sub(rf"\g<1>{MASK}", text)

    def _page_url(self, number: int) -> str:
        page = {"page": str(number)} if number > 1 else {}
        return f"{self._url}?{urlencode({**self._query, **page})}"


def _ids(data: bytes) -> tuple[set[str], bool]:
    """The ids on a page and whether there is a next; none of what is no page: it is refused."""
    try:
        page = _page(data)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return set(), False
    return {str(post.id) for post in page.results}, page.next is not None


class FearGreed:
    """The Fear & Greed index; yesterday's value is read again, since values are corrected."""

    venue = "alternative"

    def __init__(self, config: CollectorConfig) -> None:
        self._url = f"{_base(config, self.venue, 'https://api.alternative.me')}/fng/"
        self.limits = SIMULATOR_LIMITS if config.address else FEAR_GREED_LIMITS
        self._days = config.news.fear_greed_days
        self.wait_s = INDEX_LATEST_S

    async def poll(self, get: Get) -> list[Answer]:
        """The last days; at the first time as many as are wanted."""
        answer = await get(f"{self._url}?limit={self._days}")
        self._days = 2
        self.wait_s = _until_update(answer.data)
        return [answer]

    def mask(self, text: str) -> str:
        """The text: there is no key."""
        return text


def _until_update(data: bytes) -> float:
    try:
        days = values(data).data or []
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return INDEX_LATEST_S
    until = days[0].time_until_update if days else None
    if until is None:
        return INDEX_LATEST_S
    return min(max(until + INDEX_AFTER_S, INDEX_SOONEST_S), INDEX_LATEST_S)


class Poller:
    """Polls one source for as long as it runs; an answer that says what the last said is no frame.

    A poll that fails is logged and tried again later and later; `failed` holds why, until one
    succeeds. A key that is refused at the first poll is a ConfigError.
    """

    def __init__(
        self,
        source: Source,
        rest: Rest,
        on_frame: Callable[[Frame], None],
        backoff: Backoff | None = None,
    ) -> None:
        self.source = source
        self.failed = ""
        self._rest = rest
        self._on_frame = on_frame
        self._backoff = backoff or Backoff(FAILED_FIRST_S, FAILED_MOST_S)
        self._last = b""
        self._answered = False

    async def run(self) -> None:
        """Poll until it is cancelled."""
        while True:
            await asyncio.sleep(await self.poll())

    async def poll(self) -> float:
        """Poll once; seconds until the next poll."""
        try:
            answers = await self.source.poll(self._get)
        except VenueError as error:
            self.failed = self.source.mask(str(error))
            if not self._answered and isinstance(error, RestError) and error.status == 401:
                raise ConfigError(
                    f"{self.source.venue} refused the key: {self.failed}; correct "
                    "collector.news.cryptopanic_key, or cryptopanic_plan where the key is of "
                    "another plan"
                ) from None
            wait_s = self._backoff.next()
            log.warning("poll_failed", venue=self.source.venue, why=self.failed, wait_s=wait_s)
            return wait_s
        self.failed = ""
        self._answered = True
        self._backoff.forgive(float("inf"))
        digest = sha256(b"\n".join(answer.data for answer in answers)).digest()
        if digest != self._last:
            self._last = digest
            for answer in answers:
                self._on_frame(self._frame(answer))
        return self.source.wait_s

    async def _get(self, url: str) -> Answer:
        data = await self._rest.get(Request(self.source.venue, url), self.source.limits)
        return Answer(url, data, time.time_ns() // 1000)

    def _frame(self, answer: Answer) -> Frame:
        mask = self.source.mask
        # Bytes that are no text are kept as they are, for the dead letters.
        data = mask(answer.data.decode("utf-8", "surrogateescape"))
        return Frame(
            self.source.venue,
            f"{self.source.venue}-rest",
            answer.receive_time,
            data.encode("utf-8", "surrogateescape"),
            mask(answer.url),
        )


def pollers(config: CollectorConfig, rest: Rest, on_frame: Callable[[Frame], None]) -> list[Poller]:
    """The pollers of what is configured; ConfigError when CryptoPanic's key is missing."""
    sources: list[Source] = []
    if config.news.cryptopanic:
        sources.append(CryptoPanic(config))
    if config.news.fear_greed:
        sources.append(FearGreed(config))
    return [Poller(source, rest, on_frame) for source in sources]


def _base(config: CollectorConfig, venue: str, outside: str) -> str:
    return f"{base_address(config.address)}/{venue}" if config.address else outside
