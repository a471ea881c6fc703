"""Clock pulses: each whole second of this machine's clock, to every partition, whatever comes."""

import asyncio
import time
from collections.abc import Callable

from schemas.events import Clock, Event

SECOND_US = 1_000_000
# After a longer stop (the machine slept) the seconds between are left out.
MOST_LATE_US = 60 * SECOND_US


def due(newest_us: int, now_us: int) -> range:
    """The whole seconds after `newest_us` up to now, microseconds UTC."""
    last = now_us // SECOND_US * SECOND_US
    first = newest_us + SECOND_US
    if last - first > MOST_LATE_US:
        first = last
    return range(first, last + 1, SECOND_US)


async def pulse(write: Callable[[Event], None]) -> None:
    """Write pulses until cancelled."""
    newest = time.time_ns() // 1000 // SECOND_US * SECOND_US
    while True:
        now_us = time.time_ns() // 1000
        for second_us in due(newest, now_us):
            write(Clock(event_time=second_us, receive_time=now_us))
            newest = second_us
        await asyncio.sleep((newest + SECOND_US - time.time_ns() // 1000) / 1e6)
