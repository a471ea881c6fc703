"""What the stage `books` promises."""

import math
from collections.abc import Sequence
from random import Random

from processors.config import BooksConfig, ProcessorsConfig
from processors.pipeline import Pipeline
from schemas.events import Event
from tests.processors.batches import batch, configured, run, values
from tests.processors.events import clock, delta, feed, quote, snapshot, trade
from tests.processors.models import expected
from tests.processors.test_laws import named
from tests.processors.test_models import emitted, encoded

NAN = math.nan
EVERY_CHANGE = ProcessorsConfig(books=BooksConfig(emit_interval_ms=0))
BIDS, ASKS = [(99.0, 1.0), (98.0, 2.0)], [(101.0, 1.0), (102.0, 2.0)]


def counts(events: Sequence[Event], config: ProcessorsConfig = EVERY_CHANGE) -> dict[str, int]:
    pipeline = Pipeline()
    pipeline.process(batch([configured(config), *events]))
    return pipeline.counts()


def prices(events: Sequence[Event]) -> list[float]:
    return [row.price for row in run(events).get("reference", [])]


def test_book_follows_deltas_that_join_its_sequence() -> None:
    books = run(
        [
            snapshot(0, 5, BIDS, ASKS),
            delta(1, 5, 7, [(99.5, 3.0), (98.0, 0.0)], []),
            delta(2, 7, 8, [], [(101.0, 4.0), (103.0, 0.0)]),
        ],
        EVERY_CHANGE,
    )["books"]
    assert [book.sequence for book in books] == [5, 7, 8]
    assert books[-1].bids == [(99.5, 3.0), (99.0, 1.0)]
    assert books[-1].asks == [(101.0, 4.0), (102.0, 2.0)]


def test_book_announces_a_gap_when_the_sequence_jumps_and_heals_by_a_snapshot() -> None:
    events = [
        snapshot(0, 5, BIDS, ASKS),
        delta(1, 6, 7, [(99.5, 3.0)], []),
        delta(2, 7, 8, [(99.5, 3.0)], []),
        snapshot(3, 9, BIDS, ASKS),
    ]
    books = run(events, EVERY_CHANGE)["books"]
    assert [(book.state, book.sequence) for book in books] == [
        ("LIVE", 5),
        ("UNKNOWN", -1),
        ("LIVE", 9),
    ]
    assert (books[1].bids, books[1].asks) == ([], [])
    assert counts(events)["books.gaps"] == 1
    assert counts(events)["books.deltas_without_book"] == 1


def test_suspended_book_goes_on_when_another_collector_had_no_gap() -> None:
    events = [
        snapshot(0, 5, BIDS, ASKS),
        feed(1, "LOST", "*"),
        delta(1.1, 7, 8, [(99.5, 9.0)], []),
        delta(1.2, 5, 6, [(99.5, 3.0)], []),
    ]
    books = run(events, EVERY_CHANGE)["books"]
    assert [(book.state, book.sequence) for book in books] == [
        ("LIVE", 5),
        ("UNKNOWN", -1),
        ("LIVE", 6),
    ]
    assert books[-1].bids == [(99.5, 3.0), *BIDS]
    assert books[1].bids == []
    found = counts(events)
    assert (found["books.resumed"], found["books.deltas_without_book"]) == (1, 1)


def test_suspended_book_shows_no_price() -> None:
    events = [snapshot(0, 5, BIDS, ASKS), clock(1), feed(1, "GAP", "book"), clock(2)]
    assert prices(events) == [100.0]
    assert prices([*events, delta(2, 5, 6, [], []), clock(3)]) == [100.0, 100.0]


def test_suspended_book_without_sequences_waits_for_a_snapshot() -> None:
    events = [
        snapshot(0, 0, BIDS, ASKS),
        delta(1, -1, -1, [(99.5, 1.0)], []),
        feed(2, "GAP", "book"),
        delta(3, -1, -1, [(99.5, 2.0)], []),
    ]
    assert [book.state for book in run(events, EVERY_CHANGE)["books"]] == [
        "LIVE", "LIVE", "UNKNOWN",
    ]  # fmt: skip


def test_snapshot_heals_a_suspended_book_even_by_a_lower_sequence() -> None:
    events = [snapshot(0, 500, BIDS, ASKS), feed(1, "LOST", "*"), snapshot(1, 30, BIDS, ASKS)]
    assert run(events)["books"][-1].sequence == 30


def test_snapshot_that_a_live_book_is_past_is_stale() -> None:
    events = [
        snapshot(0, 500, BIDS, ASKS),
        delta(1, 500, 510, [(99.5, 1.0)], []),
        snapshot(1.1, 505, BIDS, ASKS),
        delta(1.2, 510, 511, [(99.4, 1.0)], []),
    ]
    assert [book.sequence for book in run(events)["books"]] == [500, 510, 511]
    assert counts(events)["books.stale_snapshots"] == 1


def test_snapshot_of_a_venue_that_began_anew_replaces_a_live_book() -> None:
    bybit = [snapshot(0, 500, BIDS, ASKS), snapshot(0.5, 1, BIDS, ASKS)]
    later = [snapshot(0, 500, BIDS, ASKS), snapshot(2, 30, BIDS, ASKS)]
    without = [snapshot(0, 0, BIDS, ASKS), snapshot(0.5, 0, BIDS, [])]
    found = [run(events)["books"][-1] for events in (bybit, later, without)]
    assert [book.sequence for book in found] == [1, 30, 0]
    assert found[2].asks == []


def test_book_ignores_stale_deltas_and_bridges_after_a_snapshot() -> None:
    events = [
        snapshot(0, 100, BIDS, ASKS),
        delta(1, 90, 100, [(99.5, 3.0)], []),
        delta(2, 95, 103, [(97.0, 1.0)], []),
    ]
    books = run(events, EVERY_CHANGE)["books"]
    assert [book.sequence for book in books] == [100, 103]
    assert books[-1].bids == [(99.0, 1.0), (98.0, 2.0), (97.0, 1.0)]
    assert counts(events)["books.stale_deltas"] == 1


def test_book_follows_a_sequence_that_is_set_back() -> None:
    events = [snapshot(0, 100, BIDS, ASKS), delta(1, 100, 3, [], ASKS), delta(2, 3, 4, BIDS, [])]
    assert [book.sequence for book in run(events, EVERY_CHANGE)["books"]] == [100, 3, 4]


def test_book_without_sequences_takes_every_delta() -> None:
    events = [snapshot(0, 0, BIDS, ASKS), delta(1, -1, -1, [(99.5, 1.0)], [])]
    assert run(events, EVERY_CHANGE)["books"][-1].bids[0] == (99.5, 1.0)


def test_loss_of_a_feed_makes_its_book_unknown_at_once() -> None:
    for channel, states in (("book", ["LIVE", "UNKNOWN"]), ("*", ["LIVE", "UNKNOWN"])):
        books = run([snapshot(0, 5, BIDS, ASKS), feed(0.01, "LOST", channel)])["books"]
        assert [book.state for book in books] == states
    for status, channel in (("LOST", "trades"), ("RESYNCED", "book"), ("CONNECTED", "*")):
        books = run([snapshot(0, 5, BIDS, ASKS), feed(0.01, status, channel)])["books"]
        assert [book.state for book in books] == ["LIVE"]


def test_changes_are_emitted_once_an_interval_and_the_last_by_the_clock() -> None:
    events: list[Event] = [snapshot(0, 0, BIDS, ASKS)]
    events += [delta(0.01 * k, k - 1, k, [(90 + 0.01 * k, 1.0)], []) for k in range(1, 36)]
    books = run([*events, clock(1), clock(2)])["books"]
    assert [book.sequence for book in books] == [0, 10, 20, 30, 35]
    assert books[-1].event_time == books[0].event_time + 1_000_000


def test_one_time_far_ahead_does_not_silence_a_book() -> None:
    events = [
        snapshot(0, 0, BIDS, ASKS),
        delta(1_000_000, 0, 1, [(90.0, 1.0)], []),
        delta(1, 1, 2, [(91.0, 1.0)], []),
    ]
    assert [book.sequence for book in run(events)["books"]] == [0, 1, 2]


def test_crossed_book_is_kept_as_it_is() -> None:
    events = [snapshot(0, 0, BIDS, ASKS), delta(1, 0, 1, [(105.0, 1.0)], [])]
    book = run(events)["books"][-1]
    assert (book.state, book.bids[0][0], book.asks[0][0]) == ("LIVE", 105.0, 101.0)


def test_empty_update_changes_only_the_sequence() -> None:
    events = [snapshot(0, 4, BIDS, ASKS), delta(1, 4, 4, [], []), delta(2, 4, 5, [], [])]
    books = run(events, EVERY_CHANGE)["books"]
    assert [book.sequence for book in books] == [4, 5]


def test_quotes_serve_until_the_first_snapshot_and_never_after() -> None:
    quoted = [quote(0, 10.0, 12.0), clock(1)]
    booked = [snapshot(1, 5, BIDS, ASKS), quote(1.5, 10.0, 12.0), clock(2)]
    gap = [feed(2, "GAP", "book"), quote(2.5, 10.0, 12.0), clock(3)]
    assert prices([*quoted, *booked, *gap]) == [11.0, 100.0]


def test_loss_of_quotes_makes_them_unknown_until_the_next() -> None:
    events = [quote(0, 10.0, 12.0), feed(0.5, "LOST", "quotes"), clock(1), quote(1, 1.0, 3.0)]
    assert prices([*events, clock(2)]) == [2.0]


def test_deep_books_of_many_instruments_equal_the_model_when_the_pool_must_grow() -> None:
    random = Random(7)
    symbols = [f"S{n:02}-USDT" for n in range(60)]
    events: list[Event] = []
    sequence = dict.fromkeys(symbols, 0)

    def levels(most: int, sign: int) -> list[tuple[float, float]]:
        ranks = sorted(random.sample(range(3_000), random.randrange(most)))
        return [(5_000.0 + sign * n, float(random.randrange(4))) for n in ranks]

    for step in range(1_500):
        symbol = random.choice(symbols)
        seconds = 0.05 * step
        if not sequence[symbol] or random.random() < 0.03:
            sequence[symbol] += 1
            bids, asks = levels(900, -1), levels(900, 1)
            events.append(snapshot(seconds, sequence[symbol], bids, asks, symbol=symbol))
        else:
            bids, asks = levels(30, -1), levels(30, 1)
            known = sequence[symbol]
            sequence[symbol] += 1
            events.append(delta(seconds, known, known + 1, bids, asks, symbol=symbol))
        if step % 20 == 0:
            events.append(clock(seconds))
    config = ProcessorsConfig(books=BooksConfig(levels=50))
    assert emitted(events, config) == encoded(expected(events, config, first_offset=1))

    # And again from a snapshot half-way, which fills a pool of its own.
    pipeline, half = Pipeline(), len(events) // 2
    pipeline.process(batch([configured(config), *events[:half]]))
    restored = Pipeline()
    for key in pipeline.changed():
        restored.restore(*key, pipeline.snapshot(*key))
    rest = batch(events[half:], first_offset=half + 1)
    assert values(restored.process(rest)) == values(pipeline.process(rest))


def test_trades_see_the_book_after_all_that_came_before_them() -> None:
    from processors.work import open_work

    pipeline = Pipeline()
    pipeline.process(batch([configured(EVERY_CHANGE)]))
    events = [
        trade(0, 1.0),
        snapshot(1, 5, BIDS, ASKS),
        trade(2, 1.0),
        feed(3, "GAP", "*"),
        trade(4, 1.0),
    ]
    work = open_work(batch(events), pipeline.instruments)
    named(pipeline, "books").process(work)
    assert [None if math.isnan(x) else x for x in work.best_bid.tolist()] == [
        None, 99.0, 99.0, None, None,
    ]  # fmt: skip
