"""REST requests to venues, within their limits: a budget of weight and a hold per address."""

import asyncio
import re
from collections.abc import Mapping
from dataclasses import dataclass

import aiohttp
from yarl import URL

from schemas.errors import VenueError
from streams.logs import MASK, logger
from venues.config import CollectorConfig
from venues.live.backoff import Backoff
from venues.live.dialect import Limits, RateLimited, Request
from venues.live.limits import Turns, Window, address, rate_limited
from venues.live.proxies import proxy_of

log = logger("rest")

_ATTEMPTS = 5
# A longer hold is an error at once, of each request to that address: a ban may last days.
_PATIENCE_S = 90.0
_PER_HOST = 8
_TOTAL_TIMES = 6
_SAID = 200
# No answer, too late, too early: worth another try, as 5xx is.
_AGAIN = frozenset((0, 408, 425))
_ADVICE = {
    400: "the venue does not take these parameters: see whether the symbol is still listed",
    401: "set the right key",
    403: "the key is wrong, or the venue does not serve this address or country",
    404: "see the address in the settings (collector.address, collector.network)",
    418: "ask for less, or see who else uses this address",
    429: "ask for less, or see who else uses this address",
    451: "the venue does not serve this country",
}
_ELSE = "see whether the venue is in maintenance, and the address and network"
_SECRETS = re.compile(r"([?&](?:auth_token|api_?key|token|secret|signature)=)[^&\s\"']+", re.I)
_USED_WEIGHT = "X-MBX-USED-WEIGHT-1M"


class RestError(VenueError):
    """A request that got no answer that is of use; `status` is HTTP's, 0 where none came."""

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


def is_final(error: VenueError) -> bool:
    """Whether the same request would be refused again: what it asks for is wrong or not there."""
    return (
        isinstance(error, RestError)
        and 400 <= error.status < 500
        and error.status not in (408, 418, 425, 429)
    )


@dataclass(frozen=True, slots=True)
class _Answer:
    """What came; status 0 and the reason as `data` where nothing did."""

    status: int
    headers: Mapping[str, str]
    data: bytes

    @property
    def told(self) -> str:
        """In words, for people."""
        said = self.data[:_SAID].decode("utf-8", "replace").strip()
        return masked(f"HTTP {self.status}: {said}" if self.status else said)


class Rest:
    """One HTTP session for all venues; `close` it, or use it as an asynchronous context.

    All requests to one address share its weight, and all wait when it says 429, 418 or
    Retry-After. What fails by time, network or 5xx is asked again, five times in all.
    """

    def __init__(self, config: CollectorConfig) -> None:
        self._config = config
        self._turns: dict[str, Turns] = {}
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> "Rest":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the session's sockets."""
        if self._session is not None:
            await self._session.close()

    async def get(self, request: Request, limits: Limits) -> bytes:
        """The body of the answer; RestError, which says what to do, where there is none."""
        key = address(request.url, request.venue)
        turns = self._turns.setdefault(key, Turns(Window(limits.rest_weight, limits.rest_window_s)))
        backoff = Backoff(self._config.backoff_first_s, self._config.backoff_most_s)
        wait_s = 0.0
        for _ in range(_ATTEMPTS):
            await asyncio.sleep(wait_s)
            _refuse_long_hold(turns, key)
            await turns.wait(request.weight)
            answer = await self._ask(request)
            limited = _limited(answer, limits)
            if limited is not None:
                turns.hold(limited.wait_s)
                log.warning("rest_held", address=key, why=answer.told, wait_s=limited.wait_s)
                wait_s = 0.0
            elif answer.status == 200:
                _heed(answer, turns, limits)
                return answer.data
            elif answer.status < 500 and answer.status not in _AGAIN:
                break
            else:
                wait_s = backoff.next()
                log.warning("rest_retry", url=masked(request.url), why=answer.told, wait_s=wait_s)
        _refuse_long_hold(turns, key)
        raise RestError(
            f"no answer of use from {masked(request.url)}: {answer.told}; "
            f"{_ADVICE.get(answer.status, _ELSE)}",
            answer.status,
        )

    async def _ask(self, request: Request) -> _Answer:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit_per_host=_PER_HOST),
                timeout=aiohttp.ClientTimeout(
                    total=_TOTAL_TIMES * self._config.connect_timeout_s,
                    sock_connect=self._config.connect_timeout_s,
                    sock_read=self._config.connect_timeout_s,
                ),
            )
        url = URL(request.url, encoded=True)
        try:
            async with self._session.get(
                url, headers=dict(request.headers), proxy=proxy_of(request.url)
            ) as response:
                return _Answer(response.status, response.headers, await response.read())
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            return _Answer(0, {}, f"{type(error).__name__} {error}".encode())


def masked(text: str) -> str:
    """Text in which keys in URLs' queries cannot be read."""
    return _SECRETS.sub(rf"\1{MASK}", text)


def _limited(answer: _Answer, limits: Limits) -> RateLimited | None:
    if answer.status == 200 and limits.rest_busy and answer.data.startswith(limits.rest_busy):
        return RateLimited(limits.rest_window_s)
    return rate_limited(answer.status, answer.headers, limits.rest_window_s)


def _heed(answer: _Answer, turns: Turns, limits: Limits) -> None:
    """Take the venue's own count of our weight in this minute, if it sends it."""
    used = answer.headers.get(_USED_WEIGHT, "")
    if limits.rest_window_s == 60.0 and used.isascii() and used.isdigit():
        turns.window.heard(asyncio.get_running_loop().time(), float(used))


def _refuse_long_hold(turns: Turns, key: str) -> None:
    if turns.held_s > _PATIENCE_S:
        raise RestError(
            f"{key} takes no requests from this address for another {turns.held_s:.0f} s (it said "
            "429, 418 or Retry-After); none are sent until then: ask for less, or see who else "
            "uses this address",
            429,
        )
