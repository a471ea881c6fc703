"""`features-stream`: tape → all stages with features → produced; the peer is it without features.

The worker of `bars` on the same topic of recorded events, one process on one core, the broker
beside it. The peer is this very worker with `features.enabled` off: the spine's own rate.
"""

import os
import subprocess
import sys

from benchmarks._tapes import BenchTape, bench_tape, fill, market_events
from benchmarks.harness import Result, compare, last_json, versions
from processors.config import BarsConfig, FeaturesConfig, ProcessorsConfig
from streams import log

_RUNS = 3
_COPIES = 3


def run() -> Result:
    """Measure both sides, alternately."""
    events = market_events()
    for enabled in (True, False):
        # Kernels are compiled once a machine, not once a run.
        with bench_tape(_processors(enabled)) as tape:
            fill(tape, events[:20_000], 1)
            _rate(tape)
    ours: list[float] = []
    peer: list[float] = []
    for _ in range(_RUNS):
        # A tape of its own for each run: a worker goes on where the one before ended.
        for enabled, rates in ((True, ours), (False, peer)):
            with bench_tape(_processors(enabled)) as tape:
                fill(tape, events, _COPIES)
                count = tape.events()
                rates.append(_rate(tape))
                if enabled:
                    vectors = sum(log.ends(tape.kafka, tape.name, "features").values())
    return compare(
        "features-stream", "events/s", ours, peer,
        versions("faust-streaming", "aiokafka", "confluent-kafka", "numba"),
        events=count, vectors=vectors,
    )  # fmt: skip


def _processors(enabled: bool) -> ProcessorsConfig:
    return ProcessorsConfig(
        bars=BarsConfig(intervals=("1s", "1m", "5m")), features=FeaturesConfig(enabled=enabled)
    )


def _rate(tape: BenchTape) -> float:
    command = [sys.executable, "-m", "benchmarks._bars_ours", "--tape", tape.name]
    command += ["--bootstrap", tape.kafka.bootstrap, "--registry", tape.registry_url]
    command += ["--processors", tape.processors.canonical_json()]
    command += ["--core", str(max(os.sched_getaffinity(0)))]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    return float(last_json(done, "our worker")["rate"])
