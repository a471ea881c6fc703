"""`scale`: cost of an event with 500 symbols; the peer is the same pipeline with 10.

Each symbol brings the same rate of events, so that more symbols mean more events and not quieter
ones. 16 partitions, one core, batches of equal numbers of events, bytes to bytes: decoded, derived,
encoded; and the same on one partition. Then a real worker with 500 symbols on 16 partitions: its
snapshots, recovery and memory.
"""

import json
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

from benchmarks._tapes import BenchTape, bench_tape
from benchmarks.harness import Result, compare, last_json, versions
from processors.config import ProcessorsConfig
from schemas.events import Clock, Event
from streams.producer import TapeWriter
from venues.feed import Feed
from venues.simulator.market import Market

_SYMBOLS = (10, 50, 500)
_VENUES = ("binance-spot", "bybit-spot")
# Frames a second of a symbol on both venues.
_RATE = 40.0
_EVENTS = 1_000_000
_RUNS = 3
PARTITIONS = 16
_WORKER_EVENTS = 600_000


def run() -> Result:
    """Measure the pipeline with each number of symbols, then the worker."""
    sides = {symbols: _pipeline(symbols) for symbols in _SYMBOLS}
    most, least = sides[max(_SYMBOLS)], sides[min(_SYMBOLS)]
    return compare(
        "scale", "µs/event", most["runs"], least["runs"], versions("numba", "numpy"),
        more_is_better=False, events=_EVENTS, pipeline=list(sides.values()),
        worker=worker(max(_SYMBOLS)),
    )  # fmt: skip


def _pipeline(symbols: int) -> dict[str, Any]:
    command = [sys.executable, "-m", "benchmarks._scale_side"]
    command += [str(symbols), str(_EVENTS), str(_RUNS)]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    return last_json(done, f"the pipeline with {symbols} symbols")


def names(symbols: int) -> list[str]:
    """Canonical symbols, so many."""
    return [f"S{number:03d}-USDT" for number in range(symbols)]


def events(symbols: int, count: int, rate: float = _RATE) -> Iterator[Event]:
    """So many events of the market model, each symbol at the same rate, with Clock pulses."""
    market = Market(
        seed=4, symbols=names(symbols), venues=_VENUES, events_per_second=rate * symbols
    )
    feed, made, now = Feed(), 0, market.start_us
    for second in market.seconds():
        for frame in second:
            for event in feed.receive(frame):
                yield event
                made += 1
                if made == count:
                    return
        now += 1_000_000
        yield Clock(event_time=now, receive_time=now)


def worker(symbols: int) -> dict[str, Any]:
    """What a worker with so many symbols costs: the whole tape, then a start from its snapshot."""
    processors = ProcessorsConfig()
    with bench_tape(processors, PARTITIONS) as tape:
        writer = TapeWriter(tape.kafka, tape.ids, tape.name, PARTITIONS)
        for event in events(symbols, _WORKER_EVENTS):
            writer.write(event)
        writer.flush()
        return {"first": worker_side(tape), "again": worker_side(tape)}


def worker_side(tape: BenchTape, *options: str) -> dict[str, Any]:
    """A worker over a tape in a process of its own, to the tape's end."""
    command = [sys.executable, "-m", "benchmarks._worker_side", "--tape", tape.name]
    command += ["--bootstrap", tape.kafka.bootstrap, "--registry", tape.registry_url]
    command += ["--processors", tape.processors.canonical_json()]
    command += options
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    return last_json(done, "the worker")


if __name__ == "__main__":
    sys.stdout.write(json.dumps(worker(int(sys.argv[1]))) + "\n")
