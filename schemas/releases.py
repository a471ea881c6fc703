"""Releases: every version that a record's schema ever had, and the check of the newest.

`history/<Record>-<number>-<fingerprint>.avsc`: numbers from 1 without a hole, and the first
eight hex digits of the content's SHA-256, so that an edit of what was released is seen.
"""

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

from schemas import catalogue, compatibility, generate
from schemas.compatibility import Problem
from schemas.errors import SchemaError

FOLDER = Path(__file__).parent
HISTORY = FOLDER / "history"

_NAME = re.compile(r"(?P<record>\w+)-(?P<number>\d+)-(?P<fingerprint>[0-9a-f]{8})\.avsc")
_RELEASE = "run `tape schemas release`"


@dataclass(frozen=True, slots=True)
class Release:
    """One version of a record's schema, as it was released."""

    record: str
    number: int
    fingerprint: str
    """As the file's name has it."""
    schema: dict[str, Any]

    @property
    def file_name(self) -> str:
        """Its name in the history."""
        return f"{self.record}-{self.number}-{self.fingerprint}.avsc"


def fingerprint(schema: dict[str, Any]) -> str:
    """First eight hex digits of the SHA-256 of a schema, docs and all; layout does not count."""
    text = json.dumps(schema, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:8]


def current() -> dict[str, dict[str, Any]]:
    """The schemas of the catalogue, by record."""
    return {record: catalogue.schema(record) for record in catalogue.RECORDS}


def read(history: Path = HISTORY) -> dict[str, list[Release]]:
    """All releases by record, oldest first; SchemaError for a file that is none."""
    found: dict[str, list[Release]] = {}
    for path in sorted(history.glob("*")):
        match = _NAME.fullmatch(path.name)
        if match is None:
            raise SchemaError(f"{path}: not a released schema's name; remove it")
        try:
            schema = json.loads(path.read_text())
        except ValueError as error:
            raise SchemaError(f"{path}: not JSON ({error}); restore it") from None
        release = Release(match["record"], int(match["number"]), match["fingerprint"], schema)
        found.setdefault(release.record, []).append(release)
    return {
        record: sorted(releases, key=lambda release: release.number)
        for record, releases in found.items()
    }


def check(schemas: Mapping[str, dict[str, Any]], history: Path = HISTORY) -> list[Problem]:
    """Everything that is wrong with schemas (by record) and their history; empty if nothing."""
    releases = read(history)
    problems = [
        Problem(record, "", "it was released, so it is on tapes: it must stay in the catalogue")
        for record in releases.keys() - schemas.keys()
    ]
    for record, schema in schemas.items():
        problems += _check_record(record, schema, releases.get(record, []))
    return sorted(problems, key=lambda problem: (problem.record, problem.field))


def check_events() -> list[Problem]:
    """Whether `events.py` is what its generator makes of the schemas."""
    if generate.EVENTS_FILE.read_text() == generate.source():
        return []
    return [Problem("events.py", "", "not of these schemas: run `python -m schemas.generate`")]


def release(schemas: Mapping[str, dict[str, Any]], history: Path = HISTORY) -> list[Release]:
    """Put every schema that is new or changed into the history; those that were put there.

    SchemaError, and nothing is written, when one is not compatible with all before it.
    """
    releases = read(history)
    new = []
    for record, schema in schemas.items():
        before = releases.get(record, [])
        if not before or before[-1].schema != schema:
            new.append(Release(record, len(before) + 1, fingerprint(schema), schema))
    after = {record: [*found] for record, found in releases.items()}
    for one in new:
        after.setdefault(one.record, []).append(one)
    problems = [
        problem
        for record, schema in schemas.items()
        for problem in _check_record(record, schema, after.get(record, []))
    ]
    if problems:
        raise SchemaError("nothing was released:\n" + "\n".join(map(str, problems)))
    history.mkdir(exist_ok=True)
    for one in new:
        text = json.dumps(one.schema, indent=2, ensure_ascii=False)
        (history / one.file_name).write_text(text + "\n")
    return new


def _check_record(
    record: str, schema: dict[str, Any], releases: list[Release]
) -> Iterator[Problem]:
    if schema.get("name") != record or schema.get("namespace") != catalogue.NAMESPACE:
        yield Problem(record, "", f"its file must define {catalogue.NAMESPACE}.{record}")
        return
    beyond = compatibility.unsupported(schema)
    yield from beyond
    for number, one in enumerate(releases, start=1):
        if one.number != number:
            yield Problem(record, "", f"release {number} is missing from the history: restore it")
            return
        if fingerprint(one.schema) != one.fingerprint:
            yield Problem(record, "", f"release {one.file_name} was edited: restore it")
            return
    if not releases:
        yield Problem(record, "", f"it was never released: {_RELEASE}")
    elif releases[-1].schema != schema:
        yield Problem(record, "", f"it differs from release {releases[-1].number}: {_RELEASE}")
    if not beyond:
        yield from _incompatible(record, schema, releases)


def _incompatible(
    record: str, schema: dict[str, Any], releases: list[Release]
) -> Iterator[Problem]:
    """FULL_TRANSITIVE: every version reads every other."""
    versions = [(f"release {one.number}", one.schema) for one in releases]
    if not releases or releases[-1].schema != schema:
        versions.append(("the newest", schema))
    for (older, old), (newer, new) in combinations(versions, 2):
        for writer, wrote, reader, reads in ((old, older, new, newer), (new, newer, old, older)):
            for problem in compatibility.unreadable(writer, reader):
                yield Problem(
                    record, problem.field, f"{problem.reason} (written as {wrote}, read as {reads})"
                )
