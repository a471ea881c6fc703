"""The demo's live input: the venues' servers as a simulator, and a collector that reads them."""

import json
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from schemas.errors import StoreError
from tape.config import Settings
from tape.demo.children import Child, free_port

# Starts a child by name and arguments, and sees to its end.
Start = Callable[[str, list[str]], Child]

_LIMIT_S = 120.0
_PROBE_S = 2.0
# Weather whose messages cannot be read: they become dead letters of the collector.
PLANTED = frozenset(("malformed", "maintenance"))


@dataclass(slots=True)
class Market:
    """A running simulator and, once `collect` was called, the collector on it."""

    simulator: Child
    address: str
    ledger: Path

    def await_open(self) -> None:
        """Wait until it serves; StoreError when it does not."""
        deadline = time.monotonic() + _LIMIT_S
        while time.monotonic() < deadline:
            self.simulator.check()
            try:
                self._get("/control")
            except (urllib.error.URLError, OSError):
                time.sleep(0.1)
            else:
                return
        raise StoreError(f"the simulator did not open in time: see {self.simulator.log}")

    def faults(self) -> list[dict[str, Any]]:
        """Every fault that the weather brought so far."""
        found: list[dict[str, Any]] = self._get("/control/faults")
        return found

    def _get(self, path: str) -> Any:
        with urllib.request.urlopen(self.address + path, timeout=_PROBE_S) as answer:
            return json.loads(answer.read())


def open_market(
    start: Start, settings: Settings, folder: Path, seed: int, rate: float, weather: str
) -> Market:
    """Start the venues' servers for the symbols and venues of the settings."""
    port, ledger = free_port(), folder / "ledger.jsonl"
    arguments = ["-m", "tape", "sim", "--port", str(port), "--ledger", str(ledger)]
    arguments += ["--seed", str(seed), "--rate", str(rate), "--weather", weather]
    for option, values in (("--venue", settings.venues), ("--symbol", settings.symbols)):
        for value in values:
            arguments += [option, value]
    return Market(start("simulator", arguments), f"http://127.0.0.1:{port}", ledger)


def collect(start: Start, market: Market) -> Child:
    """Start a collector at the market's address."""
    return start("collector", ["-m", "tape", "collect", "--address", market.address])
