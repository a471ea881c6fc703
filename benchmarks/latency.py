"""`latency`: frame in → derived event readable by a consumer, at 2,000 frames a second.

Frames of the market model go through the venues' parsers and the tape to a `tape worker`; a
consumer reads the derived topics, and each event says when the frame that caused it came. The
peer is the broker itself: records of the same size, as many, from produce to consume. Beside
both stands the least that two hops over the broker cost (`_latency_relay`).
"""

import gc
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from confluent_kafka import OFFSET_END, Consumer, Producer, TopicPartition

from benchmarks._tapes import BenchTape, bench_tape
from benchmarks.harness import Result, compare, versions
from processors.config import ProcessorsConfig
from schemas import catalogue, rows
from schemas.catalogue import kafka_name
from schemas.errors import StoreError
from streams import log
from streams.kafka import client_config
from streams.producer import producer_config

_RUNS = 3
_RATE = 2_000
_WARM_UP_S, _SECONDS = 5.0, 15.0
_PARTITIONS = 4
_PEER_BYTES = 120
_READY_S = 180.0


def run() -> Result:
    """Measure both sides, alternately; p99 in milliseconds."""
    ours, peer, more = [], [], []
    for number in range(_RUNS):
        with bench_tape(ProcessorsConfig(), _PARTITIONS) as tape:
            brokers = broker(tape)
        with bench_tape(ProcessorsConfig(), _PARTITIONS) as tape:
            mine = _pipeline(tape, number, ["tape", "worker"])
        with bench_tape(ProcessorsConfig(), _PARTITIONS) as tape:
            relayed = _pipeline(tape, number, _relay(tape))
        peer.append(float(np.percentile(brokers, 99)))
        ours.append(float(np.percentile(mine, 99)))
        more.append(
            {
                "ours_p50": round(float(np.percentile(mine, 50)), 3),
                "peer_p50": round(float(np.percentile(brokers, 50)), 3),
                "relay_p50": round(float(np.percentile(relayed, 50)), 3),
                "relay_p99": round(float(np.percentile(relayed, 99)), 3),
                "events": len(mine),
            }
        )
    return compare(
        "latency", "ms (p99)", ours, peer,
        versions("faust-streaming", "aiokafka", "confluent-kafka"), more_is_better=False,
        times_the_brokers=round(float(np.median(ours) / np.median(peer)), 2), rate=_RATE,
        runs=more,
    )  # fmt: skip


class Reader(threading.Thread):
    """Reads topics from their ends on; collects what `of` makes of each value, but None."""

    def __init__(self, tape: BenchTape, topics: list[str], of: Callable[[bytes, int], Any]) -> None:
        super().__init__(daemon=True)
        self.found: list[tuple[float, Any]] = []
        self._of, self._over = of, threading.Event()
        self._consumer = Consumer(
            client_config(tape.kafka)
            | {"group.id": f"{tape.name}.latency", "enable.auto.commit": False}
        )
        places = [(topic, partition) for topic in topics for partition in range(tape.partitions)]
        self._consumer.assign([TopicPartition(*place, OFFSET_END) for place in places])

    def run(self) -> None:
        """Read until `stop`."""
        gc.collect()
        gc.freeze()
        while not self._over.is_set():
            message = self._consumer.poll(0.1)
            now_us = time.time_ns() // 1000
            if message is not None and message.error() is None:
                made = self._of(message.value(), now_us)
                if made is not None:
                    self.found.append((time.monotonic(), made))
        self._consumer.close()

    def stop(self, since: float) -> list[Any]:
        """End; what came after that moment."""
        self._over.set()
        self.join()
        return [made for at, made in self.found if at >= since]


def broker(tape: BenchTape) -> list[float]:
    """Milliseconds from produce to consume, with our producer's settings."""
    topic = kafka_name(tape.name, catalogue.TAPE)
    reader = Reader(tape, [topic], lambda value, now_us: (now_us - int(value[:16])) / 1000)
    reader.start()
    producer = Producer(producer_config(tape.kafka))
    time.sleep(1)
    began = time.monotonic()
    for number in range(int(_RATE * (_WARM_UP_S + _SECONDS))):
        wait = began + number / _RATE - time.monotonic()
        if wait > 0:
            time.sleep(wait)
        value = b"%016d" % (time.time_ns() // 1000) + bytes(_PEER_BYTES)
        producer.produce(topic, value, partition=number % tape.partitions)
        producer.poll(0)
    producer.flush(10)
    time.sleep(0.5)
    return reader.stop(began + _WARM_UP_S)


def _relay(tape: BenchTape) -> list[str]:
    return [
        "benchmarks._latency_relay", "--tape", tape.name, "--bootstrap", tape.kafka.bootstrap,
        "--partitions", str(tape.partitions),
    ]  # fmt: skip


def _pipeline(tape: BenchTape, seed: int, through: list[str]) -> list[float]:
    """Frames to derived events, each in the processes that a user runs."""
    environment = {
        **os.environ,
        "TAPE_KAFKA__BOOTSTRAP": tape.kafka.bootstrap,
        "TAPE_REGISTRY__URL": tape.registry_url,
        "TAPE_TAPE": tape.name,
        "TAPE_PARTITIONS": str(tape.partitions),
    }

    def start(*arguments: str) -> "subprocess.Popen[bytes]":
        quiet: Any = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        return subprocess.Popen([sys.executable, "-m", *arguments], env=environment, **quiet)

    writers = tape.ids.writers

    def latency(value: bytes, now_us: int) -> float:
        event: Any = rows.decode(value, writers)
        return float(now_us - event.receive_time) / 1000

    reader = Reader(tape, [kafka_name(tape.name, t.name) for t in catalogue.DERIVED], latency)
    worker = start(*through)
    feed = start(
        "benchmarks._latency_feed", "--tape", tape.name, "--bootstrap", tape.kafka.bootstrap,
        "--registry", tape.registry_url, "--partitions", str(tape.partitions),
        "--rate", str(_RATE), "--seed", str(seed + 1), "--seconds", str(_WARM_UP_S + _SECONDS + 5),
    )  # fmt: skip
    try:
        reader.start()
        _await_output(tape, worker, feed)
        began = time.monotonic()
        time.sleep(_WARM_UP_S + _SECONDS)
        return reader.stop(began + _WARM_UP_S)
    finally:
        for process in (feed, worker):
            process.terminate()
            process.wait(60)


def _await_output(tape: BenchTape, *processes: "subprocess.Popen[bytes]") -> None:
    end = time.monotonic() + _READY_S
    while not sum(log.ends(tape.kafka, tape.name, "bars").values()):
        if time.monotonic() > end or any(process.poll() is not None for process in processes):
            raise StoreError("worker or feed ended, or nothing was derived: run them by hand")
        time.sleep(0.5)
