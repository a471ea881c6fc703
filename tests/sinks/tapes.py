"""Tapes on a real Kafka for the sinks' tests: topics, records where the test wants them."""

import random
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Event as Flag
from threading import Thread
from time import monotonic, sleep
from typing import Any

from confluent_kafka import Producer, TopicPartition
from confluent_kafka.admin import AdminClient

from schemas import events, rows
from schemas.catalogue import kafka_name
from schemas.events import Origin
from schemas.registry import Registry, SchemaIds
from sinks.config import DatabaseConfig
from sinks.maintenance import Maintained
from sinks.rows import Position
from sinks.store import Update, connect
from sinks.tables import topics
from sinks.timescale import TimescaleSink
from sinks.verify import Report, Verification
from streams.config import KafkaConfig
from streams.kafka import client_config
from tests.conftest import Stack

PARTITIONS = 2
# 2021-01-01, microseconds UTC.
BEGIN_US = 1_609_459_200_000_000


@dataclass
class Tape:
    """A tape of the test's own with two partitions."""

    name: str
    kafka: KafkaConfig
    registry: Registry
    ids: SchemaIds
    _producer: Any = field(init=False)

    def __post_init__(self) -> None:
        self._producer = Producer(client_config(self.kafka) | {"acks": "all", "linger.ms": 5})

    def send(self, topic: str, partition: int, *found: events.Event | bytes) -> None:
        """Append events (or raw bytes) to a partition."""
        for event in found:
            value, timestamp = event, BEGIN_US // 1000
            if not isinstance(event, bytes):
                record = type(event).__name__
                value = rows.encode(event, self.ids.id(topic, record))
                timestamp = max(event.event_time // 1000, 0)  # type: ignore[attr-defined]  # all have it
            self._producer.produce(
                kafka_name(self.name, topic), value, partition=partition, timestamp=timestamp
            )
            self._producer.poll(0)
        assert self._producer.flush(20) == 0

    def delete_before(self, topic: str, partition: int, offset: int) -> None:
        """Let the broker forget the first records, as retention does."""
        admin = AdminClient(client_config(self.kafka))
        at = TopicPartition(kafka_name(self.name, topic), partition, offset)
        for future in admin.delete_records([at]).values():
            future.result(10)

    def verification(self, config: DatabaseConfig, of: Sequence[str] = ()) -> Verification:
        """What compares the tables with this tape."""
        url = config.url.get_secret_value()
        return Verification(
            self.kafka, self.registry, config, url, self.name, list(of) or list(topics())
        )

    def verify(self, config: DatabaseConfig, *of: str, wait_s: float = 20.0) -> Report:
        """Compare the tables with this tape."""
        return self.verification(config, of).run(wait_s)


def make_tape(stack: Stack, name: str) -> Tape:
    """Create topics and register schemas."""
    from processors.config import ProcessorsConfig
    from streams.topics import create_tape

    kafka = KafkaConfig(bootstrap=stack.kafka_bootstrap)
    registry = Registry(stack.registry_url, "", "")
    create_tape(kafka, registry, name, PARTITIONS, ProcessorsConfig())
    return Tape(name, kafka, registry, registry.ids(name))


@dataclass
class Watched:
    """Remembers what a sink said."""

    rows: int = 0
    events: int = 0
    transactions: int = 0
    refusals: int = 0
    waits: list[str] = field(default_factory=list)
    notes: set[str] = field(default_factory=set)
    starts: list[dict[Position, tuple[int, int]]] = field(default_factory=list)
    failures: list[BaseException] = field(default_factory=list)
    lags: dict[Position, int] = field(default_factory=dict)

    def started(self, lost: Mapping[Position, tuple[int, int]]) -> None:
        self.starts.append(dict(lost))

    def beat(self) -> None:
        pass

    def lag(self, topic: str, partition: int, events: int) -> None:
        self.lags[topic, partition] = events

    def stored(self, updates: Sequence[Update], seconds: float) -> None:
        self.transactions += 1
        self.events += sum(sum(update.records.values()) for update in updates)
        self.rows += sum(len(rows.encoded) for update in updates for rows in update.rows)

    def refused(self, topic: str, count: int) -> None:
        self.refusals += count

    def maintained(self, done: Sequence[Maintained]) -> None:
        self.notes |= {one.note for one in done} - {""}

    def waiting(self, reason: str, seconds: float) -> None:
        self.waits.append(reason)


@contextmanager
def running(tape: Tape, config: DatabaseConfig, *of: str) -> Iterator[Watched]:
    """A sink that runs in a thread while the block does."""
    watched, stop = Watched(), Flag()
    sink = TimescaleSink(
        tape.kafka, tape.registry, config, config.url.get_secret_value(), tape.name,
        of or topics(), watched,
    )  # fmt: skip

    def run() -> None:
        try:
            sink.run(stop)
        except BaseException as error:  # handed to the test's own thread
            watched.failures.append(error)

    thread = Thread(target=run)
    thread.start()
    try:
        yield watched
    finally:
        stop.set()
        thread.join(30)
        assert not thread.is_alive()
    if watched.failures:
        raise watched.failures[0]


def until(condition: Any, timeout_s: float = 20.0) -> None:
    """Wait until a condition holds."""
    end = monotonic() + timeout_s
    while not condition():
        assert monotonic() < end, "it did not come about in time"
        sleep(0.05)


def stored_offset(config: DatabaseConfig, tape: str, topic: str, partition: int) -> int:
    """The database's next offset of a partition; -1 where there is none."""
    with connect(config.url.get_secret_value()) as connection:
        there = connection.execute("SELECT to_regclass(%s)", (f"{tape}.offsets",)).fetchone()
        if there is None or there[0] is None:
            return -1
        row = connection.execute(
            f"SELECT next_offset FROM {tape}.offsets WHERE topic = %s AND partition = %s",
            (topic, partition),
        ).fetchone()
    return int(str(row[0])) if row else -1


class Market:
    """A small made-up market: events of many kinds, by a seed."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        self._time = BEGIN_US
        self._origin = 0

    def inputs(self, count: int) -> list[events.Event]:
        """Events of `tape`."""
        return [self._input() for _ in range(count)]

    def _input(self) -> events.Event:
        pick = self._random
        self._time += pick.randrange(400_000)
        base: dict[str, Any] = {
            "venue": pick.choice(("binance-spot", "okx-swap")),
            "symbol": pick.choice(("BTC-USDT", "ETH-USDT")),
            "event_time": self._time,
            "receive_time": self._time + 1_000,
        }
        price = pick.gauss(100.0, 1.0)
        kind = pick.randrange(10)
        if kind < 4:
            return events.Trade(
                **base, trade_id=str(pick.getrandbits(40)), price=price, quantity=pick.random(),
                aggressor_side=pick.choice(("BUY", "SELL")), kind="MARKET", count=1,
            )  # fmt: skip
        if kind < 7:
            return events.Quote(
                **base, sequence=pick.getrandbits(40), bid_price=price, bid_quantity=1.0,
                ask_price=price + 0.1, ask_quantity=float("nan"),
            )  # fmt: skip
        if kind == 7:
            return events.BookDelta(
                **base, previous_sequence=-1, sequence=1, bids=[(price, 1.0)], asks=[]
            )
        if kind == 8:
            return events.FeedStatus(**base, status="GAP", channel="trades", reason="ünknown")
        return events.News(
            event_time=self._time, receive_time=self._time, source="simulator",
            news_id=str(pick.getrandbits(40)), publisher="p", title="Tïtle", currencies=["BTC"],
        )  # fmt: skip

    def references(self, partition: int, count: int) -> list[events.Event]:
        """Derived events, each id once, growing."""
        return [self._reference(partition) for _ in range(count)]

    def _reference(self, partition: int) -> events.Event:
        self._origin += self._random.randrange(1, 3)
        self._time += 1_000
        return events.ReferencePrice(
            origin=Origin("tape", partition, self._origin), seq=0, symbol="BTC-USDT",
            event_time=self._time, receive_time=self._time, price=self._random.random(),
            dispersion_bps=0.0, venues=[("okx-spot", 1.5)],
        )  # fmt: skip
