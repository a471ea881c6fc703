"""Fetches the bytes of one partition from its leader: no consumer, no group, no object a record.

The client runs in one background thread of the process, whoever calls; so callers may be in an
event loop of their own or in none.
"""

import asyncio
import threading
from collections.abc import Coroutine
from concurrent.futures import Future
from contextlib import suppress
from functools import cache
from typing import Any, TypeVar

from aiokafka import TopicPartition
from aiokafka import errors as kafka_errors
from aiokafka.client import AIOKafkaClient
from aiokafka.protocol.fetch import FetchRequest
from aiokafka.protocol.offset import OffsetRequest

from schemas.errors import StoreError
from streams.config import KafkaConfig
from streams.kafka import aiokafka_config
from streams.record_batch import parse
from streams.records import Records

_T = TypeVar("_T")
_EARLIEST, _LATEST = -2, -1
_READ_UNCOMMITTED = 0
_WAIT_MS = 250
_FETCH_BYTES = 4 << 20
_TIMEOUT_S = 30.0
_RETRY_S = 0.1
_CLOSE_S = 5.0


class Deleted(StoreError):
    """The broker no longer has the offset that was asked for, or has it not yet."""


class PartitionFetch:
    """Reads one partition; `topic` is the name on Kafka. To be closed after use.

    StoreError from any call when the topic is not there or the broker stays away.
    """

    def __init__(self, kafka: KafkaConfig, topic: str, partition: int) -> None:
        self._bootstrap = kafka.bootstrap
        self._config = aiokafka_config(kafka)
        self._place = TopicPartition(topic, partition)
        self._client: Any = None
        _run(self._open()).result()

    def close(self) -> None:
        """Leave the broker."""
        if self._client is not None:
            # A broker that is slow to part from is left; the connection ends with the process.
            with suppress(TimeoutError):
                _run(self._client.close()).result(_CLOSE_S)
            self._client = None

    def bounds(self) -> tuple[int, int]:
        """The first offset that is still there, and the one that the next record will get."""

        async def both() -> tuple[int, int]:
            return await self._offset(_EARLIEST), await self._offset(_LATEST)

        found: tuple[int, int] = _run(self._patiently(both)).result()
        return found

    def fetch(self, offset: int) -> "Future[tuple[Records, int]]":
        """Begin to fetch from an offset on: records, and the offset to fetch next.

        There may be none, where nothing comes for a moment.
        """
        return _run(self._patiently(lambda: self._fetch(offset)))

    async def _open(self) -> None:
        client = AIOKafkaClient(**self._config)
        try:
            await asyncio.wait_for(client.bootstrap(), _TIMEOUT_S)
            await client.set_topics([self._place.topic])
        except (kafka_errors.KafkaError, TimeoutError, OSError) as error:
            await client.close()
            raise StoreError(
                f"Kafka does not answer at {self._bootstrap}: {error}; `tape up` starts the local "
                "one, kafka.bootstrap names another"
            ) from None
        self._client = client
        known = client.cluster.partitions_for_topic(self._place.topic) or set()
        if self._place.partition not in known:
            self._client = None
            await client.close()
            raise StoreError(
                f"{self._place.topic} has no partition {self._place.partition} at "
                f"{self._bootstrap}: `tape up` makes a tape's topics"
            )

    async def _patiently(self, ask: Any) -> Any:
        """Ask again for a while when leaders change or the broker is restarted."""
        loop = asyncio.get_running_loop()
        end = loop.time() + _TIMEOUT_S
        while True:
            try:
                return await ask()
            except kafka_errors.KafkaError as error:
                if not error.retriable or loop.time() > end:
                    gone = isinstance(error, kafka_errors.OffsetOutOfRangeError)
                    raise (Deleted if gone else StoreError)(
                        f"{self._place.topic}[{self._place.partition}] could not be read at "
                        f"{self._bootstrap}: {error!r}"
                    ) from None
                await asyncio.sleep(_RETRY_S)
                await self._client.force_metadata_update()

    async def _send(self, request: Any) -> Any:
        leader = self._client.cluster.leader_for_partition(self._place)
        if leader is None or leader < 0:
            raise kafka_errors.LeaderNotAvailableError(self._place)
        return await self._client.send(leader, request)

    async def _offset(self, which: int) -> int:
        topic, partition = self._place
        asked = OffsetRequest(-1, _READ_UNCOMMITTED, [(topic, [(partition, which)])])
        answer = await self._send(asked)
        ((_, ((_, code, *rest),)),) = answer.topics
        _raise(code)
        return int(rest[-1])

    async def _fetch(self, offset: int) -> tuple[Records, int]:
        topic, partition = self._place
        wanted = [(topic, [(partition, offset, _FETCH_BYTES)])]
        answer = await self._send(
            FetchRequest(_WAIT_MS, 1, _FETCH_BYTES, _READ_UNCOMMITTED, wanted)
        )
        for _, partitions in answer.topics:
            for _, code, _, *rest in partitions:
                _raise(code)
                return parse(bytes(rest[-1] or b""), offset)
        raise kafka_errors.StaleMetadata(self._place)


def _raise(code: int) -> None:
    if code:
        raise kafka_errors.for_code(code)()


@cache
def _loop() -> asyncio.AbstractEventLoop:
    loop = asyncio.new_event_loop()
    threading.Thread(target=loop.run_forever, name="partition-fetch", daemon=True).start()
    return loop


def _run(work: Coroutine[Any, Any, _T]) -> "Future[_T]":
    return asyncio.run_coroutine_threadsafe(work, _loop())
