"""When faults come: by script, by chance; the same from the same seed."""

import asyncio
from itertools import islice
from pathlib import Path

import pytest

from schemas.errors import ConfigError
from tests.venues.simulator.server.client import simulator
from venues.simulator.server.weather import APART_S, forecast, script

VENUES = ("binance-spot", "bybit-linear", "okx-swap")
SYMBOLS = ("BTC-USDT", "ETH-USDT")


def test_a_storm_is_the_same_from_the_same_seed_and_comes_in_order() -> None:
    first, again, other = (
        list(islice(forecast("storm", seed, VENUES, SYMBOLS), 200)) for seed in (3, 3, 4)
    )
    assert first == again
    assert first != other
    times = [fault.at for fault in first]
    assert times == sorted(times)
    assert len({fault.fault for fault in first}) > 12
    assert {fault.venue for fault in first if fault.fault != "news_burst"} == set(VENUES)


def test_calm_is_nothing_and_rough_is_milder_than_a_storm() -> None:
    assert list(forecast("calm", 1, VENUES, SYMBOLS)) == []
    rough = list(islice(forecast("rough", 1, VENUES, SYMBOLS), 100))
    storm = list(islice(forecast("storm", 1, VENUES, SYMBOLS), 100))
    assert rough[-1].at > 2 * storm[-1].at
    assert not {fault.fault for fault in rough} & {"half_open", "maintenance", "banned", "stale"}


@pytest.mark.parametrize("weather", ["rough", "storm"])
def test_no_trade_is_lost_on_a_connection_that_goes_on_unnoticed(weather: str) -> None:
    for fault in islice(forecast(weather, 5, VENUES, SYMBOLS), 300):  # type: ignore[arg-type]
        if fault.fault in {"gap", "malformed"}:
            assert fault.channel is None, "of the book, where every venue's sequence tells"


def test_faults_of_one_venue_do_not_overlap() -> None:
    free = dict.fromkeys(VENUES, 0.0)
    for fault in islice(forecast("storm", 2, VENUES, SYMBOLS), 300):
        if fault.venue:
            assert fault.at >= free[fault.venue]
            free[fault.venue] = fault.at + fault.seconds + APART_S


def test_a_script_is_read_by_time_from_lines_or_toml(tmp_path: Path) -> None:
    lines = tmp_path / "storm.jsonl"
    lines.write_text('{"at": 9, "fault": "gap"}\n\n{"at": 2, "fault": "429", "seconds": 3}\n')
    assert [(fault.at, fault.fault) for fault in script(lines)] == [
        (2, "rate_limited"),
        (9, "gap"),
    ]
    toml = tmp_path / "storm.toml"
    toml.write_text('[[fault]]\nat = 1.5\nfault = "cut"\nvenue = "okx-spot"\n')
    assert script(toml)[0].venue == "okx-spot"


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("a.jsonl", '{"fault": "gap"}\n{"fault": "rain"}', "line 2: fault was 'rain'"),
        ("a.toml", "[[fault", "a.toml"),
        ("", "", "No such file"),
    ],
)
def test_a_script_that_cannot_be_read_is_refused_with_its_line(
    tmp_path: Path, name: str, text: str, words: str
) -> None:
    path = tmp_path / (name or "none.jsonl")
    if name:
        path.write_text(text)
    with pytest.raises(ConfigError, match=words):
        script(path)


async def test_scripted_faults_happen_at_their_time(tmp_path: Path) -> None:
    path = tmp_path / "faults.jsonl"
    path.write_text(
        '{"at": 4, "fault": "5xx", "venue": "okx-spot", "seconds": 2}\n'
        '{"at": 5, "fault": "disconnect", "venue": "okx-spot"}\n'
    )
    async with simulator(venues=("okx-spot",), speed=10.0, faults=script(path)) as running:
        assert running.control.ledger() == []
        async with asyncio.timeout(3):
            while len(running.control.ledger()) < 2:
                await asyncio.sleep(0.01)
        first, second = running.control.ledger()
    assert first["fault"] == "server_error"
    begun = second["begun_market_us"] - first["begun_market_us"]
    assert begun == pytest.approx(1_000_000, abs=400_000)
