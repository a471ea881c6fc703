"""`replay`: tape → bars, books and the rest, comparing bytes; the peer only consumes.

Both read the same topics (the tape and all that is derived), each in a process on one core, the
broker beside it. Events are the tape's.
"""

from statistics import median

from benchmarks._recorded import rates, recorded, records
from benchmarks.harness import Result, compare, versions
from schemas import catalogue

_RUNS = 3


def run() -> Result:
    """Measure both sides, alternately."""
    ours, peer = [], []
    with recorded() as tape:
        for _ in range(_RUNS):
            ours.append(rates(tape, "replay"))
            peer.append(rates(tape, "consume"))
        events = tape.events()
        derived = records(tape, tuple(topic.name for topic in catalogue.DERIVED))
    return compare(
        "replay", "events/s", [rate for rate, _ in ours], [rate for rate, _ in peer],
        versions("confluent-kafka", "numba", "numpy"),
        events=events, derived=derived,
        by_processor_time=[round(median(cpu for _, cpu in side)) for side in (ours, peer)],
    )  # fmt: skip
