"""What is generated from the catalogue is what is committed; a user's bad module is refused."""

import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from processors.features import custom, feature_set
from processors.features.catalogue import Feature
from schemas import catalogue
from schemas.errors import ConfigError
from tape.features import generate

ENTRY = """
import numba
from processors.features.catalogue import Feature

def entry(name="mine", **fields):
    return Feature(name=name, formula="1", source="our own", unit="", inputs=("close",),
                   warm_up=1, **fields)
"""
KERNEL = """
@numba.njit
def on_bar(bars, count, floats, integers, out):
    out[0] = 1.0
"""
GOOD = ENTRY + "FEATURES = (entry(),)\nFLOATS = INTEGERS = 0\n" + KERNEL


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder whose modules are found as those of the package `custom`."""
    monkeypatch.setattr(custom, "__path__", [*custom.__path__, str(tmp_path)])
    # pytest forbids it by default; the modules are written and imported at once.
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    before = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - before:
        if name.startswith(custom.__name__):
            del sys.modules[name]
            delattr(custom, name.rpartition(".")[2])


def test_what_is_committed_is_what_would_be_generated() -> None:
    committed = Path(generate.__file__).parents[2]
    dispatch = committed / "processors" / "features" / "custom" / "dispatch.py"
    assert dispatch.read_text() == generate.dispatch(generate.custom_modules())
    assert generate.AVRO.read_text() == generate.record_text()
    assert generate.PAGE.read_text() == generate.documented(generate.PAGE.read_text())


def test_the_record_has_a_nullable_double_for_each_feature_in_the_order_of_the_vector() -> None:
    schema = catalogue.schema("FeatureVector")
    fields = schema["fields"][-len(feature_set.FEATURES) :]
    assert [field["name"] for field in fields] == list(feature_set.NAMES)
    assert all(field["type"] == ["null", "double"] for field in fields)
    assert all(field["default"] is None for field in fields)
    assert schema["feature_set"] == feature_set.version()


def test_the_page_has_a_line_for_each_feature_and_its_words_stay() -> None:
    page = generate.documented("# Our words\n\n" + generate._BEGIN + "old")
    assert page.startswith("# Our words\n\n")
    assert "old" not in page.split("\n")
    for feature in feature_set.FEATURES:
        (line,) = [line for line in page.split("\n") if line.startswith(f"| `{feature.name}` |")]
        # Bars within a formula are escaped, or they would be columns.
        assert line.replace("\\|", "").count("|") == 9


def test_a_good_module_is_taken_in_the_order_of_names(folder: Path) -> None:
    (folder / "b_mine.py").write_text(GOOD)
    (folder / "a_mine.py").write_text(GOOD.replace("INTEGERS = 0", "INTEGERS = 3"))
    modules = generate.custom_modules(folder)
    assert [module.__name__.rpartition(".")[2] for module in modules] == ["a_mine", "b_mine"]
    text = generate.dispatch(modules)
    assert "a_mine.on_bar(bars, count, floats[0:3], integers[0:3], out[0:1])" in text
    assert "b_mine.on_bar(bars, count, floats[3:3], integers[3:3], out[1:2])" in text
    compile(text, "dispatch.py", "exec")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("def", "cannot be imported: SyntaxError"),
        ("import absent_module", "cannot be imported: ModuleNotFoundError: .*absent_module"),
        (ENTRY + KERNEL, "FEATURES has to be a tuple of Feature, at least one"),
        (ENTRY + "FEATURES = ()" + KERNEL, "at least one"),
        (ENTRY + "FEATURES = (entry(), 'x')" + KERNEL, "of Feature and nothing else"),
        (ENTRY + "FEATURES = (entry(),)\n", "define either on_bar or on_decision"),
        (GOOD + "on_decision = on_bar\n", "define either on_bar or on_decision"),
        (GOOD.replace("FLOATS = ", ""), "how much state it has: FLOATS and INTEGERS"),
        (GOOD.replace("= 0", "= -1"), "how much state it has"),
        (GOOD.replace("entry()", "entry(interval='5m')"), "of mine is '5m'; with on_bar goes '1m'"),
        (GOOD.replace("on_bar(bars", "on_decision(bars"), "is '1m'; .* on_decision .* 'decision'"),
        (GOOD.replace("@numba.njit", ""), "on_bar has to be compiled: put `@numba.njit"),
        (GOOD.replace("count, ", ""), r"has to take \(bars, count, floats, integers, out\)"),
        (GOOD.replace("1.0", "absent"), "on_bar cannot be compiled or run:(?s:.*)absent"),
    ],
)
def test_a_bad_module_is_refused_by_its_file_and_fault(text: str, said: str, folder: Path) -> None:
    (folder / "bad.py").write_text(text)
    with pytest.raises(ConfigError, match=f"^{folder / 'bad.py'}:? {said}|^{folder}.*{said}"):
        generate.custom_modules(folder)


def test_another_text_is_another_dispatch(folder: Path) -> None:
    (folder / "mine.py").write_text(GOOD)
    modules = generate.custom_modules(folder)
    before = generate.dispatch(modules)
    (folder / "mine.py").write_text(GOOD.replace("1.0", "2.0"))
    assert generate.dispatch(modules) != before


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"name": "rsi_14"}, "the name 'rsi_14' is taken"),
        ({"name": "venue"}, "the name 'venue' is taken"),
        ({"name": "flow 10"}, "the name 'flow 10' has to be letters, digits and _"),
        ({"group": "flow"}, "the group of mine is 'flow'; there are technical, microstructure"),
    ],
)
def test_an_entry_that_cannot_be_a_field_is_refused(changed: dict[str, Any], said: str) -> None:
    entry = Feature(name="mine", formula="", source="", unit="", inputs=(), warm_up=1)
    features = (*feature_set.FEATURES, entry)
    generate.check_features(features, feature_set.GROUPS)
    features = (*feature_set.FEATURES, replace(entry, **changed))
    with pytest.raises(ConfigError, match=said):
        generate.check_features(features, feature_set.GROUPS)


def test_a_name_that_cannot_be_imported_is_refused(folder: Path) -> None:
    (folder / "my-feature.py").write_text(GOOD)
    with pytest.raises(ConfigError, match=r"my-feature\.py: its name"):
        generate.custom_modules(folder)
