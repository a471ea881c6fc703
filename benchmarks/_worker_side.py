"""A worker in a process of its own that measures itself: `python -m benchmarks._worker_side`.

It derives a tape to the ends that it has at the start, leaves its last snapshot, and prints what
recovery, snapshots and memory cost.
"""

import argparse
import asyncio
import json
import time
from collections.abc import Mapping
from typing import Any

import psutil

from processors.config import ProcessorsConfig
from schemas.registry import Registry
from streams import log, worker
from streams.config import KafkaConfig, WorkerConfig
from streams.derivation import Derivation, Tools
from streams.records import Records
from streams.snapshots import Place, Snapshot, SnapshotWriter
from streams.telemetry import Metrics
from streams.worker import Parts, Worker

_LOOK_S = 0.05
_HOUR_US = 3_600_000_000
_MB = 1 << 20


class _TimedDerivation(Derivation):
    """Notes how long a partition takes to be restored, and memory at each hour of its events."""

    seconds: list[float] = []  # noqa: RUF012  # of the whole process
    first_us = 0
    rss_by_hour: dict[int, float] = {}  # noqa: RUF012  # of the whole process

    def __init__(self, tools: Tools, partition: int) -> None:
        began = time.perf_counter()
        super().__init__(tools, partition)
        self.seconds.append(time.perf_counter() - began)

    def process(self, records: Records, end: int) -> None:
        super().process(records, end)
        if len(records) > 1:
            # Not the newest time: the tape's first event is a Configured of today.
            now_us = int(records.timestamps_ms[-1]) * 1000
            _TimedDerivation.first_us = self.first_us or now_us
            hour = (now_us - self.first_us) // _HOUR_US
            if hour not in self.rss_by_hour:
                self.rss_by_hour[hour] = _rss_mb()


def _rss_mb() -> float:
    """Resident memory now, MiB."""
    return round(int(psutil.Process().memory_info().rss) / _MB, 1)


class _TimedWriter(SnapshotWriter):
    """Notes how long a partition's snapshot takes to be written, and its bytes."""

    notes: list[tuple[float, int]] = []  # noqa: RUF012  # of the whole process

    def write(
        self,
        partition: int,
        before: Snapshot,
        tape_offset: int,
        event_time: int,
        configuration_hash: str,
        changed: Mapping[Place, bytes],
    ) -> Snapshot:
        began = time.perf_counter()
        after = super().write(
            partition, before, tape_offset, event_time, configuration_hash, changed
        )
        self.notes.append((time.perf_counter() - began, sum(map(len, changed.values()))))
        return after


class _Watch:
    """Looks at a worker from within its loop until it has derived all."""

    def __init__(self, made: Worker, ends: dict[int, int]) -> None:
        self._worker, self._ends = made, ends
        self._began = time.perf_counter()
        self.recovered_s = self.derived_s = 0.0

    async def run(self) -> None:
        """Look until the ends, then let the worker end."""
        while not self._looked():
            await asyncio.sleep(_LOOK_S)
        self._worker.flush()
        self.derived_s = time.perf_counter() - self._began
        self._worker.stop()

    def _looked(self) -> bool:
        positions = self._worker.positions
        if positions.keys() == self._ends.keys() and not self.recovered_s:
            self.recovered_s = time.perf_counter() - self._began
        return bool(self.recovered_s) and all(
            positions.get(partition, 0) >= end for partition, end in self._ends.items()
        )


async def measure(made: Worker, ends: dict[int, int]) -> dict[str, Any]:
    """Run the worker to these ends; its costs."""
    watch = _Watch(made, ends)
    watching = asyncio.create_task(watch.run())
    before = _rss_mb()
    await made.run()
    await watching
    last = _TimedWriter.notes[-len(ends) :]
    return {
        "events": sum(ends.values()),
        "recovered_s": round(watch.recovered_s, 2),
        "restore_s": round(sum(_TimedDerivation.seconds), 2),
        "derived_s": round(watch.derived_s, 2),
        "rss_before_mb": before,
        "rss_mb": _rss_mb(),
        "rss_by_hour_mb": _TimedDerivation.rss_by_hour,
        "snapshots": len(_TimedWriter.notes),
        "snapshot_longest_s": round(max((s for s, _ in _TimedWriter.notes), default=0.0), 3),
        "last_snapshots_s": round(sum(s for s, _ in last), 3),
        "last_snapshots_bytes": sum(size for _, size in last),
    }


def main() -> None:
    """Derive a tape and print what it cost."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("tape", "bootstrap", "registry", "processors"):
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("--snapshot-interval-s", type=float, default=5.0)
    parser.add_argument("--max-batch", type=int, default=WorkerConfig().max_batch)
    given = parser.parse_args()
    kafka = KafkaConfig(bootstrap=given.bootstrap)
    worker.Derivation = _TimedDerivation  # type: ignore[attr-defined]  # to be measured
    worker.SnapshotWriter = _TimedWriter  # type: ignore[attr-defined]  # to be measured
    made = Worker(
        Parts(
            kafka,
            Registry(given.registry),
            given.tape,
            WorkerConfig(snapshot_interval_s=given.snapshot_interval_s, max_batch=given.max_batch),
            ProcessorsConfig.model_validate_json(given.processors),
            Metrics("bench", given.tape),
        )
    )
    print(json.dumps(asyncio.run(measure(made, log.ends(kafka, given.tape, "tape")))))


if __name__ == "__main__":
    main()
