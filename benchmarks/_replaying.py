"""One side of `replay` and `replay-archive`, in a process pinned to one core."""

import argparse
import json
import os
import time

from confluent_kafka import Consumer, TopicPartition

from schemas import catalogue
from schemas.errors import DivergenceError
from schemas.registry import Registry
from streams import log
from streams.archive.config import ArchiveConfig
from streams.archive.reader import Archive
from streams.config import KafkaConfig
from streams.kafka import client_config
from streams.replay import replay

_AT_ONCE = 10_000


def replayed(kafka: KafkaConfig, registry: str, tape: str, archive: str) -> tuple[float, float]:
    """Seconds, and those of the processor, to derive the tape again and compare it.

    What Kafka has not comes from `archive`.
    """
    ids = Registry(registry).ids(tape)
    history = Archive(ArchiveConfig(url=archive), tape) if archive else None
    # The first replay compiles, or loads what was compiled.
    replay(kafka, ids, tape, 1, history=history)
    began, began_cpu = time.perf_counter(), time.process_time()
    report = replay(kafka, ids, tape, 1, history=history)
    seconds, cpu = time.perf_counter() - began, time.process_time() - began_cpu
    if not report.identical or not report.events:
        raise DivergenceError(f"the replay diverged: {report.divergence}")
    return seconds, cpu


def consumed(kafka: KafkaConfig, tape: str) -> tuple[float, float]:
    """Seconds, and those of the processor, in which consume() alone reads the same topics.

    Its fetches are under way when the clock starts.
    """
    places = {
        catalogue.kafka_name(tape, topic): log.ends(kafka, tape, topic)[0]
        for topic in (catalogue.TAPE, *(topic.name for topic in catalogue.DERIVED))
    }
    consumer = Consumer(
        client_config(kafka)
        | {"group.id": "none", "enable.auto.commit": False, "auto.offset.reset": "error"}
    )
    consumer.assign([TopicPartition(name, 0, 0) for name in places])
    left = sum(places.values())
    first = consumer.consume(1, 30.0)
    began, began_cpu = time.perf_counter(), time.process_time()
    left -= len(first)
    while left > 0:
        left -= len(consumer.consume(min(_AT_ONCE, left), 1.0))
    seconds, cpu = time.perf_counter() - began, time.process_time() - began_cpu
    consumer.close()
    return seconds, cpu


def main() -> None:
    """Print the seconds of one side."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("side", "tape", "bootstrap", "registry"):
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("--archive", default="")
    parser.add_argument("--core", type=int, required=True)
    given = parser.parse_args()
    os.sched_setaffinity(0, {given.core})
    kafka = KafkaConfig(bootstrap=given.bootstrap)
    if given.side == "consume":
        seconds, cpu = consumed(kafka, given.tape)
    else:
        seconds, cpu = replayed(kafka, given.registry, given.tape, given.archive)
    print(json.dumps({"seconds": seconds, "cpu": cpu}))


if __name__ == "__main__":
    main()
