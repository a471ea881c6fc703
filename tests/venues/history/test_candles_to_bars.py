"""A symbol of which only klines are known gets its bars from them: file → tape → bars."""

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.feather
import pytest

from processors.pipeline import Pipeline
from schemas.columns import Rows, enum_symbols
from schemas.decode import Decoder
from streams import log
from tests.conftest import Stack
from tests.data import shared_data
from tests.venues.history.kafka import target_of
from venues.history import importer
from venues.history.names import Hints
from venues.history.writer import Target


def bars_of(target: Target) -> list[Rows]:
    """The bars that the pipeline makes of every partition of a tape."""
    found = []
    for partition in range(target.partitions):
        pipeline, decoder = Pipeline(), Decoder(target.ids.writers)
        for batch in log.read(target.kafka, target.tape, "tape", partition, 0, None):
            columns = decoder.decode(
                "tape",
                partition,
                batch.buffer,
                batch.value_starts,
                batch.value_ends,
                batch.offsets,
                batch.timestamps_ms,
            )
            assert not columns.refused
            found += [rows for rows in pipeline.process(columns) if rows.topic == "bars"]
    return found


def column(rows: list[Rows], name: str) -> Any:
    return np.concatenate([part.table[name] for part in rows])


def intervals(rows: list[Rows]) -> list[str]:
    return [
        bytes(part.text[start : start + length]).decode()
        for part in rows
        for start, length in zip(
            part.table["interval_start"].tolist(),
            part.table["interval_length"].tolist(),
            strict=True,
        )
    ]


@pytest.mark.parametrize(
    ("name", "interval"),
    [("okx_BTC-USDT-SWAP-1m.feather", "1m"), ("binance_BTCUSDT_perp-5m.feather", "5m")],
)
def test_bars_equal_the_candle_file(name: str, interval: str, stack: Stack, tape_name: str) -> None:
    path = shared_data() / "ohlcv" / name
    target = target_of(stack, tape_name, partitions=2)
    importer.run(importer.examine_all([path]), Hints(), target)
    rows = bars_of(target)
    of_interval = np.array([found == interval for found in intervals(rows)])
    table = pyarrow.feather.read_table(path)
    open_time = table["date"].cast(pa.timestamp("us", "UTC")).cast("int64").to_numpy()
    assert np.array_equal(column(rows, "open_time")[of_interval], open_time)
    for part in ("open", "high", "low", "close", "volume"):
        assert np.array_equal(column(rows, part)[of_interval], table[part].to_numpy()), part
    klines = enum_symbols("Bar", "source").index("KLINES")
    assert set(column(rows, "source")[of_interval].tolist()) == {klines}


def test_csv_candles_give_bars_too(stack: Stack, tape_name: str, tmp_path: Path) -> None:
    lines = [
        f"2021-04-01 00:{m:02d}:00+00:00,{m + 1},{m + 3},{m + 0.5},{m + 2},7" for m in range(50)
    ]
    path = tmp_path / "bybit_ADAUSDT-1m.csv"
    path.write_text("\n".join(["timestamp,open,high,low,close,volume", *lines]))
    target = target_of(stack, tape_name, partitions=2)
    importer.run(importer.examine_all([path]), Hints(), target)
    rows = bars_of(target)
    assert Counter(intervals(rows))["1m"] == 50
