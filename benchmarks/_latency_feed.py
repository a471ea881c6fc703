"""The input of `latency`: frames of the market model, each parsed and written when it is due.

The frames are made before time runs: what is measured begins where a frame arrives.
"""

import argparse
import gc
import time
from dataclasses import replace
from itertools import takewhile

import msgspec

from schemas.events import Clock
from schemas.registry import Registry
from streams.config import KafkaConfig
from streams.producer import TapeWriter
from venues.feed import Feed
from venues.simulator.market import Market

_SECOND_US = 1_000_000
_AHEAD_US = 10_000_000


def _now_us() -> int:
    return time.time_ns() // 1000


def main() -> None:
    """Feed for some seconds."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("tape", "bootstrap", "registry"):
        parser.add_argument(f"--{name}", required=True)
    for name in ("partitions", "seed"):
        parser.add_argument(f"--{name}", type=int, required=True)
    for name in ("rate", "seconds"):
        parser.add_argument(f"--{name}", type=float, required=True)
    given = parser.parse_args()
    ids = Registry(given.registry).ids(given.tape)
    kafka = KafkaConfig(bootstrap=given.bootstrap)
    writer, feed = TapeWriter(kafka, ids, given.tape, given.partitions), Feed()
    market = Market(seed=given.seed, events_per_second=given.rate)
    # Some seconds ahead, about as long as they take to be made.
    start_us = _now_us() + _AHEAD_US
    last_us = start_us + int(given.seconds * _SECOND_US)
    frames = replace(market, start_time_us=start_us).frames()
    due = list(takewhile(lambda frame: frame.receive_time < last_us, frames))
    gc.collect()
    gc.freeze()
    shift_us = max(0, _now_us() - start_us)
    pulse_us = (start_us + shift_us) // _SECOND_US * _SECOND_US + _SECOND_US
    for frame in due:
        now_us = _now_us()
        wait_us = frame.receive_time + shift_us - now_us
        if wait_us > 0:
            time.sleep(wait_us / 1e6)
            now_us = _now_us()
        for event in feed.receive(msgspec.structs.replace(frame, receive_time=now_us)):
            writer.write(event)
        while pulse_us <= now_us:
            writer.write(Clock(event_time=pulse_us, receive_time=now_us))
            pulse_us += _SECOND_US
    writer.flush()


if __name__ == "__main__":
    main()
