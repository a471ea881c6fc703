"""While Kafka is away events wait on disk; they arrive in order, each once, whatever ends when."""

import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec
import pytest
from confluent_kafka.admin import AdminClient
from structlog.testing import capture_logs

from processors.config import ProcessorsConfig
from schemas import rows
from schemas.events import Clock, Configured, DeadLetter, Event, FeedStatus, Trade
from schemas.registry import Registry, SchemaIds
from streams import log, topics
from streams.config import KafkaConfig
from streams.partition import partition_of
from streams.spooling import SpoolingWriter
from tests.conftest import Stack
from tests.processors.batches import run
from tests.streams.broker import Broker, own_broker
from tests.streams.market import BEGIN_US, events

PARTITIONS = 4
MB = 1 << 20


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    with own_broker(tmp_path_factory.mktemp("broker")) as started:
        yield started


class Taped:
    """A tape on the broker of this module."""

    def __init__(self, broker: Broker, stack: Stack, name: str) -> None:
        self.kafka = KafkaConfig(bootstrap=broker.bootstrap)
        self.name = name
        self.registry_url = stack.registry_url
        made = topics.create_tape(
            self.kafka, Registry(stack.registry_url), name, PARTITIONS, ProcessorsConfig()
        )
        self.ids: SchemaIds = made.ids

    def writer(self, folder: Path, max_bytes: int = 64 * MB, **more: Any) -> SpoolingWriter:
        return SpoolingWriter(
            self.kafka, self.ids, self.name, PARTITIONS, folder, max_bytes, 0.1, **more
        )

    def recorded(self, name: str = "tape") -> list[list[Event]]:
        """What is there by partition, without the Configured of the tape's beginning."""
        decoded = [
            [
                rows.decode(batch.value(index), self.ids.writers)
                for batch in log.read(self.kafka, self.name, name, partition, 0, end)
                for index in range(len(batch))
            ]
            for partition, end in log.ends(self.kafka, self.name, name).items()
        ]
        return [[event for event in one if type(event) is not Configured] for one in decoded]


@pytest.fixture
def tape(broker: Broker, stack: Stack, tape_name: str) -> Taped:
    return Taped(broker, stack, tape_name)


def places(event: Event) -> Iterable[int]:
    """The partitions that an event belongs on."""
    symbol = getattr(event, "symbol", None)
    return range(PARTITIONS) if symbol is None else [partition_of(symbol.encode(), PARTITIONS)]


def by_partition(written: Iterable[Event]) -> list[list[Event]]:
    """What an undisturbed writer puts where."""
    wanted: list[list[Event]] = [[] for _ in range(PARTITIONS)]
    for event in written:
        for place in places(event):
            wanted[place].append(event)
    return wanted


def poll_until(
    writer: SpoolingWriter, condition: Callable[[], bool], limit_s: float = 30.0
) -> None:
    deadline = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < deadline, f"{writer.spooled}, away: {writer.away}"
        writer.poll()
        time.sleep(0.01)


def is_drained(writer: SpoolingWriter) -> Callable[[], bool]:
    return lambda: not writer.away and not writer.spooled.records


def steadily(writer: SpoolingWriter, written: Iterable[Event], per_s: int = 5_000) -> None:
    """Write at a rate, polling as a collector does."""
    begin = time.monotonic()
    for number, event in enumerate(written):
        writer.write(event)
        if number % 50 == 0:
            writer.poll()
            time.sleep(max(0.0, begin + number / per_s - time.monotonic()))


def test_a_kafka_that_is_there_gets_everything_and_the_disk_nothing(
    tape: Taped, tmp_path: Path
) -> None:
    written = list(events(1, 20_000))
    writer = tape.writer(tmp_path)
    for event in written:
        writer.write(event)
    assert writer.flush() == 0
    assert writer.acknowledged == writer.written
    assert not list(tmp_path.rglob("*.spool"))
    writer.close()
    assert tape.recorded() == by_partition(written)


def test_frozen_and_thawed_each_record_is_there_once_in_order(
    broker: Broker, tape: Taped, tmp_path: Path
) -> None:
    """The connections live, so all that was sent comes to be answered: not even repeats."""
    written = list(events(2, 30_000))
    writer = tape.writer(tmp_path)
    steadily(writer, written[:5_000], 20_000)
    broker.freeze()
    try:
        steadily(writer, written[5_000:15_000])
        assert writer.away
        assert writer.spooled.records > 8_000
    finally:
        broker.thaw()
    steadily(writer, written[15_000:], 20_000)
    poll_until(writer, is_drained(writer))
    assert writer.flush() == 0
    writer.close()
    assert tape.recorded() == by_partition(written)
    assert not list(tmp_path.rglob("*.spool"))


def test_killed_and_started_again_each_record_is_there_once_in_order(
    broker: Broker, tape: Taped, tmp_path: Path
) -> None:
    written = list(events(3, 30_000))
    writer = tape.writer(tmp_path)
    steadily(writer, written[:5_000], 20_000)
    broker.kill()
    try:
        slowest = 0.0
        for number, event in enumerate(written[5_000:20_000]):
            begin = time.perf_counter()
            writer.write(event)
            slowest = max(slowest, time.perf_counter() - begin)
            if number % 100 == 0:
                writer.poll()
                time.sleep(0.005)
        poll_until(writer, lambda: writer.away)
        assert slowest < 1.0, "write waited for a broker that is away"
        assert writer.flush() == 0, "all that was written is acknowledged by the disk"
        assert writer.acknowledged == writer.written
    finally:
        broker.begin()
    for event in written[20_000:]:
        writer.write(event)
    poll_until(writer, is_drained(writer), 60)
    broker.wait()
    assert (writer.dropped, writer.refused) == (0, 0)
    writer.close()
    assert tape.recorded() == by_partition(written)


COLLECTOR = """
import sys, time
from pathlib import Path
from schemas.registry import Registry
from streams import logs
from streams.config import KafkaConfig, TelemetryConfig
from streams.spooling import SpoolingWriter
from tests.streams.market import events
logs.set_up(TelemetryConfig())
bootstrap, registry, name, folder, first, last = sys.argv[1:]
ids = Registry(registry).ids(name)
written = list(events(4, int(last)))[int(first):]
writer = SpoolingWriter(KafkaConfig(bootstrap=bootstrap), ids, name, 4, Path(folder), 1 << 26, 0.1)
print(writer.spooled.records, 0, False, flush=True)
for number, event in enumerate(written):
    writer.write(event)
    if number % 50 == 0:
        writer.poll()
        time.sleep(0.01)
        print(int(first) + number, writer.acknowledged, writer.away, flush=True)
while writer.away or writer.spooled.records:
    writer.poll()
    time.sleep(0.01)
writer.close()
print("drained", flush=True)
"""


class Collector:
    """A process that writes events from one number to another."""

    def __init__(self, tape: Taped, folder: Path, first: int, last: int) -> None:
        arguments = [tape.kafka.bootstrap, tape.registry_url, tape.name, str(folder)]
        self._process = subprocess.Popen(
            [sys.executable, "-c", COLLECTOR, *arguments, str(first), str(last)],
            stdout=subprocess.PIPE,
            text=True,
        )

    def told(self) -> list[str]:
        """Its next line: how far it is, how many records are acknowledged, is Kafka away."""
        assert self._process.stdout is not None
        line = self._process.stdout.readline().split()
        assert line, "it ended"
        return line

    def end(self) -> None:
        """Leave no process behind, whatever became of the test."""
        self._process.kill()
        self._process.wait()

    def kill(self) -> list[str]:
        """`kill -9`; the last that it had said."""
        self._process.kill()
        assert self._process.stdout is not None
        rest = self._process.stdout.read().splitlines()
        self._process.wait()
        return rest[-1].split() if rest else []


Collect = Callable[[int, int], Collector]


@pytest.fixture
def collect(tape: Taped, tmp_path: Path) -> Iterator[Collect]:
    """Starts collectors that are gone after the test."""
    started: list[Collector] = []

    def start(first: int, last: int) -> Collector:
        started.append(Collector(tape, tmp_path, first, last))
        return started[-1]

    yield start
    for each in started:
        each.end()


def test_killed_while_spooling_and_while_draining_nothing_acknowledged_is_lost(
    broker: Broker, tape: Taped, collect: Collect
) -> None:
    """The next collector sends the rest in order; what came twice repeats what is there."""
    spooling = collect(0, 25_000)
    while int(spooling.told()[0]) < 2_000:
        pass
    broker.freeze()
    while spooling.told()[2] != "True":
        pass
    for _ in range(100):
        last = spooling.told()
    last = spooling.kill() or last
    broker.thaw()  # what the dead one had sent may be taken yet
    acknowledged, next_event = int(last[1]), int(last[0]) + 1

    draining = collect(next_event, next_event)
    assert int(draining.told()[0]) > 4_000, "it found them in the spool"
    time.sleep(0.7)  # its first records are on the way
    draining.kill()

    third = collect(next_event, next_event + 3_000)
    while third.told() != ["drained"]:
        pass
    written = list(events(4, next_event + 3_000))
    wanted = by_partition(written)
    for found, all_of_it in zip(tape.recorded(), wanted, strict=True):
        once = without_repeats(found)
        assert once == those_in(once, all_of_it), "in order"
        assert bars_of(found) == bars_of(once), "a repeat takes no effect"
    missing = numbers_missing(tape.recorded(), written)
    assert all(record >= acknowledged and event < next_event for event, record in missing), (
        f"{acknowledged} were acknowledged, {missing} are lost"
    )


key = msgspec.msgpack.encode


def without_repeats(found: list[Event]) -> list[Event]:
    return list({key(event): event for event in found}.values())


def those_in(found: list[Event], wanted: list[Event]) -> list[Event]:
    there = set(map(key, found))
    return [event for event in wanted if key(event) in there]


def bars_of(found: list[Event]) -> list[Event]:
    """What the pipeline sums up of trades, whichever record caused it."""
    return [msgspec.structs.replace(bar, origin=None, seq=0) for bar in run(found)["bars"]]


def numbers_missing(found: list[list[Event]], written: list[Event]) -> list[tuple[int, int]]:
    """Event and record number, from 0, of every record that is not on its partition."""
    there = [set(map(key, events)) for events in found]
    missing, record = [], 0
    for number, event in enumerate(written):
        for partition in places(event):
            if key(event) not in there[partition]:
                missing.append((number, record))
            record += 1
    return missing


def test_past_the_bound_the_newest_are_dropped_counted_and_told(
    broker: Broker, tape: Taped, tmp_path: Path
) -> None:
    told: list[Mapping[tuple[str, str], int]] = []
    writer = tape.writer(tmp_path, max_bytes=600_000, on_dropped=told.append)
    written = list(events(5, 20_000))
    steadily(writer, written[:1_000])
    broker.freeze()
    try:
        with capture_logs() as logs:
            steadily(writer, written[1_000:11_000])
        assert writer.away
        assert writer.spooled.bytes <= 600_000
        assert writer.dropped > 2_000
        assert writer.flush() == 0
    finally:
        broker.thaw()
    assert logs[-1]["event"] == "events_dropped"
    assert logs[-1]["log_level"] == "error"
    poll_until(writer, is_drained(writer))
    steadily(writer, written[11_000:12_000])
    poll_until(writer, is_drained(writer))
    writer.close()
    found = tape.recorded()
    gaps = [
        event
        for events in found
        for event in events
        if isinstance(event, FeedStatus) and "dropped" in event.reason
    ]
    assert writer.dropped == writer.dropped_by.total()
    # Pulses are of no instrument: nobody can fetch them again.
    assert sum(told[0].values()) == writer.dropped - writer.dropped_by["Clock"]
    assert {(gap.venue, gap.symbol) for gap in gaps} == set(told[0])
    assert {gap.status for gap in gaps} == {"GAP"}
    kept = [[event for event in events if event not in gaps] for events in found]
    for there, wanted in zip(kept, by_partition(written[:12_000]), strict=True):
        assert there == those_in(there, wanted), "in order, each once"
    assert sum(map(len, kept)) == sum(map(len, by_partition(written[:12_000]))) - writer.dropped


def test_a_record_that_kafka_never_takes_is_counted_and_stops_nothing(
    tape: Taped, tmp_path: Path
) -> None:
    trades = [event for event in events(6, 400) if isinstance(event, Trade)]
    writer = tape.writer(tmp_path)
    writer.write(trades[0])
    writer.write(msgspec.structs.replace(trades[1], trade_id="x" * (2 << 20)))
    writer.write(trades[2])
    assert writer.flush() == 0
    assert (writer.refused, writer.dropped) == (1, 0)
    writer.close()
    assert sum(map(len, tape.recorded())) == 2


def test_a_topic_that_is_gone_and_comes_back_gets_all_of_it(
    tape: Taped, stack: Stack, tmp_path: Path
) -> None:
    writer = tape.writer(tmp_path)
    written = list(events(7, 3_000))
    for event in written[:1_000]:
        writer.write(event)
    assert writer.flush() == 0
    topic = f"{tape.name}.tape"
    admin = AdminClient({"bootstrap.servers": tape.kafka.bootstrap})
    admin.delete_topics([topic])[topic].result()
    steadily(writer, written[1_000:])
    poll_until(writer, lambda: writer.away)
    assert writer.spooled.records > 0
    topics.create_tape(
        tape.kafka, Registry(stack.registry_url), tape.name, PARTITIONS, ProcessorsConfig()
    )
    poll_until(writer, is_drained(writer))
    assert writer.flush() == 0
    writer.close()
    found = [without_repeats(events) for events in tape.recorded()]
    wanted = by_partition(written)
    for there, all_of_it in zip(found, wanted, strict=True):
        assert there[-1:] == all_of_it[-1:]
        assert there == all_of_it[-len(there) :], "from where it was deleted on, in order"


def test_pulses_and_letters_wait_too(broker: Broker, tape: Taped, tmp_path: Path) -> None:
    writer = tape.writer(tmp_path)
    pulse = Clock(event_time=BEGIN_US, receive_time=BEGIN_US)
    letter = DeadLetter(
        source="feed", topic="okx-spot", partition=-1, offset=-1, event_time=BEGIN_US,
        reason="no JSON", payload=b"{",
    )  # fmt: skip
    writer.write_to(2, pulse)
    assert writer.flush() == 0
    broker.freeze()
    try:
        writer.write_to(3, pulse)
        writer.write_beside("dead_letters", b"okx-spot", letter)
        poll_until(writer, lambda: writer.away)
        writer.write_beside("dead_letters", b"okx-spot", letter)
    finally:
        broker.thaw()
    poll_until(writer, is_drained(writer))
    writer.close()
    assert tape.recorded() == [[], [], [pulse], [pulse]]
    letters = list(log.read(tape.kafka, tape.name, "dead_letters", 0, 0, None))
    assert [batch.value(n) for batch in letters for n in range(len(batch))] == 2 * [
        rows.encode(letter, tape.ids.id("dead_letters", "DeadLetter"))
    ]
