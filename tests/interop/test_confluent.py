"""confluent_kafka's own deserializer and registry client read what we write."""

import json
import time
from datetime import UTC, datetime, timedelta
from typing import Any

from confluent_kafka import OFFSET_BEGINNING, Consumer, Message, TopicPartition
from confluent_kafka.schema_registry import SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroDeserializer
from confluent_kafka.serialization import MessageField, SerializationContext

from processors.config import ProcessorsConfig
from schemas.events import Bar, BookDelta, News, Origin, Trade
from schemas.registry import Registry
from streams import topics
from streams.config import KafkaConfig
from streams.producer import TapeWriter
from tests.conftest import Stack
from tests.interop.written import Written, as_json

TIME_US = 1_785_585_600_123_456
TIME = datetime(2026, 8, 1, 12, 0, 0, 123_456, UTC)

TRADE = Trade(
    venue="binance-spot", symbol="BTC-USDT", event_time=TIME_US, receive_time=TIME_US + 1_000,
    trade_id="6415926", price=117_000.01, quantity=0.00012, aggressor_side="SELL", kind="MARKET",
    count=3,
)  # fmt: skip
DELTA = BookDelta(
    venue="okx-swap", symbol="BTC-USDT", event_time=TIME_US, receive_time=TIME_US,
    previous_sequence=-1, sequence=1 << 60, bids=[(1.5, 0.0), (1.25, 3.0)], asks=[],
)  # fmt: skip
NEWS = News(
    event_time=TIME_US, receive_time=TIME_US, source="cryptopanic", news_id="n1",
    publisher="Börsenblatt", title="Bitcoin steigt über 100.000 € 🚀", currencies=["BTC", "ETH"],
    text="…", votes_positive=4,
)  # fmt: skip
BAR = Bar(
    origin=Origin("tape", 1, 1 << 40), seq=2, venue="bybit-linear", symbol="BTC-USDT",
    event_time=TIME_US, receive_time=TIME_US, interval="1s", open_time=TIME_US - 1_000_000,
    open=1.0, high=2.0, low=0.5, close=1.5, volume=10.0, notional=15.0, vwap=1.5,
    trade_count=7, taker_buy_volume=4.0, late_trades=0, source="TRADES",
)  # fmt: skip

AS_DICTS: dict[str, dict[str, Any]] = {
    "Trade": {
        "venue": "binance-spot", "symbol": "BTC-USDT", "event_time": TIME,
        "receive_time": TIME + timedelta(milliseconds=1), "trade_id": "6415926",
        "price": 117_000.01, "quantity": 0.00012, "aggressor_side": "SELL", "kind": "MARKET",
        "count": 3, "backfilled": False,
    },
    "BookDelta": {
        "venue": "okx-swap", "symbol": "BTC-USDT", "event_time": TIME, "receive_time": TIME,
        "previous_sequence": -1, "sequence": 1 << 60,
        "bids": [{"price": 1.5, "quantity": 0.0}, {"price": 1.25, "quantity": 3.0}], "asks": [],
    },
    "News": {
        "event_time": TIME, "receive_time": TIME, "source": "cryptopanic", "news_id": "n1",
        "publisher": "Börsenblatt", "title": "Bitcoin steigt über 100.000 € 🚀", "text": "…",
        "url": None, "currencies": ["BTC", "ETH"], "votes_positive": 4, "votes_negative": None,
        "votes_important": None, "sentiment": None, "sentiment_method": None,
    },
    "Bar": {
        "origin": {"topic": "tape", "partition": 1, "offset": 1 << 40}, "seq": 2,
        "venue": "bybit-linear", "symbol": "BTC-USDT", "event_time": TIME, "receive_time": TIME,
        "interval": "1s", "open_time": TIME - timedelta(seconds=1), "open": 1.0, "high": 2.0,
        "low": 0.5, "close": 1.5, "volume": 10.0, "notional": 15.0, "vwap": 1.5,
        "trade_count": 7, "taker_buy_volume": 4.0, "late_trades": 0, "source": "TRADES",
    },
}  # fmt: skip


def test_what_a_tape_writer_wrote_comes_out_as_plain_dicts(stack: Stack, tape_name: str) -> None:
    kafka = KafkaConfig(bootstrap=stack.kafka_bootstrap)
    registry = Registry(stack.registry_url)
    ids = topics.create_tape(kafka, registry, tape_name, 1, ProcessorsConfig()).ids
    writer = TapeWriter(kafka, ids, tape_name, 1)
    for event in (TRADE, DELTA, NEWS):
        writer.write(event)
    writer.write_beside("bars", b"BTC-USDT", BAR)
    writer.flush()
    read = {}
    client = client_of(stack)
    deserializer = AvroDeserializer(client)
    for message in consume(stack, [f"{tape_name}.tape", f"{tape_name}.bars"], 5):
        schema_id = int.from_bytes(message.value()[1:5], "big")
        name = json.loads(client.get_schema(schema_id).schema_str)["name"]
        read[name] = deserialize(deserializer, message)
    del read["Configured"]
    assert read == AS_DICTS


def test_every_record_of_every_topic(written: Written) -> None:
    deserializer = AvroDeserializer(client_of(written.stack))
    read = [
        (message.topic(), as_json(deserialize(deserializer, message)))
        for message in consume(written.stack, written.topics, written.count)
    ]
    written.assert_equal(read)


def consume(stack: Stack, names: list[str], count: int) -> list[Message]:
    """The first records of all partitions of some topics."""
    consumer = Consumer({"bootstrap.servers": stack.kafka_bootstrap, "group.id": "none"})
    consumer.assign(
        [
            TopicPartition(name, partition, OFFSET_BEGINNING)
            for name in names
            for partition in consumer.list_topics(name, timeout=10).topics[name].partitions
        ]
    )
    found: list[Message] = []
    deadline = time.monotonic() + 30
    while len(found) < count:
        assert time.monotonic() < deadline, f"only {len(found)} of {count} records came"
        found += consumer.consume(count - len(found), timeout=0.5)
    consumer.close()
    assert not any(message.error() for message in found)
    return found


def client_of(stack: Stack) -> SchemaRegistryClient:
    return SchemaRegistryClient({"url": stack.registry_url, "timeout": 30})


def deserialize(deserializer: AvroDeserializer, message: Message) -> Any:
    context = SerializationContext(message.topic(), MessageField.VALUE)
    return deserializer(message.value(), context)
