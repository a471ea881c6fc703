"""A Faust agent reads whole portions: every record once, in order, whatever the compression."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import faust
import pytest
from aiokafka.consumer.fetcher import Fetcher
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic

from streams.config import KafkaConfig
from streams.fetching import Portion, renamed
from streams.kafka import client_config
from streams.transport import portions_topic, url_of
from tests.conftest import Stack

PARTITIONS, RECORDS = 2, 3_000


@pytest.fixture
def kafka(stack: Stack) -> KafkaConfig:
    return KafkaConfig(bootstrap=stack.kafka_bootstrap)


@pytest.fixture
def topic(kafka: KafkaConfig) -> Iterator[str]:
    name = f"t{uuid4().hex[:8]}"
    admin = AdminClient(client_config(kafka))
    new = NewTopic(name, num_partitions=PARTITIONS, replication_factor=1)
    admin.create_topics([new])[name].result(20)
    yield name
    admin.delete_topics([name])[name].result(20)


def fill(kafka: KafkaConfig, topic: str, compression: str) -> None:
    producer = Producer(client_config(kafka) | {"compression.type": compression, "linger.ms": 5})
    for index in range(RECORDS):
        producer.produce(
            topic, b"value %d" % index, b"key %d" % index, index % PARTITIONS, timestamp=index + 1
        )
    assert producer.flush(20) == 0


async def read(
    kafka: KafkaConfig, topic: str, folder: Path, positions: dict[int, int] | None = None
) -> list[Portion]:
    app = faust.App(
        topic,
        broker=url_of(kafka),
        store="memory://",
        datadir=str(folder),
        topic_disable_leader=True,
        web_enabled=False,
        stream_wait_empty=False,
        stream_recovery_delay=0,
    )
    transport: Any = app.transport
    transport.kafka = kafka

    async def given(assigned: Any) -> Any:
        return {tp: (positions or {})[tp.partition] for tp in assigned}

    if positions:
        transport.positions = given
    left = RECORDS - sum((positions or {}).values())
    found: list[Portion] = []
    done = asyncio.Event()

    @app.agent(portions_topic(app, topic))
    async def collect(portions: Any) -> None:
        async for portion in portions:
            found.append(portion)
            if sum(len(one.records) for one in found) >= left:
                done.set()

    await app.start()
    try:
        await asyncio.wait_for(done.wait(), 30)
        assert app.consumer.unconfirmed_for_s() < 30
    finally:
        await app.stop()
    return found


@pytest.mark.parametrize("compression", ["none", "lz4", "zstd"])
def test_an_agent_reads_every_record_once_in_order(
    kafka: KafkaConfig, topic: str, tmp_path: Path, compression: str
) -> None:
    fill(kafka, topic, compression)
    portions = asyncio.run(read(kafka, topic, tmp_path))
    assert len(portions) < RECORDS / 10
    for partition in range(PARTITIONS):
        mine = [portion for portion in portions if portion.partition == partition]
        assert [portion.start for portion in mine[1:]] == [portion.end for portion in mine[:-1]]
        seen = [
            (int(r.offsets[i]), r.key(i), r.value(i), int(r.timestamps_ms[i]))
            for r in (portion.records for portion in mine)
            for i in range(len(r))
        ]
        assert seen == [
            (place, b"key %d" % index, b"value %d" % index, index + 1)
            for place, index in enumerate(range(partition, RECORDS, PARTITIONS))
        ]


def test_partitions_begin_where_they_are_told_to(
    kafka: KafkaConfig, topic: str, tmp_path: Path
) -> None:
    fill(kafka, topic, "lz4")
    portions = asyncio.run(read(kafka, topic, tmp_path, {0: 700, 1: 1200}))
    first = {
        partition: min(int(p.records.offsets[0]) for p in portions if p.partition == partition)
        for partition in range(PARTITIONS)
    }
    assert first == {0: 700, 1: 1200}


def test_a_name_that_aiokafka_no_longer_uses_is_noticed() -> None:
    with pytest.raises(RuntimeError, match="Nothing"):
        renamed(Fetcher._proc_fetch_request, Nothing=object)
