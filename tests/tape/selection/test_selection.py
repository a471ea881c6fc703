"""What was planted is found, once each; noise is not; the same seed gives the same bytes."""

import json
import re
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from schemas.errors import ConfigError
from tape.selection import Selection, SelectionOptions, report, select

ROWS = 1500
SECOND = 1_000_000


def _planted(seed: int, strength: float = 0.7) -> pa.Table:
    """Three columns that matter, each with two noisy copies, and ten of noise, in random order."""
    random = np.random.default_rng(seed)
    columns = {}
    causes = random.normal(size=(3, ROWS))
    for at, cause in enumerate(causes):
        for copy in range(3):
            noise = 0.5 * random.normal(size=ROWS) if copy else 0.0
            columns[f"cause{at}_{copy}"] = cause + noise
    for at in range(10):
        columns[f"noise_{at}"] = random.normal(size=ROWS)
    effect = causes[0] - causes[1] + (causes[2] ** 2 - 1)  # the last is not linear
    names = random.permutation(list(columns))
    return pa.table(
        {
            "event_time": np.arange(ROWS) * SECOND,
            "symbol": ["BTC-USDT"] * ROWS,
            **{str(name): columns[name] for name in names},
            "label": strength * effect + random.normal(size=ROWS),
        }
    )


def _select(table: pa.Table | Path, **given: object) -> Selection:
    options = {"horizon_s": 1.0, "label": "label", "folds": 3, "resamples": 10, **given}
    return select(table, SelectionOptions(**options))  # type: ignore[arg-type] # checked above


@pytest.fixture(scope="module")
def selection() -> Selection:
    return _select(_planted(1), seed=1)


@pytest.mark.parametrize("seed", range(6))
def test_each_cause_is_kept_once_and_no_noise(seed: int) -> None:
    found = _select(_planted(seed), seed=seed)
    assert sorted(name.split("_")[0] for name in found.features) == ["cause0", "cause1", "cause2"]
    for cluster in found.clusters:
        assert len({name.split("_")[0] for name in cluster.members}) == 1


def test_nothing_is_kept_of_noise() -> None:
    found = _select(_planted(7, strength=0.0), seed=7)
    assert found.features == ()
    assert found.score_mean < 0.01


def test_the_same_seed_gives_the_same_bytes(tmp_path: Path) -> None:
    path = tmp_path / "frame.parquet"
    pq.write_table(_planted(1), path)
    given = {"seed": 1, "resamples": 2, "folds": 2}
    pair = _select(_planted(1), **given), _select(path, **given, jobs=2)
    for at, each in enumerate(pair):
        each.write(tmp_path / f"{at}.json")
        report.write(each, tmp_path / f"{at}.html")
    for ending in ("json", "html"):
        first, second = ((tmp_path / f"{at}.{ending}").read_bytes() for at in range(2))
        assert first == second
    assert _select(path, **{**given, "seed": 2}).id != pair[0].id


def test_json_says_what_was_kept_and_why(selection: Selection, tmp_path: Path) -> None:
    selection.write(tmp_path / "selection.json")
    content = json.loads((tmp_path / "selection.json").read_text())
    assert content["format"] == 1
    assert content["id"] == selection.id
    assert tuple(content["features"]) == selection.features
    assert content["options"]["seed"] == 1
    assert content["options"]["horizon_s"] == 1.0
    assert len(content["data_hash"]) == 64
    kept = [column for column in content["columns"] if column["kept"]]
    assert [column["name"] for column in kept] == content["features"]
    assert all(column["importance_mean"] > 0 for column in kept)
    for cluster in content["clusters"]:
        assert cluster["kept"] == (cluster["stability"] >= 0.8)
        mine = [each for each in content["columns"] if each["name"] in cluster["members"]]
        best = max(mine, key=lambda column: column["importance_mean"])
        assert best["kept"] == cluster["kept"]


def test_the_report_is_one_file_with_its_plots(selection: Selection) -> None:
    html = report.render(selection)
    plots = re.findall(r"<svg.*?</svg>", html, re.DOTALL)
    assert len(plots) == 5
    for plot in plots:
        ElementTree.fromstring(plot)
    for name in selection.features:
        assert f"<b>{name}</b>" in html
    assert not re.search(r'(?:src|href)="(?!#|data:)', html)
    assert "<script" not in html


def test_empty_and_repeated_columns_are_left_out_with_their_reason() -> None:
    table = _planted(3).select(["event_time", "symbol", "cause0_0", "noise_0", "label"])
    table = table.append_column("flat", pa.array(np.ones(ROWS)))
    table = table.append_column("twin", table["cause0_0"])
    table = table.append_column("<null>", pa.nulls(ROWS, pa.float64()))
    found = _select(table)
    assert found.features == ("cause0_0",)
    assert found.dropped == {
        "flat": "constant",
        "twin": "same order of rows as cause0_0",
        "<null>": "no values",
    }
    assert "&lt;null&gt;" in report.render(found)


def test_a_return_is_predicted_from_a_price() -> None:
    random = np.random.default_rng(4)
    signal, noise, shock = random.normal(size=(3, ROWS))
    returns = 1e-4 * (np.roll(signal, 1) + shock)
    table = pa.table(
        {
            "event_time": np.arange(ROWS) * SECOND,
            "symbol": ["BTC-USDT"] * ROWS,
            "price": 100 * np.cumprod(1 + returns),
            "signal": signal,
            "noise": noise,
        }
    )
    found = _select(table, label="", price="price")
    assert found.features == ("signal",)
    assert found.samples == ROWS - 1


def test_symbols_of_any_scale_are_learned_from_together() -> None:
    random = np.random.default_rng(6)
    cause, noise, shock = random.normal(size=(3, ROWS))
    large = np.arange(ROWS) % 2 == 1
    table = pa.table(
        {
            "event_time": np.arange(ROWS) // 2 * SECOND,
            "symbol": np.where(large, "BTC-USDT", "DOGE-USDT"),
            "cause": np.where(large, 1e5 + 1e3 * cause, 0.1 + 1e-3 * cause),
            "noise": np.where(large, 1e5 + 1e3 * noise, 0.1 + 1e-3 * noise),
            "label": cause + shock,
        }
    )
    found = _select(table)
    assert found.features == ("cause",)
    assert found.symbols == ("BTC-USDT", "DOGE-USDT")


def test_nothing_to_predict_is_an_error() -> None:
    table = _planted(5)
    at = table.column_names.index("label")
    with pytest.raises(ConfigError, match="nothing to predict"):
        _select(table.set_column(at, "label", pa.array(np.ones(ROWS))))
    flat = table.select(["event_time", "symbol", "label"])
    with pytest.raises(ConfigError, match="no column is left"):
        _select(flat.append_column("flat", pa.array(np.ones(ROWS))))
