"""Prints what writing costs, with the spool and without: python -m tests.streams.spool_speed.

Needs TAPE_KAFKA__BOOTSTRAP and TAPE_REGISTRY__URL; makes a tape of its own and deletes it.
"""

import itertools
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from uuid import uuid4

from confluent_kafka.admin import AdminClient

from processors.config import ProcessorsConfig
from schemas.events import Event
from schemas.registry import Registry
from streams import topics
from streams.config import KafkaConfig
from streams.producer import TapeWriter
from streams.spooling import SpoolingWriter
from tests.streams.market import events

COUNT = 200_000
Took = tuple[float, ...]
"""Seconds of the clock, of this process and of this thread."""


def main(rounds: int = 5) -> None:
    """Best and median of several rounds, in turn: by the clock and in CPU time."""
    kafka = KafkaConfig(bootstrap=os.environ["TAPE_KAFKA__BOOTSTRAP"])
    name = f"speed{uuid4().hex[:8]}"
    registry = Registry(os.environ["TAPE_REGISTRY__URL"])
    ids = topics.create_tape(kafka, registry, name, 4, ProcessorsConfig()).ids
    made = list(itertools.islice(events(1, COUNT), COUNT))
    found: dict[str, list[Took]] = {}
    with tempfile.TemporaryDirectory() as folder:
        nowhere = KafkaConfig(bootstrap="127.0.0.1:1")
        for number in range(rounds):
            plain = TapeWriter(kafka, ids, name, 4)
            plain.write(made[0])  # a new producer has its first answer after half a second
            plain.flush()
            _add(found, "TapeWriter", _timed(plain.write, plain.flush, made))
            spooling = SpoolingWriter(kafka, ids, name, 4, Path(folder), 1 << 30, 1.0)
            spooling.write(made[0])
            spooling.flush()
            _add(found, "SpoolingWriter", _timed(spooling.write, spooling.flush, made))
            assert spooling.spooled.records == 0
            spooling.close()
            away = SpoolingWriter(
                nowhere, ids, f"away{number}", 4, Path(folder), 1 << 30, 1.0, silence_s=0.05
            )
            away.write(made[0])
            away.flush()
            _add(found, "Kafka away", _timed(away.write, away.flush, made))
            away.close()
    for title, times in found.items():
        wall, cpu, thread = (sorted(column) for column in zip(*times, strict=True))
        middle = rounds // 2
        rates = [f"{COUNT / wall[at]:9,.0f}" for at in (0, middle)]
        costs = [f"{part[at] / COUNT * 1e6:.2f}" for part in (cpu, thread) for at in (0, middle)]
        print(f"{title:15} events/s, CPU µs/event, of this thread; best, median:", *rates, *costs)
    admin = AdminClient({"bootstrap.servers": kafka.bootstrap})
    doomed = [topic for topic in admin.list_topics(timeout=10).topics if name in topic]
    for deletion in admin.delete_topics(doomed).values():
        deletion.result(timeout=10)


def _add(found: dict[str, list[Took]], key: str, took: Took) -> None:
    found.setdefault(key, []).append(took)


def _timed(write: Callable[[Event], None], flush: Callable[[], object], made: list[Event]) -> Took:
    clocks = (time.perf_counter, time.process_time, time.thread_time)
    began = [clock() for clock in clocks]
    for event in made:
        write(event)
    flush()
    return tuple(clock() - begin for clock, begin in zip(clocks, began, strict=True))


if __name__ == "__main__":
    main()
