"""`venues`: recorded frames to events, no I/O, in frames a second; the peer is cryptofeed.

Both parse the same frames, those that the peer has a handler for, and the snapshot. Ours also
checks sequences and counts, as the feed does; the peer also applies its books; both verify OKX's
checksums. A pass begins with a fresh feed; its set-up and the instrument list are not timed.

Time is the processor's, so that other work on the machine does not count; on an idle one it is
the clock's. The figure is over each recording's frames once; short ones are passed several times.
"""

import gzip
import io
import json
import os
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import zstandard

from benchmarks.harness import Result, compare, isolated, versions
from schemas.errors import ConfigError
from venues.feed import Feed
from venues.frames import Frame

_PEER = "cryptofeed==2.4.1"
_RUNS = 5
_HFT_FRAMES = 20_000


@dataclass(slots=True)
class Group:
    """The frames of one venue's connection, with what a reader must know before them."""

    exchange: str
    address: str
    symbols: list[str]
    passes: int
    instruments: list[Frame] = field(default_factory=list)
    snapshots: dict[str, Frame] = field(default_factory=dict)
    frames: list[Frame] = field(default_factory=list)

    def for_peer(self) -> dict[str, Any]:
        """As JSON for the peer's script."""
        return {
            "exchange": self.exchange,
            "address": self.address,
            "symbols": self.symbols,
            "passes": self.passes,
            "instruments": [frame.data.decode() for frame in self.instruments],
            "snapshots": {name: frame.data.decode() for name, frame in self.snapshots.items()},
            "frames": [(frame.data.decode(), frame.receive_time / 1e6) for frame in self.frames],
        }


def run() -> Result:
    """Measure both sides, alternately."""
    groups = _groups()
    ours: list[float] = []
    peer: list[float] = []
    details: dict[str, dict[str, list[int]]] = {name: {"ours": [], "peer": []} for name in groups}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "frames.json"
        path.write_text(json.dumps({name: group.for_peer() for name, group in groups.items()}))
        script = Path(__file__).with_name("_venues_cryptofeed.py")
        for _ in range(_RUNS):
            theirs = isolated(script, _PEER, str(path))
            mine = {name: _measure(group) for name, group in groups.items()}
            for name, group in groups.items():
                _check(name, theirs[name])
                count = len(group.frames)
                details[name]["ours"].append(round(count / mine[name]))
                details[name]["peer"].append(round(count / _per_pass(theirs[name], group)))
            count = sum(len(group.frames) for group in groups.values())
            ours.append(count / sum(mine.values()))
            their = sum(_per_pass(theirs[name], group) for name, group in groups.items())
            peer.append(count / their)
    return compare(
        "venues", "frames/s", ours, peer, {**versions("msgspec"), "peer": _PEER},
        frames=count, groups=details,
    )  # fmt: skip


def _per_pass(found: dict[str, Any], group: Group) -> float:
    return float(found["seconds"]) / group.passes


def _check(name: str, found: dict[str, Any]) -> None:
    """The peer must have taken the frames: a handler that only warns would be fast."""
    if found["warnings"] or not found["callbacks"]:
        raise ConfigError(f"{name}: the peer warned {found['warnings']} times; it did not parse")


def _measure(group: Group) -> float:
    """Seconds of processor time of our pass over a group's frames, the mean of the passes."""
    seconds = 0.0
    for _ in range(group.passes):
        feed = Feed()
        for frame in group.instruments:
            feed.receive(frame)
        frames, receive = [*group.snapshots.values(), *group.frames], feed.receive
        begin = time.process_time()
        for frame in frames:
            receive(frame)
        seconds += time.process_time() - begin
        if feed.refused:
            raise ConfigError(f"{group.exchange}: {feed.refused[0].reason}")
    return seconds / group.passes


def _groups() -> dict[str, Group]:
    binance = "wss://stream.binance.com:9443/stream"
    futures = "wss://fstream.binance.com/stream"
    return {
        "binance-spot": _hft(
            "binance_spot_btcusdt_20240808.hft.gz", "binance-spot",
            Group("BINANCE", binance, ["BTC-USDT"], 1)),
        "binance-usdm": _hft(
            "binance_usdm_btcusdt_20240808.hft.gz", "binance-usdm",
            Group("BINANCE_FUTURES", futures, ["BTC-USDT-PERP"], 1)),
        "bybit-linear": _jsonl(
            "bybit_v5_2026-08-09.jsonl.zst", "bybit-linear", "BYBIT.ws.2",
            Group("BYBIT", "wss://stream.bybit.com/v5/public/linear",
                  ["BTC-USDT-PERP", "SOL-USDT-PERP"], 8)),
        "okx-spot": _jsonl(
            "okx_v5_2022-05-13.jsonl.zst", "okx-spot", "OKX.ws.1",
            Group("OKX", "wss://ws.okx.com:8443/ws/v5/public", ["BTC-USDT"], 40)),
    }  # fmt: skip


def _path(name: str) -> Path:
    root = Path(__file__).resolve().parents[2] / "shared" / "data"
    path = Path(os.environ.get("TAPE_SHARED_DATA", root)) / "ws" / name
    if not path.is_file():
        raise ConfigError(f"{path}: the recorded frames are not here: set TAPE_SHARED_DATA")
    return path


def _hft(name: str, venue: str, group: Group) -> Group:
    """Diffs and best bid and ask, and the snapshot; the peer takes no `@trade` streams."""
    url = "https://api.binance.com/api/v3/depth?symbol=BTCUSDT&limit=1000"
    contract = {} if venue.endswith("spot") else {"contractType": "PERPETUAL"}
    info = json.dumps({"symbols": [_BTCUSDT | contract]}).encode()
    instruments = "https://api.binance.com/api/v3/exchangeInfo"
    group.instruments.append(Frame(venue, "rest", 0, info, instruments))
    with gzip.open(_path(name)) as file:
        for line in file:
            stamp, _, data = line.strip().partition(b" ")
            received = int(stamp) // 1000
            if data.startswith(b'{"lastUpdateId"'):
                group.snapshots["BTCUSDT"] = Frame(venue, "rest", received, data, url)
            elif b"@trade" not in data[:40]:
                group.frames.append(Frame(venue, "stream", received, data))
            if len(group.frames) == _HFT_FRAMES:
                break
    return group


_BTCUSDT = {
    "symbol": "BTCUSDT", "status": "TRADING", "baseAsset": "BTC", "quoteAsset": "USDT",
    "filters": [{"filterType": "PRICE_FILTER", "tickSize": "0.10"}],
}  # fmt: skip


def _jsonl(name: str, venue: str, connection: str, group: Group) -> Group:
    """All that one connection received, but acknowledgements."""
    for line in _lines(_path(name)):
        received, data = round(line.get("ts", 0) * 1_000_000), line.get("data", "").encode()
        if line["t"] == "http":
            owner = venue if "category=spot" not in line["url"] else "bybit-spot"
            group.instruments.append(Frame(owner, "rest", received, data, line["url"]))
        elif line["t"] == "recv" and line["conn"] == connection and b'"subscribe"' not in data:
            group.frames.append(Frame(venue, connection, received, data))
    return group


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    with path.open("rb") as raw:
        text = io.TextIOWrapper(zstandard.ZstdDecompressor().stream_reader(raw), "utf-8")
        yield from map(json.loads, text)
