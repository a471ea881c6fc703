"""`tape features export`: the frame is the topic, bit for bit, with the price of its time."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from confluent_kafka import Producer

from processors.config import ProcessorsConfig, VersionMismatch
from processors.features import feature_set
from schemas import catalogue, rows
from schemas.errors import ConfigError, StoreError
from schemas.events import Clock, Configured, FeatureVector, ReferencePrice
from streams.kafka import client_config
from tape.features import export
from tests.conftest import Stack
from tests.streams.derived import Tape, make_tape
from tests.tape.features import made
from tests.tape.features.conftest import Call

ID = [("origin_partition", "ascending"), ("origin_offset", "ascending"), ("seq", "ascending")]


def bits(table: pa.Table, leave_out: tuple[str, ...] = ("price",)) -> dict[str, Any]:
    """Every column as what can be compared exactly: null, the bits of a double, or the value."""
    found: dict[str, Any] = {}
    for name in table.column_names:
        column = table[name].combine_chunks()
        if name not in leave_out:
            values = column.to_pylist()
            if pa.types.is_floating(column.type):
                doubles = np.array([0.0 if each is None else each for each in values])
                found[name] = (pc.is_null(column).to_pylist(), doubles.view(np.int64).tolist())
            else:
                found[name] = values
    return found


def decoded(tape: Tape, topic: str) -> list[Any]:
    return [
        rows.decode(value, tape.ids.writers)
        for partition in range(tape.partitions)
        for _, value, _ in tape.recorded(topic, partition)
    ]


def test_the_frame_equals_what_the_worker_wrote_bit_for_bit(
    tape: Tape, frame: Path, call: Call, tmp_path: Path
) -> None:
    call("--tape", tape.name, "features", "export", tmp_path / "live.parquet", "--recorded")
    live, derived = pq.read_table(tmp_path / "live.parquet"), pq.read_table(frame)
    assert len(derived) == len(made.SYMBOLS) * made.SECONDS - len(made.SYMBOLS)
    assert live.schema == derived.schema == export.schema()
    assert bits(live) == bits(derived)
    assert live["price"].null_count == len(live)
    assert derived.schema.metadata == {b"feature_set": feature_set.version().encode()}


def test_the_frame_has_each_vector_of_the_topic_with_its_price(tape: Tape, frame: Path) -> None:
    table = pq.read_table(frame).sort_by(ID)
    vectors = [each for each in decoded(tape, "features") if isinstance(each, FeatureVector)]
    vectors.sort(key=lambda each: (each.origin.partition, each.origin.offset, each.seq))
    for name in ("event_time", "symbol", "venue", "seq", "feature_set", "stale", "fallback"):
        assert table[name].to_pylist() == [getattr(each, name) for each in vectors]
    for name in export.NAMES:
        assert table[name].to_pylist() == [getattr(each, name) for each in vectors], name
    prices = [each for each in decoded(tape, "reference") if isinstance(each, ReferencePrice)]
    for row in table.to_pylist()[::17]:
        place = row["origin_partition"], row["origin_offset"]
        before = [
            each
            for each in prices
            if each.symbol == row["symbol"]
            and each.origin.partition == place[0]
            and each.origin.offset <= place[1]
        ]
        newest = max(before, key=lambda each: each.origin.offset, default=None)
        known = newest and row["event_time"] - newest.event_time <= 2 * made.SECOND_US
        assert row["price"] == (newest.price if newest and known else None)
    assert table["price"].null_count < len(table) / 100


def test_most_features_of_a_warm_market_are_known(frame: Path) -> None:
    last = pq.read_table(frame).to_pylist()[-1]
    unknown = [name for name in export.NAMES if last[name] is None]
    # What needs hours, or markets that this tape has not.
    assert len(unknown) < 30, unknown
    assert set(pq.read_table(frame)["venue"].to_pylist()) == {"binance-spot"}


def test_a_symbol_is_its_rows_of_the_whole(
    tape: Tape, frame: Path, call: Call, tmp_path: Path
) -> None:
    path = tmp_path / "eth.parquet"
    words = ("--tape", tape.name, "features", "export", path, "--symbol", "ETH-USDT", "--json")
    told = json.loads(call(*words))
    assert told == {
        "file": str(path),
        "rows": pq.read_metadata(path).num_rows,
        "symbols": ["ETH-USDT"],
        "feature_set": feature_set.version(),
    }
    whole = pq.read_table(frame)
    expected = whole.filter(pc.equal(whole["symbol"], "ETH-USDT"))
    assert bits(pq.read_table(path), ()) == bits(expected, ())
    assert pq.read_metadata(path).num_row_groups == 1


def test_repeats_that_a_killed_worker_left_and_bytes_of_others_do_not_count(
    tape: Tape, frame: Path, call: Call, tmp_path: Path
) -> None:
    producer = Producer(client_config(tape.kafka))
    for partition in range(tape.partitions):
        for key, value, time_ms in tape.recorded("features", partition)[-7:-3]:
            producer.produce(
                catalogue.kafka_name(tape.name, "features"), value, key, partition,
                timestamp=time_ms,
            )  # fmt: skip
        producer.produce(
            catalogue.kafka_name(tape.name, "features"), b"nothing of ours", b"k", partition
        )
    assert producer.flush(20) == 0
    call("--tape", tape.name, "features", "export", tmp_path / "live.parquet", "--recorded")
    assert bits(pq.read_table(tmp_path / "live.parquet")) == bits(pq.read_table(frame))


def test_anew_derives_under_the_settings_of_today(
    tape: Tape, frame: Path, call: Call, tmp_path: Path
) -> None:
    path = tmp_path / "anew.parquet"
    setting = ("--set", "processors.features.decision_ms=5000")
    call("--tape", tape.name, *setting, "features", "export", path, "--anew")
    whole = pq.read_table(frame)
    times = np.asarray(whole["event_time"])
    fifth = pa.array(times % (5 * made.SECOND_US) == 0)
    head = ("origin_partition", "origin_offset", "seq")
    found = pq.read_table(path)
    later = pc.greater(found["event_time"], made.BEGIN_US + 5 * made.SECOND_US)
    kept = pc.greater(whole["event_time"], made.BEGIN_US + 5 * made.SECOND_US)
    expected = whole.filter(pc.and_(fifth, kept))
    assert bits(found.filter(later), head) == bits(expected, head)


def test_a_tape_of_another_version_is_derived_anew_only(
    stack: Stack, tape_name: str, call: Call, tmp_path: Path
) -> None:
    old = make_tape(stack, tape_name, 1)
    config = ProcessorsConfig()
    old.write(
        [
            Configured(
                event_time=made.BEGIN_US, receive_time=made.BEGIN_US, version="1",
                hash=config.hash(), configuration=config.canonical_json(),
            )
        ]
    )  # fmt: skip
    old.write(made.events(seconds=90))
    words = ("--tape", old.name, "features", "export", tmp_path / "frame.parquet")
    with pytest.raises(VersionMismatch, match="for version 1 of the processors"):
        call(*words)
    assert list(tmp_path.iterdir()) == []
    call(*words, "--anew")
    table = pq.read_table(tmp_path / "frame.parquet")
    assert len(table) == len(made.SYMBOLS) * 89
    with pytest.raises(ConfigError, match="has a worker run"):
        call(*words, "--recorded")


def test_a_price_of_long_ago_is_none(
    stack: Stack, tape_name: str, call: Call, tmp_path: Path
) -> None:
    quiet = make_tape(stack, tape_name, 1)
    quiet.write(made.events(seconds=20))
    times = [made.BEGIN_US + second * made.SECOND_US for second in range(20, 40)]
    quiet.write([Clock(event_time=time, receive_time=time) for time in times])
    path = tmp_path / "frame.parquet"
    call("--tape", quiet.name, "features", "export", path)
    table = pq.read_table(path).filter(pc.field("symbol") == "BTC-USDT")
    known = [price is not None for price in table["price"].to_pylist()]
    assert known[0]
    assert not known[-1]
    assert known == sorted(known, reverse=True)


def test_what_cannot_be_exported_is_said_and_leaves_no_file(
    tape: Tape, stack: Stack, tape_name: str, call: Call, tmp_path: Path
) -> None:
    path = tmp_path / "frame.parquet"
    path.write_text("before")
    with pytest.raises(ConfigError, match=r"no vectors of DOGE-USDT; .* of BTC-USDT, ETH-USDT"):
        call("--tape", tape.name, "features", "export", path, "--symbol", "DOGE-USDT")
    with pytest.raises(ConfigError, match=f"there is no folder {tmp_path / 'absent'}"):
        call("--tape", tape.name, "features", "export", tmp_path / "absent" / "frame.parquet")
    with pytest.raises(ConfigError, match="give one of them"):
        call("--tape", tape.name, "features", "export", path, "--recorded", "--anew")
    with pytest.raises(StoreError, match=tape_name):
        call("--tape", tape_name, "features", "export", path)
    make_tape(stack, tape_name, 1)
    with pytest.raises(ConfigError, match=f"tape {tape_name} has no vectors of features"):
        call("--tape", tape_name, "features", "export", path)
    assert [each.name for each in tmp_path.iterdir()] == ["frame.parquet"]
    assert path.read_text() == "before"
