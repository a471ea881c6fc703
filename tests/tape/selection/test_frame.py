"""From a frame to samples: labels, ranks, the hash, and errors that say what to do."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from schemas.errors import ConfigError
from tape.selection.frame import Samples, load
from tape.selection.options import SelectionOptions

SECOND = 1_000_000


def _frame(rows: int = 600, symbols: int = 1, seed: int = 0) -> pa.Table:
    random = np.random.default_rng(seed)
    count = rows * symbols
    return pa.table(
        {
            "event_time": np.repeat(np.arange(rows) * SECOND, symbols),
            "symbol": [f"S{at % symbols}" for at in range(count)],
            "offset": np.arange(count),
            "price": 100 * np.exp(np.cumsum(random.normal(0, 1e-3, count))),
            "a": random.normal(size=count),
            "b": pa.array(
                [None if at % 5 == 0 else float(at % 17) for at in range(count)], pa.float64()
            ),
            "label": random.normal(size=count),
        }
    )


def _load(table: pa.Table | Path, **given: object) -> Samples:
    options = {"horizon_s": 3.0, "label": "label", **given}
    return load(table, SelectionOptions(**options))  # type: ignore[arg-type] # checked above


def test_candidates_are_the_floating_point_columns() -> None:
    assert _load(_frame()).names == ("price", "a", "b")
    assert _load(_frame(), exclude=("price",)).names == ("a", "b")
    assert _load(_frame(), features=("b", "offset")).names == ("b", "offset")


def test_forward_return_is_to_the_last_price_within_the_horizon() -> None:
    table = _frame(symbols=2)
    gone = np.isin(np.arange(table.num_rows) // 2, range(100, 140))  # a gap of 40 s
    table = table.filter(pa.array(~gone))
    samples = _load(table, label="", price="price", horizon_s=3.4)

    rows = list(
        zip(
            table["symbol"].to_pylist(),
            table["event_time"].to_pylist(),
            table["price"].to_pylist(),
            strict=True,
        )
    )
    found = {
        (samples.symbols[symbol], time): label
        for symbol, time, label in zip(samples.symbol, samples.time, samples.label, strict=True)
    }
    horizon = 3_400_000
    expected = {}
    for symbol, time, price in rows:
        mine = [(at, value) for name, at, value in rows if name == symbol]
        if time + horizon > mine[-1][0]:
            continue
        at, value = [pair for pair in mine if pair[0] <= time + horizon][-1]
        if time + horizon - at < horizon / 2:
            expected[symbol, time] = value / price - 1
    assert found.keys() == expected.keys()
    assert len(found) < table.num_rows - 2 * 4  # the end, and some before the gap
    for name in ("S0", "S1"):
        keys = [key for key in expected if key[0] == name]
        returns = np.array([expected[key] for key in keys])
        returns = np.clip(returns, *np.quantile(returns, (0.005, 0.995)))
        assert np.allclose([found[key] for key in keys], returns / returns.std(), rtol=1e-9)


def test_values_are_ranks_within_the_symbol() -> None:
    table = _frame(symbols=2)
    samples = _load(table)
    b = table["b"].to_pylist()
    for number in range(2):
        mine = [value for at, value in enumerate(b) if at % 2 == number]
        known = [value for value in mine if value is not None]
        found = samples.values[samples.symbol == number, 2]
        for value, rank in zip(mine, found, strict=True):
            if value is None:
                assert np.isnan(rank)
            else:
                below = sum(other < value for other in known)
                ties = sum(other == value for other in known)
                assert rank == pytest.approx((below + (ties + 1) / 2) / (len(known) + 1))


def test_rows_without_a_label_are_left_out() -> None:
    table = _frame()
    label = [None if at % 10 == 0 else 1.0 * at for at in range(table.num_rows)]
    samples = _load(table.set_column(6, "label", pa.array(label, pa.float64())))
    assert len(samples.time) == 540
    assert samples.rows == 600


def test_a_long_frame_is_thinned_in_each_symbol() -> None:
    samples = _load(_frame(rows=1000, symbols=2), max_rows=500)
    for number in range(2):
        assert np.array_equal(
            samples.time[samples.symbol == number], np.arange(0, 1000, 4) * SECOND
        )


def test_the_hash_is_of_the_content(tmp_path: Path) -> None:
    table = _frame(symbols=2)
    samples = _load(table)
    order = np.random.default_rng(1).permutation(table.num_rows)
    path = tmp_path / "frame.parquet"
    pq.write_table(table.take(pa.array(order)), path, row_group_size=100)
    again = _load(path)
    assert again.data_hash == samples.data_hash
    assert np.array_equal(again.values, samples.values, equal_nan=True)
    changed = np.array(table["a"].to_pylist())
    changed[7] += 1e-12
    assert _load(table.set_column(4, "a", pa.array(changed))).data_hash != samples.data_hash


def test_feature_set_and_timestamps_are_read() -> None:
    table = _frame().replace_schema_metadata({"feature_set": "0badcafe"})
    times = table["event_time"].cast(pa.timestamp("us", "UTC"))
    samples = _load(table.set_column(0, "event_time", times))
    assert samples.feature_set == "0badcafe"
    assert samples.time[1] == SECOND


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"label": "target"}, "the frame has no column 'target'; it has event_time, symbol"),
        ({"features": ("a", "c", "d")}, "no column 'c', 'd'"),
        ({"features": ("a", "symbol")}, "column 'symbol' was string; it must be a number"),
        ({"features": ("a", "a")}, "a feature is named twice"),
        ({"features": ("a", "label")}, "'label' is the label"),
        ({"folds": 7}, "600 of 600 rows have a label .*; at least 700 are needed for 7 folds"),
        ({"horizon_s": 60.0}, "the labels span 599 s; at least 10 horizons of 60 s"),
        ({"label": "", "price": "price", "horizon_s": 0.5}, "0 of 600 rows have a label"),
        ({"price": "price"}, "either a label column or a price"),
        ({"stability": 1.1}, r"stability was 1\.1; it must be above 0 and at most 1"),
    ],
)
def test_errors_say_what_to_correct(given: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        _load(_frame(), **given)


def test_a_missing_index_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no column 'symbol'"):
        _load(_frame().drop_columns("symbol"))
    with pytest.raises(ConfigError, match="must have a value in every row"):
        _load(_frame().set_column(1, "symbol", pa.nulls(600, pa.string())))
    with pytest.raises(ConfigError, match="there is no such file"):
        _load(tmp_path / "none.parquet")
    (tmp_path / "text.parquet").write_text("no Parquet")
    with pytest.raises(ConfigError, match="could not be read as Parquet"):
        _load(tmp_path / "text.parquet")
