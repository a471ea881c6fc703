"""A Kafka of a test's own, to be stopped, frozen, killed and brought back."""

import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tape.stack.artifacts import Cache
from tape.stack.kafka import Kafka, answers
from tape.stack.layout import Layout
from tape.stack.ports import free_ports
from tape.stack.process import spawn
from tests.conftest import fresh_stack_config

_HEAP_MB = 256
_START_S = 60.0


class Broker:
    """The stack's own Kafka in a folder, as a process."""

    def __init__(self, home: Path) -> None:
        port, controller_port = free_ports(2)
        config = fresh_stack_config(home).model_copy(
            update={
                "kafka_port": port,
                "kafka_controller_port": controller_port,
                "heap_mb": _HEAP_MB,
            }
        )
        layout = Layout(config.home)
        layout.create()
        self._log = layout.log("kafka")
        self._kafka = Kafka(config, layout, Cache(config.cache))
        formatting = self._kafka.prepare()
        assert formatting is not None
        assert spawn(formatting, self._log).wait(_START_S) == 0, self._log.read_text()
        self.bootstrap = self._kafka.address
        self.start()

    def start(self) -> None:
        """Start it, and wait until it answers."""
        self.begin()
        self.wait()

    def begin(self) -> None:
        """Start it."""
        self._process: subprocess.Popen[Any] = spawn(self._kafka.command(), self._log)

    def wait(self) -> None:
        """Wait until it answers."""
        deadline = time.monotonic() + _START_S
        while not answers(self.bootstrap):
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.kill()
                raise AssertionError(f"it does not answer:\n{self._log.read_text()[-5000:]}")
            time.sleep(0.1)

    def freeze(self) -> None:
        """Leave its connections open and let nothing be answered."""
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on."""
        self._process.send_signal(signal.SIGCONT)

    def kill(self) -> None:
        """End it as `kill -9` does."""
        self._process.kill()
        self._process.wait()


@contextmanager
def own_broker(home: Path) -> Iterator[Broker]:
    """A broker that is gone after the block."""
    broker = Broker(home)
    try:
        yield broker
    finally:
        broker.kill()
