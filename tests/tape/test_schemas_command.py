"""`tape schemas`: what it prints, and that it ends non-zero for a change that breaks readers."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from schemas import catalogue, releases


def run(*arguments: str, folder: Path | None = None, expect: int = 0) -> str:
    """Run it as a user would; `folder` holds a copy of `schemas` that comes first."""
    done = subprocess.run(
        [sys.executable, "-m", "tape", "schemas", *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    said = done.stdout + done.stderr
    assert done.returncode == expect, said
    return said


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A folder with a copy of the package `schemas`, to be changed."""
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(releases.FOLDER, tmp_path / "schemas", ignore=ignored)
    return tmp_path


def edit(copy: Path, record: str, before: str, after: str) -> None:
    path = copy / "schemas" / "avro" / f"{record}.avsc"
    text = path.read_text()
    assert before in text
    path.write_text(text.replace(before, after, 1))


def test_check_passes_on_what_is_committed() -> None:
    found = json.loads(run("check", "--json"))
    assert found["problems"] == []
    assert found["records"] == len(catalogue.RECORDS)


def test_check_names_record_field_and_reason_of_an_incompatible_change(copy: Path) -> None:
    edit(
        copy,
        "Trade",
        '"name": "price",\n      "type": "double"',
        '"name": "price", "type": "string"',
    )
    said = run("check", folder=copy, expect=1)
    assert "Trade.price: double cannot be read as string" in said
    assert "Trade.price: string cannot be read as double" in said
    assert "nothing was released" in run("release", folder=copy, expect=1)


def test_check_tells_to_generate_the_events(copy: Path) -> None:
    events = copy / "schemas" / "events.py"
    events.write_text(events.read_text().replace("One trade", "A trade"))
    assert "python -m schemas.generate" in run("check", folder=copy, expect=1)


def test_release_takes_a_compatible_change_and_generates_the_events(copy: Path) -> None:
    field = '"fields": [\n    {"name": "note", "type": "string", "default": "", "doc": "A note."},'
    edit(copy, "Clock", '"fields": [', field)
    assert "tape schemas release" in run("check", folder=copy, expect=1)
    said = run("release", folder=copy)
    number = len(releases.read()["Clock"]) + 1
    assert f"released Clock {number}: schemas/history/Clock-{number}-" in said
    assert "generated schemas/events.py" in said
    assert 'note: str = ""' in (copy / "schemas" / "events.py").read_text()
    run("check", folder=copy)
    assert "every schema is released" in run("release", folder=copy)


def test_list_names_every_topic_record_and_key() -> None:
    topics = json.loads(run("list", "--json"))["topics"]
    assert [one["topic"] for one in topics] == [topic.name for topic in catalogue.TOPICS]
    assert all(one["key"] and one["doc"] and all(one["records"].values()) for one in topics)
    printed = run("list")
    for topic in catalogue.TOPICS:
        for word in (topic.name, *topic.records, topic.cleanup):
            assert word in printed


def test_show_prints_each_field_with_type_and_meaning() -> None:
    printed = run("show", "Bar")
    for field in catalogue.schema("Bar")["fields"]:
        assert field["name"] in printed
    for words in ("timestamp-micros", "TRADES | KLINES", "Sum of quantities, base", "Origin"):
        assert words in printed


def test_show_takes_a_topic_too() -> None:
    found = json.loads(run("show", "state", "--json"))
    assert [schema["name"] for schema in found] == ["StateChunk", "StateManifest"]
    assert json.loads(run("show", "Trade", "--json"))["name"] == "Trade"


def test_show_of_an_unknown_name_says_what_is_near() -> None:
    assert "did you mean Trade" in run("show", "trades", expect=1)
