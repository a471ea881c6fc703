"""Readers on the recorded data: every row or line comes, with its time, in order."""

import collections
import gzip
import itertools
from pathlib import Path

import pytest

from schemas.events import Funding, Kline, MarkPrice, Trade
from tests.data import shared_data
from venues.frames import Frame
from venues.history.files import examine, no_progress
from venues.history.formats import open_stream
from venues.history.names import Hints
from venues.history.reads import Read

# Rows of every candle file (../shared/data/README.md), the first and the last receive time.
CANDLES = {
    "binance_BTCUSDT_perp-5m.feather": ("binance-usdm", "BTC-USDT", 41_021),
    "binanceus_BTCUSDT-1m_202303.csv.gz": ("binanceus-spot", "BTC-USDT", 30_240),
    "bybit_ADAUSDT-1m.csv.gz": ("bybit-spot", "ADA-USDT", 43_200),
    "bybit_ADAUSDT_perp-5m-futures.feather": ("bybit-linear", "ADA-USDT", 86_604),
    "bybit_BNBUSDT_perp-5m-futures.feather": ("bybit-linear", "BNB-USDT", 86_604),
    "bybit_BTCUSDT-5m_2025H1.feather": ("bybit-spot", "BTC-USDT", 38_972),
    "bybit_BTCUSDT_perp-5m-futures.feather": ("bybit-linear", "BTC-USDT", 86_604),
    "bybit_SOLUSDT_perp-5m-futures.feather": ("bybit-linear", "SOL-USDT", 86_604),
    "bybit_WIFUSDT_perp-1m.feather": ("bybit-linear", "WIF-USDT", 44_466),
    "bybit_XRPUSDT-5m.csv.gz": ("bybit-spot", "XRP-USDT", 25_920),
    "okx_BTC-USDT-SWAP-1m.feather": ("okx-swap", "BTC-USDT", 22_078),
    "okx_BTC-USDT-SWAP-5m.feather": ("okx-swap", "BTC-USDT", 70_499),
    "okx_DOGE-USDT-SWAP-5m.feather": ("okx-swap", "DOGE-USDT", 70_499),
    "okx_LTC-USDT-SWAP-5m.feather": ("okx-swap", "LTC-USDT", 70_499),
    "okx_XRP-USDT-SWAP-5m.feather": ("okx-swap", "XRP-USDT", 70_499),
}
CAPTURES = {
    "binance_cm_btcusd_perp_20240808.hft.gz": {"binance-coinm": 48_270},
    "binance_cm_btcusd_perp_20240809.hft.gz": {"binance-coinm": 50_116},
    "binance_spot_btcusdt_20240808.hft.gz": {"binance-spot": 41_249},
    "binance_spot_btcusdt_20240809.hft.gz": {"binance-spot": 58_325},
    "binance_usdm_btcusdt_20240808.hft.gz": {"binance-usdm": 93_954},
    # Lines with recv or http, by connection.
    "binance_spot_2021-10-12.jsonl.zst": {"binance-spot": 240},
    "binance_usdm_2021-07-22.jsonl.zst": {"binance-usdm": 845},
    "binanceus_spot_2021-10-12.jsonl.zst": {"binanceus-spot": 485},
    "bybit_v5_2026-08-09.jsonl.zst": {"bybit-linear": 1_313, "bybit-spot": 375},
    "okx_v5_2022-05-13.jsonl.zst": {"okx-spot": 199, "okx-swap": 1},
}


def read(path: Path, **hints: str) -> list[Read]:
    return list(open_stream(examine(path), Hints(**hints), 0, no_progress)[1])


def in_order(reads: list[Read]) -> bool:
    return all(a[0] <= b[0] for a, b in itertools.pairwise(reads))


@pytest.mark.parametrize("name", CANDLES)
def test_candle_file_gives_every_row_as_a_closed_kline_received_at_its_close(name: str) -> None:
    venue, symbol, rows = CANDLES[name]
    reads = read(shared_data() / "ohlcv" / name)
    klines = [what for *_, what in reads if isinstance(what, Kline)]
    assert (len(reads), len(klines)) == (rows, rows)
    assert {(kline.venue, kline.symbol, kline.closed) for kline in klines} == {
        (venue, symbol, True)
    }
    (length,) = {kline.event_time - kline.open_time for kline in klines}
    assert all(kline.event_time == kline.receive_time for kline in klines)
    assert {b.open_time - a.open_time for a, b in itertools.pairwise(klines)} == {length}
    assert in_order(reads)


def test_candle_of_csv_has_the_values_of_its_line() -> None:
    kline = read(shared_data() / "ohlcv/binanceus_BTCUSDT-1m_202303.csv.gz")[1][3]
    assert kline == Kline(
        venue="binanceus-spot",
        symbol="BTC-USDT",
        event_time=1_677_628_920_000_000,
        receive_time=1_677_628_920_000_000,
        interval="1m",
        open_time=1_677_628_860_000_000,
        open=23143.89,
        high=23148.8,
        low=23137.61,
        close=23137.77,
        volume=0.881378,
        closed=True,
    )


@pytest.mark.parametrize("coin", ["ADA", "BNB", "BTC", "SOL"])
def test_mark_file_gives_mark_prices_at_the_candles_closes(coin: str) -> None:
    reads = read(shared_data() / f"ohlcv/bybit_{coin}USDT_perp-1h-mark.feather")
    assert len(reads) == 7_217
    assert {type(what) for *_, what in reads} == {MarkPrice}
    assert reads[0][3].receive_time == 1_758_675_600_000_000  # 2025-09-24 01:00


@pytest.mark.parametrize("coin", ["ADA", "BNB", "BTC", "SOL"])
def test_funding_file_gives_settled_rates_at_their_times(coin: str) -> None:
    reads = read(shared_data() / f"ohlcv/bybit_{coin}USDT_perp-1h-funding_rate.feather")
    rates = [what for *_, what in reads if isinstance(what, Funding)]
    assert (len(reads), len(rates)) == (902, 902)
    assert all(rate.settled and rate.funding_time == rate.event_time for rate in rates)
    if coin == "BTC":
        assert rates[0].rate == 1.004e-05


def test_ccxt_trades_come_whole_with_their_aggregated_counts() -> None:
    reads = read(shared_data() / "trades/binance_XRPETH_aggTrades_20191011-13.json.gz")
    trades = [what for *_, what in reads if isinstance(what, Trade)]
    assert (len(reads), len(trades)) == (12_477, 12_477)
    first = trades[0]
    assert (first.venue, first.symbol, first.trade_id) == ("binance-spot", "XRP-ETH", "13519807")
    assert (first.price, first.quantity, first.aggressor_side) == (0.00141342, 23.0, "SELL")
    assert first.event_time == 1_570_752_011_620_000
    assert max(trade.count for trade in trades) > 1


@pytest.mark.parametrize("name", CAPTURES)
def test_capture_gives_every_frame_under_its_venue_in_order(name: str) -> None:
    reads = read(shared_data() / "ws" / name)
    frames = [what for *_, what in reads if isinstance(what, Frame)]
    assert len(frames) == len(reads)
    assert dict(collections.Counter(frame.venue for frame in frames)) == CAPTURES[name]
    assert in_order(reads)


def test_inline_snapshot_of_a_capture_is_asked_for_its_symbol() -> None:
    reads = read(shared_data() / "ws/binance_usdm_btcusdt_20240808.hft.gz")
    requests = [(line, what.request) for _, _, line, what in reads if what.request]
    assert requests == [(55, "https://fapi.binance.com/fapi/v1/depth?symbol=BTCUSDT")]


def test_malformed_lines_of_a_capture_are_refused_by_number_and_the_rest_is_read(
    tmp_path: Path,
) -> None:
    source = shared_data() / "ws/binance_spot_btcusdt_20240808.hft.gz"
    lines = gzip.decompress(source.read_bytes()).splitlines(keepends=True)[:100]
    lines[10] = lines[10][:60] + b"\n"
    lines[20] = b"\xff\xfe\x00 not a line\n"
    lines[-1] = lines[-1].rstrip(b"\n")
    path = tmp_path / "broken.hft"
    path.write_bytes(b"".join(lines))
    reads = read(path)
    refused = {line: what.reason for _, _, line, what in reads if not isinstance(what, Frame)}
    assert refused == {
        11: "the message is cut short or no JSON object",
        21: "not a line of `<local time in ns> <message>`",
    }
    assert len(reads) == 100
    assert reads[-1][3].data == lines[-1][20:]
