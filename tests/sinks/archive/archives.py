"""Archives for tests: a tape with what a worker makes of it, archived in a folder."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event as Flag

from confluent_kafka import TopicPartition
from confluent_kafka.admin import AdminClient

from processors.pipeline import Pipeline
from schemas import catalogue
from schemas.catalogue import kafka_name
from schemas.events import BookDelta, BookSnapshot, Clock, Event, Trade
from sinks.archive.verify import Proof, Verification
from sinks.archive.writer import Archiver
from streams import log
from streams.archive.config import ArchiveConfig
from streams.archive.manifest import Segment
from streams.archive.reader import Archive
from streams.decoding import BatchDecoder
from streams.emitter import BEFORE_ALL, Emitter
from streams.kafka import client_config
from streams.outputs import outputs_of
from streams.records import Records
from streams.replay import Report, replay
from streams.snapshots import Snapshot, SnapshotWriter
from tests.streams.derived import Tape

# Two minutes before midnight UTC: a session lies on two days.
START_US = 1_700_006_280_000_000
SYMBOLS = ("BTC-USDT", "ETH-USDT", "SOL-USDT")


def session(seconds: int, start_us: int = START_US) -> Iterator[Event]:
    """A small market: books, trades and the clock of some symbols, second by second."""
    for second in range(seconds):
        now = start_us + second * 1_000_000
        times = {"event_time": now, "receive_time": now + 5_000}
        for symbol in SYMBOLS:
            market = {"venue": "binance-spot", "symbol": symbol, **times}
            if second == 0:
                levels = {"bids": [(100.0, 1.0), (99.0, 2.0)], "asks": [(101.0, 1.0)]}
                yield BookSnapshot(**market, sequence=0, depth=2, **levels)
            bids = [(100.0, 1.0 + second)]
            yield BookDelta(
                **market, previous_sequence=second, sequence=second + 1, bids=bids, asks=[]
            )
            yield Trade(
                **market, trade_id=str(second), price=100.0 + second, quantity=1.5,
                aggressor_side="BUY", kind="MARKET", count=1,
            )  # fmt: skip
        yield Clock(event_time=now + 999_000, receive_time=now + 999_000)


def derive(tape: Tape) -> None:
    """Emit what a worker makes of the tape, and say that it has processed it."""
    emitter = Emitter(tape.kafka, tape.ids, tape.name, 0.0)
    writer = SnapshotWriter(tape.kafka, tape.ids, tape.name)
    for partition, end in tape.ends().items():
        pipeline, decoder = Pipeline(), BatchDecoder(catalogue.TAPE, tape.ids)
        for records in log.read(tape.kafka, tape.name, catalogue.TAPE, partition, 0, end):
            for made in pipeline.process(decoder.decode(partition, records)):
                outputs = outputs_of(made, tape.ids.id(made.topic, made.record))
                emitter.emit(outputs, partition, BEFORE_ALL)
        emitter.flush()
        writer.write(partition, Snapshot(), end, START_US, "hash", {})


def delete_before(tape: Tape, topic: str, partition: int, offset: int) -> None:
    """Let the broker forget the first records."""
    place = TopicPartition(kafka_name(tape.name, topic), partition, offset)
    admin = AdminClient(client_config(tape.kafka))
    for future in admin.delete_records([place]).values():
        future.result(20)


@dataclass
class Told:
    """Remembers what the archiver said."""

    segments: list[Segment] = field(default_factory=list)
    removed: int = 0

    def archived(self, segment: Segment, seconds: float) -> None:
        self.segments.append(segment)

    def cleaned(self, paths: int) -> None:
        self.removed += paths


@dataclass
class Archived:
    """A tape and its archive in a folder."""

    tape: Tape
    folder: Path
    config: ArchiveConfig

    def write(self) -> Told:
        """Archive what is there now."""
        told = Told()
        Archiver(self.tape.kafka, self.tape.ids, self.config, self.tape.name, told).run(
            Flag(), once=True
        )
        return told

    def open(self) -> Archive:
        return Archive(self.config, self.tape.name)

    def verify(self, only_new: bool = False) -> list[Proof]:
        return Verification(self.open(), self.tape.kafka, only_new).run()

    def problems(self) -> list[str]:
        return [problem for proof in self.verify() for problem in proof.problems]

    def replay(self) -> Report:
        return replay(
            self.tape.kafka, self.tape.ids, self.tape.name, self.tape.partitions,
            history=self.open(),
        )  # fmt: skip

    def files(self, pattern: str) -> list[Path]:
        """Files below the folder, sorted."""
        return sorted(self.folder.rglob(pattern))


def plain(portions: Iterator[Records]) -> list[tuple[int, bytes, bytes, int]]:
    """Records as (offset, key, value, timestamp)."""
    return [
        (int(one.offsets[i]), one.key(i), one.value(i), int(one.timestamps_ms[i]))
        for one in portions
        for i in range(len(one))
    ]
