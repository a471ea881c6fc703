"""`tape archive verify` names what was altered, cut, lost or mixed up, and readers refuse it."""

from collections.abc import Callable
from pathlib import Path

import pytest

from schemas.errors import StoreError
from sinks.archive.verify import Verification
from streams.archive.reader import Archive
from tests.sinks.archive.archives import Archived, delete_before


def _flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


def _remove(path: Path) -> None:
    path.unlink()


def _busiest(archived: Archived) -> int:
    """The partition with the most segments."""
    ends = archived.tape.ends()
    return max(ends, key=lambda partition: ends[partition])


def _file(archived: Archived) -> Path:
    return archived.files(f"tape/partition={_busiest(archived)}/day=*/symbol=*/*.parquet")[1]


def _manifest(archived: Archived) -> Path:
    return archived.files(f"tape/partition={_busiest(archived)}/_manifest/*.json")[1]


def _last_manifest(archived: Archived) -> Path:
    return archived.files(f"tape/partition={_busiest(archived)}/_manifest/*.json")[-1]


def _schema(archived: Archived) -> Path:
    return archived.files("_schemas/*.json")[0]


# What is damaged, how, what is said of it, whether a reader refuses it too.
DAMAGE: list[tuple[Callable[[Archived], Path], Callable[[Path], None], str, bool]] = [
    (_file, _flip, "was altered", True),
    (_file, _cut, "was altered", True),
    (_file, _remove, "is missing", True),
    (_manifest, _flip, "", True),
    (_manifest, _cut, "is no manifest", True),
    (_manifest, _remove, "are missing", True),
    (_last_manifest, _cut, "is no manifest", True),
    (_schema, _flip, "was altered", False),
    (_schema, _remove, "is missing", False),
]


def test_verify_names_each_damage_and_readers_refuse_it(archived: Archived) -> None:
    archived.write()
    partition = _busiest(archived)
    end = archived.tape.ends()[partition]
    assert archived.problems() == []
    for find, damage, said, refused in DAMAGE:
        path = find(archived)
        before = path.read_bytes()
        damage(path)
        problems = archived.problems()
        name = str(path.relative_to(archived.folder))
        if "missing" in said and path.suffix == ".json" and "_manifest" in name:
            assert any("segments from 500 to 1000 are missing" in one for one in problems)
        else:
            assert any(name in one and said in one for one in problems), (name, problems)
        if refused:
            with pytest.raises(StoreError):
                list(archived.open().read("tape", partition, 0, end))
        path.write_bytes(before)
    assert archived.problems() == []


def test_lost_last_segment_is_named_when_kafka_no_longer_has_it(archived: Archived) -> None:
    archived.write()
    partition = _busiest(archived)
    end = archived.tape.ends()[partition]
    _last_manifest(archived).unlink()
    assert archived.problems() == []  # It would only be archived again.
    delete_before(archived.tape, "tape", partition, end)
    assert any("Kafka begins at" in problem for problem in archived.problems())


def test_an_archive_of_other_records_than_kafkas_is_named(archived: Archived) -> None:
    """A segment of partition 1 in partition 0's place: whole in itself, and wrong."""
    archived.write()
    other = archived.files("tape/partition=1/_manifest/*.json")[0]
    own = archived.files("tape/partition=0/_manifest/*.json")[0]
    own.write_bytes(other.read_bytes())
    assert any("manifest of another segment" in problem for problem in archived.problems())


def test_verification_is_remembered_by_manifest(archived: Archived) -> None:
    archived.write()
    first = archived.verify()
    assert sum(proof.compared for proof in first) == sum(proof.segments for proof in first)
    again = archived.verify(only_new=True)
    assert sum(proof.records for proof in again) == 0
    assert sum(proof.segments for proof in again) == sum(proof.segments for proof in first)


def test_nothing_archived_is_said(archived: Archived) -> None:
    with pytest.raises(StoreError, match="archive run"):
        Verification(Archive(archived.config, archived.tape.name), archived.tape.kafka).run()
