"""The recorded captures as frames, read without the code of the import."""

import gzip
import io
import json
from collections.abc import Iterator
from pathlib import Path

import zstandard

from tests.data import shared_data
from venues.frames import Frame

# Venue and, for the snapshot within, the URL that it answers.
HFT = {
    "binance_spot_btcusdt": (
        "binance-spot", "https://api.binance.com/api/v3/depth?symbol=BTCUSDT&limit=1000"),
    "binance_usdm_btcusdt": (
        "binance-usdm", "https://fapi.binance.com/fapi/v1/depth?symbol=BTCUSDT&limit=1000"),
    "binance_cm_btcusd_perp": (
        "binance-coinm", "https://dapi.binance.com/dapi/v1/depth?symbol=BTCUSD_PERP&limit=1000"),
}  # fmt: skip
JSONL = {
    "BINANCE": "binance-spot",
    "BINANCE_FUTURES": "binance-usdm",
    "BINANCE_US": "binanceus-spot",
    "BYBIT.ws.2": "bybit-linear",
    "BYBIT.ws.3": "bybit-spot",
    "OKX": "okx-spot",
}


def paths() -> list[Path]:
    """Every capture, by name."""
    return sorted((shared_data() / "ws").iterdir())


def path(name: str) -> Path:
    """A capture by its file name."""
    return shared_data() / "ws" / name


def frames(capture: Path) -> list[Frame]:
    """A capture's frames by receive time."""
    return sorted(read(capture), key=lambda frame: frame.receive_time)


def read(capture: Path) -> Iterator[Frame]:
    """A capture's frames in the order of its lines."""
    return _hft(capture) if capture.name.endswith(".hft.gz") else _jsonl(capture)


def _hft(capture: Path) -> Iterator[Frame]:
    venue, request = HFT[capture.name.rpartition("_")[0]]
    with gzip.open(capture) as file:
        for line in file:
            stamp, _, data = line.strip().partition(b" ")
            asked = request if data.startswith(b'{"lastUpdateId"') else ""
            yield Frame(venue, capture.name, int(stamp) // 1000, data, asked)


def _jsonl(capture: Path) -> Iterator[Frame]:
    with capture.open("rb") as raw:
        text = io.TextIOWrapper(zstandard.ZstdDecompressor().stream_reader(raw), "utf-8")
        for line in map(json.loads, text):
            if line["t"] not in ("http", "recv"):
                continue
            connection, url = line["conn"], line.get("url", "")
            venue = JSONL.get(connection) or JSONL.get(connection.partition(".")[0], "")
            if "category=" in url:
                venue = "bybit-" + url.partition("category=")[2].partition("&")[0]
            received = round(line["ts"] * 1_000_000)
            yield Frame(venue, connection, received, line["data"].encode(), url)
