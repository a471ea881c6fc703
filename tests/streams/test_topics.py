"""A tape on a real broker: made as the catalogue says, written, read back."""

import time

import pytest
from confluent_kafka.admin import AdminClient, ConfigResource

from processors.config import VERSION, BarsConfig, ProcessorsConfig
from schemas import catalogue, rows
from schemas.errors import StoreError
from schemas.events import Clock, Configured, Event, Trade
from schemas.registry import Registry, SchemaIds
from streams import log, topics
from streams.config import KafkaConfig
from streams.kafka import client_config
from streams.partition import partition_of
from streams.producer import TapeWriter
from tests.conftest import Stack

PARTITIONS = 3
LONG_AGO_US = 1_500_000_000_000_000
FAR_AHEAD_US = 4_000_000_000_000_000


@pytest.fixture
def kafka(stack: Stack) -> KafkaConfig:
    return KafkaConfig(bootstrap=stack.kafka_bootstrap)


@pytest.fixture
def registry(stack: Stack) -> Registry:
    return Registry(stack.registry_url, "", "")


@pytest.fixture
def tape(kafka: KafkaConfig, registry: Registry, tape_name: str) -> topics.Created:
    return topics.create_tape(kafka, registry, tape_name, PARTITIONS, ProcessorsConfig())


def trade(symbol: str, number: int, time_us: int) -> Trade:
    return Trade(
        venue="binance-spot", symbol=symbol, event_time=time_us, receive_time=time_us,
        trade_id=str(number), price=100.0, quantity=1.0, aggressor_side="BUY", kind="MARKET",
        count=1,
    )  # fmt: skip


def events_of(
    kafka: KafkaConfig, ids: SchemaIds, tape: str, partition: int, start: int = 0
) -> list[Event]:
    return [
        rows.decode(records.value(index), ids.writers)
        for records in log.read(kafka, tape, catalogue.TAPE, partition, start, None)
        for index in range(len(records))
    ]


def test_a_new_tape_has_all_topics_and_is_configured_on_every_partition(
    kafka: KafkaConfig, tape_name: str, tape: topics.Created
) -> None:
    assert tape.partitions == PARTITIONS
    assert tape.topics == tuple(topic.name for topic in catalogue.TOPICS)
    assert tape.configured == (0, 1, 2)
    assert topics.partitions_of(kafka, tape_name) == PARTITIONS
    for topic in catalogue.TOPICS:
        wanted = PARTITIONS if topic.partitions == "tape" else topic.partitions
        assert len(log.ends(kafka, tape_name, topic.name)) == wanted
    for partition in range(PARTITIONS):
        (event,) = events_of(kafka, tape.ids, tape_name, partition)
        assert isinstance(event, Configured)
        assert (event.version, event.hash) == (VERSION, ProcessorsConfig().hash())


def test_making_a_tape_again_changes_nothing(
    kafka: KafkaConfig, registry: Registry, tape_name: str, tape: topics.Created
) -> None:
    other = ProcessorsConfig(bars=BarsConfig(grace_ms=5))
    again = topics.create_tape(kafka, registry, tape_name, PARTITIONS + 4, other)
    assert (again.partitions, again.topics, again.configured) == (PARTITIONS, (), ())
    assert len(events_of(kafka, tape.ids, tape_name, 0)) == 1


@pytest.mark.usefixtures("tape")
def test_nothing_goes_by_the_records_time(kafka: KafkaConfig, tape_name: str) -> None:
    admin = AdminClient(client_config(kafka))
    for topic in catalogue.TOPICS:
        resource = ConfigResource("topic", catalogue.kafka_name(tape_name, topic.name))
        found = admin.describe_configs([resource])[resource].result(20)
        assert found["cleanup.policy"].value == topic.cleanup
        assert found["retention.ms"].value == "-1"
        assert int(found["message.timestamp.after.max.ms"].value) == 2**63 - 1
        assert int(found["message.timestamp.before.max.ms"].value) == 2**63 - 1
        assert int(found["segment.ms"].value) > 5 * 365 * 86_400_000


def test_events_lie_on_their_symbols_partition_in_their_order_with_their_time(
    kafka: KafkaConfig, tape_name: str, tape: topics.Created
) -> None:
    symbols = [f"S{number}-USDT" for number in range(12)]
    written = [
        trade(symbol, number, time_us)
        for number, time_us in enumerate((LONG_AGO_US, FAR_AHEAD_US, LONG_AGO_US + 1_000))
        for symbol in symbols
    ]
    writer = TapeWriter(kafka, tape.ids, tape_name, PARTITIONS)
    for event in written:
        writer.write(event)
    writer.flush()
    for partition in range(PARTITIONS):
        mine = [e for e in written if partition_of(e.symbol.encode(), PARTITIONS) == partition]
        assert mine, "twelve symbols reach every partition"
        assert events_of(kafka, tape.ids, tape_name, partition, start=1) == mine
        for records in log.read(kafka, tape_name, catalogue.TAPE, partition, 1, None):
            assert records.timestamps_ms.tolist() == [e.event_time // 1000 for e in mine]
            assert [records.key(i).decode() for i in range(len(mine))] == [e.symbol for e in mine]


def test_global_events_go_to_every_partition(
    kafka: KafkaConfig, tape_name: str, tape: topics.Created
) -> None:
    writer = TapeWriter(kafka, tape.ids, tape_name, PARTITIONS)
    pulse = Clock(event_time=LONG_AGO_US, receive_time=LONG_AGO_US)
    writer.write(pulse)
    writer.flush()
    for partition in range(PARTITIONS):
        assert events_of(kafka, tape.ids, tape_name, partition, start=1) == [pulse]
        (records,) = log.read(kafka, tape_name, catalogue.TAPE, partition, 1, None)
        assert records.key(0) == b"*"


def test_a_range_is_read_as_asked(kafka: KafkaConfig, tape_name: str, tape: topics.Created) -> None:
    writer = TapeWriter(kafka, tape.ids, tape_name, 1)
    for number in range(500):
        writer.write(trade("BTC-USDT", number, LONG_AGO_US))
    writer.flush()

    def offsets(start: int, end: int | None) -> list[int]:
        found = log.read(kafka, tape_name, catalogue.TAPE, 0, start, end)
        return [offset for records in found for offset in records.offsets.tolist()]

    assert offsets(0, None) == list(range(501))
    assert offsets(100, 250) == list(range(100, 250))
    assert offsets(400, 9_999) == list(range(400, 501))
    assert offsets(600, None) == offsets(7, 7) == []
    newest = log.last(kafka, tape_name, catalogue.TAPE, 0, 3)
    assert newest is not None
    assert newest.offsets.tolist() == [498, 499, 500]
    assert log.last(kafka, tape_name, "bars", 0, 3) is None


def test_a_deleted_tape_is_gone(kafka: KafkaConfig, tape_name: str, tape: topics.Created) -> None:
    assert set(topics.delete_tape(kafka, tape_name)) == set(tape.topics)
    time.sleep(0.5)
    with pytest.raises(StoreError, match=tape_name):
        topics.partitions_of(kafka, tape_name)


def test_events_that_a_broker_never_takes_are_an_error(
    stack: Stack, tape_name: str, tape: topics.Created
) -> None:
    nowhere = TapeWriter(
        KafkaConfig(bootstrap=stack.kafka_bootstrap), tape.ids, f"{tape_name}none", PARTITIONS
    )
    nowhere.write_to(7, Clock(event_time=1, receive_time=1))
    with pytest.raises(StoreError, match=f"{tape_name}none"):
        nowhere.flush()
