"""File formats: each is known by its content, and what is unknown or damaged is refused."""

import gzip
import io
import json
import zipfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.feather
import pyarrow.parquet
import pytest

from schemas.errors import ConfigError
from schemas.events import Kline, Trade
from venues.history.files import examine, no_progress
from venues.history.formats import detect, open_stream
from venues.history.names import Hints
from venues.history.reads import Refused

MS = 1_723_161_600_000
US = MS * 1000


def read(path: Path, **hints: str) -> list[object]:
    return [what for *_, what in open_stream(examine(path), Hints(**hints), 0, no_progress)[1]]


def write(path: Path, text: str) -> Path:
    data = text.encode()
    if path.suffix == ".zip":
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w") as archive:
            archive.writestr(path.stem + ".csv", data)
        data = packed.getvalue()
    elif path.suffix == ".gz":
        data = gzip.compress(data)
    path.write_bytes(data)
    return path


def kline_line(time: int, closed: int) -> str:
    return f"{time},100,110,90,105,7.5,{closed},787.5,42,4.5,472.5,0\n"


@pytest.mark.parametrize("unit", [1, 1000])
def test_spot_kline_dump_without_header_in_ms_or_us(unit: int, tmp_path: Path) -> None:
    line = kline_line(MS * unit, (MS + 60_000) * unit - 1)
    path = write(tmp_path / "BTCUSDT-1m-2024-08-09.zip", line)
    (kline,) = read(path, venue="binance-spot")
    assert kline == Kline(
        venue="binance-spot",
        symbol="BTC-USDT",
        event_time=US + 60_000_000,
        receive_time=US + 60_000_000,
        interval="1m",
        open_time=US,
        open=100.0,
        high=110.0,
        low=90.0,
        close=105.0,
        volume=7.5,
        notional=787.5,
        trade_count=42,
        taker_buy_volume=4.5,
        closed=True,
    )


@pytest.mark.parametrize("unit", [1, 1000])
def test_kline_dump_tells_its_interval_where_the_name_does_not(unit: int, tmp_path: Path) -> None:
    path = write(tmp_path / "candles.csv", kline_line(MS * unit, (MS + 300_000) * unit - 1))
    (kline,) = read(path, venue="binance-spot", symbol="BTC-USDT")
    assert isinstance(kline, Kline)
    assert (kline.interval, kline.event_time) == ("5m", US + 300_000_000)


def test_futures_kline_dump_with_header(tmp_path: Path) -> None:
    header = (
        "open_time,open,high,low,close,volume,close_time,quote_volume,count,"
        "taker_buy_volume,taker_buy_quote_volume,ignore\n"
    )
    path = write(tmp_path / "BTCUSDT-1m-2024-08-09.csv", header + kline_line(MS, MS + 59_999) * 2)
    klines = read(path, venue="binance-usdm")
    assert [(k.notional, k.trade_count) for k in klines if isinstance(k, Kline)] == [
        (787.5, 42)
    ] * 2


def test_coin_margined_kline_dump_has_base_volumes(tmp_path: Path) -> None:
    line = f"{MS},60000,61000,59000,60500,1200,{MS + 59_999},2.0,42,600,1.0,0\n"
    path = write(tmp_path / "BTCUSD_PERP-1m-2024-08-09.zip", line)
    (kline,) = read(path, venue="binance-coinm")
    assert isinstance(kline, Kline)
    assert (kline.symbol, kline.volume, kline.taker_buy_volume) == ("BTC-USD", 2.0, 1.0)
    assert kline.notional is None


def test_spot_agg_trade_dump_without_header_is_known_as_spot(tmp_path: Path) -> None:
    line = f"26129,0.01633102,4.70443515,27781,27785,{MS},true,true\n"
    path = write(tmp_path / "ETHBTC-aggTrades-2024-08-09.zip", line)
    assert read(path) == [
        Trade(
            venue="binance-spot",
            symbol="ETH-BTC",
            event_time=US,
            receive_time=US,
            trade_id="26129",
            price=0.01633102,
            quantity=4.70443515,
            aggressor_side="SELL",
            kind="MARKET",
            count=5,
        )
    ]


@pytest.mark.parametrize(
    ("name", "text", "venue"),
    [
        ("BTCUSDT-trades-2024-08-09.csv", f"28457,4.5,48.0,216.0,{MS},true,true\n", "binance-spot"),
        ("BTCUSDT-trades-2024-08-09.csv", f"28457,4.5,48.0,216.0,{MS},true\n", "binance-usdm"),
        (
            "BTCUSDT-aggTrades-2024-08-09.csv",
            f"28457,4.5,48.0,1,1,{MS},true\n",
            "binance-usdm",
        ),
        (
            "BTCUSDT-aggTrades-2024-08-09.csv",
            "agg_trade_id,price,quantity,first_trade_id,last_trade_id,transact_time,"
            f"is_buyer_maker\n28457,4.5,48.0,1,1,{MS},true\n",
            "binance-usdm",
        ),
        (
            "binance_BTCUSDT_perp-trades.csv",
            f"id,price,qty,quote_qty,time,is_buyer_maker\n28457,4.5,48.0,216.0,{MS},true\n",
            "binance-usdm",
        ),
    ],
)
def test_trade_dumps_of_every_market(name: str, text: str, venue: str, tmp_path: Path) -> None:
    # A header tells the columns, but not whether USD-M or COIN-M wrote them.
    options = {"venue": venue} if text.startswith("agg_trade_id") else {}
    (trade,) = read(write(tmp_path / name, text), **options)
    assert isinstance(trade, Trade)
    assert (trade.venue, trade.symbol, trade.trade_id) == (venue, "BTC-USDT", "28457")
    assert (trade.price, trade.quantity, trade.aggressor_side) == (4.5, 48.0, "SELL")
    assert (trade.event_time, trade.count) == (US, 1)


def test_coin_margined_trades_are_converted_to_base_units(tmp_path: Path) -> None:
    path = write(tmp_path / "BTCUSD_PERP-trades-2024-08-09.csv", f"1,50000,10,0.02,{MS},false\n")
    (trade,) = read(path)
    assert isinstance(trade, Trade)
    assert (trade.venue, trade.symbol) == ("binance-coinm", "BTC-USD")
    assert trade.quantity == pytest.approx(0.02)


def test_freqtrade_json_candles_and_trades(tmp_path: Path) -> None:
    candles = write(
        tmp_path / "binance_ETH_BTC-5m.json", json.dumps([[MS, 0.04, 0.05, 0.03, 0.045, 12.5]])
    )
    (kline,) = read(candles)
    assert isinstance(kline, Kline)
    assert (kline.symbol, kline.close, kline.volume, kline.interval) == (
        "ETH-BTC",
        0.045,
        12.5,
        "5m",
    )
    trades = write(
        tmp_path / "binance_ETH_BTC-trades.json.gz",
        json.dumps([[MS, "77", None, "buy", 0.04, 2.0, 0.08]]),
    )
    (trade,) = read(trades)
    assert isinstance(trade, Trade)
    assert (trade.trade_id, trade.aggressor_side, trade.price, trade.quantity) == (
        "77",
        "BUY",
        0.04,
        2.0,
    )


@pytest.mark.parametrize("kind", ["parquet", "feather"])
def test_arrow_tables_of_candles_with_any_time_unit(kind: str, tmp_path: Path) -> None:
    for unit in ("s", "ms", "us", "ns"):
        times = np.array([MS // 1000, MS // 1000 + 60], "datetime64[s]").astype(
            f"datetime64[{unit}]"
        )
        table = pa.table(
            {
                "date": pa.array(times),
                "open": [1.0, 2.0],
                "high": [3.0, 3.0],
                "low": [0.5, 0.5],
                "close": [2.0, 2.5],
                "volume": [10.0, None],
            }
        )
        path = tmp_path / f"okx_BTC-USDT-SWAP-1m.{kind}"
        if kind == "parquet":
            pyarrow.parquet.write_table(table, path)
        else:
            pyarrow.feather.write_feather(table, path)
        first, second = read(path)
        assert isinstance(first, Kline)
        assert isinstance(second, Kline)
        assert (first.open_time, second.open_time) == (US, US + 60_000_000)
        assert first.volume == 10.0
        assert second.volume != second.volume  # NaN: the source has none


def test_parquet_trades_with_integer_times(tmp_path: Path) -> None:
    table = pa.table(
        {
            "trade_id": [5, 6],
            "price": [10.0, 11.0],
            "size": [1.0, 2.0],
            "side": ["Buy", "Sell"],
            "timestamp": [MS, MS + 1],
        }
    )
    path = tmp_path / "trades.parquet"
    pyarrow.parquet.write_table(table, path)
    trades = read(path, venue="bybit-linear", symbol="BTC-USDT")
    assert [
        (t.trade_id, t.aggressor_side, t.event_time) for t in trades if isinstance(t, Trade)
    ] == [("5", "BUY", US), ("6", "SELL", US + 1000)]


def test_rows_that_are_no_candle_are_refused_by_line_and_the_rest_is_read(tmp_path: Path) -> None:
    path = write(
        tmp_path / "okx_BTC-USDT-SWAP-1m.csv",
        "date,open,high,low,close,volume\n"
        "2024-08-09 00:00:00+00:00,1,2,0.5,1.5,10\n"
        "2024-08-09 00:01:00+00:00,1,0.9,0.5,1.5,10\n"
        "2024-08-09 00:02:00+00:00,1,2,x,1.5,10\n"
        "yesterday,1,2,0.5,1.5,10\n"
        "2024-08-09 00:04:00+00:00,1\n"
        "2024-08-09 00:05:00+00:00,1,2,0.5,1.5,10\n",
    )
    reads = list(open_stream(examine(path), Hints(), 0, no_progress)[1])
    assert [line for _, _, line, what in reads if isinstance(what, Kline)] == [2, 7]
    refused = [(line, what) for _, _, line, what in reads if isinstance(what, Refused)]
    assert [line for line, _ in refused] == [3, 4, 5, 6]
    assert refused[0][1].reason == "no candle: open 1.0, high 0.9, low 0.5, close 1.5"
    assert refused[0][1].payload == b"2024-08-09 00:01:00+00:00,1,0.9,0.5,1.5,10"


@pytest.mark.parametrize(
    "content",
    [b"hello\nworld\n", b"\x00\x01\x02\x03", b"{}", b"a,b,c\n1,2,3\n", b"FEA1....", b"<html>"],
)
def test_unknown_content_is_refused_with_what_is_known(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "unknown"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=r"not a known format|feather version 1"):
        detect(examine(path))


@pytest.mark.parametrize("kind", ["parquet", "feather", "json"])
def test_tables_and_json_cut_short_are_refused(kind: str, tmp_path: Path) -> None:
    table = pa.table({"date": [MS] * 5000, "open": np.random.default_rng(1).random(5000)})
    path = tmp_path / f"okx_BTC-USDT-SWAP-1m.{kind}"
    if kind == "parquet":
        pyarrow.parquet.write_table(table, path)
    elif kind == "feather":
        pyarrow.feather.write_feather(table, path)
    else:
        path.write_text(json.dumps([[MS, 1, 2, 0.5, 1, 1]] * 100))
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(ConfigError, match="cut short or damaged"):
        read(path)


def test_missing_venue_is_asked_for_by_option(tmp_path: Path) -> None:
    path = write(tmp_path / "BTCUSDT-1m.csv", kline_line(MS, MS + 59_999))
    with pytest.raises(ConfigError, match="give --venue"):
        read(path)
