"""A tape with all that plays on it: simulator, collectors, workers, sink, on servers of its own."""

import json
import os
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

from confluent_kafka import Producer

from processors.config import ProcessorsConfig
from schemas.registry import Registry
from streams import log, topics
from streams.config import KafkaConfig
from streams.snapshots import processed_offset
from tape.stack.ports import free_ports
from tests.torture.nursery import Nursery
from tests.torture.plan import Plan
from tests.torture.players import Player
from tests.torture.servers import Cluster

SESSION_S = 6.0
_READY_S = 120.0
_DISK_MB = 8
_SETTINGS = {
    "TAPE_WORKER__SNAPSHOT_INTERVAL_S": "1",
    "TAPE_WORKER__MAX_BATCH": "500",
    "TAPE_WORKER__SESSION_TIMEOUT_S": str(SESSION_S),
    "TAPE_COLLECTOR__BACKOFF_MOST_S": "2",
    "TAPE_COLLECTOR__SPOOL__MAX_MB": "64",
    "TAPE_COLLECTOR__NEWS__FEAR_GREED": "false",
}


class Stage:
    """Everything of one plan; `players` are the processes that may be hurt."""

    def __init__(self, cluster: Cluster, nursery: Nursery, plan: Plan, folder: Path) -> None:
        self.cluster, self.plan, self.folder = cluster, plan, folder
        self.tape = f"torture{plan.seed}"
        self._nursery = nursery
        self.kafka = KafkaConfig(bootstrap=cluster.near["TAPE_KAFKA__BOOTSTRAP"])
        self.registry = Registry(cluster.near["TAPE_REGISTRY__URL"])
        made = topics.create_tape(
            self.kafka, self.registry, self.tape, plan.partitions, ProcessorsConfig()
        )
        self.ids = made.ids
        self.planted: dict[tuple[int, int], bytes] = {}
        self.disk = Disk(folder / "disk")
        self.ledger = folder / "ledger.jsonl"
        (port,) = free_ports(1)
        self.address = f"http://127.0.0.1:{port}"
        arguments = ["sim", "--port", str(port), "--ledger", str(self.ledger)]
        arguments += ["--seed", str(plan.seed), "--rate", str(plan.rate), "--news-per-hour", "600"]
        for option, values in (("--venue", plan.venues), ("--symbol", plan.symbols)):
            for value in values:
                arguments += [option, value]
        self.simulator = self._player("simulator", arguments, cluster.near)
        collect = ["collect", "--address", self.address]
        self.players = {
            # Through the proxies but for one worker: a cut network has a side that goes on.
            "worker-0": self._player("worker-0", ["worker"], cluster.far),
            "worker-1": self._player("worker-1", ["worker"], cluster.near),
            "worker-2": self._player("worker-2", ["worker"], cluster.near),
            "sink": self._player("sink", ["sink"], cluster.far),
            "collector": self._player("collector", collect, cluster.far),
        }
        for number in range(1, plan.collectors):
            name = f"collector-{number}"
            self.players[name] = self._player(name, [*collect, "--name", name], cluster.near)

    def _player(self, name: str, arguments: list[str], addresses: dict[str, str]) -> Player:
        environment = {
            **addresses, **_SETTINGS,
            "TAPE_TAPE": self.tape, "TAPE_PARTITIONS": str(self.plan.partitions),
            "TAPE_VENUES": json.dumps(self.plan.venues),
            "TAPE_SYMBOLS": json.dumps(self.plan.symbols),
            "TAPE_COLLECTOR__SPOOL__FOLDER": str(self.disk.folder),
        }  # fmt: skip
        return Player(self._nursery, name, arguments, environment, self.folder)

    @property
    def collectors(self) -> list[Player]:
        """Those that write the tape."""
        return [player for name, player in self.players.items() if name.startswith("collector")]

    def open(self) -> None:
        """Start all, and wait until events flow through all of it."""
        self.simulator.start()
        self.until(lambda: self.market() is not None, "the simulator serves")
        for player in self.players.values():
            player.start()
        self.await_ready()
        self.until(lambda: self._derived() > 0, "something is derived")

    def await_ready(self) -> None:
        """Wait until every process says that it is ready."""
        for name, player in self.players.items():
            self.until(player.is_ready, f"{name} is ready")

    def until(self, condition: Callable[[], bool], what: str, limit_s: float = _READY_S) -> None:
        """Wait, and keep everything up meanwhile."""
        deadline = time.monotonic() + limit_s
        while not condition():
            if time.monotonic() > deadline:
                logs = "\n".join(f"--- {p.name}\n{p.text()}" for p in self.players.values())
                raise AssertionError(f"not in {limit_s:.0f} s: {what}\n{logs}")
            self.keep()
            time.sleep(0.1)

    def keep(self) -> None:
        """Start again what ended."""
        self._nursery.reap()
        for player in (self.simulator, *self.players.values()):
            player.keep()
        for server in self.cluster.servers.values():
            server.keep()

    def market(self, path: str = "/control", post: bool = False) -> Any:
        """What the simulator's control endpoint says; None where it does not answer."""
        request = urllib.request.Request(self.address + path, method="POST" if post else "GET")
        try:
            with urllib.request.urlopen(request, timeout=5) as answer:
                return json.loads(answer.read() or b"null")
        except (urllib.error.URLError, OSError):
            return None

    def plant(self, payload: bytes, partition: int) -> None:
        """Put bytes on the tape that nobody can decode; as good as not done if Kafka is away."""
        done: list[int] = []
        producer = Producer({"bootstrap.servers": self.kafka.bootstrap, "acks": "all"})
        producer.produce(
            f"{self.tape}.tape", payload, b"?", partition, timestamp=1_700_000_000_000,
            on_delivery=lambda error, message: None if error else done.append(message.offset()),
        )  # fmt: skip
        producer.flush(10)
        if done:
            self.planted[partition, done[0]] = payload

    def ends(self) -> dict[int, int]:
        """The tape's ends."""
        return log.ends(self.kafka, self.tape, "tape")

    def _derived(self) -> int:
        return sum(log.ends(self.kafka, self.tape, "books").values())

    def is_derived(self, ends: dict[int, int]) -> bool:
        """Whether workers have snapshots of all before these ends."""
        return all(
            (processed_offset(self.kafka, self.ids, self.tape, partition) or 0) >= end
            for partition, end in ends.items()
        )

    def close(self) -> dict[str, int | None]:
        """End all in order; the statuses with which they did."""
        try:
            return {
                name: player.stop()
                for name, player in {**self.players, "simulator": self.simulator}.items()
            }
        finally:
            self.disk.close()


class Disk:
    """The collector's spool on a small file system of its own, where we may mount one."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True)
        self.folder = folder
        options = ["-t", "tmpfs", "-o", f"size={_DISK_MB}m", "tmpfs", str(folder)]
        self.is_small = (
            os.geteuid() == 0
            and subprocess.run(["mount", *options], capture_output=True).returncode == 0
        )

    def fill(self) -> None:
        """Leave no byte free."""
        if not self.is_small:
            return
        with (self.folder / "full").open("wb", buffering=0) as file:
            try:
                while True:
                    file.write(bytes(65_536))
            except OSError:
                # Full, as it shall be.
                return

    def clear(self) -> None:
        """Give the room back."""
        (self.folder / "full").unlink(missing_ok=True)

    def close(self) -> None:
        """Take it away."""
        if self.is_small:
            self.is_small = False
            subprocess.run(["umount", "-l", str(self.folder)], check=True)
