"""The supervisor: starts the services side by side, keeps them up, ends them in order.

`python -m tape.stack.supervisor PLAN` runs it detached; `run` runs it in this process.
"""

import fcntl
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any, TextIO

from pydantic import BaseModel

from schemas.errors import StoreError, TapeError
from tape.config import StackConfig
from tape.stack import ports
from tape.stack.artifacts import Cache
from tape.stack.kafka import Kafka
from tape.stack.layout import Layout
from tape.stack.postgres import Postgres
from tape.stack.process import Identity, spawn
from tape.stack.registry import Registry
from tape.stack.service import Service
from tape.stack.state import ServiceState, State

STOP_ORDER = ("registry", "kafka", "postgres")
START_LIMIT_S = 90.0
STOP_LIMIT_S = 20.0
_POLL_S = 0.1
# A service that ends by itself is started again, unless it does so this often in this time.
_RESTARTS = 3
_RESTARTS_WITHIN_S = 120.0
_LOG_LIMIT = 64 << 20


class Plan(BaseModel):
    """What to run."""

    config: StackConfig
    services: tuple[str, ...]


class Supervised:
    """A service with its process."""

    def __init__(self, service: Service, layout: Layout, state: ServiceState) -> None:
        self.service = service
        self.log = layout.log(service.name)
        self.state = state
        self.preparing = False
        self.process: subprocess.Popen[Any] | None = None
        self.ends: list[float] = []

    def start(self) -> None:
        """Prepare, or start the server where nothing is left to prepare."""
        self.state.ready = False
        command = self.service.prepare()
        self.preparing = command is not None
        command = command or self.service.command()
        self.state.stop_signal = int(command.stop_signal)
        self.process = spawn(command, self.log)
        self.state.identity = Identity.of(self.process.pid)

    def poll(self) -> None:
        """Take one step towards being ready; StoreError when it keeps ending."""
        assert self.process is not None
        code = self.process.poll()
        if code is None:
            if not self.preparing and not self.state.ready:
                self.state.ready = self.service.is_ready()
        elif self.preparing and code == 0:
            self.service.prepared()
            self.preparing = False
            self.process = spawn(self.service.command(), self.log)
            self.state.identity = Identity.of(self.process.pid)
        else:
            self._ended(code)

    def _ended(self, code: int) -> None:
        name, now = self.service.name, time.monotonic()
        self.ends = [end for end in self.ends if now - end < _RESTARTS_WITHIN_S] + [now]
        if self.preparing or len(self.ends) > _RESTARTS or self.state.ready_after_s == 0.0:
            raise StoreError(
                f"{name} ended with status {code}; the last of {self.log}:\n{self.tail()}"
            )
        print(f"{name} ended with status {code}; it is started again", flush=True)
        self.state.restarts += 1
        self.start()

    def tail(self, lines: int = 8) -> str:
        """The last lines of its log."""
        text = self.log.read_text(errors="replace") if self.log.exists() else ""
        return "\n".join("  " + line[:300] for line in text.splitlines()[-lines:])

    def stop(self) -> None:
        """End it, cleanly if it will."""
        if self.process is None or self.state.identity is None:
            return
        self.state.identity.stop(signal.Signals(self.state.stop_signal), STOP_LIMIT_S)
        self.process.wait()
        self.state.identity, self.state.ready = None, False


class Supervisor:
    """Runs a plan; one a folder, which its lock makes sure of."""

    def __init__(self, plan: Plan) -> None:
        self.layout = Layout(plan.config.home)
        self.plan = plan
        self.stopping = False
        self.supervised: list[Supervised] = []
        self.began = time.monotonic()

    def run(self, report: Callable[[State], None] = lambda _: None) -> None:
        """Start all, stay until asked to stop, end all; StoreError when a service cannot run."""
        self.layout.create()
        with locked(self.layout.lock), self._signals():
            end_leftovers(State.read(self.layout.state))
            self.state = State(supervisor=Identity.of(os.getpid()), started=time.time())
            self.state.write(self.layout.state)
            try:
                self._start()
                self._stay(report)
            except TapeError as error:
                self.state.error = str(error)
                raise
            finally:
                self._stop()

    @contextmanager
    def _signals(self) -> Iterator[None]:
        def ask(_number: int, _frame: FrameType | None) -> None:
            self.stopping = True

        numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
        before = {number: signal.signal(number, ask) for number in numbers}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _start(self) -> None:
        config = with_ports(self.plan.config)
        cache = Cache(config.cache)
        every: dict[str, Service] = {
            "kafka": Kafka(config, self.layout, cache),
            "registry": Registry(config, self.layout, cache),
            "postgres": Postgres(config, self.layout),
        }
        for name in self.plan.services:
            for setting, port in every[name].ports.items():
                ports.require_free(port, setting)
        for name in self.plan.services:
            service = every[name]
            state = ServiceState(address="", port=next(iter(service.ports.values())))
            self.state.services[name] = state
            one = Supervised(service, self.layout, state)
            rotate(one.log)
            self.supervised.append(one)
            one.start()
            state.address = service.address
        self.state.write(self.layout.state)

    def _stay(self, report: Callable[[State], None]) -> None:
        written = ""
        while not self.stopping:
            for one in self.supervised:
                one.poll()
                if one.state.ready and one.state.ready_after_s == 0.0:
                    one.state.ready_after_s = round(time.monotonic() - self.began, 2)
            all_ready = all(one.state.ready for one in self.supervised)
            self.state.phase = "ready" if all_ready else "starting"
            if not all_ready:
                self._refuse_to_wait_forever()
            if (text := self.state.model_dump_json()) != written:
                self.state.write(self.layout.state)
                written = text
                report(self.state)
            time.sleep(_POLL_S)

    def _refuse_to_wait_forever(self) -> None:
        for one in self.supervised:
            waited = time.monotonic() - max([self.began, *one.ends])
            if not one.state.ready and waited > START_LIMIT_S:
                raise StoreError(
                    f"{one.service.name} did not answer within {START_LIMIT_S:.0f} s; "
                    f"the last of {one.log}:\n{one.tail()}"
                )

    def _stop(self) -> None:
        failed = bool(self.state.error)
        self.state.phase = "failed" if failed else "stopping"
        self.state.write(self.layout.state)
        for one in sorted(self.supervised, key=lambda one: STOP_ORDER.index(one.service.name)):
            one.stop()
            self.state.write(self.layout.state)
        self.state.phase = "failed" if failed else "stopped"
        self.state.write(self.layout.state)


@contextmanager
def locked(path: Path) -> Iterator[TextIO]:
    """Hold the stack's lock; BlockingIOError when another supervisor has it."""
    with path.open("w") as file:
        # `is_locked` of another process holds it for an instant.
        for left in reversed(range(10)):
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if not left:
                    raise
                time.sleep(0.05)
        yield file


def is_locked(path: Path) -> bool:
    """Whether a supervisor lives."""
    try:
        with path.open("r+") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False


def end_leftovers(state: State | None) -> list[str]:
    """End what a killed supervisor left running (where the kernel does not); their names."""
    if state is None:
        return []
    ended = []
    for name in STOP_ORDER:
        service = state.services.get(name)
        if service is None or service.identity is None or service.identity.process() is None:
            continue
        service.identity.stop(signal.Signals(service.stop_signal), STOP_LIMIT_S)
        ended.append(name)
    return ended


def with_ports(config: StackConfig) -> StackConfig:
    """The configuration with a free port in place of each 0."""
    names = [name for name in StackConfig.model_fields if name.endswith("_port")]
    zeros = [name for name in names if getattr(config, name) == 0]
    return config.model_copy(update=dict(zip(zeros, ports.free_ports(len(zeros)), strict=True)))


def rotate(log: Path) -> None:
    """Put a large log aside, keeping one old file."""
    if log.exists() and log.stat().st_size > _LOG_LIMIT:
        log.replace(log.with_suffix(".log.1"))


def main() -> None:
    """Run the plan given as JSON; the state file tells how it went."""
    plan = Plan.model_validate_json(sys.argv[1])
    try:
        Supervisor(plan).run()
    except BlockingIOError:
        sys.exit("another supervisor holds this folder")
    except TapeError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
