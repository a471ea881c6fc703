"""`memory`: what a worker holds after 24 h of events of 10 symbols; the peer is itself after 1 h.

Hours are of the events: the market model at a modest rate, derived as fast as it goes. The
worker's resident memory is read at each hour of the events.
"""

from benchmarks._tapes import bench_tape
from benchmarks.harness import Result, compare, versions
from benchmarks.scale import events, worker_side
from processors.config import ProcessorsConfig
from streams.producer import TapeWriter

_HOURS = 24
_SYMBOLS = 10
# Frames a second of a symbol: one takes the model about as long as ten.
_RATE = 0.6
_PARTITIONS = 2


def run() -> Result:
    """Write the hours to a tape, derive them in a process of its own."""
    processors = ProcessorsConfig()
    end_us, first_us = _HOURS * 3_600_000_000, 0
    with bench_tape(processors, _PARTITIONS) as tape:
        writer = TapeWriter(tape.kafka, tape.ids, tape.name, _PARTITIONS)
        for event in events(_SYMBOLS, 1 << 62, _RATE):
            time_us: int = event.event_time  # type: ignore[attr-defined]  # all of the model's have
            first_us = first_us or time_us
            if time_us - first_us > end_us:
                break
            writer.write(event)
        writer.flush()
        found = worker_side(tape, "--max-batch", "1024")
    by_hour = {int(hour): size for hour, size in found["rss_by_hour_mb"].items()}
    hour_1, last = by_hour[min(hour for hour in by_hour if hour >= 1)], by_hour[max(by_hour)]
    return compare(
        "memory", "MiB", [last], [hour_1], versions("faust-streaming", "aiokafka", "numpy"),
        more_is_better=False, flat=abs(last / hour_1 - 1) <= 0.1, worker=found,
    )  # fmt: skip
