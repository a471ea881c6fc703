import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.venues.live.wire import QUICK
from venues.live.limits import (
    Attempts,
    Turns,
    Window,
    address,
    rate_limited,
    retry_after_s,
    window_of_rate,
)

MOST, WINDOW_S = 10, 5.0
asked = st.lists(st.tuples(st.floats(0, 3), st.integers(1, MOST)), max_size=60)


def granted(window: Window, asked: list[tuple[float, int]]) -> list[tuple[float, int]]:
    """(when, weight) of what is granted to who asks after these pauses."""
    now, grants = 0.0, []
    for pause, weight in asked:
        now += pause
        grants.append((now + window.reserve(now, weight), weight))
    return grants


@given(asked)
def test_no_window_holds_more_than_the_most(asked: list[tuple[float, int]]) -> None:
    grants = granted(Window(MOST, WINDOW_S), asked)
    for first, _ in grants:
        within = [weight for at, weight in grants if first <= at < first + WINDOW_S - 1e-9]
        assert sum(within) <= MOST


@given(asked)
def test_turns_come_in_order_and_not_later_than_they_must(asked: list[tuple[float, int]]) -> None:
    grants = granted(Window(MOST, WINDOW_S), asked)
    now = 0.0
    for number, ((pause, weight), (at, _)) in enumerate(zip(asked, grants, strict=True)):
        now += pause
        before = max(now, grants[number - 1][0] if number else 0.0)
        assert at >= before - 1e-9
        if at > before + 1e-9:
            just = at - 1e-6
            spent = sum(w for t, w in grants[:number] if just - WINDOW_S < t <= just)
            assert spent + weight > MOST


@given(st.integers(0, 20), st.integers(1, MOST))
def test_venues_own_count_is_taken_where_it_is_above_ours(heard: int, weight: int) -> None:
    window = Window(MOST, WINDOW_S)
    window.reserve(0.0, 4)
    window.heard(1.0, heard)
    wait = window.reserve(2.0, weight)
    assert (wait == 0.0) == (max(4, heard) + weight <= MOST)
    assert wait <= 4.0


def test_weight_above_a_whole_window_gets_one_of_its_own() -> None:
    window = Window(MOST, WINDOW_S)
    assert window.reserve(0.0, 1) == 0.0
    assert window.reserve(0.0, 50) == WINDOW_S
    assert window.reserve(0.0, 1) == 2 * WINDOW_S


@pytest.mark.parametrize(
    ("per_s", "over_s", "at_once", "then_s"),
    [(5.0, 1.0, 5, 1.1), (0.5, 1.0, 1, 2.2), (1.0, 60.0, 60, 66.0), (2.5, 1.0, 2, 0.88)],
)
def test_rate_is_a_window_with_a_tenth_kept_back(
    per_s: float, over_s: float, at_once: int, then_s: float
) -> None:
    window = window_of_rate(per_s, over_s)
    assert [window.reserve(0.0) for _ in range(at_once)] == [0.0] * at_once
    assert window.reserve(0.0) == pytest.approx(then_s)


def test_held_turns_wait_until_the_hold_is_over() -> None:
    async def waited() -> float:
        loop, turns = asyncio.get_running_loop(), Turns(Window(MOST, WINDOW_S))
        turns.hold(0.2)
        turns.hold(0.1)
        began = loop.time()
        await turns.wait()
        return loop.time() - began

    assert 0.2 <= asyncio.run(waited()) < 2.0


def test_connections_of_one_address_share_its_turns() -> None:
    attempts, limits = Attempts(), replace(QUICK, connections_per_s=1.0)
    one = attempts.at("wss://stream.example:9443/stream", "binance-spot", limits)
    assert attempts.at("wss://stream.example:9443/ws", "binance-spot", limits) is one
    assert attempts.at("wss://fstream.example/ws", "binance-usdm", limits) is not one


def test_at_one_address_for_all_each_venue_is_limited_apart() -> None:
    at = "http://127.0.0.1:19443"
    assert address(f"{at}/okx-swap/api/v5/x", "okx-swap") == "127.0.0.1:19443/okx-swap"
    assert address(f"{at}/okx-spot", "okx-spot") == "127.0.0.1:19443/okx-spot"
    # At the venue itself its markets share a host and its limits.
    assert address("https://www.okx.com/api/v5/x", "okx-swap") == "www.okx.com"


@pytest.mark.parametrize(
    ("status", "said", "wait_s", "banned"),
    [
        (429, "7", 7.0, False),
        (429, "", 60.0, False),
        (418, "3600", 3600.0, True),
        (418, "", 120.0, True),
        (403, "600", 600.0, True),
        (503, "5", 5.0, False),
    ],
)
def test_answer_says_how_long_to_wait(status: int, said: str, wait_s: float, banned: bool) -> None:
    found = rate_limited(status, {"Retry-After": said} if said else {}, 60.0)
    assert found is not None
    assert (found.wait_s, found.banned) == (wait_s, banned)


@pytest.mark.parametrize("status", [200, 403, 404, 500, 503])
def test_other_answers_ask_for_no_wait(status: int) -> None:
    assert rate_limited(status, {}, 60.0) is None


def test_retry_after_may_be_a_date() -> None:
    at = format_datetime(datetime.now(UTC) + timedelta(seconds=90), usegmt=True)
    said = retry_after_s(at)
    assert said is not None
    assert 88 < said <= 90
    assert retry_after_s("Wed, 21 Oct 2015 07:28:00 GMT") == 0.0


@pytest.mark.parametrize("value", ["", "soon", "-5", "1e9", "nan", "٣"])
def test_retry_after_of_no_sense_is_none(value: str) -> None:
    assert retry_after_s(value) is None
