"""An aiokafka consumer that hands out what it fetched of a partition in one piece, as columns.

aiokafka makes an object for each record; here its fetcher's method runs unchanged but for two
names, by which it finds our classes in place of its own. The versions are pinned in
pyproject.toml, and a test holds the names fast.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from types import FunctionType
from typing import Any

from aiokafka import AIOKafkaConsumer
from aiokafka.consumer import consumer as consumer_module
from aiokafka.consumer import fetcher as fetcher_module
from aiokafka.consumer.fetcher import READ_COMMITTED, Fetcher
from aiokafka.consumer.group_coordinator import GroupCoordinator

from streams.record_batch import Aborted, parse, whole_batches
from streams.records import Records


@dataclass(frozen=True, slots=True)
class Portion:
    """All that one fetch brought of one partition.

    Covers the offsets from `start` up to `end` (exclusive), whether there were records or
    not; `fetched_at` is when it came, by the monotonic clock in seconds.
    """

    partition: int
    start: int
    end: int
    records: Records
    fetched_at: float


def renamed(function: Callable[..., Any], **names: Any) -> Callable[..., Any]:
    """The same function, which finds other things under these names of its module."""
    code = function.__code__
    missing = names.keys() - set(code.co_names)
    if missing:
        raise RuntimeError(f"{function.__qualname__} does not use {', '.join(missing)}")
    copied = FunctionType(
        code,
        {**function.__globals__, **names},
        function.__name__,
        function.__defaults__,
        function.__closure__,
    )
    copied.__kwdefaults__ = function.__kwdefaults__
    return copied


class RawBatches:
    """A fetch response's bytes, in the place of aiokafka's MemoryRecords."""

    def __init__(self, data: bytes) -> None:
        self.data = bytes(data or b"")

    def has_next(self) -> bool:
        """Whether there is a whole batch."""
        return whole_batches(self.data)

    def size_in_bytes(self) -> int:
        """Size, the cut batch at the end included."""
        return len(self.data)


class RawPartition:
    """One fetch's records of one partition, in the place of aiokafka's PartitionRecords."""

    def __init__(
        self,
        tp: Any,
        records: RawBatches,
        aborted_transactions: Sequence[Aborted] | None,
        fetch_offset: int,
        key_deserializer: Any,
        value_deserializer: Any,
        check_crcs: bool,
        isolation_level: int,
    ) -> None:
        self._partition = tp.partition
        self._batches: RawBatches | None = records
        self._aborted = aborted_transactions if isolation_level == READ_COMMITTED else None
        self._check_crc = check_crcs
        self._fetched_at = time.monotonic()
        self.next_fetch_offset = fetch_offset

    def __iter__(self) -> Iterator[Portion]:
        return self

    def __next__(self) -> Portion:
        if self._batches is None:
            raise StopIteration
        batches, self._batches = self._batches, None
        start = self.next_fetch_offset
        records, end = parse(batches.data, start, self._aborted, self._check_crc)
        self.next_fetch_offset = end
        return Portion(self._partition, start, end, records, self._fetched_at)


class RawFetcher(Fetcher):  # type: ignore[misc]  # aiokafka is not typed
    """aiokafka's fetcher, yielding portions."""

    _proc_fetch_request = renamed(
        Fetcher._proc_fetch_request, MemoryRecords=RawBatches, PartitionRecords=RawPartition
    )


class LeasedCoordinator(GroupCoordinator):  # type: ignore[misc]  # aiokafka is not typed
    """aiokafka's coordinator, which remembers when the group last counted us as a member."""

    confirmed_at = float("-inf")

    async def _do_heartbeat(self) -> bool:
        asked_at = time.monotonic()
        done: bool = await super()._do_heartbeat()
        if done:
            self.confirmed_at = asked_at
        return done

    async def _do_rejoin_group(self, subscription: Any) -> bool:
        asked_at = time.monotonic()
        done: bool = await super()._do_rejoin_group(subscription)
        if done:
            self.confirmed_at = asked_at
        return done


class RawConsumer(AIOKafkaConsumer):  # type: ignore[misc]  # aiokafka is not typed
    """aiokafka's consumer, yielding portions."""

    start = renamed(AIOKafkaConsumer.start, Fetcher=RawFetcher, GroupCoordinator=LeasedCoordinator)

    def unconfirmed_for_s(self) -> float:
        """Seconds since the group last counted us as a member; inf: never."""
        coordinator = self._coordinator
        if not isinstance(coordinator, LeasedCoordinator):
            return float("inf")
        return time.monotonic() - coordinator.confirmed_at


assert consumer_module.Fetcher is Fetcher
assert fetcher_module.PartitionRecords is not RawPartition
