"""The whole collector against the simulator, both as processes, and what the tape then holds."""

import json
import signal
import subprocess
import sys
import time
import urllib.request
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

from schemas.events import Event, Trade
from schemas.registry import Registry
from schemas.rows import decode
from streams import log
from streams.config import KafkaConfig
from tests.conftest import Stack
from venues.simulator.server.binance_rest import AGGREGATES_BEHIND

Key = tuple[str, str]
"""Venue and canonical symbol."""
_WAIT_S = 40.0


def wait_for(holds: Callable[[], bool], what: str, most_s: float = _WAIT_S) -> None:
    until = time.monotonic() + most_s
    while not holds():
        assert time.monotonic() < until, f"after {most_s} s: {what}"
        time.sleep(0.05)


class Simulated:
    """A simulator as a process of its own."""

    def __init__(self, folder: Path, *options: str) -> None:
        self._out = folder / "simulator.log"
        command = [sys.executable, "-m", "tape", "sim", "--port", "0", *options]
        with self._out.open("w") as out:
            self.process = subprocess.Popen(command, stdout=out, stderr=out)
        wait_for(lambda: "simulator at" in self._out.read_text(), "it does not serve")
        self.address = self._out.read_text().partition("simulator at ")[2].split()[0]

    def plant(self, fault: str, **more: object) -> None:
        """Let a fault happen now."""
        body = json.dumps({"fault": fault, **more}).encode()
        with urllib.request.urlopen(f"{self.address}/control/faults", body, timeout=5) as answer:
            assert answer.status == 200

    def trades(self, venue: str, symbol: str) -> list[str]:
        """Ids of an instrument's trades that were published so far, as the collector gets them."""
        query = f"venue={venue}&symbol={symbol}"
        with urllib.request.urlopen(f"{self.address}/control/trades?{query}", timeout=5) as answer:
            ids: list[str] = json.load(answer)["ids"]
        if venue.startswith("binance"):
            return [str(int(number) - AGGREGATES_BEHIND) for number in ids]
        return ids

    def end(self) -> None:
        self.process.terminate()
        self.process.wait(20)


@contextmanager
def simulated(folder: Path, *options: str) -> Iterator[Simulated]:
    simulator = Simulated(folder, *options)
    try:
        yield simulator
    finally:
        simulator.end()


class Collecting:
    """`tape collect` as a process."""

    def __init__(
        self, stack: Stack, tape: str, folder: Path, *options: str, silence_s: float = 1.5
    ) -> None:
        self._log = folder / f"collect-{time.monotonic_ns()}.log"
        settings = {
            "telemetry.log_format": "json",
            "collector.spool.folder": str(folder / "spool"),
            "collector.silence_s": str(silence_s),
            "partitions": "4",
        }
        sets = [part for key, value in settings.items() for part in ("--set", f"{key}={value}")]
        command = [sys.executable, "-m", "tape", "--tape", tape, "collect", *sets, *options]
        with self._log.open("w") as out:
            self.process = subprocess.Popen(command, stdout=out, stderr=out, env=stack.environment)

    @property
    def said(self) -> str:
        return self._log.read_text()

    def events(self, name: str) -> list[dict[str, Any]]:
        """The log's lines of one event."""
        lines = [line for line in self.said.splitlines() if line.startswith("{")]
        return [line for line in map(json.loads, lines) if line["event"] == name]

    def wait_for(self, name: str, count: int = 1) -> None:
        """Until the log has so many lines of an event."""
        wait_for(
            lambda: len(self.events(name)) >= count, f"no {count} {name}:\n{self.said[-3000:]}"
        )

    def get(self, path: str) -> tuple[int, str]:
        """/metrics, /readyz: status and text."""
        base = str(self.events("serving")[0]["metrics"]).removesuffix("/metrics")
        try:
            with urllib.request.urlopen(base + path, timeout=5) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    def wait_ready(self) -> None:
        self.wait_for("serving")
        wait_for(lambda: self.get("/readyz")[0] == 200, f"not ready, see {self._log}")

    def end(self, number: int = signal.SIGTERM) -> int:
        if self.process.poll() is None:
            self.process.send_signal(number)
        return self.process.wait(30)


@dataclass
class Taped:
    """What a tape holds, by partition in order."""

    partitions: list[list[Event]] = field(default_factory=list)

    def of(self, *kinds: type[Event]) -> list[Any]:
        return [each for events in self.partitions for each in events if isinstance(each, kinds)]

    def trades(self) -> dict[Key, list[Trade]]:
        found: dict[Key, list[Trade]] = defaultdict(list)
        for trade in self.of(Trade):
            found[trade.venue, trade.symbol].append(trade)
        return found


def read(stack: Stack, tape: str, topic: str = "tape") -> Taped:
    kafka = KafkaConfig(bootstrap=stack.kafka_bootstrap)
    writers = Registry(stack.registry_url).ids(tape).writers
    return Taped(
        [
            [
                decode(records.value(index), writers)
                for records in log.read(kafka, tape, topic, partition, 0, end)
                for index in range(len(records))
            ]
            for partition, end in sorted(log.ends(kafka, tape, topic).items())
        ]
    )


@dataclass(frozen=True)
class Compared:
    """A tape's trades beside what was published between the first and the last of them."""

    missing: dict[Key, int]
    doubled: dict[Key, int]
    overtaken: dict[Key, int]
    """Live trades that came after a later one."""
    backfilled: int
    instruments: int


def compare(taped: Taped, simulator: Simulated) -> Compared:
    missing: Counter[Key] = Counter()
    doubled: Counter[Key] = Counter()
    overtaken: Counter[Key] = Counter()
    trades = taped.trades()
    for key, found in trades.items():
        place = {name: index for index, name in enumerate(simulator.trades(*key))}
        places = [place[each.trade_id] for each in found]
        doubled[key] += len(places) - len(set(places))
        missing[key] += max(places) - min(places) + 1 - len(set(places))
        live = [place[each.trade_id] for each in found if not each.backfilled]
        overtaken[key] += sum(later < before for before, later in pairwise(live))
    backfilled = sum(each.backfilled for found in trades.values() for each in found)
    return Compared(+missing, +doubled, +overtaken, backfilled, len(trades))
