"""What the stage `quality` promises: every planted fault found, no clean market accused."""

import math
from collections.abc import Sequence
from typing import Any

import pytest
from msgspec.structs import replace

from processors.config import ProcessorsConfig, QualityConfig, ReferenceConfig
from schemas.events import Clock, Event, Quality
from tests.data import shared_data
from tests.processors.batches import run
from tests.processors.captures import BINANCE, SMALL, capture
from tests.processors.events import clock, delta, feed, quote, snapshot, trade
from tests.processors.faults import (
    BASES,
    MODELLED,
    RECORDED,
    SYMBOL,
    Base,
    Fault,
    faults,
    find,
    modelled,
)
from tests.processors.test_seen import two_collectors

BIDS, ASKS = [(99.0, 1.0), (98.0, 2.0)], [(101.0, 1.0), (102.0, 2.0)]
# Of each group all files together; the second day goes on with the first one's books.
SECOND_DAY = {
    "binance_spot_btcusdt_20240809.hft.gz": "binance_spot_btcusdt_20240808.hft.gz",
    "binance_cm_btcusd_perp_20240809.hft.gz": "binance_cm_btcusd_perp_20240808.hft.gz",
}
CLEAN = [BINANCE, *((name,) for name in SMALL), *((one, two) for two, one in SECOND_DAY.items())]
PLANTED = [(base, fault) for base in BASES for fault in faults(base)]


def quality(events: Sequence[Event], config: ProcessorsConfig | None = None) -> list[Quality]:
    found: list[Quality] = run(events, config).get("quality", [])
    return found


def named(rows: Sequence[Quality]) -> list[tuple[str, str]]:
    return [(row.kind, row.state) for row in rows]


def in_time(events: list[Any]) -> list[Any]:
    return sorted(events, key=lambda event: event.event_time)


def every_second(*makers: Any, begin: int = 0, end: int) -> list[Event]:
    """Events and a Clock for each second."""
    return [
        event
        for second in range(begin, end)
        for event in (*(make(second) for make in makers), clock(second + 1))
    ]


def test_every_capture_is_held_to_be_clean() -> None:
    files = {path.name for path in (shared_data() / "ws").iterdir()}
    assert {name for group in CLEAN for name in group} == files


@pytest.mark.parametrize("names", CLEAN, ids=lambda names: names[-1])
def test_clean_capture_raises_nothing(names: tuple[str, ...]) -> None:
    assert quality(capture(*names)) == []


@pytest.mark.slow
def test_clean_market_model_raises_nothing() -> None:
    assert quality(modelled()) == []


@pytest.mark.parametrize("seconds", [-120, 120])
def test_our_own_clock_being_wrong_raises_nothing(seconds: int) -> None:
    """In the captures of 2024 it is 1.27 s behind the venue's as it is."""
    events = [
        replace(event, receive_time=event.receive_time + seconds * 1_000_000)
        if not isinstance(event, Clock)
        else replace(event, event_time=event.event_time + seconds * 1_000_000)
        for event in modelled()
    ]
    assert quality(events) == []


def test_second_collector_that_lags_and_outlives_the_first_raises_nothing() -> None:
    events = modelled()
    begin, end = events[0].receive_time, events[-1].receive_time
    middle, quarter = (begin + end) // 2, begin + (end - begin) // 4
    assert quality(two_collectors(events, 900_000, middle, quarter)) == []


@pytest.mark.parametrize(
    ("base", "fault"), PLANTED, ids=[f"{base.name}: {fault.name}" for base, fault in PLANTED]
)
def test_planted_fault_is_one_event_of_its_kind_and_of_no_other_venue(
    base: Base, fault: Fault
) -> None:
    found = find(base, fault)
    assert [row.state for row in found.named] in (["RAISED"], ["RAISED", "CLEARED"])
    assert found.elsewhere == []
    assert found.delay_s < 12


@pytest.mark.parametrize("base", [RECORDED, MODELLED], ids=lambda base: base.name)
def test_venue_that_jumped_is_left_out_of_the_reference_price_and_comes_back(base: Base) -> None:
    (fault,) = (fault for fault in faults(base) if fault.kind == "JUMP")
    found = find(base, fault)
    out, back = (row for row in found.quality if row.kind == "FALLBACK")
    assert (out.venue, out.state, back.state) == (base.venue, "RAISED", "CLEARED")
    assert out.score < 0.5
    assert back.score >= 0.8
    prices = [row for row in found.reference if row.symbol == SYMBOL]
    while_out = [p for p in prices if out.event_time <= p.event_time < back.event_time]
    after = [p for p in prices if p.event_time >= back.event_time]
    if base is RECORDED:
        # The reference price is of spot venues.
        assert all(p.excluded == [] for p in prices)
        return
    assert while_out
    assert all(p.excluded == [base.venue] for p in while_out)
    assert max(p.dispersion_bps for p in while_out) < 10
    assert after
    assert all(p.excluded == [] and base.venue in dict(p.venues) for p in after)


def test_condition_is_one_event_however_long_it_lasts_and_ends_after_a_quiet_while() -> None:
    wrong = [trade(0.1 * n, -1.0) for n in range(1, 100)]
    rows = quality(in_time([*wrong, *map(clock, range(30))]))
    assert named(rows) == [("IMPOSSIBLE", "RAISED"), ("IMPOSSIBLE", "CLEARED")]
    raised, cleared = rows
    assert (raised.count, cleared.count) == (1, 99)
    assert raised.raised_time == cleared.raised_time == raised.event_time
    assert (cleared.event_time - wrong[-1].event_time) / 1e6 == pytest.approx(5, abs=1.2)


def test_score_falls_with_what_is_raised_and_recovers_with_time() -> None:
    rows = quality(
        [clock(0), trade(1, -1.0), *map(clock, range(1, 20)), trade(20, -1.0), clock(26), clock(31)]
    )
    assert [row.score for row in rows if row.state == "RAISED"] == [
        0.85,
        pytest.approx(0.85),
    ]
    assert all(0.85 < row.score < 1 for row in rows if row.state == "CLEARED")
    both = quality([clock(0), trade(1, -1.0), quote(1, -1.0, 2.0), quote(1, 1.0, -2.0)])
    assert [row.score for row in both] == [0.85, 0.25, 0.25]


def test_many_warnings_are_as_bad_as_an_error() -> None:
    events = [
        snapshot(0, 1, BIDS, ASKS),
        clock(1),
        feed(1.1, "GAP", "book"),
        trade(1.2, -1.0),
        delta(1.3, 1, 2, [], []),
        trade(1.4, 110.0),
        replace(trade(1.5, 100.0), event_time=trade(-9, 1.0).event_time),
        clock(2),
    ]
    rows = quality(events)
    assert [row.kind for row in rows] == [
        "GAP", "IMPOSSIBLE", "TRADE_OUTSIDE_BOOK", "TIME_BACKWARDS", "FALLBACK",
    ]  # fmt: skip
    assert rows[-1].score == pytest.approx(0.4)
    assert len(run(events)["reference"]) == 1


def test_venue_returns_later_than_it_left() -> None:
    config = ProcessorsConfig(
        quality=QualityConfig(recover_s=10, clear_after_ms=2_000),
        reference=ReferenceConfig(least_score=0.5, return_score=0.9),
    )
    fine = every_second(lambda s: quote(s + 0.1, 99.0, 101.0), begin=1, end=20)
    events = [clock(0), quote(0.5, -1.0, 101.0), clock(1), *fine]
    rows = quality(events, config)
    assert named(rows) == [
        ("IMPOSSIBLE", "RAISED"),
        ("FALLBACK", "RAISED"),
        ("IMPOSSIBLE", "CLEARED"),
        ("FALLBACK", "CLEARED"),
    ]
    # 2 s without a bad quote, then from 0.4 to 0.9 in 5 s.
    seconds = [(row.event_time - rows[0].event_time) / 1e6 for row in rows]
    assert seconds == pytest.approx([0, 0, 1.5, 6.5], abs=0.6)
    assert run(events, config)["reference"][0].event_time == rows[-1].event_time


def test_book_crossed_for_a_moment_is_no_fault() -> None:
    events = [
        clock(0),
        snapshot(0.1, 1, BIDS, ASKS),
        delta(0.2, 1, 2, [(103.0, 1.0)], []),
        clock(1),
        delta(1.9, 2, 3, [(103.0, 0.0)], []),
        clock(2),
        clock(3),
    ]
    assert quality(events) == []


def test_crossed_book_tells_how_deep() -> None:
    events = [
        clock(0),
        snapshot(0.1, 1, BIDS, ASKS),
        delta(0.2, 1, 2, [(103.0, 1.0)], []),
        *map(clock, range(1, 4)),
    ]
    row = quality(events)[0]
    assert (row.kind, row.unit) == ("CROSSED", "bps")
    assert row.value == pytest.approx(2 / 101 * 1e4)


def test_gap_tells_how_long_and_flapping_is_one() -> None:
    events = [clock(0), snapshot(0.1, 1, BIDS, ASKS)]
    for n in range(20):
        events += [feed(1 + 0.1 * n, "LOST", "*"), delta(1.05 + 0.1 * n, n + 1, n + 2, [], [])]
    events += [clock(4), feed(4.5, "LOST", "*"), clock(5), clock(6), clock(7)]
    events += [snapshot(7.1, 50, BIDS, ASKS), *map(clock, range(8, 14))]
    rows = quality(events)
    assert named(rows) == [("GAP", "RAISED"), ("GAP", "CLEARED")]
    assert (rows[1].count, rows[1].value, rows[1].unit) == (21, 3_000.0, "ms")


def test_feed_is_stale_when_it_is_silent_for_much_longer_than_usual() -> None:
    sparse = [quote(3.0 * n, 1.0, 2.0) for n in range(200)]
    events = in_time([*sparse, *map(clock, range(700))])
    (row,) = (row for row in quality(events) if row.kind == "STALE")
    # The longest silence was 3 s; the last quote came at 597 s.
    assert (row.channel, row.limit) == ("quotes", 15_000.0)
    assert row.event_time == clock(597 + 15).event_time


def test_silence_of_the_collectors_is_no_venue_s_fault() -> None:
    fine = every_second(lambda s: quote(s + 0.1, 1.0, 2.0), end=150)
    later = every_second(lambda s: quote(s + 0.1, 1.0, 2.0), begin=7_000, end=7_010)
    assert quality([*fine, *later]) == []


def test_trades_that_are_fetched_later_accuse_nobody() -> None:
    fine: list[Event] = every_second(lambda s: trade(s + 0.1, 100.0), end=90)
    old = [trade(5, 3_000.0, 1e6, backfilled=True), trade(6, 1.0, 1e6, kind="BLOCK")]
    assert quality([*fine, *old, clock(91), clock(92)]) == []


def test_price_that_stays_absurd_becomes_the_usual_one() -> None:
    events = [clock(0), trade(0.1, 100.0), *(trade(0.2, 1.0) for _ in range(150)), clock(1)]
    (row,) = quality(events)
    assert (row.kind, row.value, row.limit) == ("IMPOSSIBLE", 1.0, 50.0)
    assert quality([*events, *map(clock, range(2, 8))])[-1].count == 100


@pytest.mark.parametrize("value", [0.0, -1.0, math.nan, math.inf])
def test_number_that_cannot_be_is_told_as_it_was_sent(value: float) -> None:
    (row,) = quality([trade(0, value)])
    assert (row.kind, row.channel, row.severity) == ("IMPOSSIBLE", "trades", "WARNING")
    assert row.value == value or math.isnan(value)
