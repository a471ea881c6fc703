"""Trades: each once, in the venue's order where it numbers them; the seam of the two ways.

Venues repeat trades across reconnects, in handovers and in answers to requests. Binance and OKX
number an instrument's trades one by one (`numbered.py`); Bybit names them (`named.py`). Trades
are held for those that come before them, for a bounded time.
"""

from collections.abc import Iterable
from typing import NamedTuple, Protocol

from schemas.events import Trade

# A trade that was overtaken has so long to come by itself before it is asked for.
REORDER_US = 100_000
# With no trade for so long after an interruption, whether any is missing is asked.
QUIET_US = 1_000_000
# Trades wait so long at most for those before them: a bar's grace is a second.
HOLD_US = 750_000
HOLD_COUNT = 20_000


class Lack(NamedTuple):
    """Trades that did not come and that the venue gives no more."""

    reason: str
    first: int | None = None
    last: int | None = None
    """Their ids, where they are numbered."""


class Trades(Protocol):
    """One instrument's trades."""

    duplicates: int
    """Trades left out because they were there already."""
    newest: int
    """Event time of the newest trade, microseconds; 0 before the first."""

    def seed(self, trades: Iterable[Trade]) -> None:
        """Go on after trades that are on the tape already."""

    def recall(self, trades: Iterable[Trade]) -> None:
        """Look for what is missing before our first trade, by what the tape holds, read late."""

    def follows(self, trade: Trade) -> bool:
        """Whether a trade simply goes on, which is then noted. The usual way."""

    def take(self, trade: Trade) -> list[Trade]:
        """The trades to write now because of one that was received."""

    def fetched(self, trades: Iterable[Trade]) -> list[Trade]:
        """The trades to write now because of an answer to a request."""

    def lost(self) -> None:
        """The stream was interrupted: trades may be missing after the newest."""

    def resumed(self, now_us: int) -> None:
        """The stream goes on."""

    def wants(self, now_us: int) -> bool:
        """Whether trades are to be asked for."""

    @property
    def idle(self) -> bool:
        """Whether nothing is held, missing or in doubt."""

    @property
    def complete(self) -> bool:
        """Whether all before a trade that was received is there: no more pages are needed."""

    def ask(self) -> tuple[str, int]:
        """The venue is asked now: from this id (may be empty) and event time on."""

    def expired(self, now_us: int) -> list[Trade]:
        """Held trades that have waited long enough."""

    def settle(self) -> tuple[list[Trade], list[Lack]]:
        """The venue was asked and gave what it has: what was held, and what it lacks."""
