"""A worker that lost its partitions adds nothing that its successor does not make identically.

Nothing fences it at the broker: what it had derived before it lost them may still arrive, late.
The lease keeps it from deriving on, ids are positions on the tape, and both derive the same bytes.
"""

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from pydantic import SecretStr

from schemas import catalogue
from sinks.config import DatabaseConfig
from sinks.tables import topics
from sinks.verify import Verification
from streams.replay import replay
from tape.stack.artifacts import Cache
from tape.stack.layout import Layout
from tape.stack.ports import free_ports
from tape.stack.supervisor import with_ports
from tests.conftest import Stack, fresh_stack_config
from tests.streams.derived import Tape, make_tape, until, workers
from tests.streams.market import events
from tests.torture import checker, reading
from tests.torture.checker import Judgement
from tests.torture.proxy import Proxy, proxy
from tests.torture.servers import FarKafka, Server

PRODUCER = b"confluent-kafka"
"""What the derived events go through; the consumer and its heartbeats are aiokafka's."""

pytestmark = pytest.mark.slow


@dataclass(frozen=True)
class Kafka:
    """A broker of the tests' own, and the way to it that can be cut."""

    near: str
    way: Proxy


@pytest.fixture(scope="module")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kafka]:
    config = with_ports(fresh_stack_config(tmp_path_factory.mktemp("zombies")))
    layout = Layout(config.home)
    layout.create()
    service = FarKafka(config, layout, Cache(config.cache))
    (service.far_port,) = free_ports(1)
    with proxy(service.far_port) as way, ExitStack() as exits:
        service.proxy_port = way.port
        server = Server(service, layout)
        exits.callback(server.kill)
        server.wait()
        yield Kafka(service.address, way)


@pytest.fixture
def tape(stack: Stack, kafka: Kafka, tape_name: str) -> Tape:
    near = Stack(kafka.near, stack.registry_url, stack.database_url)
    return make_tape(near, tape_name, 2)


def far(tape: Tape, kafka: Kafka) -> Tape:
    """The same tape for a worker on the far side of the proxy."""
    bootstrap = {"TAPE_KAFKA__BOOTSTRAP": f"127.0.0.1:{kafka.way.port}"}
    return Tape(
        tape.name, tape.kafka, tape.registry, tape.ids, tape.partitions,
        {**tape.environment, **bootstrap},
    )  # fmt: skip


def judged(stack: Stack, tape: Tape) -> Judgement:
    """What the checker says of the derived topics."""
    result, schemas = Judgement(), reading.Schemas(stack.registry_url)
    source = reading.Topics(tape.kafka.bootstrap, tape.name)
    for partition, end in tape.ends().items():
        for topic, wanted in tape.derived(partition, end).items():
            found = [record for _, record in source.read(topic, partition)]
            checker.derived(result, f"{topic}[{partition}]", wanted, found, schemas.id_of)
    source.close()
    return result


@contextmanager
def sink(tape: Tape) -> Iterator[None]:
    command = [sys.executable, "-m", "tape", "--tape", tape.name, "sink"]
    process = subprocess.Popen(command, env=tape.environment)
    try:
        yield
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0


def test_what_a_zombie_had_under_way_arrives_late_and_is_what_its_successor_made(
    stack: Stack, kafka: Kafka, tape: Tape, tmp_path: Path
) -> None:
    tape.write(events(1, 500))
    (tmp_path / "zombie").mkdir()
    with workers(far(tape, kafka), tmp_path / "zombie") as old, workers(tape, tmp_path) as new:
        zombie = old.start(interval_s=3.0)
        old.settle()
        before = _derived(tape)
        # Its outputs do not arrive any more; it goes on reading, and the group hears of it.
        kafka.way.hold(only=PRODUCER)
        tape.write(events(2, 4_000))
        time.sleep(1.5)
        assert _derived(tape) == before
        zombie.signal(signal.SIGSTOP)
        successor = new.start(interval_s=0.5)
        new.settle()
        made = _derived(tape)
        assert made > before
        zombie.signal(signal.SIGCONT)
        kafka.way.heal()
        until(lambda: _derived(tape) > made, "what it had under way arrives", zombie)
        # Whoever comes next is not misled by what came late.
        successor.kill()
        tape.write(events(3, 1_000))
        last = new.start(interval_s=0.5)
        new.settle()
        last.stop()
    result = judged(stack, tape)
    assert not result.findings, checker.shown(result.findings)
    assert result.repeats > 100
    report = replay(tape.kafka, tape.ids, tape.name, tape.partitions)
    assert report.identical
    assert sum(proof.duplicates for proof in report.proofs) == result.repeats
    _assert_stored_once(stack, tape)


def test_a_worker_stopped_at_any_instant_derives_nothing_once_its_lease_is_over(
    stack: Stack, kafka: Kafka, tape: Tape, tmp_path: Path
) -> None:
    with workers(tape, tmp_path) as started:
        zombie = started.start()
        tape.write(events(4, 1_000))
        started.settle()
        zombie.signal(signal.SIGSTOP)
        # It has these in its sockets when it goes on; its successor derives them meanwhile.
        tape.write(events(5, 1_000))
        successor = started.start()
        started.settle()
        made = _derived(tape)
        zombie.signal(signal.SIGCONT)
        until(lambda: "assigned" in zombie.text().rpartition("revoked")[2], "it is back", zombie)
        assert _derived(tape) == made
        tape.write(events(6, 1_000))
        started.settle()
        zombie.stop()
        successor.stop()
    result = judged(stack, tape)
    assert not result.findings, checker.shown(result.findings)
    assert not result.repeats


def _derived(tape: Tape) -> int:
    source = reading.Topics(tape.kafka.bootstrap, tape.name)
    found = sum(
        source.end(topic.name, partition)
        for topic in catalogue.DERIVED
        for partition in range(tape.partitions)
    )
    source.close()
    return found


def _assert_stored_once(stack: Stack, tape: Tape) -> None:
    config = DatabaseConfig(url=SecretStr(stack.database_url))
    with sink(tape):
        report = Verification(
            tape.kafka, tape.registry, config, stack.database_url, tape.name, list(topics())
        ).run(60.0)
    assert report.equal, report
