"""The batch transport for Faust: one Faust message for all that a fetch brought of a partition.

A subclass of Faust's own aiokafka transport, under the URL scheme `tape://`; group membership,
rebalancing and agents remain Faust's. Positions and commits are not: Faust acknowledges
consecutive offsets, and a portion is a jump in them, so whoever uses the transport says where
each partition begins (`positions`), and commits what it has made safe (`commit_offsets`).
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any

import faust
from aiokafka.coordinator.assignors.roundrobin import RoundRobinPartitionAssignor
from aiokafka.errors import ConsumerStoppedError
from faust.serializers import codecs
from faust.transport import drivers
from faust.transport.drivers import aiokafka as driver
from faust.types import TP, ConsumerMessage
from mode.utils.futures import maybe_async

from streams.config import KafkaConfig
from streams.fetching import Portion, RawConsumer
from streams.kafka import aiokafka_config

SCHEME = "tape"
CODEC = "tape-portion"
# One fetch at a time is under way to a broker; a partition that it leaves out waits for its end.
_FETCH_WAIT_MS = 50

# Given the assigned partitions, where each is to be read from; no entry: as the group committed.
Positions = Callable[[set[TP]], Awaitable[Mapping[TP, int]]]


class PortionCodec(codecs.Codec):  # type: ignore[misc]  # Faust is not typed
    """A portion is handed on as it is."""

    def _loads(self, s: Any) -> Any:
        return s

    def _dumps(self, s: Any) -> Any:
        return s


class ConsumerThread(driver.AIOKafkaConsumerThread):  # type: ignore[misc]  # Faust is not typed
    """Faust's consumer thread, without a thread: it works on the loop of the agents.

    Between two threads each fetch costs four wake-ups of event loops and waits for the
    interpreter's lock; here the agents never hold the loop for longer than a portion.
    """

    def __init__(self, *args: Any, loop: asyncio.AbstractEventLoop, **kwargs: Any) -> None:
        super().__init__(*args, loop=loop, thread_loop=loop, **kwargs)

    async def start(self) -> None:
        """Start on the loop that calls."""
        self._thread_started.set()
        self._thread_running = self.parent_loop.create_future()
        self._serving = asyncio.ensure_future(self._serve())
        await self._thread_running

    async def on_thread_started(self) -> None:
        """No queue of calls is needed."""

    async def call_thread(self, fun: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Call it: there is no other thread."""
        return await maybe_async(fun(*args, **kwargs))

    async def cast_thread(self, fun: Callable[..., Any], *args: Any, **kwargs: Any) -> None:
        """Call it and leave it to itself."""
        self.add_future(maybe_async(fun(*args, **kwargs)))

    async def _gather_remaining_tasks(self) -> None:
        """Nothing: the loop's tasks are not this service's."""

    def _create_worker_consumer(self, transport: Any) -> RawConsumer:
        conf = self.app.conf
        return RawConsumer(
            **aiokafka_config(transport.kafka),
            group_id=conf.id,
            partition_assignment_strategy=[RoundRobinPartitionAssignor],
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            max_poll_interval_ms=int((conf.broker_max_poll_interval or 0) * 1000),
            max_partition_fetch_bytes=conf.consumer_max_fetch_size,
            fetch_max_wait_ms=_FETCH_WAIT_MS,
            request_timeout_ms=int(conf.broker_request_timeout * 1000),
            check_crcs=conf.broker_check_crcs,
            session_timeout_ms=int(conf.broker_session_timeout * 1000),
            rebalance_timeout_ms=int(conf.broker_rebalance_timeout * 1000),
            heartbeat_interval_ms=int(conf.broker_heartbeat_interval * 1000),
            metadata_max_age_ms=conf.consumer_metadata_max_age_ms,
            connections_max_idle_ms=conf.consumer_connections_max_idle_ms,
        )


class Consumer(driver.Consumer):  # type: ignore[misc]  # Faust is not typed
    """Faust's consumer, whose messages are portions."""

    def _new_consumer_thread(self) -> ConsumerThread:
        return ConsumerThread(self, loop=self.loop, beacon=self.beacon)

    def _to_message(self, tp: TP, record: Portion) -> ConsumerMessage:
        times = record.records.timestamps_ms
        timestamp_ms = int(times[-1]) if len(times) else 0
        return ConsumerMessage(
            tp.topic,
            tp.partition,
            record.end - 1,
            timestamp_ms / 1000,
            0,
            (),
            None,
            record,
            None,
            0,
            len(record.records.buffer),
            tp,
            generation_id=self.app.consumer_generation_id,
        )

    async def _drain_messages(self, fetcher: Any) -> None:
        """Hand portions to the agents until one of both is stopped.

        Faust's own does the same with two tasks a message, for acknowledgements that are not
        kept here.
        """
        try:
            while not (self.should_stop or fetcher.should_stop):
                await asyncio.sleep(0)
                async for _, message in self.getmany(timeout=1.0):
                    await self.callback(message)
        except (ConsumerStoppedError, asyncio.CancelledError):
            if not self.transport.app.should_stop:
                raise

    async def perform_seek(self) -> None:
        """Begin each partition where `Transport.positions` says."""
        assigned = self.assignment()
        positions = await self.transport.positions(assigned)
        if positions:
            await self.seek_wait(dict(positions))

    async def commit(self, topics: Any = None, start_new_transaction: bool = True) -> bool:
        """Nothing: Faust's acknowledgements do not tell what is safe."""
        return False

    async def commit_offsets(self, offsets: Mapping[TP, int]) -> bool:
        """Commit these offsets for the group; False when the group has moved on."""
        return bool(await self._commit(offsets))

    def unconfirmed_for_s(self) -> float:
        """Seconds since the group last counted this process as a member."""
        consumer = self._thread._consumer
        return float("inf") if consumer is None else consumer.unconfirmed_for_s()

    async def _add_gap(self, tp: TP, offset_from: int, offset_to: int) -> None:
        """Nothing: gaps matter to acknowledgements only."""

    async def verify_all_partitions_active(self) -> None:
        """Nothing: the worker watches its own lag."""


class Producer(driver.Producer):  # type: ignore[misc]  # Faust is not typed
    """Faust's producer with the security settings that every client gets."""

    def _settings_auth(self) -> Mapping[str, Any]:
        config = aiokafka_config(self.transport.kafka)
        return {name: config[name] for name in config if name not in _GIVEN_BY_FAUST}


_GIVEN_BY_FAUST = {"bootstrap_servers", "client_id"}


async def _as_committed(_assigned: Iterable[TP]) -> Mapping[TP, int]:
    return {}


class Transport(driver.Transport):  # type: ignore[misc]  # Faust is not typed
    """Faust's aiokafka transport with portions; set `kafka` and `positions` before the start."""

    Consumer = Consumer
    Producer = Producer
    kafka: KafkaConfig
    positions: Positions = staticmethod(_as_committed)


def url_of(kafka: KafkaConfig) -> str:
    """The broker URL to give to a Faust app that shall read portions."""
    return ";".join(f"{SCHEME}://{address.strip()}" for address in kafka.bootstrap.split(","))


def portions_topic(app: faust.App, name: str) -> Any:
    """A Faust topic whose agents get portions (`streams.fetching.Portion`) as values."""
    return app.topic(name, value_serializer=CODEC, value_type=None, acks=False, internal=False)


codecs.register(CODEC, PortionCodec())
drivers.TRANSPORTS.aliases[SCHEME] = f"{__name__}:Transport"
