"""Child processes: how one is started, told from a stranger with the same pid, and ended."""

import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

_LAUNCH = Path(__file__).with_name("launch.py")
# psutil derives the time from the boot time, which moves when the clock is set.
_SAME_START_S = 5.0


@dataclass(frozen=True, slots=True)
class Command:
    """What to run."""

    argv: list[str]
    environment: dict[str, str] = field(default_factory=dict)
    """Added to our own."""
    user: str = ""
    """User to become (when we are root)."""
    read_all: bool = False
    """That user keeps the right to pass folders that are closed to it."""
    stop_signal: signal.Signals = signal.SIGTERM
    """Asks it to end cleanly; sent by the kernel when its parent dies."""


@dataclass(frozen=True, slots=True)
class Identity:
    """A process, told apart from later ones with the same pid by its start time."""

    pid: int
    created: float
    """Start time, seconds since the epoch."""

    @classmethod
    def of(cls, pid: int) -> "Identity":
        """The process that has this pid now."""
        return cls(pid, psutil.Process(pid).create_time())

    def process(self) -> psutil.Process | None:
        """The living process, or None."""
        try:
            process = psutil.Process(self.pid)
            if abs(process.create_time() - self.created) > _SAME_START_S:
                return None
            return None if process.status() == psutil.STATUS_ZOMBIE else process
        except psutil.Error:
            return None

    def stop(self, with_signal: signal.Signals, timeout_s: float) -> bool:
        """Ask it to end, kill it after the timeout; False if it had to be killed."""
        if (process := self.process()) is None:
            return True
        process.send_signal(with_signal)
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            if self.process() is None:
                return True
            time.sleep(0.05)
        if (process := self.process()) is not None:
            process.kill()
        return False


def bound(argv: list[str], stop_signal: signal.Signals, *options: str) -> list[str]:
    """The command line that runs this one so that it gets that signal when we end (Linux)."""
    launch = [sys.executable, "-I", "-S", str(_LAUNCH)]
    launch += [f"--parent={os.getpid()}", f"--signal={int(stop_signal)}", *options]
    return [*launch, "--", *argv]


def spawn(command: Command, log: Path) -> "subprocess.Popen[Any]":
    """Start it in a session of its own, so that Ctrl-C reaches only us; it dies with us (Linux)."""
    more = [f"--user={command.user}"] if command.user else []
    if command.user and command.read_all:
        more.append("--read-all")
    argv = bound(command.argv, command.stop_signal, *more)
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        return subprocess.Popen(
            argv,
            env={**os.environ, **command.environment},
            stdin=subprocess.DEVNULL,
            stdout=descriptor,
            stderr=descriptor,
            start_new_session=True,
        )
    finally:
        os.close(descriptor)
