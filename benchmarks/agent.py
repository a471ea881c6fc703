"""`agent`: events per second through a Faust agent, raw; the peer is a stock Faust agent.

Both read the same topic of recorded events in their Avro form; neither decodes them.
"""

import subprocess
import sys

from benchmarks._tapes import BenchTape, bench_tape, fill, market_events
from benchmarks.harness import Result, compare, last_json, versions
from processors.config import ProcessorsConfig
from schemas.catalogue import kafka_name

_RUNS = 3
_COPIES = 2
_PEER_EVENTS = 60_000


def run() -> Result:
    """Measure both sides, alternately, each in a new process."""
    ours, peer = [], []
    with bench_tape(ProcessorsConfig()) as tape:
        fill(tape, market_events(), _COPIES)
        count = tape.events()
        for _ in range(_RUNS):
            ours.append(_rate(tape, "ours", count))
            peer.append(_rate(tape, "stock", _PEER_EVENTS))
    return compare(
        "agent", "events/s", ours, peer, versions("faust-streaming", "aiokafka", "numba"),
        events=count, peer_events=_PEER_EVENTS,
    )  # fmt: skip


def _rate(tape: BenchTape, side: str, count: int) -> float:
    command = [sys.executable, "-m", "benchmarks._agent_side", side]
    command += [tape.kafka.bootstrap, kafka_name(tape.name, "tape"), str(count)]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    return float(last_json(done, f"the {side} agent")["rate"])
