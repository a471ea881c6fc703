"""What the sink tells of itself: metrics, health, logs."""

import time
from collections.abc import Mapping, Sequence

import numpy as np

from sinks.maintenance import Maintained
from sinks.rows import Position
from sinks.store import Update
from streams.logs import logger
from streams.telemetry import Metrics

_log = logger("sink")


class Telemetry:
    """An observer that fills the metrics of a sink's process."""

    def __init__(self, metrics: Metrics, sink: str) -> None:
        self._metrics, self._sink = metrics, sink

    def started(self, lost: Mapping[Position, tuple[int, int]]) -> None:
        """It reads on from the database's offsets; `lost` was deleted before it was read."""
        for (topic, partition), (begin, end) in lost.items():
            _log.warning(
                "events_lost", topic=topic, partition=partition, from_offset=begin, to_offset=end
            )
        self._metrics.health.ready("database")
        self._metrics.health.ready()
        _log.info("sink_reads", sink=self._sink)

    def beat(self) -> None:
        """The main loop went round."""
        self._metrics.health.beat()

    def stored(self, updates: Sequence[Update], seconds: float) -> None:
        """A transaction was committed."""
        now_us = time.time_ns() // 1_000
        for update in updates:
            topic = update.state.rows.topic
            for record, count in update.records.items():
                self._metrics.events_in.labels(topic, record).inc(count)
            for rows in update.rows:
                self._metrics.sink_rows.labels(self._sink, rows.table.name).inc(len(rows.encoded))
                latency = (now_us - rows.received).astype(np.float64) / 1e6
                self._metrics.latency.observe(topic, latency)
        _log.debug("stored", sink=self._sink, partitions=len(updates), seconds=seconds)

    def lag(self, topic: str, partition: int, events: int) -> None:
        """So many events are there that are not stored."""
        self._metrics.lag.labels(topic, str(partition)).set(events)

    def refused(self, topic: str, count: int) -> None:
        """Dead letters were written."""
        self._metrics.dead_letters.labels(topic, "sink").inc(count)
        _log.warning("dead_letters", sink=self._sink, topic=topic, count=count)

    def maintained(self, done: Sequence[Maintained]) -> None:
        """Tables were looked after."""
        for one in done:
            if one.created or one.dropped:
                _log.info(
                    "table_maintained", table=one.table, created=one.created, dropped=one.dropped,
                    dropped_before=str(one.dropped_before or ""),
                )  # fmt: skip
        for note in sorted({one.note for one in done} - {""}):
            _log.info("maintenance_skipped", reason=note)

    def waiting(self, reason: str, seconds: float) -> None:
        """It tries again after this time."""
        self._metrics.health.unready("database", reason)
        self._metrics.health.beat()
        _log.warning("sink_waits", sink=self._sink, reason=reason, seconds=seconds)
