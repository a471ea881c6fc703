"""Kafka: one broker that is its own controller (KRaft), on loopback."""

import base64
import logging
import uuid
from pathlib import Path

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from tape.config import StackConfig
from tape.stack import java
from tape.stack.artifacts import Cache
from tape.stack.layout import Layout
from tape.stack.ports import HOST, accepts
from tape.stack.process import Command

_FOREVER = 2**63 - 1

# The tape's records carry the exchange's time: the broker must not refuse, roll or delete by it.
_SETTINGS = {
    "process.roles": "broker,controller",
    "node.id": 1,
    "controller.listener.names": "CONTROLLER",
    "inter.broker.listener.name": "PLAINTEXT",
    "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
    "auto.create.topics.enable": "false",
    "log.retention.ms": -1,
    "log.retention.bytes": -1,
    "log.message.timestamp.after.max.ms": _FOREVER,
    "log.message.timestamp.before.max.ms": _FOREVER,
    "log.roll.ms": _FOREVER,
    "log.segment.bytes": 256 << 20,
    "log.cleaner.dedupe.buffer.size": 16 << 20,
    "offsets.topic.replication.factor": 1,
    "offsets.topic.num.partitions": 1,
    "offsets.topic.segment.bytes": 16 << 20,
    "offsets.retention.minutes": 525_600,
    "transaction.state.log.replication.factor": 1,
    "transaction.state.log.min.isr": 1,
    "transaction.state.log.num.partitions": 1,
    "share.coordinator.state.topic.replication.factor": 1,
    "share.coordinator.state.topic.min.isr": 1,
    "share.coordinator.state.topic.num.partitions": 1,
    "group.initial.rebalance.delay.ms": 0,
    "num.network.threads": 2,
    "num.io.threads": 4,
    "background.threads": 4,
    "num.recovery.threads.per.data.dir": 2,
    # After kill -9 a broker may come back only when its former self's session has ended (9 s).
    "broker.session.timeout.ms": 3_000,
    "broker.heartbeat.interval.ms": 500,
}


class Kafka:
    """The broker as a service of the stack."""

    name = "kafka"

    def __init__(self, config: StackConfig, layout: Layout, cache: Cache) -> None:
        self.ports = {
            "stack.kafka_port": config.kafka_port,
            "stack.kafka_controller_port": config.kafka_controller_port,
        }
        self.heap_mb = config.heap_mb
        self.folder = layout.data(self.name)
        self.classpath = cache.kafka_classpath

    @property
    def address(self) -> str:
        """host:port."""
        return f"{HOST}:{self.ports['stack.kafka_port']}"

    @property
    def _properties(self) -> Path:
        return self.folder / "server.properties"

    def prepare(self) -> Command | None:
        """Format the storage, once."""
        self.folder.mkdir(mode=0o700, exist_ok=True)
        self._write_properties()
        if (self.folder / "data" / "meta.properties").is_file():
            return None
        cluster = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode()[:22].replace("-", "A", 1)
        arguments = ["format", "-t", cluster, "-c", str(self._properties), "--ignore-formatted"]
        return Command(
            self._java(["-XX:TieredStopAtLevel=1"], "kafka.tools.StorageTool", arguments)
        )

    def prepared(self) -> None:
        """Nothing is left to do after formatting."""

    def _write_properties(self) -> None:
        port, controller = self.ports.values()
        settings = {
            **_SETTINGS,
            "listeners": f"PLAINTEXT://{HOST}:{port},CONTROLLER://{HOST}:{controller}",
            "advertised.listeners": f"PLAINTEXT://{HOST}:{port}",
            "controller.quorum.voters": f"1@{HOST}:{controller}",
            "log.dirs": self.folder / "data",
        }
        text = "".join(f"{key}={value}\n" for key, value in settings.items())
        self._properties.write_text(text)

    def command(self) -> Command:
        """The broker."""
        memory = [f"-Xms{self.heap_mb // 2}m", f"-Xmx{self.heap_mb}m", "-XX:+UseG1GC"]
        memory.append("-XX:MaxGCPauseMillis=20")
        return Command(self._java(memory, "kafka.Kafka", [str(self._properties)]))

    def _java(self, options: list[str], main: str, arguments: list[str]) -> list[str]:
        logging = [
            "-Dorg.slf4j.simpleLogger.showDateTime=true",
            "-Dorg.slf4j.simpleLogger.dateTimeFormat=yyyy-MM-dd'T'HH:mm:ss.SSS",
            # Prints every default at every start.
            "-Dorg.slf4j.simpleLogger.log.org.apache.kafka.common.config=warn",
        ]
        return [
            java.EXECUTABLE,
            *java.QUIET,
            *options,
            *logging,
            "-cp",
            self.classpath,
            main,
            *arguments,
        ]

    def is_ready(self) -> bool:
        """Whether the broker is registered and tells its metadata."""
        if not accepts(self.ports["stack.kafka_port"]):
            return False
        return answers(self.address)


def answers(bootstrap: str, timeout_s: float = 1.0) -> bool:
    """Whether a broker at this address tells its metadata (without TLS or SASL)."""
    # Its own log lines would tell on every try that the broker is not there yet.
    silent = logging.Logger("kafka", logging.CRITICAL)
    admin = AdminClient({"bootstrap.servers": bootstrap}, logger=silent)
    try:
        return bool(admin.list_topics(timeout=timeout_s).brokers)
    except KafkaException:
        return False
