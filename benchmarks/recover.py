"""`recover`: a worker is killed; how long until its successor's first event is there.

Two workers share a tape of ten symbols that the market model feeds as fast as a market goes. One is
killed with -9. Its partitions stand still until the group's session timeout has passed, which is
a setting, and then until the other has recovered them. Measured is the time from the kill to
the first event that is derived, on each of them, from an input of after the kill, less the
timeout. There is no peer; what stands in its place is the wanted time.
"""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from benchmarks._tapes import BenchTape, bench_tape
from benchmarks.harness import Result, machine, versions
from benchmarks.latency import Reader
from processors.config import ProcessorsConfig
from schemas import catalogue, rows
from schemas.catalogue import kafka_name
from schemas.errors import StoreError
from streams import log
from streams.producer import TapeWriter
from venues.feed import Feed
from venues.simulator.market import Market

_RUNS = 5
_WANTED_S = 3.0
_SESSION_S = 10.0
_RATE = 500.0
_PARTITIONS = 4
_POLL_S = 0.02
_LIMIT_S = 180.0
_REST_S = 3.0
_SYMBOLS = (
    "BTC-USDT", "ETH-USDT", "SOL-USDT", "XRP-USDT", "ADA-USDT",
    "LTC-USDT", "DOGE-USDT", "LINK-USDT", "AVAX-USDT", "DOT-USDT",
)  # fmt: skip


def run() -> Result:
    """Kill, and wait for what comes from the successor, several times."""
    firsts, alls = [], []
    with (
        bench_tape(ProcessorsConfig(), _PARTITIONS) as tape,
        TemporaryDirectory() as folder,
        _feeding(tape),
        _workers(tape, Path(folder)) as workers,
    ):
        for _ in range(_RUNS):
            first, every = workers.kill_one()
            firsts.append(first)
            alls.append(every)
    beyond = [one - _SESSION_S for one in alls]
    middle = median(beyond)
    return Result(
        "recover",
        round(middle, 3),
        _WANTED_S,
        round(_WANTED_S / max(middle, 0.001), 2),
        "s beyond the session timeout (for the peer: what is wanted)",
        {"ours": [round(min(beyond), 3), round(max(beyond), 3)], "peer": [_WANTED_S, _WANTED_S]},
        machine(),
        versions("faust-streaming", "aiokafka", "confluent-kafka"),
        {
            "symbols": len(_SYMBOLS),
            "partitions": _PARTITIONS,
            "messages_per_second": _RATE,
            "session_timeout_s": _SESSION_S,
            "runs": _RUNS,
            "kill_to_first_event_s": [round(one, 2) for one in firsts],
            "kill_to_every_partition_s": [round(one, 2) for one in alls],
        },
    )


@contextmanager
def _feeding(tape: BenchTape) -> Iterator[None]:
    """The market's events onto the tape, as fast as its time goes."""
    over = threading.Event()

    def feed() -> None:
        writer, parser = TapeWriter(tape.kafka, tape.ids, tape.name, tape.partitions), Feed()
        begun, start_us = time.monotonic(), 0
        for frame in Market(symbols=_SYMBOLS, events_per_second=_RATE).frames():
            start_us = start_us or frame.receive_time
            wait_s = begun + (frame.receive_time - start_us) / 1e6 - time.monotonic()
            if over.wait(max(wait_s, 0.0)) if wait_s > 0 else over.is_set():
                break
            for event in parser.receive(frame):
                writer.write(event)
        writer.flush()

    thread = threading.Thread(target=feed, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


@contextmanager
def _workers(tape: BenchTape, folder: Path) -> Iterator["_Workers"]:
    workers = _Workers(tape, folder)
    try:
        workers.start()
        workers.start()
        workers.await_shared()
        yield workers
    finally:
        workers.stop()


class _Workers:
    """Two workers; one that was killed is replaced before the next is."""

    def __init__(self, tape: BenchTape, folder: Path) -> None:
        self._tape, self._folder, self._started = tape, folder, 0
        self._running: list[tuple[subprocess.Popen[bytes], Path]] = []
        topics = [kafka_name(tape.name, topic.name) for topic in catalogue.DERIVED]
        self._reader = Reader(tape, topics, self._origin)
        self._reader.start()

    def kill_one(self) -> tuple[float, float]:
        """Kill the older; seconds to the first event on one, and on all of its partitions."""
        process, path = self._running.pop(0)
        lost = _owned(path)
        process.send_signal(signal.SIGKILL)
        begun = time.monotonic()
        process.wait()
        ends = log.ends(self._tape.kafka, self._tape.name, catalogue.TAPE)
        came = self._await({partition: ends[partition] for partition in lost}, begun)
        self.start()
        self.await_shared()
        time.sleep(_REST_S)
        return min(came) - begun, max(came) - begun

    def start(self) -> None:
        """Start one more."""
        tape, path = self._tape, self._folder / f"worker-{self._started}.log"
        self._started += 1
        environment = {
            **os.environ,
            "TAPE_KAFKA__BOOTSTRAP": tape.kafka.bootstrap,
            "TAPE_REGISTRY__URL": tape.registry_url,
            "TAPE_WORKER__SESSION_TIMEOUT_S": str(_SESSION_S),
            "TAPE_TELEMETRY__LOG_FORMAT": "json",
        }
        command = [sys.executable, "-m", "tape", "--tape", tape.name, "worker"]
        with path.open("wb") as out:
            process = subprocess.Popen(command, env=environment, stdout=out, stderr=out)
        self._running.append((process, path))

    def await_shared(self) -> None:
        """Wait until both own half of the partitions."""
        half = _PARTITIONS // 2
        self._until(
            lambda: all(len(_owned(path)) == half for _, path in self._running), "both own half"
        )

    def stop(self) -> None:
        """End them."""
        self._reader.stop(0)
        for process, _ in self._running:
            process.terminate()
        for process, _ in self._running:
            process.wait(60)

    def _origin(self, value: bytes, _now_us: int) -> tuple[int, int]:
        origin = rows.decode(value, self._tape.ids.writers).origin  # type: ignore[attr-defined]
        return origin.partition, origin.offset

    def _await(self, wanted: dict[int, int], since: float) -> list[float]:
        """When the first event of an origin from there on came, of each partition."""
        came: dict[int, float] = {}

        def look() -> bool:
            for at, (partition, offset) in self._reader.found[:]:
                if at >= since and partition not in came and offset >= wanted.get(partition, 2**62):
                    came[partition] = at
            return len(came) == len(wanted)

        self._until(look, "the successor derives")
        self._reader.found.clear()
        return list(came.values())

    def _until(self, condition: Callable[[], bool], what: str) -> None:
        deadline = time.monotonic() + _LIMIT_S
        while not condition():
            for process, path in self._running:
                if process.poll() is not None:
                    raise StoreError(f"a worker ended:\n{path.read_text()[-2000:]}")
            if time.monotonic() > deadline:
                logs = "\n".join(path.read_text()[-2000:] for _, path in self._running)
                raise StoreError(f"not in {_LIMIT_S:.0f} s: {what}\n{logs}")
            time.sleep(_POLL_S)


def _owned(path: Path) -> list[int]:
    """The partitions that a worker's log says it has."""
    owned: list[int] = []
    for line in path.read_text().splitlines():
        if '"event": "assigned"' in line:
            owned = json.loads(line)["partitions"]
        elif '"event": "revoked"' in line:
            owned = []
    return owned
