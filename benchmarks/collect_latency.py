"""`collect-latency`: frame written by the simulator → readable on the tape, 2,000 frames a second.

All venues of a simulator in real time, one collector; the simulator's ledger says when each trade
was written to the socket, a consumer of the tape when it was there. The peer is the broker itself:
records of the same size, as many, from produce to consume, as in `latency`.
"""

import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from benchmarks._simulated import collector_environment, simulator
from benchmarks._tapes import BenchTape, bench_tape
from benchmarks.harness import Result, compare, versions
from benchmarks.latency import Reader, broker
from processors.config import ProcessorsConfig
from schemas import rows
from schemas.errors import StoreError
from tape.demo.truth import ledgered

_RUNS = 3
_RATE = 2_000
_WARM_UP_S, _SECONDS = 8.0, 15.0
_PARTITIONS = 4
_LIMIT_S = 90.0


def run() -> Result:
    """Measure both sides, alternately; p99 in milliseconds."""
    ours: list[float] = []
    peer: list[float] = []
    more = []
    for number in range(_RUNS):
        with bench_tape(ProcessorsConfig(), _PARTITIONS) as tape:
            brokers = broker(tape)
        with bench_tape(ProcessorsConfig(), _PARTITIONS) as tape, TemporaryDirectory() as folder:
            mine = _collected(tape, number + 1, Path(folder))
        peer.append(float(np.percentile(brokers, 99)))
        ours.append(float(np.percentile(mine, 99)))
        more.append(
            {
                "ours_p50": round(float(np.percentile(mine, 50)), 3),
                "peer_p50": round(float(np.percentile(brokers, 50)), 3),
                "trades": len(mine),
            }
        )
    return compare(
        "collect-latency", "ms (p99)", ours, peer,
        versions("picows", "confluent-kafka"), more_is_better=False,
        times_the_brokers=round(float(np.median(ours) / np.median(peer)), 2), rate=_RATE,
        runs=more,
    )  # fmt: skip


def _collected(tape: BenchTape, seed: int, folder: Path) -> list[float]:
    """Milliseconds from socket to tape of the trades of the measured time."""
    ledger = folder / "ledger.jsonl"
    prepared = int(_RATE * (_WARM_UP_S + _SECONDS + 15))
    arguments = ["--rate", str(_RATE), "--seed", str(seed), "--ledger", str(ledger)]
    arguments += ["--prepare", str(prepared)]
    environment = collector_environment(tape, folder)
    trade_id = tape.ids.id("tape", "Trade")
    writers = tape.ids.writers

    def arrived(value: bytes, now_us: int) -> Any:
        if int.from_bytes(value[1:5], "big") != trade_id:
            return None
        event: Any = rows.decode(value, writers)
        return (event.venue, event.symbol, event.trade_id), now_us

    reader = Reader(tape, [f"{tape.name}.tape"], arrived)
    with simulator(arguments, folder) as address:
        reader.start()
        command = [sys.executable, "-m", "tape", "collect", "--address", address]
        with (folder / "log").open("w") as log:
            collector = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
        try:
            _await_trades(reader, collector, folder / "log")
            began = time.monotonic()
            time.sleep(_WARM_UP_S + _SECONDS)
            found = reader.stop(began + _WARM_UP_S)
        finally:
            collector.terminate()
            collector.wait(60)
    written = _written(ledger)
    times = [(now - written[key]) / 1000 for key, now in found if key in written]
    if not times:
        raise StoreError("no trade of the ledger was collected")
    return times


def _await_trades(reader: Reader, collector: "subprocess.Popen[bytes]", log: Path) -> None:
    deadline = time.monotonic() + _LIMIT_S
    while not reader.found:
        if time.monotonic() > deadline or collector.poll() is not None:
            raise StoreError(f"nothing was collected:\n{log.read_text()[-2000:]}")
        time.sleep(0.1)


def _written(ledger: Path) -> dict[tuple[str, str, str], int]:
    """When each trade was written to the socket, microseconds UTC, by venue, symbol and id."""
    return {
        (*instrument, one): written_us
        for instrument, ids, written_us in ledgered(ledger)
        for one in ids
    }
