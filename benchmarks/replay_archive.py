"""`replay-archive`: a replay whose topics come from Parquet; the peer reads them from Kafka.

Both are `tape replay` in a process on one core, alternately, of two tapes of the same events; of
ours Kafka has deleted all but the last record of every topic, and the files are in a local folder.
"""

from statistics import median
from tempfile import TemporaryDirectory
from threading import Event

from confluent_kafka import TopicPartition

from benchmarks._recorded import rates, recorded
from benchmarks._tapes import BenchTape
from benchmarks.harness import Result, compare, versions
from schemas.catalogue import kafka_name
from sinks.archive.writer import Archiver
from streams import log
from streams.archive.config import ArchiveConfig
from streams.archive.manifest import Segment
from streams.kafka import connect

_RUNS = 3


class _Tally:
    def __init__(self) -> None:
        self.bytes = self.records = self.files = 0
        self.seconds = 0.0

    def archived(self, segment: Segment, seconds: float) -> None:
        self.bytes += sum(file.size for file in segment.files)
        self.files += len(segment.files)
        self.records += segment.records
        self.seconds += seconds

    def cleaned(self, paths: int) -> None:
        """Nothing was left by an earlier run."""


def run() -> Result:
    """Archive one of two tapes, delete it from Kafka, measure both."""
    ours, peer, tally = [], [], _Tally()
    with (
        recorded() as on_kafka,
        recorded() as archived,
        TemporaryDirectory(prefix="tape-archive-") as folder,
    ):
        config = ArchiveConfig(url=folder)
        archiver = Archiver(archived.kafka, archived.ids, config, archived.name, tally)
        archiver.run(Event(), once=True)
        _delete(archived, config.topics)
        for _ in range(_RUNS):
            ours.append(rates(archived, "replay", folder))
            peer.append(rates(on_kafka, "replay"))
        events = archived.events()
    return compare(
        "replay-archive", "events/s", [rate for rate, _ in ours], [rate for rate, _ in peer],
        versions("pyarrow", "confluent-kafka"),
        events=events, archived=tally.records, files=tally.files,
        bytes_a_record=round(tally.bytes / tally.records, 1),
        archived_a_second=round(tally.records / tally.seconds),
        by_processor_time=[round(median(cpu for _, cpu in side)) for side in (ours, peer)],
    )  # fmt: skip


def _delete(tape: BenchTape, topics: tuple[str, ...]) -> None:
    wanted = [
        TopicPartition(kafka_name(tape.name, topic), 0, end - 1)
        for topic in topics
        for end in log.ends(tape.kafka, tape.name, topic).values()
        if end
    ]
    admin = connect(tape.kafka)
    for future in admin.delete_records(wanted).values():
        future.result(30.0)
