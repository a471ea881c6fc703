"""The demo's input: the market model's frames onto the tape, in time; `python -m tape.demo.feed`.

A process of its own, as a collector is: it prepares, waits for a line on standard input, feeds,
and ends after its time or on SIGTERM or SIGINT with what it wrote on the tape.
"""

import argparse
import json
import signal
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from types import FrameType

from schemas.events import Clock, Event
from streams.producer import TapeWriter
from tape import config
from tape.clients import registry
from venues.feed import Feed
from venues.frames import Frame
from venues.simulator.market import Market

_SECOND_US = 1_000_000
# A feed that is behind its time still writes and looks at the clock this often.
_MOST_AT_ONCE = 500


class Stop:
    """Set by SIGTERM and SIGINT."""

    def __init__(self) -> None:
        self.asked = False
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._ask)

    def _ask(self, _number: int, _frame: FrameType | None) -> None:
        self.asked = True


def _now_us() -> int:
    return time.time_ns() // 1000


def in_time(frames: Iterator[Frame], stop: Stop, until_us: int) -> Iterator[list[Frame]]:
    """The frames when they are due, stamped with the time at which they are handed out."""
    due: list[Frame] = []
    for frame in frames:
        wait_us = frame.receive_time - _now_us()
        if wait_us > 0:
            if due:
                yield due
                due = []
                wait_us = frame.receive_time - _now_us()
            if stop.asked or frame.receive_time > until_us:
                return
            time.sleep(max(wait_us, 0) / 1e6)
        due.append(replace(frame, receive_time=_now_us()))
        if len(due) == _MOST_AT_ONCE:
            yield due
            due = []
            if stop.asked or frame.receive_time > until_us:
                return


def run(
    settings: config.Settings, stop: Stop, seconds: float, seed: int, rate: float
) -> Counter[str]:
    """Feed for so many seconds; the number of events written by record type."""
    ids = registry(settings).ids(settings.tape)
    writer = TapeWriter(settings.kafka, ids, settings.tape, settings.partitions)
    feed, written = Feed(), Counter[str]()

    def write(event: Event) -> None:
        writer.write(event)
        written[type(event).__name__] += 1

    market = Market(
        seed=seed, symbols=settings.symbols, venues=settings.venues, events_per_second=rate
    )
    # The first frame compiles the model's kernels (the first time, seconds): before time runs.
    next(market.frames())
    # Without the line, whoever started us is gone.
    if not sys.stdin.readline() or stop.asked:
        return written
    start_us = _now_us()
    market = replace(market, start_time_us=start_us)
    pulse_us = (start_us // _SECOND_US + 1) * _SECOND_US
    for frames in in_time(market.frames(), stop, start_us + int(seconds * _SECOND_US)):
        for frame in frames:
            for event in feed.receive(frame):
                write(event)
        now_us = frames[-1].receive_time
        while pulse_us <= now_us:
            write(Clock(event_time=pulse_us, receive_time=now_us))
            pulse_us += _SECOND_US
    for event in feed.finish():
        write(event)
    writer.flush()
    return written


def main() -> None:
    """Read the arguments, feed, print what was written as JSON."""
    stop = Stop()
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, required=True)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--rate", type=float, default=2_000.0, help="frames a second")
    arguments = parser.parse_args()
    written = run(config.load(), stop, arguments.seconds, arguments.seed, arguments.rate)
    print(json.dumps(written), flush=True)


if __name__ == "__main__":
    main()
