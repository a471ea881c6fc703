"""Tables are rebuilt and verified from archive and topic as from the topic alone."""

from pathlib import Path
from threading import Event as Flag

import pytest
from psycopg import sql
from pydantic import SecretStr

from schemas.errors import StoreError
from sinks.archive.writer import Archiver
from sinks.config import DatabaseConfig
from sinks.rebuild import Rebuild
from sinks.store import connect
from sinks.verify import Verification
from streams.archive.config import ArchiveConfig
from streams.archive.reader import Archive
from tests.conftest import Stack
from tests.sinks.archive.archives import Told
from tests.sinks.tapes import PARTITIONS, Market, make_tape, running, until

_TOPICS = ("tape", "reference")


@pytest.fixture
def database(stack: Stack) -> DatabaseConfig:
    return DatabaseConfig(url=SecretStr(stack.database_url))


def test_rebuild_and_verify_go_on_from_archive_to_topic(
    stack: Stack, tape_name: str, database: DatabaseConfig, tmp_path: Path
) -> None:
    tape, market = make_tape(stack, tape_name), Market(5)
    url = stack.database_url
    config = ArchiveConfig(url=str(tmp_path), topics=_TOPICS, segment_records=70)
    for partition in range(PARTITIONS):
        tape.send("tape", partition, *market.inputs(200))
    tape.send("tape", 0, b"no frame")
    tape.send("reference", 1, *market.references(1, 90))
    Archiver(tape.kafka, tape.ids, config, tape.name, Told()).run(Flag(), once=True)
    tape.send("tape", 0, *market.inputs(50))
    tape.send("reference", 1, *market.references(1, 30))
    with running(tape, database, *_TOPICS) as watched:
        until(lambda: watched.events == 200 * PARTITIONS + PARTITIONS + 50 + 120)
    before = _contents(url, tape_name)
    for topic, partition, offset in (("tape", 0, 150), ("tape", 1, 201), ("reference", 1, 80)):
        tape.delete_before(topic, partition, offset)

    history = Archive(config, tape.name)
    plan = (tape.kafka, tape.registry, database, url, tape.name, _TOPICS)
    with pytest.raises(StoreError, match="nor in an archive"):
        Rebuild(*plan).run()
    Rebuild(*plan, history=history).run()
    assert _contents(url, tape_name) == before
    report = Verification(*plan, history).run(20.0)
    assert report.equal
    stored = {proof.table: proof.rows for proof in report.tables}
    assert stored["trades"] == len(before["trades"]) > 0
    assert stored["reference"] == 120


def _contents(url: str, tape: str) -> dict[str, list[tuple[object, ...]]]:
    with connect(url) as connection:
        return {
            name: connection.execute(
                sql.SQL("SELECT t::text FROM {} t ORDER BY 1").format(sql.Identifier(tape, name))
            ).fetchall()
            for name in ("trades", "quotes", "news", "feed_status", "reference")
        }
