"""A recorded tape with what a worker derived of it, for `replay` and `replay-archive`."""

import asyncio
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from benchmarks._tapes import BenchTape, bench_tape, fill, market_events
from benchmarks.harness import last_json
from processors.config import BarsConfig, FeaturesConfig, ProcessorsConfig
from streams import log
from streams.config import WorkerConfig
from streams.telemetry import Metrics
from streams.worker import Parts, Worker

_COPIES = 3
_LOOK_S = 0.1


@contextmanager
def recorded() -> Iterator[BenchTape]:
    """A tape of recorded events, processed by a worker."""
    processors = ProcessorsConfig(
        bars=BarsConfig(intervals=("1s",)), features=FeaturesConfig(enabled=False)
    )
    with bench_tape(processors) as tape:
        fill(tape, market_events(), _COPIES)
        asyncio.run(_process(tape))
        yield tape


async def _process(tape: BenchTape) -> None:
    parts = Parts(
        tape.kafka, tape.registry, tape.name, WorkerConfig(linger_ms=5), tape.processors,
        Metrics("bench", tape.name),
    )  # fmt: skip
    worker = Worker(parts)
    end = log.ends(tape.kafka, tape.name, "tape")[0]

    async def watch() -> None:
        while worker.positions.get(0, 0) < end:
            await asyncio.sleep(_LOOK_S)
        worker.stop()

    watching = asyncio.create_task(watch())
    await worker.run()
    await watching


def rates(tape: BenchTape, side: str, archive: str = "") -> tuple[float, float]:
    """Tape events a second of one side (`replay` or `consume`), in a process on one core.

    By the clock, and by the processor's time: the latter says more on a busy machine.
    """
    command = [sys.executable, "-m", "benchmarks._replaying", "--side", side, "--tape", tape.name]
    command += ["--bootstrap", tape.kafka.bootstrap, "--registry", tape.registry_url]
    command += ["--archive", archive, "--core", str(max(os.sched_getaffinity(0)))]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    found, events = last_json(done, side), tape.events()
    return events / float(found["seconds"]), events / float(found["cpu"])


def records(tape: BenchTape, topics: tuple[str, ...]) -> int:
    """Records on these topics."""
    return sum(sum(log.ends(tape.kafka, tape.name, topic).values()) for topic in topics)
