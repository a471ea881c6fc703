"""Kafka's copy goes only as far as everything else has it."""

import pytest

from schemas.errors import StoreError
from sinks.archive.prune import Prune, Pruned
from streams import log
from streams.snapshots import Snapshot, SnapshotWriter
from tests.sinks.archive.archives import START_US, Archived, session

_DAY_US = 86_400_000_000
_KEEP = 100


def _prune(archived: Archived, url: str | None = None, dry: bool = False) -> dict[str, Pruned]:
    plans = Prune(archived.open(), archived.tape.kafka, archived.tape.ids, _KEEP, url).run(dry)
    return {f"{plan.topic}[{plan.partition}]": plan for plan in plans}


def _low(archived: Archived, topic: str = "tape", partition: int = 0) -> int:
    tape = archived.tape
    return log.bounds(tape.kafka, tape.name, topic, partition)[0]


def test_all_that_is_verified_goes_but_the_tail_and_replay_is_identical(
    archived: Archived,
) -> None:
    wanted = archived.replay()
    archived.write()
    archived.verify()
    end = archived.tape.ends()[0]
    assert _prune(archived, dry=True)["tape[0]"].cut == end - _KEEP
    assert _low(archived) == 0
    _prune(archived)
    assert _low(archived) == end - _KEEP
    assert _low(archived, "books") > 0
    assert archived.replay() == wanted
    assert archived.problems() == []
    assert all(plan.deleted == 0 for plan in _prune(archived).values())


def test_what_is_not_verified_stays_and_all_else_too(archived: Archived) -> None:
    archived.write()
    with pytest.raises(StoreError, match=r"not verified.*nothing was deleted.*archive verify"):
        _prune(archived)
    archived.verify()
    # Altered after it was verified.
    path = archived.files("tape/partition=1/day=*/symbol=*/*.parquet")[0]
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    with pytest.raises(StoreError, match="altered"):
        _prune(archived)
    assert _low(archived) == _low(archived, partition=1) == 0


def test_what_is_not_archived_stays(archived: Archived) -> None:
    archived.write()
    archived.verify()
    end = archived.tape.ends()[0]
    archived.tape.write(session(60, START_US + _DAY_US))
    SnapshotWriter(archived.tape.kafka, archived.tape.ids, archived.tape.name).write(
        0, Snapshot(), archived.tape.ends()[0], START_US, "hash", {}
    )
    plan = _prune(archived)["tape[0]"]
    assert (plan.cut, plan.because) == (end, "not archived")
    assert _low(archived) == end


def test_what_no_snapshot_contains_stays(archived: Archived) -> None:
    SnapshotWriter(archived.tape.kafka, archived.tape.ids, archived.tape.name).write(
        0, Snapshot(), 321, START_US, "hash", {}
    )
    archived.write()
    archived.verify()
    plan = _prune(archived)["tape[0]"]
    assert (plan.cut, plan.because) == (321, "workers' newest snapshot")


def test_what_the_sink_has_not_stored_stays(archived: Archived) -> None:
    import psycopg
    from psycopg import sql

    archived.write()
    archived.verify()
    url = archived.tape.environment["TAPE_DATABASE__URL"]
    with pytest.raises(StoreError, match="no sink has stored anything"):
        _prune(archived, url)
    name = archived.tape.name
    with psycopg.connect(url, autocommit=True) as connection:
        # As `tape sink` keeps it; how it gets there is the sink's own tests' matter.
        connection.execute(sql.SQL("CREATE SCHEMA {}").format(sql.Identifier(name)))
        connection.execute(
            sql.SQL(
                "CREATE TABLE {} AS SELECT 'tape' AS topic, 0 AS partition, 123 AS next_offset"
            ).format(sql.Identifier(name, "offsets"))
        )
    plans = _prune(archived, url)
    assert plans["tape[0]"].cut == 123
    assert plans["tape[1]"].deleted == plans["books[0]"].deleted == 0
    assert "sink" in plans["tape[0]"].because
