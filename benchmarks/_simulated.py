"""A simulator in a process of its own, for the figures of collecting."""

import json
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks._tapes import BenchTape
from schemas.errors import StoreError
from tape.demo.children import free_port

_LIMIT_S = 180.0


@contextmanager
def simulator(arguments: list[str], folder: Path) -> Iterator[str]:
    """Run `tape sim` with these arguments; its address."""
    port = free_port()
    command = [sys.executable, "-m", "tape", "sim", "--port", str(port), *arguments]
    address, path = f"http://127.0.0.1:{port}", folder / "simulator.log"
    with path.open("w") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
        try:
            _await(process, address, path)
            yield address
        finally:
            process.terminate()
            process.wait(30)


def collector_environment(tape: BenchTape, folder: Path, **settings: str) -> dict[str, str]:
    """The environment of a `tape collect` onto this tape; `settings`: of the collector."""
    return {
        **os.environ,
        "TAPE_KAFKA__BOOTSTRAP": tape.kafka.bootstrap,
        "TAPE_REGISTRY__URL": tape.registry_url,
        "TAPE_TAPE": tape.name,
        "TAPE_PARTITIONS": str(tape.partitions),
        "TAPE_COLLECTOR__SPOOL__FOLDER": str(folder / "spool"),
        **{f"TAPE_COLLECTOR__{name}": value for name, value in settings.items()},
    }


def asked(address: str, path: str = "/control") -> Any:
    """What the control endpoint says."""
    with urllib.request.urlopen(address + path, timeout=10) as answer:
        return json.loads(answer.read())


def _await(process: "subprocess.Popen[bytes]", address: str, log: Path) -> None:
    deadline = time.monotonic() + _LIMIT_S
    while time.monotonic() < deadline and process.poll() is None:
        try:
            asked(address)
        except (urllib.error.URLError, OSError):
            time.sleep(0.1)
        else:
            return
    raise StoreError(f"the simulator did not open:\n{log.read_text()[-2000:]}")
