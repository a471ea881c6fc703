"""What every figure is made with: runs side by side, their spread, machine and versions."""

import json
import os
import platform
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from statistics import median
from typing import Any

from schemas.errors import StoreError


@dataclass(frozen=True, slots=True)
class Result:
    """One figure: ours and the peer's on the same input, medians over the runs.

    `ratio` is how many times better ours is; `spread` holds lowest and highest of each side.
    """

    name: str
    ours: float
    peer: float
    ratio: float
    unit: str
    spread: dict[str, list[float]]
    machine: dict[str, Any]
    versions: dict[str, str]
    details: dict[str, Any] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """The figure as JSON-able data."""
        return asdict(self)


def compare(
    name: str,
    unit: str,
    ours: Sequence[float],
    peer: Sequence[float],
    versions: Mapping[str, str],
    more_is_better: bool = True,
    **details: Any,
) -> Result:
    """The figure of these runs."""
    our, their = median(ours), median(peer)
    return Result(
        name,
        _rounded(our),
        _rounded(their),
        round(our / their if more_is_better else their / our, 2),
        unit,
        {
            "ours": [_rounded(min(ours)), _rounded(max(ours))],
            "peer": [_rounded(min(peer)), _rounded(max(peer))],
        },
        machine(),
        dict(versions),
        details,
    )


def machine() -> dict[str, Any]:
    """What the figure was measured on."""
    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "memory_gb": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        "system": platform.platform(),
        "load": round(os.getloadavg()[0], 2),
    }


def versions(*distributions: str) -> dict[str, str]:
    """Versions of Python and of these distributions."""
    found = {"python": platform.python_version()}
    for name in distributions:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def isolated(script: Path, requirement: str, *arguments: str) -> dict[str, Any]:
    """Run a script in an environment of its own; what it prints last, as JSON.

    StoreError with the end of its output when it fails.
    """
    command = isolated_command(script, requirement, arguments=arguments)
    return last_json(
        subprocess.run(command, check=False, capture_output=True, text=True), requirement
    )


def isolated_command(
    script: Path, requirement: str, *more: str, arguments: Sequence[str] = ()
) -> list[str]:
    """The command that runs a script in an environment of its own; `more`: options of uv."""
    python = f"{sys.version_info.major}.{sys.version_info.minor}"
    command = ["uv", "run", "--quiet", "--isolated", "--no-project", "--python", python]
    return [*command, "--with", requirement, *more, "python", str(script), *arguments]


def last_json(done: "subprocess.CompletedProcess[str]", what: str) -> dict[str, Any]:
    """The JSON in the last line that a process printed; StoreError when it failed."""
    lines = done.stdout.strip().splitlines()
    if done.returncode or not lines:
        raise StoreError(f"{what} failed:\n{done.stdout[-500:]}\n{done.stderr[-2000:]}")
    parsed: dict[str, Any] = json.loads(lines[-1])
    return parsed


def _rounded(value: float) -> float:
    return round(value, 3) if abs(value) < 1_000 else round(value)


def _processor() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()
