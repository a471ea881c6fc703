"""The market: determinism, order, rates, arguments."""

import hashlib
import os
import subprocess
import sys
from itertools import islice

import pytest

from schemas.errors import ConfigError
from venues.simulator.listings import VENUE_NAMES
from venues.simulator.market import DEFAULT_START_US, Market

COUNT = 5_000
PROGRAM = """
import hashlib
from itertools import islice
from venues.simulator.market import Market
digest = hashlib.sha256()
for frame in islice(Market(seed=7).frames(), 5000):
    digest.update(repr(frame).encode())
print(digest.hexdigest())
"""


def digest(seed: int, count: int = COUNT) -> str:
    total = hashlib.sha256()
    for frame in islice(Market(seed=seed).frames(), count):
        total.update(repr(frame).encode())
    return total.hexdigest()


def test_same_seed_gives_the_same_bytes_in_another_process() -> None:
    environment = dict(os.environ, PYTHONHASHSEED="12345")
    other = subprocess.run(
        [sys.executable, "-c", PROGRAM], env=environment, capture_output=True, check=True, text=True
    )
    assert other.stdout.strip() == digest(7)


def test_other_seed_gives_other_bytes() -> None:
    assert digest(7) != digest(8)


def test_frames_do_not_depend_on_how_the_iterator_is_consumed() -> None:
    market = Market(seed=3)
    whole = list(islice(market.frames(), COUNT))
    one, other = market.frames(), market.frames()
    mixed = []
    for size in (1, 7, 500, 1, 3_000, COUNT):
        mixed.extend(islice(one, size))
        list(islice(other, 11))
    assert mixed[:COUNT] == whole


def test_frames_come_in_order_of_receipt_and_after_the_start() -> None:
    frames = list(islice(Market(start_time_us=DEFAULT_START_US + 123).frames(), COUNT))
    times = [frame.receive_time for frame in frames]
    assert times == sorted(times)
    assert times[0] >= DEFAULT_START_US
    assert {frame.venue for frame in frames} - {"cryptopanic"} == set(VENUE_NAMES)


@pytest.mark.parametrize("rate", [100.0, 500.0, 2_000.0, 8_000.0])
def test_rate_of_frames_is_about_what_was_asked(rate: float) -> None:
    seconds = 40 if rate < 1_000 else 15
    market = Market(seed=11, events_per_second=rate, news_per_hour=0)
    start = market.start_us
    count = 0
    for frame in market.frames():
        if frame.receive_time >= start + seconds * 1_000_000:
            break
        count += 1
    assert count / seconds == pytest.approx(rate, rel=0.35)


def test_symbols_and_venues_are_those_asked_for() -> None:
    market = Market(symbols=("XRP-USDT",), venues=("okx-swap", "binance-usdm"))
    frames = list(islice(market.frames(), 300))
    assert {frame.venue for frame in frames} == {"okx-swap", "binance-usdm"}
    assert all(b"XRP" in frame.data for frame in frames if b"stream" in frame.data)


@pytest.mark.parametrize(
    "arguments",
    [
        {"symbols": ()},
        {"symbols": ("BTCUSDT",)},
        {"symbols": ("BTC-USDT", "BTC-USDT")},
        {"venues": ("kraken",)},
        {"events_per_second": 0.0},
        {"events_per_second": float("nan")},
        {"signal_strength": 0.9},
        {"signal_strength": -0.1},
        {"news_per_hour": -1.0},
        {"snapshot_every_seconds": -1},
    ],
)
def test_argument_that_the_model_cannot_use_is_refused_by_name(
    arguments: dict[str, object],
) -> None:
    with pytest.raises(ConfigError, match=r"was|must"):
        Market(**arguments)  # type: ignore[arg-type] # wrong on purpose
