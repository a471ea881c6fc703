"""Our side of `bars`, in a process pinned to one core: `python -m benchmarks._bars_ours TAPE`."""

import argparse
import asyncio
import json
import os
import time

from processors.config import ProcessorsConfig
from schemas.registry import Registry
from streams import log
from streams.config import KafkaConfig, WorkerConfig
from streams.telemetry import Metrics
from streams.worker import Parts, Worker

_LOOK_S = 0.001
# librdkafka's default, which the peer has too.
_LINGER_MS = 5


async def measure(worker: Worker, end: int) -> float:
    """Events per second between the first portion's end and the last event's acknowledgement."""
    seen: list[tuple[float, int]] = []

    async def watch() -> None:
        while not seen or seen[-1][1] < end:
            await asyncio.sleep(_LOOK_S)
            offset = worker.positions.get(0, 0)
            if offset and (not seen or offset > seen[-1][1]):
                seen.append((time.perf_counter(), offset))
        worker.flush()
        seen.append((time.perf_counter(), end))
        worker.stop()

    watching = asyncio.create_task(watch())
    await worker.run()
    await watching
    (began, first), (ended, last) = seen[0], seen[-1]
    return (last - first) / (ended - began)


def main() -> None:
    """Derive the whole tape and print how fast that was."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("tape", "bootstrap", "registry", "processors"):
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("--core", type=int, required=True)
    given = parser.parse_args()
    os.sched_setaffinity(0, {given.core})
    kafka = KafkaConfig(bootstrap=given.bootstrap)
    worker = Worker(
        Parts(
            kafka,
            Registry(given.registry),
            given.tape,
            WorkerConfig(linger_ms=_LINGER_MS),
            ProcessorsConfig.model_validate_json(given.processors),
            Metrics("bench", given.tape),
        )
    )
    end = log.ends(kafka, given.tape, "tape")[0]
    rate = asyncio.run(measure(worker, end))
    print(json.dumps({"rate": rate, "events": end}))


if __name__ == "__main__":
    main()
