"""`replay`: tape → bars, books and the rest, comparing bytes; the peer only consumes.

Both read the same topics (the tape and all that is derived), each in a process on one core, the
broker beside it. Events are the tape's.
"""

from benchmarks._recorded import recorded, records, seconds
from benchmarks.harness import Result, compare, versions
from schemas import catalogue

_RUNS = 3


def run() -> Result:
    """Measure both sides, alternately."""
    ours, peer = [], []
    with recorded() as tape:
        events = tape.events()
        for _ in range(_RUNS):
            ours.append(events / seconds(tape, "replay"))
            peer.append(events / seconds(tape, "consume"))
        derived = records(tape, tuple(topic.name for topic in catalogue.DERIVED))
    return compare(
        "replay", "events/s", ours, peer, versions("confluent-kafka", "numba", "numpy"),
        events=events, derived=derived,
    )  # fmt: skip
