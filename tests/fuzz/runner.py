"""Runs the targets, each in a child: `python -m tests.fuzz --cases 1000000`."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import psutil

from tests.fuzz.child import SLOW_S, block_until, saved
from tests.fuzz.targets import KERNELS, SHARES, TARGETS

_LOOK_S = 0.25
# What a case may take of CPU time before its process is ended: a child that can says itself that a
# case was slow.
_HANG_S = SLOW_S + 1.0


def fuzz(
    cases: int, seed: int, folder: Path, names: Sequence[str] = (), checked: bool = True
) -> Iterator[dict[str, Any]]:
    """Run so many cases over the targets by their shares; each target's report as it is done.

    `checked`: kernels are compiled anew with a check of every index, in a folder of their own.
    Findings are files in `folder`.
    """
    chosen = names or tuple(TARGETS)
    total = sum(SHARES[name] for name in chosen)
    for name in chosen:
        count = max(1, cases * SHARES[name] // total)
        yield _target(name, seed, count, folder, checked and name in KERNELS)


def _target(name: str, seed: int, count: int, folder: Path, checked: bool) -> dict[str, Any]:
    whole: dict[str, Any] = {"target": name, "cases": 0, "seconds": 0.0, "memory_mb": 0}
    whole |= {"checked": checked, "findings": {}}
    begin = 0
    while begin < count:
        report, number = _child(name, seed, begin, count, folder, checked)
        if report is None:
            # The case that ended the child, and then on behind its block.
            kept = _keep(name, seed, number, folder)
            whole["findings"][f"the process ended or hung ({kept.name})"] = {
                "count": 1, "numbers": [number], "file": str(kept),
            }  # fmt: skip
            block = TARGETS[name]().block
            whole["cases"] += number + 1 - begin
            begin = number + 1 if block == 1 else (number // block + 1) * block
            continue
        for key in ("cases", "seconds"):
            whole[key] += report[key]
        whole["memory_mb"] = max(whole["memory_mb"], report["memory_mb"])
        whole["findings"] |= report["findings"]
        begin = count
    return whole


def _child(
    name: str, seed: int, begin: int, end: int, folder: Path, checked: bool
) -> tuple[dict[str, Any] | None, int]:
    """A child's report; or None and the number of the case that ended it."""
    status = folder / "status"
    status.write_bytes(bytes(8))
    environment = dict(os.environ)
    if checked:
        environment |= {"NUMBA_BOUNDSCHECK": "1", "NUMBA_CACHE_DIR": str(folder / "checked")}
    command = [sys.executable, "-m", "tests.fuzz.child", name, str(seed), str(begin), str(end)]
    with (folder / f"{name}.out").open("w+") as out, (folder / f"{name}.err").open("w+") as err:
        process = subprocess.Popen([*command, str(folder)], stdout=out, stderr=err, env=environment)
        try:
            _watch(process, status)
        finally:
            process.kill()
        out.seek(0)
        err.seek(0)
        lines, errors = out.read().splitlines(), err.read()
    number = int.from_bytes(status.read_bytes(), "little") - 1
    if process.returncode == 0:
        report: dict[str, Any] = json.loads(lines[-1])
        return report, number
    if number < 0:
        raise AssertionError(f"{name} did not begin:\n{errors[-4000:]}")
    (folder / f"{name}-{number}.err").write_text(errors)
    return None, number


def _watch(process: "subprocess.Popen[str]", status: Path) -> None:
    """Wait for a child; end it when it spends too much CPU time on one case."""
    last, since = b"", 0.0
    seen = psutil.Process(process.pid)
    while process.poll() is None:
        time.sleep(_LOOK_S)
        now = status.read_bytes()
        try:
            spent = sum(seen.cpu_times()[:2])
        except psutil.Error:
            continue
        if now != last:
            last, since = now, spent
        elif any(now) and spent - since > _HANG_S:
            process.kill()
    process.wait()


def _keep(name: str, seed: int, number: int, folder: Path) -> Path:
    """The cases up to one that ended its process, as they are."""
    cases = block_until(TARGETS[name](), seed, number)
    path = folder / f"{name}-ended-{number}.json"
    path.write_text(json.dumps({"target": name, "place": "ended", "cases": saved(cases)}) + "\n")
    return path
