"""A tape under test: its input, workers as processes, and what its topics must hold."""

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from confluent_kafka import Producer

from processors.config import ProcessorsConfig
from processors.pipeline import Pipeline
from schemas import catalogue, rows
from schemas.events import DeadLetter, Event
from schemas.registry import Registry, SchemaIds
from streams import log, snapshots, topics
from streams.config import KafkaConfig
from streams.decoding import BatchDecoder
from streams.kafka import client_config
from streams.outputs import Outputs, outputs_of
from streams.producer import TapeWriter
from tests.conftest import Stack

Record = tuple[bytes, bytes, int]
"""Key, value, timestamp in ms."""


@dataclass
class Tape:
    """A tape of the test's own."""

    name: str
    kafka: KafkaConfig
    registry: Registry
    ids: SchemaIds
    partitions: int
    environment: dict[str, str]
    writer: TapeWriter = field(init=False)

    def __post_init__(self) -> None:
        self.writer = TapeWriter(self.kafka, self.ids, self.name, self.partitions)

    def write(self, events: Iterable[Event]) -> None:
        for event in events:
            self.writer.write(event)
        self.writer.flush()

    def write_bytes(self, partition: int, *values: bytes) -> None:
        producer = Producer(client_config(self.kafka))
        for value in values:
            producer.produce(
                catalogue.kafka_name(self.name, "tape"), value, b"k", partition, timestamp=77
            )
        assert producer.flush(20) == 0

    def ends(self) -> dict[int, int]:
        return log.ends(self.kafka, self.name, catalogue.TAPE)

    def is_processed(self, ends: dict[int, int]) -> bool:
        """Whether snapshots have come as far as this."""
        return all(
            (snapshots.processed_offset(self.kafka, self.ids, self.name, partition) or 0) >= end
            for partition, end in ends.items()
        )

    def recorded(self, topic: str, partition: int) -> list[Record]:
        return [
            (records.key(i), records.value(i), int(records.timestamps_ms[i]))
            for records in log.read(self.kafka, self.name, topic, partition, 0, None)
            for i in range(len(records))
        ]

    def derived(self, partition: int, end: int) -> dict[str, list[Record]]:
        """What an undisturbed pipeline makes of a partition, by topic."""
        pipeline, decoder = Pipeline(), BatchDecoder(catalogue.TAPE, self.ids)
        found: dict[str, list[Record]] = {topic.name: [] for topic in catalogue.DERIVED}
        for records in log.read(self.kafka, self.name, catalogue.TAPE, partition, 0, end):
            for made in pipeline.process(decoder.decode(partition, records)):
                outputs = outputs_of(made, self.ids.id(made.topic, made.record))
                found[made.topic] += _records(outputs)
        return found

    def letters(self) -> list[DeadLetter]:
        found = [
            rows.decode(value, self.ids.writers) for _, value, _ in self.recorded("dead_letters", 0)
        ]
        return [letter for letter in found if isinstance(letter, DeadLetter)]

    def assert_derived_once(self) -> None:
        """The derived topics hold, byte for byte, what an undisturbed pipeline makes."""
        for partition, end in self.ends().items():
            for topic, wanted in self.derived(partition, end).items():
                found = self.recorded(topic, partition)
                assert len(found) == len(wanted), f"{topic}[{partition}]"
                assert found == wanted, f"{topic}[{partition}]"


def _records(outputs: Outputs) -> list[Record]:
    keys, values = outputs.keys.tobytes(), outputs.values.tobytes()
    columns = (outputs.key_starts, outputs.key_ends, outputs.value_starts, outputs.value_ends)
    return [
        (keys[a:b], values[c:d], t)
        for a, b, c, d, t in zip(
            *(np.asarray(column).tolist() for column in (*columns, outputs.timestamps_ms)),
            strict=True,
        )
    ]


def make_tape(
    stack: Stack, name: str, partitions: int, processors: ProcessorsConfig | None = None
) -> Tape:
    """Create topics and schemas."""
    kafka = KafkaConfig(bootstrap=stack.kafka_bootstrap)
    registry = Registry(stack.registry_url)
    made = topics.create_tape(kafka, registry, name, partitions, processors or ProcessorsConfig())
    return Tape(name, kafka, registry, made.ids, partitions, stack.environment)


@dataclass
class Worker:
    """A `tape worker` process."""

    process: "subprocess.Popen[bytes]"
    log: Path
    port: int

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def signal(self, number: int) -> None:
        self.process.send_signal(number)

    def stop(self) -> None:
        """Ask it to end, and see that it does in order."""
        self.signal(signal.SIGTERM)
        assert self.process.wait(30) == 0, self.text()

    def text(self) -> str:
        return self.log.read_text()

    def get(self, path: str) -> tuple[int, str]:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=5) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()
        except (urllib.error.URLError, OSError):
            return 0, ""


@contextmanager
def workers(tape: Tape, folder: Path) -> Iterator["Workers"]:
    """Workers that are gone after the block."""
    started = Workers(tape, folder)
    try:
        yield started
    finally:
        for worker in started.all:
            if worker.process.poll() is None:
                worker.signal(signal.SIGCONT)
                worker.kill()


class Workers:
    """Starts workers of a tape."""

    def __init__(self, tape: Tape, folder: Path) -> None:
        self.tape, self.folder = tape, folder
        self.all: list[Worker] = []

    def start(self, *arguments: str, interval_s: float = 0.5, ready: bool = True) -> Worker:
        path = self.folder / f"worker-{len(self.all)}.log"
        with socket.socket() as listener:
            listener.bind(("127.0.0.1", 0))
            port = listener.getsockname()[1]
        environment = {
            **os.environ,
            **self.tape.environment,
            "TAPE_WORKER__SNAPSHOT_INTERVAL_S": str(interval_s),
            "TAPE_WORKER__MAX_BATCH": "500",
            "TAPE_WORKER__SESSION_TIMEOUT_S": "6",
            "TAPE_TELEMETRY__PORT": str(port),
        }
        command = [sys.executable, "-m", "tape", "--tape", self.tape.name, *arguments, "worker"]
        with path.open("wb") as out:
            process = subprocess.Popen(command, env=environment, stdout=out, stderr=out)
        worker = Worker(process, path, port)
        self.all.append(worker)
        if ready:
            until(lambda: worker.get("/readyz")[0] == 200, "ready", worker)
        return worker

    def settle(self, timeout_s: float = 90.0) -> None:
        """Wait until all that is on the tape is processed."""
        ends = self.tape.ends()
        until(
            lambda: self.tape.is_processed(ends), "all is processed", *self.all, timeout_s=timeout_s
        )


def until(condition: object, what: str, *watched: Worker, timeout_s: float = 90.0) -> None:
    """Wait for a condition; fails with the workers' logs."""
    end = time.monotonic() + timeout_s
    while not condition():  # type: ignore[operator]
        if time.monotonic() > end:
            logs = "\n".join(worker.text()[-3000:] for worker in watched)
            raise AssertionError(f"not in time: {what}\n{logs}")
        time.sleep(0.1)
