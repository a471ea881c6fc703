"""Every venue's connections: nothing forgotten, nothing twice, no limit passed."""

import json
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.venues import BY_NAME
from tests.venues.live.listings import NAMES, dialect, some
from venues.config import CHANNELS, Channel
from venues.live.dialect import Plan
from venues.live.plans import batches, shares

VENUE = pytest.mark.parametrize("venue", NAMES)


def said(plan: Plan) -> list[Any]:
    """Everything that a connection's hello subscribes."""
    messages = [json.loads(message) for message in plan.hello]
    return [item for message in messages for item in message.get("params") or message["args"]]


def channels_of(venue: str, channels: tuple[Channel, ...]) -> set[Channel]:
    return set(channels) - ({"mark"} if BY_NAME[venue].kind == "spot" else set())


@VENUE
@pytest.mark.parametrize("count", [1, 50, 500])
def test_every_channel_of_every_instrument_is_on_one_connection(venue: str, count: int) -> None:
    instruments = some(venue, count)
    plans = dialect(venue).plans(instruments, CHANNELS)
    on = [(each.symbol, each.channel) for plan in plans for each in plan.subscriptions]
    wanted = {(each.symbol, one) for each in instruments for one in channels_of(venue, CHANNELS)}
    assert len(on) == len(wanted)
    assert set(on) == wanted
    assert len({plan.name for plan in plans}) == len(plans)


@VENUE
@pytest.mark.parametrize("count", [1, 50, 500])
def test_hellos_and_connections_stay_within_the_limits(venue: str, count: int) -> None:
    for plan in dialect(venue).plans(some(venue, count), CHANNELS):
        asked = said(plan)
        assert asked
        assert len({json.dumps(item) for item in asked}) == len(asked)
        if venue.startswith("binance"):
            assert len(asked) <= (1024 if venue.endswith("spot") else 200)
            assert all(len(message) <= 4088 for message in plan.hello)
        elif venue.startswith("bybit"):
            assert len(json.dumps(asked, separators=(",", ":"))) <= 21_000
            most = 10 if venue == "bybit-spot" else 100
            assert all(len(json.loads(message)["args"]) <= most for message in plan.hello)
        else:
            assert len([item for item in asked if item["channel"] == "books"]) < 30
            assert all(len(message) <= 65_536 for message in plan.hello)
            assert len(plan.hello) < 480


@VENUE
def test_messages_of_a_hello_have_names_of_their_own(venue: str) -> None:
    for plan in dialect(venue).plans(some(venue, 300), CHANNELS):
        names = [json.loads(m).get("id", json.loads(m).get("req_id")) for m in plan.hello]
        assert len(set(names)) == len(names)


@VENUE
@pytest.mark.parametrize("channel", CHANNELS)
def test_one_channel_alone_is_enough_for_a_plan(venue: str, channel: Channel) -> None:
    plans = dialect(venue).plans(some(venue, 3), [channel])
    expected = 3 if channel in channels_of(venue, CHANNELS) else 0
    assert sum(len(plan.subscriptions) for plan in plans) == expected


@VENUE
def test_no_instruments_need_no_connection(venue: str) -> None:
    assert dialect(venue).plans([], CHANNELS) == []


@VENUE
def test_connections_of_a_kind_carry_about_the_same(venue: str) -> None:
    sizes: dict[str, list[int]] = {}
    for plan in dialect(venue).plans(some(venue, 499), CHANNELS):
        instruments = len({each.symbol for each in plan.subscriptions})
        sizes.setdefault(plan.name.partition("-")[0], []).append(instruments)
    assert all(max(each) - min(each) <= 1 for each in sizes.values())


@given(st.lists(st.integers(), max_size=300), st.integers(1, 50))
@settings(max_examples=50)
def test_shares_are_few_even_and_hold_all_in_order(items: list[int], most: int) -> None:
    parts = shares(items, most)
    assert [item for part in parts for item in part] == items
    assert len(parts) == -(-len(items) // most)
    assert all(0 < len(part) <= most for part in parts)
    assert all(abs(len(a) - len(b)) <= 1 for a, b in pairwise(parts))


@given(
    st.lists(st.text("abcü", min_size=1, max_size=30), max_size=60),
    st.integers(1, 20),
    st.integers(60, 400),
)
@settings(max_examples=50)
def test_batches_hold_all_in_order_within_both_limits(
    items: list[str], most: int, most_bytes: int
) -> None:
    messages = batches(items, lambda part, n: f"{n}:{'|'.join(part)}", most, most_bytes)
    parts = [message.decode().partition(":") for message in messages]
    assert [item for _, _, part in parts for item in part.split("|")] == items
    assert [number for number, _, _ in parts] == [str(n + 1) for n in range(len(parts))]
    assert all(len(part.split("|")) <= most for _, _, part in parts)
    assert all(len(message) <= most_bytes for message in messages if b"|" in message)
