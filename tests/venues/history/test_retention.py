"""History of years ago imported today is still there tomorrow: a broker that looks every second.

Its defaults are those of a cluster that is not ours: retention of an hour by the records' own
timestamps. A topic with these defaults loses the records, which proves that the check ran.
"""

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, ConfigResource, NewTopic

from schemas import catalogue
from streams.topics import start_offsets
from tape.config import StackConfig
from tape.stack import process
from tape.stack.artifacts import Cache
from tape.stack.kafka import Kafka
from tape.stack.layout import Layout
from tape.stack.ports import free_ports
from tests.conftest import Stack, fresh_stack_config
from tests.venues.history.kafka import records, target_of
from venues.history import importer
from venues.history.names import Hints

YEAR_2021_MS = 1_617_235_200_000
HOSTILE = """
log.retention.check.interval.ms=1000
log.initial.task.delay.ms=500
log.retention.ms=3600000
log.roll.ms=3600000
log.segment.delete.delay.ms=500
log.cleaner.backoff.ms=500
"""


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address of a broker that deletes by time wherever a topic lets it."""
    home = tmp_path_factory.mktemp("hostile")
    client, controller = free_ports(2)
    config = fresh_stack_config(home).model_copy(
        update={"kafka_port": client, "kafka_controller_port": controller, "heap_mb": 256}
    )
    kafka = broker(config)
    child = process.spawn(kafka.command(), home / "kafka.log")
    try:
        deadline = time.monotonic() + 60
        while not kafka.is_ready():
            assert child.poll() is None, (home / "kafka.log").read_text()[-2000:]
            assert time.monotonic() < deadline
            time.sleep(0.1)
        yield kafka.address
    finally:
        child.terminate()
        child.wait(30)


def broker(config: StackConfig) -> Kafka:
    """A formatted broker whose defaults are the hostile ones."""
    layout = Layout(config.home)
    layout.create()
    kafka = Kafka(config, layout, Cache(config.cache))
    properties = kafka.folder / "server.properties"
    formatting = kafka.prepare()
    assert formatting is not None
    child = process.spawn(formatting, config.home / "format.log")
    assert child.wait(60) == 0, (config.home / "format.log").read_text()[-2000:]
    kept = [
        line
        for line in properties.read_text().splitlines()
        if not line.startswith(("log.retention", "log.roll", "log.message.timestamp"))
    ]
    properties.write_text("\n".join(kept) + HOSTILE)
    return kafka


def test_history_outlives_the_retention_check(hostile: str, stack: Stack, tmp_path: Path) -> None:
    target = target_of(Stack(hostile, stack.registry_url, ""), "kept", partitions=2)
    admin = AdminClient({"bootstrap.servers": hostile})
    admin.create_topics([NewTopic("canary", num_partitions=1)])["canary"].result(30)
    path = tmp_path / "okx_BTC_USDT-1m.json"
    rows = [[YEAR_2021_MS + 60_000 * i, 1.0, 2.0, 0.5, 1.5, 10.0 + i] for i in range(1_000)]
    path.write_text(json.dumps(rows))
    importer.run(importer.examine_all([path]), Hints(), target)
    producer = Producer({"bootstrap.servers": hostile})
    for open_time, *_ in rows:
        producer.produce("canary", b"x", partition=0, timestamp=open_time)
    assert producer.flush(30) == 0
    deadline = time.monotonic() + 60
    while start_offsets(admin, "canary", 1) != [1_000]:
        assert time.monotonic() < deadline, "the retention check did not run"
        time.sleep(0.2)
    time.sleep(3)  # three more rounds of the check
    assert start_offsets(admin, "kept.tape", 2) == [0, 0]
    assert sum(map(len, records(target))) == 1_000
    assert sum(map(len, records(target, "imports"))) == 2


def test_every_topic_of_a_tape_says_itself_that_nothing_goes_by_time(
    hostile: str, stack: Stack
) -> None:
    target_of(Stack(hostile, stack.registry_url, ""), "kept", partitions=2)
    admin = AdminClient({"bootstrap.servers": hostile})
    names = [catalogue.kafka_name("kept", topic.name) for topic in catalogue.TOPICS]
    asked = admin.describe_configs([ConfigResource("topic", name) for name in names])
    for resource, future in asked.items():
        found = {name: entry.value for name, entry in future.result(30).items()}
        assert found["retention.ms"] == "-1", resource.name
        assert int(found["segment.ms"]) > 86_400_000 * 365, resource.name
        assert int(found["message.timestamp.after.max.ms"]) == 2**63 - 1, resource.name
        assert int(found["message.timestamp.before.max.ms"]) == 2**63 - 1, resource.name
