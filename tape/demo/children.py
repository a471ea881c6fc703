"""The demo's processes: each a `tape` command of its own, bound to its life, its log in a file."""

import os
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path

from schemas.errors import StoreError
from tape.config import Settings, to_environment
from tape.stack.process import bound

_STOP_LIMIT_S = 60.0
_PROBE_TIMEOUT_S = 1.0


@dataclass(slots=True)
class Child:
    """A running process of ours."""

    name: str
    process: "subprocess.Popen[str]"
    log: Path
    port: int

    def check(self) -> None:
        """StoreError with the end of its log when it ended by itself."""
        if self.process.poll() is None:
            return
        lines = self.log.read_text(errors="replace").splitlines()[-15:]
        raise StoreError(
            f"{self.name} ended with {self.process.returncode}; {self.log} ends:\n"
            + "\n".join(lines)
        )

    def is_ready(self) -> bool:
        """Whether its /readyz says so."""
        url = f"http://127.0.0.1:{self.port}/readyz"
        try:
            with urllib.request.urlopen(url, timeout=_PROBE_TIMEOUT_S):
                return True
        except (urllib.error.URLError, OSError):
            return False

    def ask_to_stop(self) -> None:
        """Send SIGTERM; it ends in its own order."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)

    def stop(self) -> str:
        """Ask it to stop, wait, and give what it printed; kill it when it does not end."""
        self.ask_to_stop()
        try:
            printed, _ = self.process.communicate(timeout=_STOP_LIMIT_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            printed, _ = self.process.communicate()
        return printed or ""


def start(name: str, arguments: list[str], settings: Settings, folder: Path) -> Child:
    """Start `python ARGUMENTS` with these settings.

    In a session of its own: the terminal's Ctrl-C reaches only the demo, which then ends its
    children in order. However the demo ends, they end with it (Linux).
    """
    folder.mkdir(parents=True, exist_ok=True)
    port = free_port()
    telemetry = settings.telemetry.model_copy(update={"port": port, "log_format": "json"})
    environment = to_environment(settings.model_copy(update={"telemetry": telemetry}))
    path = folder / f"{name}.log"
    with path.open("w") as log:
        process = subprocess.Popen(
            bound([sys.executable, "-P", *arguments], signal.SIGTERM),
            env={**os.environ, **environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            start_new_session=True,
        )
    return Child(name, process, path, port)


def free_port() -> int:
    """A port of loopback that nobody listens on now."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])
