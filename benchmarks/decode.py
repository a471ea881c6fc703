"""`decode`: Avro trades to columns, in records a second; the peer is fastavro's schemaless_reader.

Both read the same bytes, one batch as a fetch brings it, and what they read is compared first.
The peer reads plain numbers (as datetimes it is slower, see the details) off one stream that is
moved past each frame's header: its fastest way. Time is the processor's, so that other work on
the machine does not count.
"""

import io
import random
import time
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any

import fastavro
import numpy as np
from numpy.typing import NDArray

from benchmarks.harness import Result, compare, versions
from schemas import catalogue, rows
from schemas.columns import Batch, enum_symbols
from schemas.decode import Decoder
from schemas.events import Trade

_RUNS = 7
_TRADES = 50_000
_SCHEMA_ID = 7
_HEADER = 5


def run() -> Result:
    """Measure both sides, alternately."""
    trades = [rows.encode(trade, _SCHEMA_ID) for trade in _trades(_TRADES)]
    schema = catalogue.schema("Trade")
    as_numbers = fastavro.parse_schema(_without_units(schema))
    as_datetimes = fastavro.parse_schema(schema)
    decoder = Decoder({_SCHEMA_ID: schema})
    data = b"".join(trades)
    ends = np.cumsum([len(trade) for trade in trades], dtype=np.int64)
    starts = np.concatenate([np.zeros(1, np.int64), ends[:-1]])
    buffer = np.frombuffer(data, np.uint8)
    _check(_ours(decoder, buffer, starts, ends), list(_peer(as_numbers, data)))
    figures: list[list[float]] = [[], [], []]
    for _ in range(_RUNS):
        figures[0].append(_rate(lambda: _ours(decoder, buffer, starts, ends)))
        figures[1].append(_rate(lambda: _exhaust(_peer(as_numbers, data))))
        figures[2].append(_rate(lambda: _exhaust(_peer(as_datetimes, data))))
    ours, numbers, datetimes = figures
    return compare(
        "decode", "records/s", ours, numbers, versions("fastavro", "numba", "numpy"),
        records=_TRADES, bytes_a_record=round(len(data) / _TRADES, 1),
        peer_with_datetimes=[round(min(datetimes)), round(max(datetimes))],
    )  # fmt: skip


def _trades(count: int) -> list[Trade]:
    """Made-up trades of four markets, from a seed."""
    choose = random.Random(20_261_124)
    time_us = 1_785_585_600_000_000
    made = []
    for number in range(count):
        time_us += choose.randrange(100_000)
        made.append(
            Trade(
                venue=choose.choice(["binance-spot", "bybit-linear", "okx-swap"]),
                symbol=choose.choice(["BTC-USDT", "ETH-USDT", "SOL-USDT", "DOGE-USDT"]),
                event_time=time_us,
                receive_time=time_us + choose.randrange(20_000),
                trade_id=str(3_141_592_653 + number),
                price=round(choose.uniform(0.1, 120_000), 2),
                quantity=round(choose.expovariate(10), 5),
                aggressor_side=choose.choice(["BUY", "SELL"]),
                kind="MARKET",
                count=choose.randrange(1, 20),
            )
        )
    return made


def _rate(decode: Callable[[], object]) -> float:
    begin = time.process_time()
    decode()
    return _TRADES / (time.process_time() - begin)


def _ours(
    decoder: Decoder,
    buffer: NDArray[np.uint8],
    starts: NDArray[np.int64],
    ends: NDArray[np.int64],
) -> Batch:
    return decoder.decode("tape", 0, buffer, starts, ends, starts, starts)


def _peer(schema: Any, data: bytes) -> Iterator[Any]:
    stream = io.BytesIO(data)
    for _ in range(_TRADES):
        stream.seek(_HEADER, io.SEEK_CUR)
        yield fastavro.schemaless_reader(stream, schema)


def _exhaust(records: Iterator[Any]) -> None:
    """Read all and keep none, to the peer's advantage."""
    deque(records, maxlen=0)


def _without_units(avro: Any) -> Any:
    """A schema without logical types: times are read as plain numbers."""
    if isinstance(avro, list):
        return [_without_units(branch) for branch in avro]
    if isinstance(avro, dict):
        return {name: _without_units(v) for name, v in avro.items() if name != "logicalType"}
    return avro


def _check(batch: Batch, wanted: list[Any]) -> None:
    """Both read the same."""
    table = batch.tables["Trade"]
    assert not batch.refused
    assert len(table) == len(wanted)
    for name in ("event_time", "receive_time", "price", "quantity", "count", "backfilled"):
        assert table[name].tolist() == [trade[name] for trade in wanted], name
    for name in ("aggressor_side", "kind"):
        symbols = enum_symbols("Trade", name)
        assert [symbols[i] for i in table[name]] == [trade[name] for trade in wanted], name
    for name in ("venue", "symbol", "trade_id"):
        found = [batch.string("Trade", name, row) for row in range(len(table))]
        assert found == [trade[name] for trade in wanted], name
