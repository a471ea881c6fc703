"""What is archived comes back byte for byte, goes on into the topic, and is written once."""

import pyarrow.parquet as pq
import pytest

from schemas import catalogue
from schemas.errors import StoreError
from streams import log
from tests.sinks.archive.archives import START_US, Archived, delete_before, derive, plain, session

_DAY_US = 86_400_000_000


def test_records_come_back_as_they_are_on_kafka(archived: Archived) -> None:
    archived.write()
    tape, archive = archived.tape, archived.open()
    for topic in archived.config.topics:
        for partition, end in log.ends(tape.kafka, tape.name, topic).items():
            wanted = plain(log.read(tape.kafka, tape.name, topic, partition, 0, None))
            if not wanted:
                continue
            assert archive.span(topic, partition) == (0, end)
            assert plain(archive.read(topic, partition, 0, end)) == wanted
            assert plain(archive.read(topic, partition, 499, end - 3)) == wanted[499 : end - 3]


def test_files_lie_by_day_and_symbol_and_can_be_queried(archived: Archived) -> None:
    archived.write()
    names = {str(path.parent.relative_to(archived.folder)) for path in archived.files("*.parquet")}
    (bitcoin,) = {name.split("/")[2] for name in names if "tape/" in name and "=BTC-USDT" in name}
    assert bitcoin.startswith("partition=")
    for day in ("2023-11-14", "2023-11-15"):
        folder = f"{archived.tape.name}/tape/{bitcoin}/day={day}/symbol=BTC-USDT"
        assert folder in names
    (path, *_) = archived.files(f"tape/{bitcoin}/day=2023-11-15/symbol=BTC-USDT/*.parquet")
    table = pq.ParquetFile(path).read()
    row = next(row for row in table.to_pylist() if row["record"] == "Trade")
    assert row["key"] == b"BTC-USDT"
    assert row["venue"] == "binance-spot"
    assert row["event_time"].isoformat().startswith("2023-11-15T00:0")
    assert row["schema_id"] == archived.tape.ids.id(catalogue.TAPE, "Trade")


def test_archiving_again_writes_nothing_and_goes_on_with_what_is_new(archived: Archived) -> None:
    first = archived.write()
    assert len(first.segments) > 4
    before = {path: path.read_bytes() for path in archived.files("*.*")}
    assert archived.write().segments == []
    archived.tape.write(session(5, START_US + _DAY_US))
    told = archived.write()
    assert {segment.topic for segment in told.segments} == {"tape"}
    assert all(path.read_bytes() == data for path, data in before.items())
    assert not archived.problems()


def test_what_no_manifest_names_counts_for_nothing_and_is_removed(archived: Archived) -> None:
    archived.write()
    end = archived.open().span("tape", 0)
    last = archived.files("tape/partition=0/_manifest/*.json")[-1]
    last.unlink()
    assert archived.open().span("tape", 0) != end
    assert sum(proof.orphans for proof in archived.verify()) > 0
    told = archived.write()
    assert told.removed > 0
    assert archived.open().span("tape", 0) == end
    assert not archived.problems()


def test_replay_goes_on_from_archive_to_topic_without_a_seam(archived: Archived) -> None:
    tape = archived.tape
    wanted = archived.replay()
    assert wanted.identical
    archived.write()
    tape.write(session(30, START_US + _DAY_US))
    derive_more = plain(log.read(tape.kafka, tape.name, "tape", 0, 0, None))
    for topic in archived.config.topics:
        for partition, end in log.ends(tape.kafka, tape.name, topic).items():
            delete_before(tape, topic, partition, min(end, 700))
    assert log.bounds(tape.kafka, tape.name, "tape", 0)[0] > 0
    assert archived.replay() == wanted
    archive = archived.open()
    assert log.bounds(tape.kafka, tape.name, "tape", 0, archive)[0] == 0
    assert plain(log.read(tape.kafka, tape.name, "tape", 0, 0, None, archive)) == derive_more


def test_replay_without_the_archive_says_what_is_missing(archived: Archived) -> None:
    from streams.replay import replay

    tape = archived.tape
    delete_before(tape, "tape", 0, 3)
    with pytest.raises(StoreError, match=r"first 3 events of tape partition 0 .*archive\.url"):
        replay(tape.kafka, tape.ids, tape.name, 2)


def test_offsets_between_archive_and_topic_that_are_lost_are_named(archived: Archived) -> None:
    archived.write()
    end = archived.tape.ends()[0]
    archived.tape.write(session(10, START_US + _DAY_US))
    delete_before(archived.tape, "tape", 0, end + 2)
    with pytest.raises(
        StoreError, match=f"offsets {end} to {end + 1} of tape partition 0 are lost"
    ):
        archived.replay()
    with pytest.raises(StoreError, match=f"deleted offsets {end} to {end + 1}"):
        archived.write()


def test_a_topic_that_was_made_anew_is_not_mixed_with_the_archived_one(
    archived: Archived,
) -> None:
    from processors.config import ProcessorsConfig
    from streams.topics import create_tape, delete_tape

    archived.write()
    tape = archived.tape
    delete_tape(tape.kafka, tape.name)
    create_tape(tape.kafka, tape.registry, tape.name, 2, ProcessorsConfig())
    tape.write(session(240))
    derive(tape)
    with pytest.raises(StoreError, match="made anew"):
        archived.write()


def test_records_without_key_frame_or_sensible_time_are_archived_too(archived: Archived) -> None:
    from confluent_kafka import Producer

    from streams.kafka import client_config

    producer = Producer(client_config(archived.tape.kafka))
    name = catalogue.kafka_name(archived.tape.name, "tape")
    odd = [
        (b"", b""),
        (b"../x", b"\0\0\0\0\1"),
        (b"k" * 300, b"\0" * 9),
        (b"\xff/\n", b"v"),
        (b"..", b"w"),
    ]
    for number, (key, value) in enumerate(odd):
        producer.produce(name, value, key, 0, timestamp=1 + number * 10**13)
    producer.produce(name, b"no key", None, 0, timestamp=1)
    assert producer.flush(20) == 0
    archived.write()
    assert not archived.problems()
    tape, end = archived.tape, archived.tape.ends()[0]
    found = plain(archived.open().read("tape", 0, end - 6, end))
    assert found == plain(log.read(tape.kafka, tape.name, "tape", 0, end - 6, None))
    assert [(key, value) for _, key, value, _ in found] == [*odd, (b"", b"no key")]
    assert {path.name for path in archived.folder.iterdir()} == {tape.name}


def test_what_is_deleted_while_it_is_read_comes_from_the_archive(
    archived: Archived, monkeypatch: pytest.MonkeyPatch
) -> None:
    archived.write()
    tape = archived.tape
    end = tape.ends()[0]
    wanted = plain(log.read(tape.kafka, tape.name, "tape", 0, 0, None))
    # A fetch brings one batch, not all there is.
    monkeypatch.setattr("streams.partition_fetch._FETCH_BYTES", 1)
    portions = log.read(tape.kafka, tape.name, "tape", 0, 0, None, archived.open())
    found = plain(iter([next(portions)]))
    assert len(found) < end - 5
    delete_before(tape, "tape", 0, end - 5)
    assert found + plain(portions) == wanted
