"""Sequences of books: what follows, what is held, what is a gap and what heals it."""

from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.events import BookDelta, BookSnapshot, Event, FeedStatus
from venues.tracker import HOLD_COUNT, HOLD_US, Tracker

BINANCE, BYBIT, OKX = "binance-spot", "bybit-linear", "okx-swap"


def delta(previous: int, sequence: int, venue: str = BINANCE, time: int = 0) -> BookDelta:
    return BookDelta(
        venue=venue, symbol="BTC-USDT", event_time=time, receive_time=time,
        previous_sequence=previous, sequence=sequence, bids=[], asks=[],
    )  # fmt: skip


def snapshot(sequence: int, venue: str = BINANCE, time: int = 0) -> BookSnapshot:
    return BookSnapshot(
        venue=venue, symbol="BTC-USDT", event_time=time, receive_time=time,
        sequence=sequence, depth=1, bids=[], asks=[],
    )  # fmt: skip


def follow(tracker: Tracker, *events: BookDelta | BookSnapshot) -> list[str]:
    """What comes out, in short: S and D with their sequences, statuses by name."""
    out = list[Event]()
    for event in events:
        if isinstance(event, BookDelta):
            tracker.delta(event, out)
        elif event.venue == BINANCE:
            tracker.requested(event, out)
        else:
            tracker.snapshot(event, out)
    return [short(event) for event in out]


def short(event: Event) -> str:
    if isinstance(event, FeedStatus):
        return event.status
    assert isinstance(event, BookDelta | BookSnapshot)
    return f"{'D' if isinstance(event, BookDelta) else 'S'}{event.sequence}"


def test_deltas_are_held_until_the_snapshot_and_written_after_it() -> None:
    tracker = Tracker()
    assert follow(tracker, delta(0, 5), delta(5, 9)) == []
    assert tracker.wants_snapshot() == {(BINANCE, "BTC-USDT")}
    assert follow(tracker, snapshot(7), delta(9, 12)) == ["S7", "D5", "D9", "D12"]
    assert tracker.wants_snapshot() == set()
    assert tracker.stale == 1


def test_a_missing_delta_is_a_gap_and_what_follows_is_held() -> None:
    tracker = Tracker()
    follow(tracker, snapshot(5))
    assert follow(tracker, delta(5, 6), delta(7, 8), delta(8, 9)) == ["D6", "GAP"]
    assert tracker.wants_snapshot() == {(BINANCE, "BTC-USDT")}
    assert follow(tracker, snapshot(8)) == ["S8", "RESYNCED", "D8", "D9"]
    assert follow(tracker, delta(9, 10)) == ["D10"]


def test_a_gap_says_what_was_expected_and_what_came() -> None:
    tracker, out = Tracker(), list[Event]()
    tracker.requested(snapshot(5), out)
    tracker.delta(delta(7, 8), out)
    status = out[1]
    assert isinstance(status, FeedStatus)
    assert (status.expected_sequence, status.received_sequence) == (5, 7)
    assert (status.channel, status.status) == ("book", "GAP")


def test_a_snapshot_older_than_what_was_held_heals_nothing() -> None:
    tracker = Tracker()
    assert follow(tracker, delta(10, 11), delta(11, 12), snapshot(5)) == ["S5", "GAP"]
    assert tracker.wants_snapshot() == {(BINANCE, "BTC-USDT")}
    assert follow(tracker, snapshot(10)) == ["S10", "RESYNCED", "D11", "D12"]


def test_a_gap_among_what_was_held_is_announced_when_the_snapshot_comes() -> None:
    tracker = Tracker()
    assert follow(tracker, delta(0, 5), delta(6, 7), snapshot(5)) == ["S5", "D5", "GAP"]
    assert [short(event) for event in tracker.finish()] == ["D7"]


def test_an_answer_that_is_older_than_the_live_book_is_left_out() -> None:
    tracker = Tracker()
    follow(tracker, snapshot(5), delta(5, 9))
    assert follow(tracker, snapshot(7)) == []
    assert follow(tracker, delta(9, 10)) == ["D10"]


def test_repeated_deltas_are_written_and_counted_as_stale() -> None:
    tracker = Tracker()
    follow(tracker, snapshot(5))
    assert follow(tracker, delta(5, 6), delta(5, 6), delta(6, 7)) == ["D6", "D6", "D7"]
    assert tracker.stale == 1


def test_without_a_snapshot_held_deltas_are_let_go_after_a_bound() -> None:
    late = Tracker()
    held = [delta(n, n + 1, time=n * 1_000_000) for n in range(1 + HOLD_US // 1_000_000)]
    assert follow(late, *held) == []
    assert len(follow(late, delta(11, 12, time=HOLD_US + 1))) == len(held) + 1
    assert follow(late, delta(12, 13, time=HOLD_US + 2)) == ["D13"]
    assert late.wants_snapshot() == {(BINANCE, "BTC-USDT")}
    many = Tracker()
    assert follow(many, *[delta(n, n + 1) for n in range(HOLD_COUNT)]) == []
    assert len(follow(many, delta(HOLD_COUNT, HOLD_COUNT + 1))) == HOLD_COUNT + 1


def test_what_is_missing_is_announced_even_of_a_book_that_stays_unknown() -> None:
    tracker = Tracker()
    follow(tracker, delta(0, 1), delta(2, 3), delta(3, 4))
    assert [short(event) for event in tracker.finish()] == ["D1", "GAP", "D3", "D4"]


def test_a_stream_with_snapshots_of_its_own_holds_nothing() -> None:
    tracker = Tracker()
    assert follow(tracker, snapshot(5, BYBIT), delta(5, 6, BYBIT)) == ["S5", "D6"]
    assert follow(tracker, delta(7, 8, BYBIT), delta(8, 9, BYBIT)) == ["GAP", "D8", "D9"]
    assert tracker.wants_snapshot() == {(BYBIT, "BTC-USDT")}


def test_bybits_service_restart_begins_again_at_one() -> None:
    tracker = Tracker()
    follow(tracker, snapshot(500, BYBIT), delta(501, 502, BYBIT))
    assert follow(tracker, snapshot(1, BYBIT), delta(1, 2, BYBIT)) == ["S1", "RESYNCED", "D2"]


def test_okx_empty_updates_and_resets_are_no_gaps() -> None:
    tracker = Tracker()
    follow(tracker, snapshot(100, OKX))
    assert follow(tracker, delta(100, 100, OKX), delta(100, 5, OKX), delta(5, 8, OKX)) == [
        "D100", "D5", "D8",
    ]  # fmt: skip


def test_an_okx_reset_that_is_missing_is_a_gap() -> None:
    tracker = Tracker()
    follow(tracker, snapshot(100, OKX), delta(100, 110, OKX))
    assert follow(tracker, delta(5, 8, OKX)) == ["GAP", "D8"]


def test_deltas_without_sequences_always_follow() -> None:
    tracker = Tracker()
    assert follow(tracker, snapshot(0, OKX), *[delta(-1, -1, OKX)] * 3) == ["S0", *["D-1"] * 3]


def test_a_gap_seen_elsewhere_makes_the_book_unknown() -> None:
    tracker, out = Tracker(), list[Event]()
    follow(tracker, snapshot(0, OKX))
    tracker.lose(
        FeedStatus(venue=OKX, symbol="BTC-USDT", event_time=0, receive_time=0, status="GAP",
                   channel="book", reason="checksum")
    )  # fmt: skip
    tracker.delta(delta(-1, -1, OKX), out)
    assert [short(event) for event in out] == ["D-1"]
    assert tracker.wants_snapshot() == {(OKX, "BTC-USDT")}
    assert follow(tracker, snapshot(0, OKX)) == ["S0", "RESYNCED"]


def test_a_requested_book_is_taken_only_where_no_stream_of_the_venue_is() -> None:
    tracker, out = Tracker(), list[Event]()
    assert tracker.requested(snapshot(9, BYBIT), out)
    tracker.snapshot(snapshot(5, BYBIT), out)
    assert not tracker.requested(snapshot(10, BYBIT), out)


@st.composite
def _feeds(draw: st.DrawFn) -> tuple[list[BookDelta], int, int]:
    """A chain of deltas, where the snapshot comes in, and of which state it is."""
    steps = draw(st.lists(st.integers(1, 5), min_size=3, max_size=30))
    deltas, sequence = [], 10
    for step in steps:
        deltas.append(delta(sequence, sequence + step))
        sequence += step
    comes = draw(st.integers(0, len(deltas)))
    newest = deltas[comes - 1].sequence if comes else 10
    of_state = draw(st.integers(10, newest + 3)) if comes else 10
    return deltas, comes, of_state


@settings(max_examples=150)
@given(_feeds(), st.data())
def test_all_that_is_received_comes_out_and_one_lost_delta_is_told(
    feed: tuple[list[BookDelta], int, int], data: st.DataObject
) -> None:
    deltas, comes, of_state = feed
    whole = [*deltas[:comes], snapshot(of_state), *deltas[comes:]]
    tracker = Tracker()
    came = follow(tracker, *whole) + [short(event) for event in tracker.finish()]
    assert "GAP" not in came
    assert sorted(came) == sorted(short(event) for event in whole)

    place = data.draw(st.integers(0, len(deltas) - 1))
    lost = deltas[place]
    told = Tracker()
    came = follow(told, *[event for event in whole if event is not lost])
    came += [short(event) for event in told.finish()]
    matters = lost.sequence > of_state and place < len(deltas) - 1
    assert came.count("GAP") == matters
    assert sorted(at for at in came if at != "GAP") == sorted(
        short(event) for event in whole if event is not lost
    )


def test_a_second_connections_snapshot_that_the_live_book_has_passed_is_old() -> None:
    for venue in (BYBIT, OKX):
        tracker = Tracker(keep_stale=False)
        follow(tracker, snapshot(100, venue), delta(100, 101, venue), delta(101, 102, venue))
        second = (snapshot(101, venue), delta(101, 102, venue), delta(102, 103, venue))
        assert follow(tracker, *second) == ["D103"]
        assert tracker.stale == 2
        assert tracker.wants_snapshot() == set()


def test_a_second_connections_snapshot_that_is_ahead_is_taken_and_the_first_is_old_then() -> None:
    for venue in (BYBIT, OKX):
        tracker = Tracker(keep_stale=False)
        follow(tracker, snapshot(100, venue), delta(100, 101, venue))
        first = (delta(101, 102, venue), delta(102, 103, venue))
        assert follow(tracker, snapshot(103, venue), *first) == ["S103"]
        assert follow(tracker, delta(103, 104, venue), delta(104, 105, venue)) == ["D104", "D105"]


def test_a_snapshot_far_behind_the_live_book_begins_it_anew() -> None:
    tracker = Tracker()
    follow(tracker, snapshot(100_000, BYBIT))
    assert follow(tracker, snapshot(50, BYBIT), delta(50, 51, BYBIT)) == ["S50", "D51"]


def test_what_is_old_is_left_out_where_that_is_asked_for() -> None:
    tracker = Tracker(keep_stale=False)
    follow(tracker, snapshot(5))
    assert follow(tracker, delta(5, 6), delta(5, 6), delta(6, 7)) == ["D6", "D7"]
