"""Replay finds what was recorded equal, and the first event that is not."""

from dataclasses import dataclass, replace

import numpy as np
import pytest

from processors.config import ProcessorsConfig
from processors.pipeline import Pipeline
from schemas import catalogue
from schemas.decode import Decoder
from schemas.errors import StoreError
from schemas.events import BookDelta, BookSnapshot, Clock, Trade
from schemas.registry import Registry, SchemaIds
from streams import log
from streams.config import KafkaConfig
from streams.emitter import Emitter
from streams.outputs import Outputs, outputs_of
from streams.producer import TapeWriter
from streams.replay import replay
from streams.snapshots import Snapshot, SnapshotWriter
from streams.topics import create_tape
from tests.conftest import Stack

_START_US = 1_700_000_000_000_000
_NONE = (-1, -1)


@dataclass(frozen=True)
class Recorded:
    """A tape with a session on it, and what a worker would emit for its partition 0."""

    kafka: KafkaConfig
    ids: SchemaIds
    tape: str
    outputs: list[Outputs]
    end: int

    def record(self, outputs: list[Outputs]) -> None:
        """Emit these, then say that the partition has been processed."""
        emitter = Emitter(self.kafka, self.ids, self.tape, 0.0)
        for one in outputs:
            emitter.emit(one, 0, _NONE)
        emitter.flush()
        self.snapshot()

    def snapshot(self) -> None:
        writer = SnapshotWriter(self.kafka, self.ids, self.tape)
        writer.write(0, Snapshot(), self.end, _START_US, "hash", {})


@pytest.fixture
def recorded(stack: Stack, tape_name: str) -> Recorded:
    kafka = KafkaConfig(bootstrap=stack.kafka_bootstrap)
    made = create_tape(kafka, Registry(stack.registry_url), tape_name, 1, ProcessorsConfig())
    writer = TapeWriter(kafka, made.ids, tape_name, 1)
    for event in _session():
        writer.write(event)
    writer.flush()
    end = log.ends(kafka, tape_name, catalogue.TAPE)[0]
    outputs = _derived(kafka, made.ids, tape_name, end)
    assert {one.topic for one in outputs} == {topic.name for topic in catalogue.DERIVED}
    return Recorded(kafka, made.ids, tape_name, outputs, end)


def _session() -> list[BookSnapshot | BookDelta | Trade | Clock]:
    events: list[BookSnapshot | BookDelta | Trade | Clock] = []
    for second in range(20):
        now = _START_US + second * 1_000_000
        market = {"venue": "binance-spot", "symbol": "BTC-USDT"}
        times = {"event_time": now, "receive_time": now + 5_000}
        if second == 0:
            levels = {"bids": [(100.0, 1.0), (99.0, 2.0)], "asks": [(101.0, 1.0)]}
            events.append(BookSnapshot(**market, **times, sequence=0, depth=2, **levels))
        bids = [(100.0, 1.0 + second)]
        events.append(
            BookDelta(
                **market, **times, previous_sequence=second, sequence=second + 1, bids=bids, asks=[]
            )
        )
        events.append(
            Trade(
                **market,
                **times,
                trade_id=str(second),
                price=100.0 + second,
                quantity=1.5,
                aggressor_side="BUY",
                kind="MARKET",
                count=1,
            )
        )
        events.append(Clock(event_time=now + 999_000, receive_time=now + 999_000))
    return events


def _derived(kafka: KafkaConfig, ids: SchemaIds, tape: str, end: int) -> list[Outputs]:
    pipeline, decoder, found = Pipeline(), Decoder(ids.writers), []
    for records in log.read(kafka, tape, catalogue.TAPE, 0, 0, end):
        batch = decoder.decode(
            catalogue.TAPE,
            0,
            records.buffer,
            records.value_starts,
            records.value_ends,
            records.offsets,
            records.timestamps_ms,
        )
        for rows in pipeline.process(batch):
            found.append(outputs_of(rows, ids.id(rows.topic, rows.record)))
    return found


def _run(recorded: Recorded):  # type: ignore[no-untyped-def]
    return replay(recorded.kafka, recorded.ids, recorded.tape, 1)


def test_replay_is_identical_to_what_was_recorded(recorded: Recorded) -> None:
    recorded.record(recorded.outputs)
    report = _run(recorded)
    assert report.identical
    assert report.events == recorded.end
    assert {proof.topic for proof in report.proofs} == {t.name for t in catalogue.DERIVED}
    assert all(proof.records > 0 for proof in report.proofs)
    assert _run(recorded).proofs == report.proofs


def test_replay_names_the_event_of_which_one_byte_was_altered(recorded: Recorded) -> None:
    altered = []
    for one in recorded.outputs:
        if one.topic == "bars":
            values = one.values.copy()
            values[one.value_ends[3] - 12] ^= 1
            one = replace(one, values=values)  # noqa: PLW2901
        altered.append(one)
    recorded.record(altered)
    report = _run(recorded)
    assert not report.identical
    assert report.divergence is not None
    assert (report.divergence.topic, report.divergence.offset) == ("bars", 3)
    assert report.divergence.recorded != report.divergence.derived
    assert report.divergence.recorded is not None
    assert report.divergence.recorded["key"] == "BTC-USDT"


def test_replay_finds_a_missing_event(recorded: Recorded) -> None:
    recorded.record([_without(one, 2) for one in recorded.outputs])
    divergence = _run(recorded).divergence
    assert divergence is not None
    assert divergence.offset == 2


def test_replay_finds_an_event_too_many(recorded: Recorded) -> None:
    end = recorded.end
    extra = [
        Outputs(**{**_fields(_only(one, 0)), "origin_offsets": np.array([end - 1])})
        for one in recorded.outputs
        if one.topic == "reference"
    ]
    # The same value again at the end has an id below the last one: a repeat, which is no event.
    recorded.record(recorded.outputs + extra[:1])
    report = _run(recorded)
    assert report.identical
    assert sum(proof.duplicates for proof in report.proofs) == 1


def test_replay_of_a_tape_that_no_worker_has_processed_says_so(recorded: Recorded) -> None:
    with pytest.raises(StoreError, match=r"tape --tape \w+ worker"):
        _run(recorded)


def _fields(one: Outputs) -> dict[str, object]:
    return {name: getattr(one, name) for name in Outputs.__slots__}


def _pick(one: Outputs, indexes: list[int]) -> Outputs:
    fields = _fields(one)
    for name, value in fields.items():
        if name not in {"topic", "keys", "values"}:
            fields[name] = np.asarray(value)[indexes]
    return Outputs(**fields)  # type: ignore[arg-type]


def _only(one: Outputs, index: int) -> Outputs:
    return _pick(one, [index])


def _without(one: Outputs, index: int) -> Outputs:
    return _pick(one, [i for i in range(len(one)) if i != index])
