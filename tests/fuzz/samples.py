"""What cases are made of: recorded data where it is there, and always the market model's."""

import json
from functools import cache
from itertools import islice
from typing import Any

import pytest

from schemas.events import Event
from tests.fuzz.mutation import Case
from tests.venues import captures, samples
from venues.feed import Feed
from venues.frames import Frame
from venues.simulator.market import Market

EXCHANGES = ("binance", "bybit", "okx")
_MOST_BYTES = 4_096
_A_CAPTURE = 400
_KEPT = 60


@cache
def model_frames() -> list[Frame]:
    """The first frames of a small market: instruments, books, and some of every channel."""
    market = Market(seed=3, symbols=("BTC-USDT",), events_per_second=300.0, news_per_hour=1_800.0)
    return list(islice(market.frames(), 2_500))


@cache
def model_events() -> list[Event]:
    """What the feed makes of them."""
    feed = Feed()
    return [event for frame in model_frames() for event in feed.receive(frame)]


@cache
def frames(exchange: str) -> list[Case]:
    """Frames of an exchange's venues: some of every kind, recorded and modelled."""
    found = [frame for frame in model_frames() if frame.venue.startswith(exchange)]
    try:
        for path in captures.paths():
            recorded = islice(captures.read(path), _A_CAPTURE)
            found += [frame for frame in recorded if frame.venue.startswith(exchange)]
        found += [samples.frame(*one) for one in samples.examples() if one[1] == exchange]
    except pytest.skip.Exception:
        pass
    return _some_of_each([case_of(frame) for frame in found])


def case_of(frame: Frame) -> Case:
    """A frame as a case."""
    return Case(f"{frame.venue} {frame.request}".encode(), shortened(frame.data))


def shortened(data: bytes) -> bytes:
    """JSON that is long by its lists, with shorter lists: changes must fall on every field."""
    if len(data) <= _MOST_BYTES:
        return data
    try:
        whole = json.loads(data)
    except ValueError:
        return data[:_MOST_BYTES]
    for most in (20, 5, 2):
        short = json.dumps(_cut(whole, most), separators=(",", ":")).encode()
        if len(short) <= _MOST_BYTES:
            break
    return short[: 4 * _MOST_BYTES]


def _cut(value: Any, most: int) -> Any:
    if isinstance(value, list):
        return [_cut(item, most) for item in value[:most]]
    if isinstance(value, dict):
        return {key: _cut(item, most) for key, item in value.items()}
    return value


def _some_of_each(cases: list[Case]) -> list[Case]:
    """At most so many of those whose names of fields are the same."""
    kinds: dict[tuple[bytes, int], list[Case]] = {}
    for case in cases:
        shape = (case.head[:80], hash(bytes(b for b in case.body[:120] if b > 64)))
        kinds.setdefault(shape, []).append(case)
    # Messages of one kind differ in their letters only by symbols and sides.
    return [case for same in kinds.values() for case in same[: max(1, _KEPT // len(kinds))]]
