"""Clock pulses: every whole second once, whenever we come round."""

import asyncio
import time

from schemas.events import Clock, Event
from venues.live.pulses import MOST_LATE_US, SECOND_US, due, pulse


def test_each_whole_second_that_has_passed_is_due_once() -> None:
    assert list(due(5 * SECOND_US, 5 * SECOND_US + 999_999)) == []
    assert list(due(5 * SECOND_US, 6 * SECOND_US)) == [6 * SECOND_US]
    assert list(due(5 * SECOND_US, 8 * SECOND_US + 1)) == [n * SECOND_US for n in (6, 7, 8)]


def test_after_a_long_stop_the_seconds_between_are_left_out() -> None:
    now = 9 * SECOND_US + MOST_LATE_US
    assert list(due(SECOND_US, now)) == [now]


def test_pulses_come_by_themselves() -> None:
    written: list[Event] = []

    async def run() -> None:
        task = asyncio.create_task(pulse(written.append))
        await asyncio.sleep(2.1)
        task.cancel()

    asyncio.run(run())
    pulses = [event for event in written if isinstance(event, Clock)]
    assert len(pulses) == 2
    assert pulses[1].event_time - pulses[0].event_time == SECOND_US
    assert all(0 <= each.receive_time - each.event_time < 100_000 for each in pulses)
    assert time.time() * 1e6 - pulses[1].event_time < 2 * SECOND_US
