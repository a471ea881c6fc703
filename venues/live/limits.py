"""Venues' limits kept: so much within any window, per address."""

import asyncio
from bisect import insort
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from urllib.parse import urlsplit

from venues.live.dialect import Limits, RateLimited

# Where a ban's length is not said: the shortest of Binance, which alone bans by 418.
_BAN_S = 120.0


class Window:
    """At most `most` within any `window_s` seconds; what is granted is granted in order.

    Pure: who asks says what time it is. A venue that counts in fixed minutes is kept to as well,
    since no minute whatever holds more.
    """

    __slots__ = ("_grants", "_most", "_window_s")

    def __init__(self, most: float, window_s: float) -> None:
        self._most = most
        self._window_s = window_s
        self._grants: list[tuple[float, float]] = []

    def reserve(self, now: float, weight: float = 1.0) -> float:
        """Seconds until `weight` may be spent; it counts as spent then.

        What is more than a whole window allows gets a window of its own.
        """
        grants, window_s = self._grants, self._window_s
        weight = min(weight, self._most)
        at = max(now, grants[-1][0]) if grants else now
        passed = 0
        spent = sum(granted for _, granted in grants)
        for granted_at, granted in grants:
            if granted_at + window_s > at:
                if spent + weight <= self._most:
                    break
                at = granted_at + window_s
            spent -= granted
            passed += 1
        del grants[:passed]
        grants.append((at, weight))
        return at - now

    def heard(self, now: float, spent: float) -> None:
        """Take the venue's own count of what was spent, where it is above ours."""
        since = now - self._window_s
        ours = sum(granted for at, granted in self._grants if since < at <= now)
        if spent > ours:
            insort(self._grants, (now, spent - ours))


def window_of_rate(per_s: float, over_s: float = 1.0) -> Window:
    """As many as `per_s` allows within `over_s`, or one within the time in which one is allowed.

    A tenth is kept back: what we send evenly may arrive bunched.
    """
    most = max(1.0, float(int(per_s * over_s)))
    return Window(most, 1.1 * most / per_s)


class Turns:
    """Waits for a turn within a window; a venue may hold all turns for a time."""

    def __init__(self, window: Window) -> None:
        self.window = window
        self._held_until = float("-inf")

    async def wait(self, weight: float = 1.0) -> None:
        """Until `weight` may be spent."""
        wait = self.window.reserve(asyncio.get_running_loop().time(), weight)
        if wait > 0:
            await asyncio.sleep(wait)
        while (held := self.held_s) > 0:
            await asyncio.sleep(held)

    @property
    def held_s(self) -> float:
        """For so long there are no turns."""
        return self._held_until - asyncio.get_running_loop().time()

    def hold(self, wait_s: float) -> None:
        """Give no turn for this long, or longer if that was said before."""
        self._held_until = max(self._held_until, asyncio.get_running_loop().time() + wait_s)


class Attempts:
    """Turns for new connections, shared by all that go to one address."""

    def __init__(self) -> None:
        self._turns: dict[str, Turns] = {}

    def at(self, url: str, venue: str, limits: Limits) -> Turns:
        """The turns of the address that a URL is at."""
        key = address(url, venue)
        turns = self._turns.get(key)
        if turns is None:
            window = window_of_rate(limits.connections_per_s, limits.connections_over_s)
            turns = self._turns[key] = Turns(window)
        return turns


def address(url: str, venue: str) -> str:
    """What a venue's limits count by: the host; at one address for all, the venue's prefix too."""
    parts = urlsplit(url)
    first = parts.path.split("/", 2)[1:2]
    return f"{parts.netloc}/{venue}" if first == [venue] else parts.netloc


def rate_limited(status: int, headers: Mapping[str, str], unsaid_s: float) -> RateLimited | None:
    """What an HTTP answer says about waiting; None for nothing.

    429: too many requests; 418 or 403: banned for having gone on. Any other wait, as 403's, is
    asked for by Retry-After alone. `unsaid_s` is waited for a 429 that does not say how long.
    """
    said = retry_after_s(headers.get("Retry-After", ""))
    if status == 418:
        return RateLimited(_BAN_S if said is None else said, banned=True)
    if status == 429:
        return RateLimited(unsaid_s if said is None else said)
    if status < 400 or said is None:
        return None
    return RateLimited(said, banned=status == 403)


def retry_after_s(value: str) -> float | None:
    """Seconds of a Retry-After: a number, or a date from now on; None where it is neither."""
    value = value.strip()
    if value.isascii() and value.isdigit():
        return float(value)
    try:
        at = parsedate_to_datetime(value)
    except ValueError:
        return None
    at = at if at.tzinfo else at.replace(tzinfo=UTC)
    return max(0.0, (at - datetime.now(UTC)).total_seconds())
