"""Books' sequences: which delta follows, where one is missing, and what heals it.

One rule for all venues, on `BookDelta.previous_sequence` and `.sequence` (docs/venues.md). Where
snapshots are asked for (Binance), deltas are held back until one comes and written after it; where
the stream itself sends them, what came before is older and passes. Nothing received is left out.
"""

from collections import deque
from dataclasses import dataclass, field

from schemas.events import BookDelta, BookSnapshot, Event, FeedStatus

# Deltas held for a snapshot that does not come, at most so many and so long (by receive time).
HOLD_COUNT = 4_096
HOLD_US = 10_000_000
# Sequences remembered to tell a repeated delta from one that goes back (OKX's resets).
REMEMBER = 256

Key = tuple[str, str]


@dataclass(slots=True)
class _Book:
    """What is known of one book's sequence."""

    venue: str
    symbol: str
    asks: bool
    """Its snapshots are asked for, and numbered as its stream is."""
    live: bool = False
    sequence: int = -1
    """Of the book when live; else of the last delta that passed, -1 for none."""
    held: list[BookDelta] | None = None
    """Deltas that wait for a snapshot; None where none wait."""
    broken: bool = False
    """A GAP or LOST was announced that no snapshot has healed."""
    strict: bool = False
    """The venue's sequence may go back, so what goes back is not merely old."""
    streamed: bool = False
    """A stream of it was seen, whose sequences are what counts."""
    jumped: tuple[int, int] = (0, -1)
    """Sequences, from and to, that the live book passed at once by a snapshot that was ahead."""
    recent: deque[int] = field(default_factory=lambda: deque(maxlen=REMEMBER))


class Tracker:
    """Follows every book; gives the events in the order in which the tape gets them.

    `keep_stale`: what is not newer than its book goes out too (an import leaves nothing out).
    """

    def __init__(self, keep_stale: bool = True) -> None:
        self._keep_stale = keep_stale
        self._books: dict[Key, _Book] = {}
        self._unknown: set[Key] = set()
        self.stale = 0
        """Deltas and snapshots that were not newer than their book."""

    def wants_snapshot(self) -> set[Key]:
        """(venue, symbol) of the books that only a snapshot makes known."""
        return set(self._unknown)

    def held(self, venue: str, symbol: str) -> int:
        """How many deltas wait for a snapshot of this book."""
        book = self._books.get((venue, symbol))
        return len(book.held) if book is not None and book.held else 0

    def follows(self, delta: BookDelta) -> bool:
        """Whether a delta is the next one of a live book, which then has it; else nothing is done.

        The usual case of `delta`, without a list.
        """
        book = self._books.get((delta.venue, delta.symbol))
        if book is None or not book.live:
            return False
        if delta.previous_sequence != book.sequence and delta.previous_sequence >= 0:
            return False
        book.sequence = delta.sequence
        if book.strict:
            book.recent.append(delta.sequence)
        return True

    def delta(self, delta: BookDelta, out: list[Event]) -> None:
        """Follow a delta; what goes onto the tape now is added to `out`."""
        if self.follows(delta):
            out.append(delta)
            return
        book = self._book(delta.venue, delta.symbol)
        book.streamed = True
        if not book.live:
            self._unknown.add((delta.venue, delta.symbol))
            self._wait(book, delta, out)
        else:
            self._follow(book, delta, out)

    def requested(self, snapshot: BookSnapshot, out: list[Event]) -> bool:
        """A snapshot that answers a request; False for one that is of no use and left out.

        It may be older than the book, and only Binance numbers it as it does the stream.
        """
        book = self._book(snapshot.venue, snapshot.symbol)
        if book.streamed and not book.asks:
            return False
        if book.live and snapshot.sequence <= book.sequence:
            return False
        self._begin(book, snapshot, out)
        return True

    def snapshot(self, snapshot: BookSnapshot, out: list[Event]) -> None:
        """Begin a book anew by a snapshot of its stream, then follow what was held for it.

        One that the live book has passed already is stale: a second connection, which takes over
        without a gap, begins with a snapshot too.
        """
        book = self._book(snapshot.venue, snapshot.symbol)
        book.streamed = True
        if book.live and self._passed(book, snapshot.sequence):
            self.stale += 1
            if self._keep_stale:
                out.append(snapshot)
            return
        self._begin(book, snapshot, out)

    def _begin(self, book: _Book, snapshot: BookSnapshot, out: list[Event]) -> None:
        out.append(snapshot)
        held, book.held = book.held or [], None
        usable = not held or self._bridges(book, snapshot.sequence, held)
        ahead = book.live and snapshot.sequence > book.sequence
        book.jumped = (book.sequence, snapshot.sequence) if ahead else (0, -1)
        book.live, book.sequence = True, snapshot.sequence
        if not ahead:
            book.recent.clear()
        book.recent.append(snapshot.sequence)
        self._unknown.discard((book.venue, book.symbol))
        if book.broken and usable:
            out.append(_status(book, snapshot, "RESYNCED", "a snapshot came"))
            book.broken = False
        for delta in held:
            self.delta(delta, out)

    def lose(self, status: FeedStatus) -> None:
        """A GAP or LOST that was seen elsewhere: the book is unknown from here on."""
        self._lose(self._book(status.venue, status.symbol))

    def finish(self) -> list[Event]:
        """What is still held, since nothing more will come."""
        out: list[Event] = []
        for book in self._books.values():
            self._release(book, out)
        return out

    def _book(self, venue: str, symbol: str) -> _Book:
        book = self._books.get((venue, symbol))
        if book is None:
            asks = venue.startswith("binance")
            book = _Book(venue, symbol, asks, strict=venue.startswith("okx-"))
            book.held = [] if asks else None
            self._books[venue, symbol] = book
        return book

    def _bridges(self, book: _Book, sequence: int, held: list[BookDelta]) -> bool:
        """Whether the first held delta that is newer follows on the snapshot."""
        for delta in held:
            if delta.sequence > sequence:
                return delta.previous_sequence <= sequence
        return True

    def _follow(self, book: _Book, delta: BookDelta, out: list[Event]) -> None:
        """A delta that is not simply the next one, on a live book."""
        if self._old(book, delta):
            self.stale += 1
            if self._keep_stale:
                out.append(delta)
        elif delta.previous_sequence <= book.sequence < delta.sequence:
            book.sequence = delta.sequence
            book.recent.append(delta.sequence)
            out.append(delta)
        else:
            out.append(_gap(book, delta))
            self._lose(book)
            self._wait(book, delta, out)

    def _passed(self, book: _Book, sequence: int) -> bool:
        """Whether a live book was at this sequence lately; 1 is Bybit's restart."""
        if book.strict:
            return sequence in book.recent and sequence > 0
        return 1 < sequence <= book.sequence <= sequence + REMEMBER

    def _old(self, book: _Book, delta: BookDelta) -> bool:
        if delta.sequence > book.sequence:
            return False
        if not book.strict or delta.sequence in book.recent:
            return True
        return book.jumped[0] < delta.sequence <= book.jumped[1]

    def _lose(self, book: _Book) -> None:
        book.live, book.broken, book.sequence = False, True, -1
        if book.asks and book.held is None:
            book.held = []
        self._unknown.add((book.venue, book.symbol))

    def _wait(self, book: _Book, delta: BookDelta, out: list[Event]) -> None:
        """Hold a delta of an unknown book; where none are held, or no longer, let it pass."""
        held = book.held
        if held is None:
            self._pass(book, delta, out)
            return
        held.append(delta)
        if len(held) > HOLD_COUNT or delta.receive_time - held[0].receive_time > HOLD_US:
            self._release(book, out)

    def _release(self, book: _Book, out: list[Event]) -> None:
        held, book.held = book.held or [], None
        for delta in held:
            self._pass(book, delta, out)

    def _pass(self, book: _Book, delta: BookDelta, out: list[Event]) -> None:
        """A delta of a book that stays unknown: still, one that is missing is announced."""
        previous = delta.previous_sequence
        if book.sequence >= 0 and previous > book.sequence:
            out.append(_gap(book, delta))
            book.broken = True
        if delta.sequence > book.sequence or previous == book.sequence:
            book.sequence = delta.sequence
        out.append(delta)


def _gap(book: _Book, delta: BookDelta) -> FeedStatus:
    return FeedStatus(
        venue=book.venue,
        symbol=book.symbol,
        event_time=delta.event_time,
        receive_time=delta.receive_time,
        status="GAP",
        channel="book",
        expected_sequence=book.sequence,
        received_sequence=delta.previous_sequence,
        reason=f"a delta that follows {book.sequence} is missing",
    )


def _status(book: _Book, cause: BookSnapshot, status: str, reason: str) -> FeedStatus:
    return FeedStatus(
        venue=book.venue,
        symbol=book.symbol,
        event_time=cause.event_time,
        receive_time=cause.receive_time,
        status=status,  # type: ignore[arg-type]  # one of the statuses, by the callers
        channel="book",
        received_sequence=cause.sequence,
        reason=reason,
    )
