"""Kafka, registry and PostgreSQL of the torture's own, to be killed, stopped and cut off."""

import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from tape.stack.artifacts import Cache
from tape.stack.kafka import Kafka
from tape.stack.layout import Layout
from tape.stack.ports import free_ports
from tape.stack.postgres import Postgres
from tape.stack.process import spawn
from tape.stack.registry import Registry
from tape.stack.service import Service
from tape.stack.supervisor import with_ports
from tests.conftest import fresh_stack_config
from tests.torture.proxy import Proxy

_START_S = 90.0
_HEAP_MB = 384


class FarKafka(Kafka):
    """The stack's Kafka with a second listener, whose clients come through a proxy."""

    far_port = 0
    proxy_port = 0

    def _write_properties(self) -> None:
        super()._write_properties()
        near = self.ports["stack.kafka_port"]
        text = self._properties.read_text()
        for old, new in (
            ("listeners=PLAINTEXT://", f"listeners=FAR://127.0.0.1:{self.far_port},PLAINTEXT://"),
            (
                f"advertised.listeners=FAR://127.0.0.1:{self.far_port},PLAINTEXT://127.0.0.1:{near}",
                f"advertised.listeners=FAR://127.0.0.1:{self.proxy_port},PLAINTEXT://127.0.0.1:{near}",
            ),
            ("protocol.map=", "protocol.map=FAR:PLAINTEXT,"),
        ):
            assert old in text
            text = text.replace(old, new)
        self._properties.write_text(text)


class Server:
    """A service of the stack as a process that may be killed and comes back."""

    def __init__(self, service: Service, layout: Layout) -> None:
        self.name, self._service = service.name, service
        self._log = layout.log(service.name)
        self._process: subprocess.Popen[Any] | None = None
        self._start_at = 0.0
        if (command := service.prepare()) is not None:
            assert spawn(command, self._log).wait(_START_S) == 0, self._log.read_text()
            service.prepared()
        self.start()

    @property
    def address(self) -> str:
        """What clients are given."""
        return self._service.address

    @property
    def is_running(self) -> bool:
        """Whether its process lives."""
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Start it; whether it answers is another question."""
        self._service.prepare()
        self._process = spawn(self._service.command(), self._log)

    def is_ready(self) -> bool:
        """Whether it answers."""
        return self.is_running and self._service.is_ready()

    def wait(self) -> None:
        """Wait until it answers; starts it again where it ended."""
        deadline = time.monotonic() + _START_S
        while not self.is_ready():
            assert time.monotonic() < deadline, self._log.read_text()[-5_000:]
            if not self.is_running:
                self.start()
            time.sleep(0.1)

    def signal(self, number: int) -> None:
        """Send it a signal."""
        if self._process is not None and self.is_running:
            self._process.send_signal(number)

    def kill(self, down_s: float = 0.0) -> bool:
        """End it as `kill -9` does; `keep` starts it after so long. False where it was down."""
        if self._process is None or not self.is_running:
            return False
        self._process.kill()
        self._process.wait()
        self._start_at = time.monotonic() + down_s
        return True

    def keep(self) -> None:
        """Start it where it ended; PostgreSQL cannot while its former self's backends end."""
        if not self.is_running and time.monotonic() >= self._start_at:
            self.start()


class Cluster:
    """The three of them; `far` addresses go through proxies."""

    def __init__(self, home: Path, exits: ExitStack) -> None:
        config = with_ports(fresh_stack_config(home)).model_copy(update={"heap_mb": _HEAP_MB})
        layout, cache = Layout(config.home), Cache(config.cache)
        layout.create()
        kafka, postgres = FarKafka(config, layout, cache), Postgres(config, layout)
        (kafka.far_port,) = free_ports(1)
        self.broker_proxy = _closed(Proxy(kafka.far_port), exits)
        kafka.proxy_port = self.broker_proxy.port
        self.database_proxy = _closed(Proxy(config.postgres_port), exits)
        services: dict[str, Service] = {
            "broker": kafka,
            "registry": Registry(config, layout, cache),
        }
        self.servers: dict[str, Server] = {}
        for name, service in {**services, "database": postgres}.items():
            self.servers[name] = server = Server(service, layout)
            exits.callback(_gone, server)
        for server in self.servers.values():
            server.wait()
        self.near = {
            "TAPE_KAFKA__BOOTSTRAP": kafka.address,
            "TAPE_REGISTRY__URL": self.servers["registry"].address,
            "TAPE_DATABASE__URL": postgres.address,
        }
        self.far = {
            **self.near,
            "TAPE_KAFKA__BOOTSTRAP": f"127.0.0.1:{self.broker_proxy.port}",
            "TAPE_DATABASE__URL": postgres.address.replace(
                f":{config.postgres_port}/", f":{self.database_proxy.port}/"
            ),
        }

    def heal(self) -> None:
        """Everything up and reachable."""
        for one in (self.broker_proxy, self.database_proxy):
            one.heal()
        for server in self.servers.values():
            server.signal(signal.SIGCONT)
        for server in self.servers.values():
            server.wait()


def _closed(made: Proxy, exits: ExitStack) -> Proxy:
    exits.callback(made.close)
    return made


def _gone(server: Server) -> None:
    server.signal(signal.SIGCONT)
    # PostgreSQL's backends end with it only when they are asked to.
    server.signal(signal.SIGINT if server.name == "postgres" else signal.SIGKILL)
    deadline = time.monotonic() + 10
    while server.is_running and time.monotonic() < deadline:
        time.sleep(0.05)
    server.kill()


@contextmanager
def cluster(home: Path) -> Iterator[Cluster]:
    """Servers that are gone after the block."""
    with ExitStack() as exits:
        yield Cluster(home, exits)
