"""Releases: every version is kept, an edit is seen, and the newest must fit all of them."""

import json
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest

from schemas import catalogue, releases
from schemas.compatibility import unsupported
from schemas.decode import Decoder
from schemas.errors import SchemaError

Schemas = dict[str, dict[str, Any]]


@pytest.fixture
def schemas() -> Schemas:
    return deepcopy(releases.current())


@pytest.fixture
def history(tmp_path: Path, schemas: Schemas) -> Path:
    """A history with one release of every record."""
    releases.release(schemas, tmp_path / "history")
    return tmp_path / "history"


def problems(schemas: Schemas, history: Path) -> list[str]:
    return [str(problem) for problem in releases.check(schemas, history)]


def add(schema: dict[str, Any], **field: Any) -> None:
    schema["fields"].append({"doc": "d", **field})


def newest(history: Path, record: str) -> Path:
    (path,) = history.glob(f"{record}-{len(releases.read(history)[record])}-*.avsc")
    return path


def test_the_committed_schemas_are_released_and_compatible() -> None:
    assert releases.check(releases.current()) == []
    assert releases.check_events() == []
    assert set(releases.read()) == set(catalogue.RECORDS)


@pytest.mark.parametrize("record", catalogue.RECORDS)
def test_every_field_says_its_unit_and_meaning(record: str) -> None:
    assert unsupported(catalogue.schema(record)) == []
    assert catalogue.schema(record)["doc"]


def test_every_file_of_a_schema_is_in_the_catalogue() -> None:
    files = {path.stem for path in (releases.FOLDER / "avro").iterdir()}
    assert files == set(catalogue.RECORDS)


def test_the_decoder_takes_every_release() -> None:
    every = [one.schema for found in releases.read().values() for one in found]
    Decoder(dict(enumerate(every)))


def test_a_changed_schema_must_be_released(schemas: Schemas, history: Path) -> None:
    add(schemas["Bar"], name="note", type="string", default="")
    assert problems(schemas, history) == [
        "Bar: it differs from release 1: run `tape schemas release`"
    ]
    (one,) = releases.release(schemas, history)
    assert (one.record, one.number) == ("Bar", 2)
    assert problems(schemas, history) == []
    assert releases.release(schemas, history) == []


def test_a_changed_doc_is_a_change(schemas: Schemas, history: Path) -> None:
    schemas["Bar"]["fields"][0]["doc"] += " Indeed."
    assert "differs from release 1" in problems(schemas, history)[0]


def test_a_new_record_must_be_released(schemas: Schemas, history: Path) -> None:
    schemas["Fresh"] = {**deepcopy(schemas["Clock"]), "name": "Fresh"}
    assert problems(schemas, history) == [
        "Fresh: it was never released: run `tape schemas release`"
    ]
    releases.release(schemas, history)
    assert problems(schemas, history) == []


def test_an_incompatible_change_is_named_and_not_released(schemas: Schemas, history: Path) -> None:
    add(schemas["Trade"], name="fee", type="double")
    add(schemas["Bar"], name="note", type="string", default="")
    named = "Trade.fee: the reader has this field, the writer has not, and it has no default"
    assert any(problem.startswith(named) for problem in problems(schemas, history))
    before = sorted(history.iterdir())
    with pytest.raises(SchemaError, match="written as release 1, read as release 2"):
        releases.release(schemas, history)
    assert sorted(history.iterdir()) == before


def test_a_field_cannot_come_back_as_another_type_two_versions_later(
    schemas: Schemas, history: Path
) -> None:
    original = deepcopy(schemas["Trade"])
    add(schemas["Trade"], name="fee", type=["null", "double"], default=None)
    releases.release(schemas, history)
    schemas["Trade"] = original
    releases.release(schemas, history)
    add(schemas["Trade"], name="fee", type=["null", "string"], default=None)
    with pytest.raises(SchemaError, match=r"Trade\.fee: double cannot be read as string"):
        releases.release(schemas, history)


def test_an_edited_release_is_seen(schemas: Schemas, history: Path) -> None:
    path = newest(history, "Trade")
    path.write_text(path.read_text().replace("quote currency", "base currency"))
    assert problems(schemas, history) == [f"Trade: release {path.name} was edited: restore it"]


def test_the_layout_of_a_release_does_not_matter(schemas: Schemas, history: Path) -> None:
    path = newest(history, "Trade")
    path.write_text(json.dumps(json.loads(path.read_text())))
    assert problems(schemas, history) == []


def test_a_lost_release_is_seen(schemas: Schemas, history: Path) -> None:
    first = newest(history, "Trade")
    add(schemas["Trade"], name="note", type="string", default="")
    releases.release(schemas, history)
    first.unlink()
    assert problems(schemas, history) == [
        "Trade: release 1 is missing from the history: restore it"
    ]


def test_a_released_record_must_stay(schemas: Schemas, history: Path) -> None:
    del schemas["News"]
    assert problems(schemas, history) == [
        "News: it was released, so it is on tapes: it must stay in the catalogue"
    ]


@pytest.mark.parametrize(("name", "text"), [("Trade.avsc", "{}"), ("Trade-9-01234567.avsc", "{")])
def test_a_file_that_is_no_release_is_refused_by_name(history: Path, name: str, text: str) -> None:
    (history / name).write_text(text)
    with pytest.raises(SchemaError, match=name):
        releases.read(history)


def test_a_record_must_be_what_its_file_is_named(schemas: Schemas, history: Path) -> None:
    schemas["Trade"]["name"] = "Traded"
    assert problems(schemas, history) == ["Trade: its file must define tape.Trade"]
