"""Runs `tape` as a user would, with a stack of the test's own."""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tape.config import StackConfig
from tape.stack import control
from tape.stack.layout import Layout
from tape.stack.ports import free_ports
from tape.stack.state import State

NOWHERE = {
    "TAPE_KAFKA__BOOTSTRAP": "127.0.0.1:1",
    "TAPE_REGISTRY__URL": "http://127.0.0.1:1",
}
"""External addresses that leave only PostgreSQL, which starts fastest."""


@dataclass
class Cli:
    """A folder for a stack, with ports of its own, and the command line on it."""

    home: Path
    external: dict[str, str] = field(default_factory=dict)
    ports: list[int] = field(default_factory=lambda: free_ports(4))

    @property
    def environment(self) -> dict[str, str]:
        """Ours without the addresses that a developer's shell may have."""
        own = {name: text for name, text in os.environ.items() if not name.startswith("TAPE_")}
        names = ("KAFKA", "KAFKA_CONTROLLER", "REGISTRY", "POSTGRES")
        given = {
            f"TAPE_STACK__{name}_PORT": str(port)
            for name, port in zip(names, self.ports, strict=True)
        }
        return {**own, **given, "TAPE_HOME": str(self.home), **self.external}

    def run(self, *arguments: str, expect: int = 0) -> str:
        """Run a command to its end; what it printed."""
        done = subprocess.run(
            [sys.executable, "-m", "tape", *arguments],
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        said = done.stdout + done.stderr
        assert done.returncode == expect, f"status {done.returncode}:\n{said}"
        return said

    def up(self) -> State:
        """Start it in the background."""
        self.run("up", "--no-topics")
        return self.state()

    def foreground(self) -> "subprocess.Popen[Any]":
        """Start it in a process of ours and wait until it is ready."""
        argv = [sys.executable, "-m", "tape", "up", "--foreground", "--no-topics"]
        process = subprocess.Popen(
            argv, env=self.environment, stderr=subprocess.DEVNULL, start_new_session=True
        )
        wait_until(lambda: self._is_ready_under(process.pid))
        return process

    def _is_ready_under(self, supervisor: int) -> bool:
        state = State.read(Layout(self.home).state)
        return bool(state and state.supervisor.pid == supervisor and state.phase == "ready")

    def down(self) -> str:
        """End it."""
        return self.run("down")

    def clean_up(self) -> None:
        """End it if it runs, without the cost of a process."""
        control.stop(StackConfig(home=self.home))

    def state(self) -> State:
        """What its supervisor wrote."""
        state = State.read(Layout(self.home).state)
        assert state is not None
        return state

    def status(self, expect: int = 0) -> dict[str, Any]:
        """What `tape status` tells, by service."""
        services: dict[str, Any] = json.loads(self.run("status", "--json", expect=expect))[
            "services"
        ]
        return services

    def log(self, name: str) -> str:
        """All that a service wrote."""
        return Layout(self.home).log(name).read_text(errors="replace")

    def kill_supervisor(self) -> State:
        """Kill -9 it; the state that it left."""
        state = self.state()
        os.kill(state.supervisor.pid, signal.SIGKILL)
        wait_until(lambda: state.supervisor.process() is None)
        return state


def wait_until(holds: Any, within_s: float = 60.0) -> None:
    """Wait until a condition holds; fails after `within_s`."""
    deadline = time.monotonic() + within_s
    while not holds():
        assert time.monotonic() < deadline, "it did not come true in time"
        time.sleep(0.05)
