"""Files to be imported: captures, CSV, JSON, Feather, Parquet, packed or not."""

import gzip
import io
import json
import random
import zipfile
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pyarrow as pa
import pyarrow.feather
import pyarrow.parquet
import zstandard

from schemas.errors import TapeError
from tests.fuzz import samples
from tests.fuzz.log_targets import shared_memory
from tests.fuzz.mutation import Case, mutated
from tests.fuzz.target import Plain
from tests.fuzz.venue_targets import encoded
from venues.history.files import examine
from venues.history.importer import open_files
from venues.history.names import Hints

_START = 1_723_161_254_000
_MOST_EVENTS = 5_000
_HINTS = Hints("binance-spot", "BTC-USDT", "1m")


class FileTarget(Plain):
    """A file through a dry run of the import: examined, its format told, read to its end."""

    name = "import"

    def __init__(self) -> None:
        self._folder = TemporaryDirectory(dir=shared_memory())

    def seeds(self) -> Sequence[Case]:
        texts = [*_captures(), *_tables()]
        packed = [Case(head, pack(body)) for head, body in texts[:8] for pack in _PACKERS]
        return [*texts * 3, *packed, *_columnar() * 3]

    def case(self, seeds: Sequence[Case], pick: random.Random) -> Case:
        """Of text half the cases are packed after the change: the damage is then inside."""
        seed = pick.choice(seeds)
        text = seed.body[:1] in (b"[", b"{") or seed.body[:4].isascii()
        found = mutated(seed, seeds, pick, text and not seed.body.startswith((b"PAR1", b"ARROW")))
        if text and pick.random() < 0.2:
            return Case(found.head, pick.choice(_PACKERS)(found.body))
        return found

    def run(self, case: Case) -> None:
        name = case.head.decode("utf-8", "replace").replace("/", "_").replace("\0", "_")[:100]
        path = Path(self._folder.name) / (name or "x")
        try:
            path.write_bytes(case.body)
        except OSError:
            return
        try:
            for hints in (Hints(), _HINTS):
                try:
                    self._read(path, hints)
                    break
                except TapeError:
                    continue
        finally:
            path.unlink()

    @staticmethod
    def _read(path: Path, hints: Hints) -> None:
        derivation = open_files([examine(path)], hints)
        for number, event in enumerate(derivation.events()):
            encoded([event])
            if number == _MOST_EVENTS:
                return


def _captures() -> list[Case]:
    frames = [f for f in samples.model_frames() if f.venue == "binance-spot"][-40:]
    hft = [b"%d000 %s" % (f.receive_time, f.data) for f in frames if not f.request]
    found = [Case(b"binance_spot_btcusdt.hft", b"\n".join(hft) + b"\n")]
    for venue, address in (
        ("binance-spot", "wss://stream.binance.com:9443/stream"),
        ("bybit-linear", "wss://stream.bybit.com/v5/public/linear"),
        ("okx-spot", "wss://ws.okx.com:8443/ws/v5/public"),
    ):
        lines: list[dict[str, Any]] = [{"t": "connect", "conn": "C.1", "ts": 1.5, "addr": address}]
        for frame in [f for f in samples.model_frames() if f.venue == venue][-12:]:
            kind = {"t": "http", "url": frame.request} if frame.request else {"t": "recv"}
            line = {"conn": "C.1", "ts": frame.receive_time / 1e6, "data": frame.data.decode()}
            lines.append(kind | line)
        for header in ({"t": "header", "version": 3}, {"t": "header", "order": "received"}):
            body = "\n".join(json.dumps(x, separators=(",", ":")) for x in (header, *lines))
            found.append(Case(b"x.jsonl", body.encode()))
    return found


def _tables() -> list[Case]:
    rows = [(_START + 60_000 * n, 100 + n, 103 + n, 99 + n, 101 + n, 7.5) for n in range(5)]
    csv = "open_time,open,high,low,close,volume\n" + "\n".join(
        ",".join(map(str, row)) for row in rows
    )
    klines = "\n".join(
        f"{t},{o},{h},{low},{c},{v},{t + 59_999},750.0,4,2.5,250.0,0" for t, o, h, low, c, v in rows
    )
    aggregated = "\n".join(f"{n},100.5,0.25,{n},{n + 1},{_START + n},true,true" for n in range(6))
    trades = "time,price,qty,side\n" + "\n".join(f"{_START + n},100.5,1,buy" for n in range(6))
    lists = [[_START + n, str(n), None, "buy", 100.5, 0.25, 25.1] for n in range(5)]
    ccxt = [
        {"timestamp": _START, "symbol": "XRP/ETH", "id": "1", "side": "sell", "price": 0.1,
         "amount": 2.0, "info": {"f": 1, "l": 2, "a": 7}},
    ] * 3  # fmt: skip
    return [
        Case(b"binance_BTCUSDT-1m.csv", csv.encode()),
        Case(b"BTCUSDT-1m-2024-08.csv", klines.encode()),
        Case(b"BTCUSDT-aggTrades-2024-08-08.csv", aggregated.encode()),
        Case(b"bybit_BTCUSDT-trades.csv", trades.encode()),
        Case(b"binance_ETH_BTC-5m.json", json.dumps(rows).encode()),
        Case(b"binance_ETH_BTC-trades.json", json.dumps(lists).encode()),
        Case(b"binance_XRPETH_aggTrades.json", json.dumps(ccxt).encode()),
    ]


def _columnar() -> list[Case]:
    times = pa.array([_START + 60_000 * n for n in range(5)], pa.timestamp("ms", "UTC"))
    prices = {part: [100.0 + n for n in range(5)] for part in ("open", "high", "low", "close")}
    table = pa.table({"date": times, **prices, "volume": [1.0] * 5})
    found = []
    for name in (b"bybit_ADAUSDT_perp-1h.feather", b"bybit_ADAUSDT_perp-1h-funding_rate.feather"):
        for compression in ("lz4", "uncompressed"):
            out = io.BytesIO()
            pyarrow.feather.write_feather(table, out, compression)
            found.append(Case(name, out.getvalue()))
    for compression in ("snappy", "zstd", "none"):
        out = io.BytesIO()
        pyarrow.parquet.write_table(table, out, compression=compression)
        found.append(Case(b"binance_BTCUSDT-1m.parquet", out.getvalue()))
    return found


def _zipped(data: bytes) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.csv", data)
    return out.getvalue()


_PACKERS = (
    lambda data: gzip.compress(data, mtime=0),
    zstandard.ZstdCompressor().compress,
    _zipped,
)
