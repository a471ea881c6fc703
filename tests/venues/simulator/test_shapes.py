"""The frames have the same fields as the recorded ones."""

import gzip
import io
import json
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import zstandard

from tests.data import shared_data
from venues.simulator.market import Market

Shape = dict[str, frozenset[str]]


def shapes(messages: Iterator[dict[str, Any]]) -> Shape:
    """Kind of message → all fields seen in it, nested ones with their path."""
    found: dict[str, set[str]] = {}
    for message in messages:
        kind = _kind(message)
        if kind:
            found.setdefault(kind, set()).update(_fields(message))
    return {kind: frozenset(fields) for kind, fields in found.items()}


def _kind(message: dict[str, Any]) -> str:
    if "stream" in message:
        return str(message["stream"].split("@")[1].partition("_")[0])
    if "topic" in message:
        return f"{message['topic'].rpartition('.')[0]} {message['type']}"
    if "arg" in message and "data" in message:
        return f"{message['arg']['channel']} {message.get('action', '')}"
    return ""


def _fields(value: Any, path: str = "") -> Iterator[str]:
    if isinstance(value, dict):
        for name, inner in value.items():
            yield f"{path}.{name}"
            yield from _fields(inner, f"{path}.{name}")
    elif isinstance(value, list) and value and isinstance(value[0], dict):
        yield from _fields(value[0], f"{path}[]")


def simulated(venue: str, count: int = 4_000) -> Shape:
    frames = islice(Market(symbols=("BTC-USDT",), venues=(venue,)).frames(), count)
    return shapes(json.loads(frame.data) for frame in frames)


def recorded_lines(path: Path, count: int) -> Iterator[dict[str, Any]]:
    with gzip.open(path, "rt") as lines:
        for line in islice(lines, count):
            yield json.loads(line.partition(" ")[2])


def recorded_frames(path: Path, connection: str) -> Iterator[dict[str, Any]]:
    with path.open("rb") as raw:
        text = io.TextIOWrapper(zstandard.ZstdDecompressor().stream_reader(raw))
        for line in text:
            row = json.loads(line)
            if row["t"] == "recv" and row["conn"] == connection:
                yield json.loads(row["data"])


def assert_same(simulated_shapes: Shape, recorded: Shape, kinds: set[str]) -> None:
    for kind in kinds:
        assert simulated_shapes[kind] == recorded[kind], kind


def test_binance_spot_frames_have_the_fields_of_the_capture() -> None:
    data = shared_data() / "ws"
    real = shapes(recorded_lines(data / "binance_spot_btcusdt_20240808.hft.gz", 3_000))
    assert_same(simulated("binance-spot"), real, {"depth", "trade", "bookTicker"})
    older = shapes(recorded_frames(data / "binance_spot_2021-10-12.jsonl.zst", "BINANCE.ws.1"))
    assert_same(simulated("binance-spot"), older, {"kline"})


def test_binance_usdm_frames_have_the_fields_of_the_capture() -> None:
    data = shared_data() / "ws"
    real = shapes(recorded_lines(data / "binance_usdm_btcusdt_20240808.hft.gz", 3_000))
    assert_same(simulated("binance-usdm"), real, {"depth", "trade", "bookTicker"})
    path = data / "binance_usdm_2021-07-22.jsonl.zst"
    older = shapes(recorded_frames(path, "BINANCE_FUTURES.ws.1"))
    assert_same(simulated("binance-usdm"), older, {"kline"})


def test_bybit_frames_have_the_fields_of_the_capture() -> None:
    path = shared_data() / "ws" / "bybit_v5_2026-08-09.jsonl.zst"
    kinds = {
        "orderbook.200 snapshot",
        "orderbook.200 delta",
        "publicTrade snapshot",
        "kline.1 snapshot",
    }
    linear = simulated("bybit-linear")
    real = shapes(recorded_frames(path, "BYBIT.ws.2"))
    assert_same(linear, real, kinds)
    assert linear["tickers snapshot"] < real["tickers snapshot"]
    spot = simulated("bybit-spot")
    assert_same(spot, shapes(recorded_frames(path, "BYBIT.ws.3")), kinds | {"tickers snapshot"})


def test_okx_frames_have_the_fields_of_the_capture_and_of_today() -> None:
    path = shared_data() / "ws" / "okx_v5_2022-05-13.jsonl.zst"
    real, ours = shapes(recorded_frames(path, "OKX.ws.1")), simulated("okx-spot")
    assert_same(ours, real, {"tickers "})
    since = {".data[].seqId", ".data[].prevSeqId"}
    for kind in ("books snapshot", "books update"):
        assert ours[kind] == real[kind] | since
    since = {".data[].count", ".data[].source", ".data[].seqId"}
    assert ours["trades "] == real["trades "] | since
