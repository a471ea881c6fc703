"""Any one diff that is missing from a capture is announced as a GAP, and where it cannot be.

The exceptions, exactly: the last diff of a book (nothing comes after it), the first of a book
that has no snapshot (nothing came before it), those that are wholly in the snapshot that
bridges (its sequence is not below theirs), and in OKX's capture of 2022, which has no sequences,
those without which the book's best 25 levels are the same at every later message.
"""

from collections import defaultdict
from random import Random

import pytest

from schemas.events import BookDelta, BookSnapshot, Event, FeedStatus
from tests.venues import captures
from venues.feed import Feed
from venues.frames import Frame
from venues.messages import decoder
from venues.okx.checksum import SentBook
from venues.okx.link import BookMessage
from venues.tracker import Tracker

SMALL = (
    "binance_spot_2021-10-12.jsonl.zst",
    "binance_usdm_2021-07-22.jsonl.zst",
    "binanceus_spot_2021-10-12.jsonl.zst",
    "bybit_v5_2026-08-09.jsonl.zst",
)
LARGE = (
    ("binance_spot_btcusdt_20240808.hft.gz", "binance_spot_btcusdt_20240809.hft.gz"),
    ("binance_cm_btcusd_perp_20240808.hft.gz", "binance_cm_btcusd_perp_20240809.hft.gz"),
    ("binance_usdm_btcusdt_20240808.hft.gz",),
    ("binance_spot_btcusdt_20240809.hft.gz",),
)
SAMPLED = 60
OKX = "okx_v5_2022-05-13.jsonl.zst"
Book = list[BookDelta | BookSnapshot]


def books(names: tuple[str, ...]) -> dict[tuple[str, str], Book]:
    """Each book's events in the order of their receipt: a snapshot is where it came."""
    feed, found = Feed(), defaultdict(list)
    for name in names:
        for frame in captures.frames(captures.path(name)):
            for event in feed.receive(frame):
                if isinstance(event, BookDelta | BookSnapshot):
                    found[event.venue, event.symbol].append(event)
    for event in feed.finish():
        if isinstance(event, BookDelta):
            found[event.venue, event.symbol].append(event)
    return {at: sorted(book, key=lambda event: event.receive_time) for at, book in found.items()}


def excused(book: Book) -> set[int]:
    """Places of the diffs whose loss nothing can tell."""
    deltas = [place for place, event in enumerate(book) if isinstance(event, BookDelta)]
    snapshot = next((event for event in book if isinstance(event, BookSnapshot)), None)
    if snapshot is None:
        return {deltas[0], deltas[-1]}
    within = {place for place in deltas if book[place].sequence <= snapshot.sequence}
    return within | {deltas[-1]}


def gaps(events: Book) -> list[FeedStatus]:
    """The GAPs that the tracker announces over a book's events as they were received."""
    tracker, out = Tracker(), list[Event]()
    for event in events:
        if isinstance(event, BookDelta):
            tracker.delta(event, out)
        elif event.venue.startswith("binance"):
            tracker.requested(event, out)
        else:
            tracker.snapshot(event, out)
    out += tracker.finish()
    return [event for event in out if isinstance(event, FeedStatus) and event.status == "GAP"]


def check(book: Book, place: int, excuses: set[int], after: int | None) -> None:
    """Delete one diff and look for its GAP, among so many events after it."""
    end = None if after is None else max(place + 1 + after, first_live(book))
    found = gaps(book[:place] + book[place + 1 : end])
    if place in excuses:
        assert found == [], f"the diff at {place} was announced though it should not matter"
    else:
        deleted = book[place]
        assert isinstance(deleted, BookDelta)
        assert len(found) == 1, f"the diff at {place} was not announced"
        assert found[0].expected_sequence < deleted.sequence  # type: ignore[operator]


def first_live(book: Book) -> int:
    """How many events it takes until the snapshot and a few diffs more are there."""
    snapshots = [place for place, event in enumerate(book) if isinstance(event, BookSnapshot)]
    return snapshots[0] + 3 if snapshots else 0


@pytest.mark.parametrize("name", SMALL)
def test_every_diff_deleted_from_a_small_capture_is_announced(name: str) -> None:
    for book in books((name,)).values():
        excuses = excused(book)
        for place, event in enumerate(book):
            if isinstance(event, BookDelta):
                check(book, place, excuses, 30)


@pytest.mark.parametrize("names", LARGE, ids=lambda names: names[-1])
def test_diffs_deleted_from_a_large_capture_are_announced(names: tuple[str, ...]) -> None:
    ((_, book),) = books(names).items()
    excuses = excused(book)
    deltas = [place for place, event in enumerate(book) if isinstance(event, BookDelta)]
    chosen = {*Random(1).sample(deltas, SAMPLED), *deltas[:12], *deltas[-3:]}
    for place in sorted(chosen):
        if place in excuses and place == deltas[0] and len(excuses) == 2:
            continue  # without what came before, the next is simply the first
        check(book, place, excuses, 3 if place not in excuses else None)


@pytest.mark.parametrize("names", LARGE, ids=lambda names: names[-1])
def test_every_diff_of_a_large_capture_is_named_by_the_next(names: tuple[str, ...]) -> None:
    """By arithmetic over all of them: without it the next one follows on nothing that was."""
    ((_, book),) = books(names).items()
    deltas = [event for event in book if isinstance(event, BookDelta)]
    for before, deleted, after in zip(deltas, deltas[1:], deltas[2:], strict=False):
        assert after.previous_sequence == deleted.sequence > before.sequence


def okx_frames() -> list[Frame]:
    return captures.frames(captures.path(OKX))


def is_book(frame: Frame) -> bool:
    return b'"channel":"books"' in frame.data and b'"action"' in frame.data


def test_okx_checksums_all_agree() -> None:
    feed, verified = Feed(), 0
    for frame in okx_frames():
        statuses = [event for event in feed.receive(frame) if isinstance(event, FeedStatus)]
        assert all(status.status == "CONNECTED" for status in statuses)
        verified += is_book(frame)
    assert verified == 98
    assert feed.wants_snapshot() == set()


def test_every_diff_deleted_from_the_okx_capture_is_announced_if_it_shows_in_the_best_25() -> None:
    frames = [frame for frame in okx_frames() if is_book(frame)]
    truth = checksums(frames)
    unseen = 0
    for place in range(1, len(frames)):
        rest = frames[:place] + frames[place + 1 :]
        shows = checksums(rest)[place:] != truth[place + 1 :]
        feed = Feed()
        statuses = [
            event
            for frame in rest
            for event in feed.receive(frame)
            if isinstance(event, FeedStatus) and event.status == "GAP"
        ]
        assert bool(statuses) == shows
        assert all("checksum" in status.reason for status in statuses)
        unseen += not shows
    assert unseen == 1  # the last


def checksums(frames: list[Frame]) -> list[int]:
    """The checksum after each of these messages."""
    book, found, decode = SentBook(), [], decoder(BookMessage)
    for frame in frames:
        message = decode(frame.data)
        book.apply(frame.data, message.data, message.action == "snapshot")
        found.append(book.checksum())
    return found
