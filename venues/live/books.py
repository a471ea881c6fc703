"""Books that only a snapshot makes known: asked for by REST, or by subscribing again.

At once when a delta is missing; after a reconnect, when the stream flows again. Once for a book at
a time, again when the snapshot is too old or does not come, with growing, random waits.
"""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from schemas.errors import VenueError
from streams.logs import logger
from venues.live.dialect import Request
from venues.live.rest import is_final

# A REST snapshot has to be newer than the first delta that waits for it.
FIRST_DELTA_S = 0.5
# A stream that sends its book whole after a (re)subscription has so long to do it.
STREAM_S = 2.0
FIRST_WAIT_S = 0.1
MOST_WAIT_S = 1.0
# After a refusal that asking again does not change.
REFUSED_WAIT_S = 30.0
AT_ONCE = 8

log = logger("venues.books")


@dataclass(slots=True)
class Book:
    """One followed book and how it is healed."""

    symbol: str
    request: Request | None
    """The snapshot's; None where the stream sends the book after a resubscription."""
    resubscribe: Callable[[], Awaitable[None]]
    up_at: float | None = None
    """When its connection was last made (monotonic); None while there is none."""
    not_before: float = 0.0
    wait_s: float = FIRST_WAIT_S
    unknown_since: float = 0.0
    task: asyncio.Task[None] | None = field(default=None)


class Healer:
    """Heals one venue's books; `look` is to be called often with the symbols that are unknown."""

    def __init__(
        self, venue: str, snapshot: Callable[[Request], Awaitable[None]], held: Callable[[str], int]
    ) -> None:
        self.asked = 0
        """Snapshots asked for."""
        self.healed = 0
        self._venue = venue
        self._snapshot = snapshot
        self._held = held
        self._books: dict[str, Book] = {}
        self._unknown: set[str] = set()
        self._at_once = asyncio.Semaphore(AT_ONCE)

    @property
    def unknown(self) -> int:
        """Followed books that are unknown now."""
        return len(self._unknown)

    def follow(self, book: Book) -> None:
        """Heal this book from now on."""
        self._books[book.symbol] = book

    def follows(self, symbol: str) -> bool:
        """Whether this book is healed."""
        return symbol in self._books

    def leave(self, symbol: str) -> None:
        """Heal this book no more: its instrument does not trade."""
        self._books.pop(symbol, None)
        self._unknown.discard(symbol)

    def connected(self, symbol: str) -> None:
        """The book's connection was made."""
        book = self._books.get(symbol)
        if book is not None:
            book.up_at = time.monotonic()
            book.wait_s = FIRST_WAIT_S
            # The stream itself sends the book first.
            book.not_before = book.up_at + STREAM_S if book.request is None else 0.0

    def lost(self, symbol: str) -> None:
        """The book's connection is lost."""
        book = self._books.get(symbol)
        if book is not None:
            book.up_at = None

    def look(self, unknown: set[str]) -> None:
        """Ask for what is unknown and can be asked for now."""
        for symbol in self._unknown - unknown:
            self._heal(symbol)
        self._unknown = unknown & self._books.keys()
        if not self._unknown:
            return
        now = time.monotonic()
        for symbol in self._unknown:
            book = self._books[symbol]
            book.unknown_since = book.unknown_since or now
            if book.up_at is None or book.task is not None or now < book.not_before:
                continue
            waits = book.request is not None and not self._held(symbol)
            if waits and now - book.up_at < FIRST_DELTA_S:
                continue
            book.task = asyncio.create_task(self._ask(book))

    async def close(self) -> None:
        """Leave off."""
        running = [book.task for book in self._books.values() if book.task is not None]
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)

    def _heal(self, symbol: str) -> None:
        book = self._books.get(symbol)
        if book is None:
            return
        self.healed += 1
        log.info(
            "book_healed", venue=self._venue, symbol=symbol,
            after_s=round(time.monotonic() - book.unknown_since, 3),
        )  # fmt: skip
        book.unknown_since, book.wait_s, book.not_before = 0.0, FIRST_WAIT_S, 0.0

    async def _ask(self, book: Book) -> None:
        self.asked += 1
        try:
            async with self._at_once:
                if book.request is None:
                    await book.resubscribe()
                else:
                    await self._snapshot(book.request)
        except VenueError as error:
            log.warning("snapshot_failed", venue=self._venue, symbol=book.symbol, error=str(error))
            if is_final(error):
                book.wait_s = REFUSED_WAIT_S
        finally:
            book.task = None
            patience = STREAM_S if book.request is None else 0.0
            wait = random.uniform(book.wait_s / 2, book.wait_s)
            book.not_before = time.monotonic() + patience + wait
            book.wait_s = min(2 * book.wait_s, max(MOST_WAIT_S, book.wait_s))
