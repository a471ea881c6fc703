"""`tape features list`, `plot` and `select`, as people and programs use them."""

import json
import re
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from processors.features import feature_set
from schemas.errors import ConfigError
from tape.features import export
from tape.features.plot import write
from tests.streams.derived import Tape
from tests.tape.features.conftest import Call

FEATURES = ["rsi_14", "spread_bps"]


def small_frame(rows: int = 9_000) -> pa.Table:
    """A frame of two symbols, rows by turns, with some values null."""
    random = np.random.default_rng(1)
    doubles = {"price": random.normal(size=rows), **{n: random.normal(size=rows) for n in FEATURES}}
    return pa.table(
        {
            "event_time": np.arange(rows) * 500_000 + 1_700_000_000_000_000,
            "symbol": ["A<B>-USDT", "ETH-USDT"] * (rows // 2),
            **{name: pa.array(v, mask=random.random(rows) < 0.1) for name, v in doubles.items()},
        }
    )


def strict(text: str) -> object:
    """JSON without the infinities and NaN that Python would let pass."""

    def refuse(word: str) -> None:
        raise AssertionError(f"{word} is not JSON")

    return json.loads(text, parse_constant=refuse)


def test_list_as_json_is_the_catalogue(call: Call) -> None:
    told = strict(call("features", "list", "--json"))
    assert isinstance(told, dict)
    assert told["feature_set"] == feature_set.version()
    assert [each["name"] for each in told["features"]] == list(feature_set.NAMES)
    for each, feature in zip(told["features"], feature_set.FEATURES, strict=True):
        assert each["formula"] == feature.formula
        assert each["inputs"] == list(feature.inputs)
        assert each["low"] == (feature.low if np.isfinite(feature.low) else None)


def test_list_names_each_feature_whole_and_a_group_only_its_own(call: Call) -> None:
    printed = call("features", "list")
    for feature in feature_set.FEATURES:
        assert re.search(rf"^ *{feature.name} ", printed, re.MULTILINE), feature.name
    assert f"{len(feature_set.NAMES)} features, version {feature_set.version()}" in printed
    told = json.loads(call("features", "list", "--group", "micro", "--json"))
    assert {each["group"] for each in told["features"]} == {"microstructure"}
    with pytest.raises(ConfigError, match="no group begins with 'macro': technical, micro"):
        call("features", "list", "--group", "macro")


def test_the_picture_needs_nothing_but_itself(tmp_path: Path) -> None:
    paths = [tmp_path / "a.html", tmp_path / "b.html"]
    for path in paths:
        write(small_frame(), "A<B>-USDT", FEATURES, path)
    text = paths[0].read_text()
    assert text == paths[1].read_text()
    (svg,) = re.findall(r"<svg.*</svg>", text, re.DOTALL)
    picture = ElementTree.fromstring(svg)
    named = {each.get("id", "") for each in picture.iter()}
    assert {"axes_1", "axes_2", "axes_3"} <= named
    assert "axes_4" not in named
    assert "A<B>" not in text
    assert "<h1>A&lt;B&gt;-USDT</h1>" in text
    assert "4,500 vectors" in text
    for name in FEATURES:
        assert f"<b>{name}</b>" in text
    # Names of namespaces are no addresses that a browser goes to.
    assert not re.search(r"""(src|href)\s*=\s*["'](?!#)|@import|<script""", text)


@pytest.mark.parametrize(
    ("symbol", "features", "said"),
    [
        ("BTC-USDT", ["rsi_14"], "no vectors of BTC-USDT; there are some of A<B>-USDT, ETH-USDT"),
        ("ETH-USDT", ["rsi_15"], "no feature 'rsi_15': `tape features list`"),
        ("ETH-USDT", ["symbol"], "no feature 'symbol'"),
    ],
)
def test_a_picture_of_what_is_not_there_is_refused(
    symbol: str, features: list[str], said: str, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match=re.escape(said)):
        write(small_frame(), symbol, features, tmp_path / "a.html")
    assert not list(tmp_path.iterdir())


def test_a_frame_without_a_price_is_refused(tmp_path: Path) -> None:
    frame = small_frame().drop_columns(["price"])
    with pytest.raises(ConfigError, match="the frame has no column price"):
        write(frame, "ETH-USDT", ["rsi_14"], tmp_path / "a.html")


def test_plot_from_a_frame_and_from_the_tape_is_the_same_picture(
    tape: Tape, frame: Path, call: Call, tmp_path: Path
) -> None:
    for out, more in (("a.html", ("--frame", frame)), ("b.html", ())):
        words = ("--tape", tape.name, "features", "plot", "BTC-USDT", *FEATURES, *more)
        assert call(*words, "--out", tmp_path / out) == f"{tmp_path / out}\n"
    assert (tmp_path / "a.html").read_bytes() == (tmp_path / "b.html").read_bytes()


def test_plot_says_which_file_is_wrong(call: Call, tmp_path: Path) -> None:
    words = ("features", "plot", "BTC-USDT", "rsi_14", "--out", tmp_path / "a.html", "--frame")
    with pytest.raises(ConfigError, match=r"there is no file .*absent"):
        call(*words, tmp_path / "absent.parquet")
    (tmp_path / "text.parquet").write_text("not Parquet")
    with pytest.raises(ConfigError, match=r"text\.parquet could not be read as Parquet"):
        call(*words, tmp_path / "text.parquet")
    with pytest.raises(ConfigError, match="there is no folder"):
        call("features", "plot", "A", "rsi_14", "--out", tmp_path / "absent" / "a.html")


def test_select_writes_what_the_package_chooses(
    tape: Tape, frame: Path, call: Call, tmp_path: Path
) -> None:
    out, report = tmp_path / "selection.json", tmp_path / "report.html"
    words = (
        "features", "select", frame, "--horizon", 5, "--folds", 2, "--resamples", 2, "--seed", 3,
        "--max-rows", 600, "--feature", "spread_bps", "--feature", "book_imbalance_1",
        "--feature", "rsi_14", "--out", out, "--report", report, "--json",
    )  # fmt: skip
    told = json.loads(call(*words))
    written = json.loads(out.read_text())
    assert told["features"] == written["features"]
    assert told["id"] == written["id"]
    assert written["feature_set"] == export.FEATURE_SET
    assert written["options"]["price"] == "price"
    assert written["options"]["seed"] == 3
    assert {each["name"] for each in written["columns"]} <= {
        "spread_bps", "book_imbalance_1", "rsi_14"
    }  # fmt: skip
    assert written["id"] in report.read_text()
    before = out.read_bytes(), report.read_bytes()
    call(*words)
    assert (out.read_bytes(), report.read_bytes()) == before


def test_select_says_what_it_lacks(call: Call, tmp_path: Path) -> None:
    path = tmp_path / "frame.parquet"
    pq.write_table(small_frame(400), path)
    words = ("features", "select", path, "--out", tmp_path / "selection.json")
    with pytest.raises(ConfigError, match="no column 'spread'"):
        call(*words, "--horizon", 60, "--feature", "spread")
    with pytest.raises(ConfigError, match="either a label column or a price"):
        call(*words, "--horizon", 60, "--price", "price", "--label", "rsi_14")
    with pytest.raises(ConfigError, match="there is no such file"):
        call("features", "select", tmp_path / "absent.parquet", "--horizon", 60)
    with pytest.raises(ConfigError, match="there is no folder"):
        call(*words, "--horizon", 60, "--report", tmp_path / "absent" / "report.html")
    with pytest.raises(ConfigError):
        call(*words, "--horizon", 60)
    assert [each.name for each in tmp_path.iterdir()] == ["frame.parquet"]
