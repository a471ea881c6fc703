"""The command `tape import`: what it prints, and how it ends."""

import json
from pathlib import Path

import pytest

from schemas.errors import ConfigError
from tape.cli import build


def call(*arguments: str | Path) -> None:
    words = [str(argument) for argument in arguments]
    build(words)(words, standalone_mode=False)


@pytest.fixture
def candles(tmp_path: Path) -> Path:
    path = tmp_path / "okx_BTC-USDT-SWAP-1m.json"
    path.write_text(
        json.dumps([[1_617_235_200_000 + 60_000 * i, 1, 2, 0.5, 1.5, 9] for i in range(9)])
    )
    return path


def test_dry_run_ends_with_one_json_object_and_needs_no_server(
    candles: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    call("import", candles, "--dry-run", "--json")
    done = json.loads(capsys.readouterr().out)
    assert done["counts"] == {"okx-swap": {"BTC-USDT": {"Kline": 9}}}
    assert done["dry_run"]
    assert done["written"] == done["dead_letters"] == done["clock_pulses"] == 0
    assert done["gaps"] == done["ignored"] == {}
    assert done["seconds"] >= 0


def test_table_shows_events_by_venue_symbol_and_record(
    candles: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    call("import", candles, "--dry-run")
    shown = capsys.readouterr().out
    assert "okx-swap  BTC-USDT  Kline" in shown
    assert "9 events, 0 clock pulses, 0 dead letters" in shown
    assert "nothing written" in shown


def test_option_wins_over_the_files_name(candles: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = ("--venue", "okx-spot", "--symbol", "eth-usdt", "--interval", "5m")
    call("import", candles, "--dry-run", "--json", *options)
    assert json.loads(capsys.readouterr().out)["counts"] == {"okx-spot": {"ETH-USDT": {"Kline": 9}}}


def test_unknown_venue_and_missing_file_are_refused_by_name(candles: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="--venue mars"):
        call("import", candles, "--dry-run", "--venue", "mars")
    with pytest.raises(ConfigError, match="there is no such file"):
        call("import", tmp_path / "absent.csv", "--dry-run")
