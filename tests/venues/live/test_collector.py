"""The whole collector on a real Kafka, against the simulator: what is published is on the tape."""

import signal
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from schemas.events import (
    BookSnapshot,
    Clock,
    DeadLetter,
    FeedStatus,
    Instrument,
    VenueClock,
)
from tests.conftest import Stack
from tests.venues.live.collecting import (
    Collecting,
    Simulated,
    Taped,
    compare,
    read,
    simulated,
)

VENUES = 6
CONNECTIONS = 8
INSTRUMENTS = 12
# SOL-USDT is there to be delisted.
SYMBOLS = ("--symbol", "BTC-USDT", "--symbol", "ETH-USDT", "--symbol", "SOL-USDT")
WANTED = ("--symbols", "BTC-USDT,ETH-USDT")


@pytest.fixture(scope="module")
def simulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Simulated]:
    options = ("--rate", "100", *SYMBOLS, "--clock-offset", "okx-spot=1500")
    with simulated(tmp_path_factory.mktemp("simulator"), *options) as started:
        yield started


@pytest.fixture
def collector(
    stack: Stack, tape_name: str, simulator: Simulated, tmp_path: Path
) -> Iterator[Collecting]:
    started = Collecting(stack, tape_name, tmp_path, "--address", simulator.address, *WANTED)
    yield started
    started.end(signal.SIGKILL)


@pytest.fixture
def patient(
    stack: Stack, tape_name: str, simulator: Simulated, tmp_path: Path
) -> Iterator[Collecting]:
    """A collector that does not take a busy machine's pauses for a half-open connection."""
    started = Collecting(
        stack, tape_name, tmp_path, "--address", simulator.address, *WANTED, silence_s=10.0
    )
    yield started
    started.end(signal.SIGKILL)


def test_in_calm_weather_all_is_there_once_also_across_a_planned_cut(
    stack: Stack, tape_name: str, simulator: Simulated, patient: Collecting
) -> None:
    collector = patient
    collector.wait_ready()
    for venue in ("binance-spot", "binance-usdm", "okx-spot", "okx-swap"):
        simulator.plant("cut", venue=venue, seconds=6)
    collector.wait_for("connection_handover", 6)
    time.sleep(6)  # until after the cut
    status, metrics = collector.get("/metrics")
    assert collector.end() == 0
    taped = read(stack, tape_name)
    found = compare(taped, simulator)
    assert (found.missing, found.doubled, found.overtaken) == ({}, {}, {})
    assert (found.instruments, found.backfilled) == (INSTRUMENTS, 0)
    assert len(taped.of(Instrument)) == INSTRUMENTS
    snapshots = taped.of(BookSnapshot)
    assert {(each.venue, each.symbol) for each in snapshots} == taped.trades().keys()
    assert {each.status for each in taped.of(FeedStatus)} == {"CONNECTED"}
    assert_pulses(taped)
    clocks = {each.venue: each for each in taped.of(VenueClock)}
    assert len(clocks) == VENUES
    ahead = clocks["okx-spot"]
    assert abs(ahead.offset_us - 1_500_000) <= ahead.uncertainty_us + 20_000
    assert status == 200
    assert 'tape_collector_frames_total{collector="collector",venue="okx-swap"}' in metrics


def assert_pulses(taped: Taped) -> None:
    """Every partition has every whole second."""
    pulses = [
        [each.event_time for each in events if isinstance(each, Clock)]
        for events in taped.partitions
    ]
    assert len({tuple(each) for each in pulses}) == 1
    assert {later - before for before, later in pairwise(pulses[0])} == {1_000_000}


def test_in_rough_weather_all_is_there_once_and_books_are_healed(
    stack: Stack, tape_name: str, simulator: Simulated, collector: Collecting
) -> None:
    collector.wait_ready()
    simulator.plant("malformed", channel="quote", count=4)
    simulator.plant("gap", count=8)
    simulator.plant("gap", channel="trades", count=4, venue="binance-spot")
    simulator.plant("gap", channel="trades", count=4, venue="okx-swap")
    simulator.plant("duplicate", channel="trades", count=10)
    simulator.plant("reorder", channel="trades", count=2, venue="binance-usdm")
    time.sleep(1)
    simulator.plant("disconnect", seconds=1)
    collector.wait_for("connection_connected", 2 * CONNECTIONS)
    simulator.plant("half_open", venue="bybit-linear")
    simulator.plant("half_open", venue="binance-spot")
    collector.wait_for("connection_connected", 2 * CONNECTIONS + 2)
    time.sleep(1.5)
    assert collector.get("/readyz") == (200, "ready\n")
    assert unknown_books(collector.get("/metrics")[1]) == {0.0}
    assert collector.end() == 0
    taped = read(stack, tape_name)
    found = compare(taped, simulator)
    assert (found.missing, found.doubled) == ({}, {})
    assert found.backfilled > 0
    assert found.instruments == INSTRUMENTS
    last = {(each.venue, each.symbol): each.status for each in taped.of(FeedStatus)
            if each.channel in ("*", "book") and each.status != "CONNECTED"}  # fmt: skip
    assert set(last.values()) == {"RESYNCED"}
    letters = read(stack, tape_name, "dead_letters").of(DeadLetter)
    assert [each.source for each in letters] == ["collector"] * 4


def unknown_books(metrics: str) -> set[float]:
    """How many books are unknown, at each venue."""
    name = "tape_collector_books_unknown{"
    return {float(each.split()[-1]) for each in metrics.splitlines() if each.startswith(name)}


def test_killed_it_goes_on_where_the_tape_ends_and_a_second_one_takes_over(
    stack: Stack, tape_name: str, simulator: Simulated, tmp_path: Path, collector: Collecting
) -> None:
    collector.wait_ready()
    time.sleep(1)
    collector.end(signal.SIGKILL)
    again = Collecting(stack, tape_name, tmp_path, "--address", simulator.address, *WANTED)
    again.wait_ready()
    time.sleep(2.5)  # an instrument without a trade is asked for after a second
    found = compare(read(stack, tape_name), simulator)
    assert (found.missing, found.doubled, found.overtaken) == ({}, {}, {})
    assert found.backfilled > 0
    second = Collecting(
        stack, tape_name, tmp_path, "--address", simulator.address, *WANTED, "--name", "second"
    )
    second.wait_ready()
    time.sleep(1)
    again.end(signal.SIGKILL)
    time.sleep(1)
    assert second.end() == 0
    found = compare(read(stack, tape_name), simulator)
    assert found.missing == {}
    assert found.doubled  # the first stage of the processors drops them


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (("--symbols", "BTC-USDT,ETH-UDST"), "ETH-USDT"),
        (("--venues", "binance-sport"), "binance-spot"),
        (("--address", "127.0.0.1:1"), "http://HOST:PORT"),
        (("--set", "collector.news.cryptopanic_api=v3"), "cryptopanic_api"),
    ],
)
def test_what_is_configured_wrong_is_refused_with_the_nearest_names(
    stack: Stack, tape_name: str, simulator: Simulated, tmp_path: Path,
    options: tuple[str, ...], told: str,
) -> None:  # fmt: skip
    given = () if "--address" in options else ("--address", simulator.address)
    collector = Collecting(stack, tape_name, tmp_path, *given, *options)
    assert collector.process.wait(30) == 2
    assert told in collector.said


def test_a_venue_that_is_away_and_a_delisted_symbol_stop_no_other(
    stack: Stack, tape_name: str, simulator: Simulated, tmp_path: Path
) -> None:
    collector = Collecting(
        stack, tape_name, tmp_path, "--address", simulator.address,
        "--venues", "binance-coinm,bybit-linear", "--symbols", "BTC-USDT,SOL-USDT",
        "--set", "collector.instruments_s=0.5",
    )  # fmt: skip
    try:
        collector.wait_for("connection_connected")
        status, text = collector.get("/readyz")
        assert status == 503
        assert "binance-coinm: no answer of use" in text
        simulator.plant("delisted", symbol="SOL-USDT", venue="bybit-linear")
        collector.wait_for("instrument_changed")
        simulator.plant("disconnect", venue="bybit-linear")
        collector.wait_for("connection_connected", 2)
        time.sleep(1)
    finally:
        assert collector.end() == 0
    taped = read(stack, tape_name)
    told = [each.status for each in taped.of(Instrument) if each.symbol == "SOL-USDT"]
    assert told == ["Trading", "DELISTED"]
    reasons = [each.reason for each in taped.of(FeedStatus) if each.symbol == "SOL-USDT"]
    assert "the venue no longer lists the instrument" in reasons
    bitcoin = [each.status for each in taped.of(FeedStatus) if each.symbol == "BTC-USDT"]
    assert bitcoin[-1] == "RESYNCED"
