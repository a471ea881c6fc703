"""File names: what they say of venue, symbol, interval and kind."""

from pathlib import Path

import pytest

from schemas.errors import ConfigError
from venues.history.names import Hints, canonical, from_path, require


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("binance_BTCUSDT_perp-5m.feather", ("binance-usdm", "BTC-USDT", "5m", "candles")),
        ("binanceus_BTCUSDT-1m_202303.csv.gz", ("binanceus-spot", "BTC-USDT", "1m", "candles")),
        ("bybit_ADAUSDT-1m.csv.gz", ("bybit-spot", "ADA-USDT", "1m", "candles")),
        ("bybit_ADAUSDT_perp-1h-mark.feather", ("bybit-linear", "ADA-USDT", "1h", "mark")),
        (
            "bybit_ADAUSDT_perp-1h-funding_rate.feather",
            ("bybit-linear", "ADA-USDT", "1h", "funding"),
        ),
        ("bybit_BTCUSDT-5m_2025H1.feather", ("bybit-spot", "BTC-USDT", "5m", "candles")),
        ("okx_BTC-USDT-SWAP-1m.feather", ("okx-swap", "BTC-USDT", "1m", "candles")),
        ("okx_BTC-USD-SWAP-1m.feather", ("okx-inverse", "BTC-USD", "1m", "candles")),
        (
            "data/okx/futures/BTC_USDT_USDT-5m-futures.feather",
            ("okx-swap", "BTC-USDT", "5m", "candles"),
        ),
        ("data/binance/ETH_BTC-15m.json", ("binance-spot", "ETH-BTC", "15m", "candles")),
        ("data/binance/ETH_BTC-trades.json.gz", ("binance-spot", "ETH-BTC", "", "trades")),
        ("BTCUSDT-1m-2024-08.zip", ("", "BTC-USDT", "1m", "candles")),
        ("BTCUSDT-aggTrades-2024-08-08.zip", ("", "BTC-USDT", "", "trades")),
        ("BTCUSD_PERP-1m-2024-08.zip", ("", "BTC-USD", "1m", "candles")),
        (
            "binance_XRPETH_aggTrades_20191011-13.json.gz",
            ("binance-spot", "XRP-ETH", "", "trades"),
        ),
        ("candles.csv", ("", "", "", "candles")),
    ],
)
def test_names_of_known_patterns(path: str, expected: tuple[str, str, str, str]) -> None:
    hints = from_path(Path("/nowhere") / path)
    assert (hints.venue, hints.symbol, hints.interval, hints.kind) == expected


@pytest.mark.parametrize(
    ("native", "symbol"),
    [
        ("BTCUSDT", "BTC-USDT"),
        ("btcusdt", "BTC-USDT"),
        ("XRP/ETH", "XRP-ETH"),
        ("BTC/USDT:USDT", "BTC-USDT"),
        ("BTCUSD_PERP", "BTC-USD"),
        ("BTCUSD_240927", "BTC-USD-240927"),
        ("1000PEPEUSDT", "1000PEPE-USDT"),
        ("USDT", ""),
        ("not a symbol", ""),
    ],
)
def test_venue_symbols_become_canonical(native: str, symbol: str) -> None:
    assert canonical(native) == symbol


@pytest.mark.parametrize("name", ["venue", "symbol", "interval"])
def test_what_is_not_known_is_asked_for_by_its_option(name: str) -> None:
    known = {"venue": "okx-swap", "symbol": "BTC-USDT", "interval": "5m", name: ""}
    with pytest.raises(ConfigError, match=f"give --{name}"):
        require(Path("candles.csv"), Hints(**known), "venue", "symbol", "interval")


def test_unknown_venue_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ConfigError, match="binance-usdm"):
        require(Path("candles.csv"), Hints(venue="binance"), "venue")
