"""docs/features-guide.md, done on a copy of the repository: a user's own features, to the end."""

import json
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from processors.features import feature_set
from schemas import catalogue, compatibility
from schemas.events import Clock, Trade
from tape.features import generate
from tests.conftest import Stack
from tests.streams.derived import Tape
from tests.tape.features import made

REPOSITORY = Path(__file__).parents[3]
PACKAGES = ("benchmarks", "processors", "schemas", "sinks", "streams", "tape", "venues")
OWN = ["typical_gap_20", "typical_gap_20_smooth", "money_flow_10s"]


@dataclass(frozen=True)
class Copy:
    """A copy of the repository, which a `python -m` in it takes before the installed one."""

    root: Path
    environment: dict[str, str]

    @property
    def custom(self) -> Path:
        return self.root / "processors" / "features" / "custom"

    def run(self, *words: object, expect: int = 0) -> str:
        done = subprocess.run(
            [sys.executable, "-m", *map(str, words)],
            cwd=self.root, env=self.environment, capture_output=True, text=True, timeout=280,
            check=False,
        )  # fmt: skip
        assert done.returncode == expect, done.stdout + done.stderr
        return done.stdout + done.stderr

    def schema(self) -> dict[str, object]:
        text = (self.root / "schemas" / "avro" / "FeatureVector.avsc").read_text()
        found: dict[str, object] = json.loads(text)
        return found


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory, stack: Stack) -> Copy:
    root = tmp_path_factory.mktemp("copy")
    for name in (*PACKAGES, "docs", "config"):
        # Times of files too: compiled kernels stay good.
        shutil.copytree(REPOSITORY / name, root / name)
    shutil.copy(REPOSITORY / "pyproject.toml", root)
    return Copy(root, stack.environment)


def blocks() -> dict[str, str]:
    """The modules of the guide, by the file that the words before each name."""
    text = (REPOSITORY / "docs" / "features-guide.md").read_text()
    found = re.findall(
        r"`processors/features/custom/(\w+\.py)`:\n\n```python\n(.*?)```", text, re.S
    )
    assert len(found) == 2
    return dict(found)


@pytest.fixture(scope="module")
def extended(copy: Copy) -> Copy:
    """The copy with the guide's features: their tests have passed, all is generated."""
    for name, text in blocks().items():
        (copy.custom / name).write_text(text)
    files = sorted(copy.custom.glob("*.py"))
    said = copy.run("pytest", "-q", "-p", "no:cacheprovider", *files)
    assert "2 passed" in said
    said = copy.run("tape", "features", "generate")
    assert [Path(line).name for line in said.splitlines()] == [
        "dispatch.py", "FeatureVector.avsc", "features.md"
    ]  # fmt: skip
    return copy


def test_the_guides_code_is_in_the_style_of_the_repository(extended: Copy) -> None:
    files = [extended.custom / name for name in blocks()]
    extended.run("ruff", "check", *files, extended.custom / "dispatch.py")
    extended.run("ruff", "format", "--check", *files, extended.custom / "dispatch.py")


def test_own_features_make_a_version_whose_schema_is_compatible(extended: Copy) -> None:
    told = json.loads(extended.run("tape", "features", "list", "--json"))
    assert [each["name"] for each in told["features"]] == [*feature_set.NAMES, *OWN]
    assert told["feature_set"] != feature_set.version()
    new, old = extended.schema(), catalogue.schema("FeatureVector")
    assert new["feature_set"] == told["feature_set"]
    assert compatibility.unsupported(new) == []
    assert compatibility.unreadable(new, old) == compatibility.unreadable(old, new) == []
    assert "differs from release" in extended.run("tape", "schemas", "check", expect=1)
    assert "released FeatureVector" in extended.run("tape", "schemas", "release")
    extended.run("tape", "schemas", "check")
    for name in OWN:
        assert f"| `{name}` |" in (extended.root / "docs" / "features.md").read_text()


def test_their_values_arrive_in_the_vector(extended: Copy, tape: Tape, tmp_path: Path) -> None:
    on_tape = ("tape", "--tape", tape.name)
    extended.run(*on_tape, "up")
    path = tmp_path / "frame.parquet"
    words = (*on_tape, "features", "export", path, "--symbol", "BTC-USDT")
    assert "run that release, or write a new configuration" in extended.run(*words, expect=2)
    extended.run(*words, "--anew")
    rows = pq.read_table(path).to_pylist()
    assert len(rows) == made.SECONDS - 1

    gaps, smooth = [], []
    for row in rows:
        if row["sma_20"] is None:
            assert row["typical_gap_20"] is None
            continue
        gap = row["typprice"] / row["sma_20"] - 1
        assert row["typical_gap_20"] == pytest.approx(gap, rel=1e-9, abs=1e-12)
        if not gaps or row["typical_gap_20"] != gaps[-1]:
            # A bar has closed.
            gaps.append(row["typical_gap_20"])
            smooth.append(gap if not smooth else smooth[-1] + (gap - smooth[-1]) / 4)
        assert row["typical_gap_20_smooth"] == pytest.approx(smooth[-1], rel=1e-9, abs=1e-12)
    assert len(gaps) > 15

    expected = money_flows(rows[0]["venue"], "BTC-USDT")
    assert rows[0]["money_flow_10s"] is expected[rows[0]["event_time"]] is None
    for row in rows[1:]:
        assert row["money_flow_10s"] == pytest.approx(expected[row["event_time"]], rel=1e-9)


def money_flows(venue: str, symbol: str) -> dict[int, float | None]:
    """The formula over the made trades, by the time of the pulse."""
    seconds: list[list[tuple[float, int]]] = []
    found: dict[int, float | None] = {}
    for event in made.events():
        if isinstance(event, Clock):
            trades = [trade for second in seconds[-10:] for trade in second]
            total = sum(notional for notional, _ in trades)
            signed = sum(sign * notional for notional, sign in trades)
            found[event.event_time] = signed / total if total else None
            seconds.append([])
        elif isinstance(event, Trade) and (event.venue, event.symbol) == (venue, symbol):
            if len(seconds) == 1:
                continue  # what precedes an instrument's first pulse is not counted
            sign = 1 if event.aggressor_side == "BUY" else -1
            seconds[-1].append((event.price * event.quantity, sign))
    return found


def test_a_name_that_is_taken_is_refused_and_changes_nothing(extended: Copy) -> None:
    path = extended.custom / "money_flow.py"
    files = [extended.custom / "dispatch.py", extended.root / "docs" / "features.md"]
    were, text = [each.read_text() for each in files], path.read_text()
    path.write_text(text.replace('"money_flow_10s"', '"rsi_14"'))
    try:
        printed = extended.run("tape", "features", "generate", expect=2)
    finally:
        path.write_text(text)
    assert "the name 'rsi_14' is taken" in printed
    assert "Traceback" not in printed
    assert [each.read_text() for each in files] == were
    # Nor does a kernel stay that was compiled with the refused one in.
    assert not list(extended.custom.parent.glob("__pycache__/*kernel.advance*"))


def test_without_them_all_is_as_before(extended: Copy) -> None:
    for name in blocks():
        (extended.custom / name).unlink()
    extended.run("tape", "features", "generate")
    for path in (generate._DISPATCH, generate.AVRO, generate.PAGE):
        there = extended.root / path.relative_to(REPOSITORY)
        assert there.read_text() == path.read_text()
