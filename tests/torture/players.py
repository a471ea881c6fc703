"""The processes under torture: each is killed, stopped, and started again like a service."""

import os
import signal
import time
import urllib.error
import urllib.request
from collections import Counter
from pathlib import Path

import psutil

from tape.stack.ports import free_ports
from tests.torture.nursery import Nursery

# As a service manager does: what ended by itself is started again after a moment.
_AGAIN_S = 0.3


class Player:
    """A `tape` process that is kept up until it is told to end."""

    def __init__(
        self, nursery: Nursery, name: str, arguments: list[str], environment: dict[str, str],
        folder: Path,
    ) -> None:  # fmt: skip
        self.name = name
        self.pid: int | None = None
        self.ended: Counter[int] = Counter()
        """Statuses with which it ended by itself."""
        self.starts = 0
        self._nursery, self._arguments = nursery, arguments
        (self._port,) = free_ports(1)
        self._environment = {
            **os.environ, **environment,
            "TAPE_TELEMETRY__PORT": str(self._port), "TAPE_TELEMETRY__LOG_FORMAT": "json",
        }  # fmt: skip
        self.log = folder / f"{name}.log"
        self._start_at = float("inf")
        self._away_s = 0.0

    def start(self) -> None:
        """Start it now."""
        self._start_at = float("inf")
        self.starts += 1
        self.pid = self._nursery.start(self._arguments, self._environment, self.log)

    def keep(self) -> None:
        """Start it again where it is due; to be called often, after the nursery's `reap`."""
        now = time.monotonic()
        if self.pid is not None and self.pid in self._nursery.codes:
            if not self._away_s:
                self.ended[self._nursery.codes[self.pid]] += 1
            self.pid, self._start_at = None, now + max(self._away_s, _AGAIN_S)
            self._away_s = 0.0
        if self.pid is None and now >= self._start_at:
            self.start()

    def kill(self, down_s: float) -> bool:
        """`kill -9`; started again after so long. False where it was down."""
        if not self.signal(signal.SIGKILL):
            return False
        self._await_end(10)
        self.pid, self._start_at, self._away_s = None, time.monotonic() + down_s, 0.0
        return True

    def signal(self, number: int) -> bool:
        """Send it a signal; False where it is down."""
        if self.pid is None:
            return False
        try:
            os.kill(self.pid, number)
        except ProcessLookupError:
            return False
        return True

    def stop(self, limit_s: float = 60.0) -> int | None:
        """Ask it to end and keep it down; its status, None where it was down."""
        self._start_at = float("inf")
        if self.pid is None:
            return None
        self.signal(signal.SIGCONT)
        self.signal(signal.SIGTERM)
        if not self._await_end(limit_s):
            self.signal(signal.SIGKILL)
            self._await_end(10)
        pid, self.pid = self.pid, None
        return self._nursery.codes.get(pid)

    def leave(self, away_s: float) -> None:
        """Ask it to end in order; started again after so long."""
        self.signal(signal.SIGTERM)
        self._away_s = away_s

    def is_ready(self) -> bool:
        """Whether its /readyz says so."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self._port}/readyz", timeout=2):
                return self.pid is not None
        except (urllib.error.URLError, OSError):
            return False

    def text(self) -> str:
        """The end of its log."""
        return self.log.read_text(errors="replace")[-3_000:] if self.log.exists() else ""

    def _await_end(self, limit_s: float) -> bool:
        deadline = time.monotonic() + limit_s
        while self.pid is not None and time.monotonic() < deadline:
            self._nursery.reap()
            if self.pid in self._nursery.codes or not psutil.pid_exists(self.pid):
                return True
            time.sleep(0.01)
        return False
