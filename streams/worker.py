"""The worker: one Faust agent over the tape that derives every partition it is assigned.

Positions come from snapshots. Faust brings portions and says when partitions come and go; a
portion that does not begin where the partition stands is not processed but fetched again, so
whatever a rebalance loses or repeats does no harm.
"""

import asyncio
import gc
import signal
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import faust
from aiokafka.errors import KafkaError
from faust.types import TP

from processors.config import ProcessorsConfig
from schemas import catalogue
from schemas.catalogue import kafka_name
from schemas.errors import StoreError, TapeError
from schemas.registry import Registry
from streams import topics
from streams.config import KafkaConfig, WorkerConfig
from streams.decoding import BatchDecoder
from streams.derivation import Derivation, Expectation, Tools
from streams.emitter import Emitter
from streams.fetching import Portion
from streams.logs import logger
from streams.snapshots import SnapshotWriter
from streams.telemetry import Metrics
from streams.transport import portions_topic, url_of

_log = logger("streams.worker")

_HEARTBEAT_S = 1.0
# A member that was not confirmed for so long, less this, may have lost its partitions: it stops
# deriving before the group gives them to another.
_LEASE_MARGIN_S = 2.0
_REBALANCE_S = 60.0
_RECOVERY_S = 600.0
_TICK_S = 0.1
_STOP_S = 5.0
_FETCH_BYTES = 2 << 20


def group_of(tape: str) -> str:
    """The consumer group of a tape's workers."""
    return f"{tape}.worker"


@dataclass(frozen=True, slots=True)
class Parts:
    """All that a worker is made of."""

    kafka: KafkaConfig
    registry: Registry
    tape: str
    config: WorkerConfig
    processors: ProcessorsConfig
    metrics: Metrics


class Worker:
    """Derives a tape until it is told to stop; StoreError when Kafka or the registry is away."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._topic = kafka_name(parts.tape, catalogue.TAPE)
        topics.partitions_of(parts.kafka, parts.tape)
        ids = parts.registry.ids(parts.tape)
        self._tools = Tools(
            parts.kafka,
            ids,
            parts.tape,
            BatchDecoder(catalogue.TAPE, ids),
            Emitter(parts.kafka, ids, parts.tape, parts.config.linger_ms),
            parts.metrics,
            Expectation(parts.processors.hash()),
        )
        self._snapshots = SnapshotWriter(parts.kafka, ids, parts.tape)
        self._owned: dict[int, Derivation] = {}
        self._generation = -1
        self._stray: set[int] = set()
        self._seeking, self._writing = asyncio.Lock(), asyncio.Lock()
        self._over = asyncio.Event()
        self._failure: BaseException | None = None
        self._app: Any = None

    async def run(self) -> None:
        """Work until `stop` or SIGTERM or SIGINT, then leave a last snapshot and the group."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.stop)
        with tempfile.TemporaryDirectory(prefix="tape-worker-") as folder:
            self._app = self._make_app(folder)
            self._app.transport.kafka = self._parts.kafka
            self._app.transport.positions = self._positions
            # What is loaded by now stays: collections need not look at it again and again.
            gc.collect()
            gc.freeze()
            ticking = asyncio.create_task(self._tick())
            try:
                await self._start()
                await self._over.wait()
            except KafkaError as error:
                kafka = self._parts.kafka
                raise StoreError(
                    f"Kafka let the worker's consumer not in at {kafka.bootstrap} "
                    f"({kafka.security_protocol}): {error}; the log tells more, `tape doctor` "
                    "looks at the settings"
                ) from error
            finally:
                ticking.cancel()
                await self._end()
        if self._failure is not None:
            raise self._failure

    async def _start(self) -> None:
        """Start Faust, which waits for Kafka without end, unless it is to end before."""
        starting = asyncio.ensure_future(self._app.start())
        over = asyncio.ensure_future(self._over.wait())
        await asyncio.wait({starting, over}, return_when=asyncio.FIRST_COMPLETED)
        over.cancel()
        if starting.done():
            starting.result()
        else:
            starting.cancel()

    @property
    def positions(self) -> dict[int, int]:
        """First offset that is not processed, by partition that this worker owns."""
        return {partition: one.next_offset for partition, one in self._owned.items()}

    def flush(self) -> None:
        """Wait until all that was derived so far is acknowledged by Kafka."""
        self._tools.emitter.flush()

    def stop(self) -> None:
        """Ask the worker to end in order."""
        self._over.set()

    def fail(self, error: BaseException) -> None:
        """End the worker with this error: it starts again from its snapshots."""
        if self._failure is None:
            self._failure = error
            _log.error("failed", error=str(error), kind=type(error).__name__)
        self._over.set()

    def _make_app(self, folder: str) -> faust.App:
        parts = self._parts
        app = faust.App(
            group_of(parts.tape),
            broker=url_of(parts.kafka),
            store="memory://",
            datadir=folder,
            web_enabled=False,
            topic_disable_leader=True,
            topic_allow_declare=False,
            stream_wait_empty=False,
            stream_recovery_delay=0,
            broker_session_timeout=parts.config.session_timeout_s,
            broker_heartbeat_interval=_HEARTBEAT_S,
            broker_rebalance_timeout=_REBALANCE_S,
            # Faust gives recovery no more time than a request.
            broker_request_timeout=_RECOVERY_S,
            # In portions: what waits in memory is bounded.
            stream_buffer_maxsize=16,
            consumer_max_fetch_size=_FETCH_BYTES,
        )
        app.on_partitions_revoked.connect(self._revoked)

        @app.agent(portions_topic(app, self._topic))
        async def derive(portions: Any) -> None:
            async for portion in portions:
                self._take(portion)

        return app

    def _take(self, portion: Portion) -> None:
        """Derive a portion if it begins where its partition stands."""
        self._parts.metrics.health.beat()
        derivation = self._owned.get(portion.partition)
        if derivation is None or self._over.is_set():
            return
        blocked = derivation.blocked is not None
        if self._lease_is_over() or (portion.start > derivation.next_offset and not blocked):
            self._stray.add(portion.partition)
            return
        try:
            self._derive(derivation, portion)
        except Exception as error:  # the process's edge: it ends, and recovers from its snapshot
            self.fail(error)
        if blocked and derivation.blocked is None:
            # What was only looked at is to be derived now.
            self._stray.add(portion.partition)

    def _derive(self, derivation: Derivation, portion: Portion) -> None:
        before = self._tools.expected.configuration_hash
        records, most = portion.records, self._parts.config.max_batch
        if derivation.blocked is not None:
            derivation.process(records, portion.end)
            return
        if portion.start < derivation.next_offset:
            records = records.between(derivation.next_offset, portion.end)
        for begin in range(0, max(len(records), 1), most):
            part = records.part(begin, begin + most)
            last = begin + most >= len(records)
            end = portion.end if last else int(part.offsets[-1]) + 1
            if end > derivation.next_offset and derivation.blocked is None:
                derivation.process(part, end)
        self._tools.emitter.poll()
        if before != self._tools.expected.configuration_hash:
            for other in self._owned.values():
                other.reconsider()
                self._stray.add(other.partition)

    def _lease_is_over(self) -> bool:
        limit = self._parts.config.session_timeout_s - _LEASE_MARGIN_S
        return bool(self._app.consumer.unconfirmed_for_s() > limit)

    async def _positions(self, assigned: set[TP]) -> Mapping[TP, int]:
        """Recover what is newly assigned; where each partition is to be read from."""
        async with self._seeking:
            generation = self._app.consumer_generation_id
            if generation != self._generation:
                # Whatever was owned before may have been another's in between.
                self._owned.clear()
                self._generation = generation
            wanted = {tp.partition for tp in assigned if tp.topic == self._topic}
            for partition in self._owned.keys() - wanted:
                del self._owned[partition]
            try:
                for partition in sorted(wanted - self._owned.keys()):
                    self._owned[partition] = await asyncio.to_thread(
                        Derivation, self._tools, partition
                    )
            except TapeError as error:
                self.fail(error)
                return {}
            self._stray.clear()
            self._tell(wanted)
            return {
                tp: self._owned[tp.partition].next_offset
                for tp in assigned
                if tp.partition in self._owned
            }

    def _tell(self, wanted: set[int]) -> None:
        metrics = self._parts.metrics
        metrics.assigned.set(len(wanted))
        metrics.rebalances.inc()
        metrics.health.ready()
        for name in (metrics.lag, metrics.snapshot_age, metrics.configuration_mismatch):
            name.clear()
        self._measure()
        _log.info(
            "assigned",
            partitions=sorted(wanted),
            positions=[self._owned[partition].next_offset for partition in sorted(wanted)],
        )

    async def _revoked(self, _app: Any, revoked: set[TP], **_: Any) -> None:
        """Leave a snapshot of what goes, for whoever gets it."""
        async with self._seeking:
            try:
                await self._snapshot(list(self._owned.values()))
            except TapeError as error:
                self.fail(error)
            self._owned.clear()
            _log.info("revoked", partitions=sorted(tp.partition for tp in revoked))

    async def _tick(self) -> None:
        """What is to be done from time to time, whether events come or not."""
        try:
            while True:
                await asyncio.sleep(_TICK_S)
                self._parts.metrics.health.beat()
                self._tools.emitter.poll()
                await self._fetch_strays()
                due = [
                    derivation
                    for derivation in self._owned.values()
                    if derivation.due(self._parts.config.snapshot_interval_s)
                ]
                await self._snapshot(due)
                self._measure()
        except asyncio.CancelledError:
            raise
        except Exception as error:  # the process's edge
            self.fail(error)

    async def _fetch_strays(self) -> None:
        """Fetch again where a portion could not be taken."""
        if not self._stray or self._lease_is_over() or self._app.rebalancing:
            return
        async with self._seeking:
            stray, self._stray = self._stray, set()
            positions = {
                TP(self._topic, partition): self._owned[partition].next_offset
                for partition in stray
                if partition in self._owned
            }
            assigned = self._app.consumer.assignment()
            positions = {tp: offset for tp, offset in positions.items() if tp in assigned}
            if positions:
                _log.info(
                    "fetching_again", positions={t.partition: o for t, o in positions.items()}
                )
                await self._app.consumer.seek_wait(positions)

    async def _snapshot(self, derivations: list[Derivation]) -> None:
        """Outputs acknowledged, then states, then the manifest, then the group's offset."""
        if not derivations or self._lease_is_over():
            return
        async with self._writing:
            work = [
                (one, one.next_offset, one.event_time, one.changes())
                for one in derivations
                if one.next_offset > one.snapshot.tape_offset
            ]
            if not work:
                return
            self._tools.emitter.flush()
            for one, offset, event_time, changed in work:
                one.snapshot = await asyncio.to_thread(
                    self._snapshots.write,
                    one.partition,
                    one.snapshot,
                    offset,
                    event_time,
                    one.pipeline.configuration_hash,
                    changed,
                )
                one.snapshot_at = time.monotonic()
                size = sum(map(len, changed.values()))
                self._parts.metrics.snapshot_bytes.labels(str(one.partition)).inc(size)
            await self._commit({TP(self._topic, one.partition): at for one, at, _, _ in work})

    async def _commit(self, offsets: dict[TP, int]) -> None:
        """Tell the group, so that lag can be seen; positions come from snapshots."""
        try:
            await asyncio.wait_for(self._app.consumer.commit_offsets(offsets), _STOP_S)
        except (TimeoutError, StoreError):
            _log.warning("commit_failed", partitions=sorted(tp.partition for tp in offsets))

    def _measure(self) -> None:
        metrics, now = self._parts.metrics, time.monotonic()
        blocked = []
        assigned = self._app.consumer.assignment() if self._owned else set()
        for partition, one in list(self._owned.items()):
            label, tp = str(partition), TP(self._topic, partition)
            high = self._app.consumer.highwater(tp) if tp in assigned else None
            if high is not None:
                metrics.lag.labels(catalogue.TAPE, label).set(max(0, high - one.next_offset))
            metrics.snapshot_age.labels(label).set(now - one.snapshot_at)
            metrics.configuration_mismatch.labels(label).set(one.blocked is not None)
            for name, total in one.pipeline.counts().items():
                metrics.processor.labels(name, label).set(total)
            if one.blocked is not None:
                blocked.append(one.blocked)
        if blocked:
            metrics.health.unready("configuration", "\n".join(blocked))
        else:
            metrics.health.ready("configuration")

    async def _end(self) -> None:
        self._parts.metrics.health.unready("stop", "stopping")
        if self._failure is None:
            try:
                await self._snapshot(list(self._owned.values()))
            except TapeError as error:
                self.fail(error)
        try:
            await asyncio.wait_for(self._app.stop(), _STOP_S)
        except TimeoutError:
            _log.warning("faust_did_not_stop")
        _log.info("ended")
