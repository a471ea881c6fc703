"""`bars`: tape → decoded → books and one-second bars → produced; the peer is Quix Streams.

Both read the same topic of recorded events, one process on one core, the broker beside it.
Ours keeps books, bars and reference prices; the peer makes bars of the trades only.
"""

import os
import subprocess
import sys
from pathlib import Path

from confluent_kafka.admin import AdminClient

from benchmarks._tapes import BenchTape, bench_tape, fill, market_events
from benchmarks.harness import Result, compare, isolated, last_json, versions
from processors.config import BarsConfig, FeaturesConfig, ProcessorsConfig
from schemas.catalogue import kafka_name
from streams.kafka import client_config

_RUNS = 3
_COPIES = 3
_PEER_EVENTS = 40_000
_QUIX = "quixstreams[avro]==3.28.1"


def run() -> Result:
    """Measure both sides, alternately."""
    core = max(os.sched_getaffinity(0))
    processors = ProcessorsConfig(
        bars=BarsConfig(intervals=("1s",)), features=FeaturesConfig(enabled=False)
    )
    ours, peer = [], []
    with bench_tape(processors) as warm_up:
        # Kernels are compiled once a machine, not once a run.
        events = market_events()
        fill(warm_up, events[:20_000], 1)
        _ours(warm_up, core)
    for number in range(_RUNS):
        # A tape of its own for each run: a worker goes on where the one before ended.
        with bench_tape(processors) as tape:
            fill(tape, events, _COPIES)
            count = tape.events()
            ours.append(_ours(tape, core))
            peer.append(_quix(tape, core, number))
    return compare(
        "bars", "events/s", ours, peer,
        {**versions("faust-streaming", "aiokafka", "confluent-kafka", "numba"), "peer": _QUIX},
        events=count, peer_events=_PEER_EVENTS,
    )  # fmt: skip


def _ours(tape: BenchTape, core: int) -> float:
    command = [sys.executable, "-m", "benchmarks._bars_ours", "--tape", tape.name]
    command += ["--bootstrap", tape.kafka.bootstrap, "--registry", tape.registry_url]
    command += ["--processors", tape.processors.canonical_json(), "--core", str(core)]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    return float(last_json(done, "our worker")["rate"])


def _quix(tape: BenchTape, core: int, number: int) -> float:
    group, output = f"{tape.name}.quix{number}", f"{tape.name}.quix{number}-bars"
    found = isolated(
        Path(__file__).with_name("_bars_quix.py"), _QUIX,
        "--bootstrap", tape.kafka.bootstrap, "--registry", tape.registry_url,
        "--topic", kafka_name(tape.name, "tape"), "--group", group, "--output", output,
        "--count", str(_PEER_EVENTS), "--core", str(core),
    )  # fmt: skip
    admin = AdminClient(client_config(tape.kafka))
    made = [name for name in admin.list_topics(timeout=10).topics if group in name]
    for deletion in (admin.delete_topics(made) if made else {}).values():
        deletion.result(10)
    return float(found["rate"])
