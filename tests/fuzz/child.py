"""The process that runs cases: a crash or a hang of it tells its parent which case it was."""

import argparse
import hashlib
import json
import mmap
import random
import resource
import sys
import time
import traceback
from base64 import b64decode, b64encode
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from tests.fuzz.mutation import Case
from tests.fuzz.target import Target

SLOW_S = 2.0
_MEMORY = 4 << 30
# Findings of one place that are written down; further ones are counted.
_OF_ONE_PLACE = 2
_WARM = 32


def case_at(target: Target, seeds: Sequence[Case], seed: int, number: int) -> Case:
    """The case of a number: the same whenever and wherever it is made."""
    return target.case(seeds, random.Random(f"{seed}/{target.name}/{number}"))


def block_until(target: Target, seed: int, number: int) -> list[Case]:
    """The cases that the state of a target was made of, when a number was its last."""
    seeds = target.seeds()
    first = number - number % target.block
    return [case_at(target, seeds, seed, n) for n in range(first, number + 1)]


def failure(target: Target, case: Case) -> tuple[str, str] | None:
    """Place and trace of what a case raises, or that it takes longer than it may."""
    began = time.process_time()
    try:
        target.run(case)
    except BaseException as error:  # whatever it is, it is a finding
        frames = traceback.extract_tb(error.__traceback__)
        ours = [f for f in frames if "/tests/fuzz/" not in f.filename] or frames
        place = f"{type(error).__name__} in {Path(ours[-1].filename).name}:{ours[-1].lineno}"
        inner = [
            f for f in frames if "site-packages" not in f.filename and "/lib/" not in f.filename
        ]
        if inner:
            place += f" by {Path(inner[-1].filename).name}:{inner[-1].lineno}"
        return place, "".join(traceback.format_exception(error))[-4_000:]
    spent = time.process_time() - began
    return ("slow", f"{spent:.1f} s of CPU") if spent > SLOW_S else None


def run(
    target: Target, seed: int, begin: int, end: int, status: mmap.mmap | bytearray
) -> dict[str, Any]:
    """Run cases, the number of the present one in `status`; what was found, by place."""
    seeds = target.seeds()
    for case in seeds:
        if (found := failure(target, case)) is not None and found[0] != "slow":
            raise AssertionError(f"a sample of {target.name} as it is: {found[1]}")
    # Kernels are compiled by then, which is not a hang.
    for number in range(-_WARM, 0):
        failure(target, case_at(target, seeds, seed, number))
    target.reset()
    findings: dict[str, dict[str, Any]] = {}
    began = time.monotonic()
    for number in range(begin, end):
        status[:8] = (number + 1).to_bytes(8, "little")
        if number % target.block == 0:
            target.reset()
        if (found := failure(target, case_at(target, seeds, seed, number))) is not None:
            known = findings.setdefault(found[0], {"count": 0, "numbers": [], "trace": found[1]})
            known["count"] += 1
            if len(known["numbers"]) < _OF_ONE_PLACE:
                known["numbers"].append(number)
            target.reset()
    status[:8] = bytes(8)  # nobody watches what follows
    return {
        "target": target.name,
        "cases": end - begin,
        "seconds": round(time.monotonic() - began, 1),
        "memory_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10,
        "findings": findings,
    }


def minimal(target: Target, cases: list[Case], place: str) -> list[Case]:
    """Fewer and smaller cases that end at the same place, as far as quick cutting brings them."""

    def ends_there(tried: list[Case]) -> bool:
        target.reset()
        found = None
        for case in tried:
            found = failure(target, case)
        return found is not None and found[0] == place

    if not ends_there(cases):
        return cases
    deadline = time.monotonic() + 20.0
    while len(cases) > 1 and time.monotonic() < deadline:
        half = next((s for s in _less(len(cases)) if ends_there(_kept(cases, s))), None)
        if half is None:
            break
        cases = _kept(cases, half)
    size = len(cases[-1].body)
    step = max(1, size // 2)
    while step and time.monotonic() < deadline:
        at = 0
        while at < len(cases[-1].body) and time.monotonic() < deadline:
            last = cases[-1]
            shorter = [*cases[:-1], last._replace(body=last.body[:at] + last.body[at + step :])]
            if ends_there(shorter):
                cases = shorter
            else:
                at += step
        step //= 2
    return cases


def _less(count: int) -> Iterator[tuple[int, int]]:
    """Ranges that may be left out, wide ones first; never the last case."""
    size = count - 1
    while size:
        for begin in range(0, count - 1, size):
            yield begin, min(begin + size, count - 1)
        size //= 2


def _kept(cases: list[Case], left_out: tuple[int, int]) -> list[Case]:
    return cases[: left_out[0]] + cases[left_out[1] :]


def saved(cases: Sequence[Case]) -> list[list[str]]:
    """Cases as JSON-able data."""
    return [[b64encode(case.head).decode(), b64encode(case.body).decode()] for case in cases]


def loaded(data: Sequence[Sequence[str]]) -> list[Case]:
    """Cases out of a file's data."""
    return [Case(b64decode(head), b64decode(body)) for head, body in data]


def write_finding(folder: Path, target: Target, cases: list[Case], place: str, text: str) -> Path:
    """Keep a finding's cases, made small."""
    small = minimal(target, cases, place)
    data = {"target": target.name, "place": place, "cases": saved(small), "trace": text}
    digest = hashlib.sha256(json.dumps(data["cases"]).encode()).hexdigest()[:10]
    path = folder / f"{target.name}-{digest}.json"
    path.write_text(json.dumps(data, indent=1) + "\n")
    return path


def main() -> None:
    """Run a range of cases of one target and print what was found."""
    from tests.fuzz.targets import TARGETS

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("target", choices=TARGETS)
    parser.add_argument("seed", type=int)
    parser.add_argument("begin", type=int)
    parser.add_argument("end", type=int)
    parser.add_argument("folder", type=Path)
    given = parser.parse_args()
    resource.setrlimit(resource.RLIMIT_DATA, (_MEMORY, _MEMORY))
    with (given.folder / "status").open("r+b") as file:
        status = mmap.mmap(file.fileno(), 8)
    target = TARGETS[given.target]()
    report = run(target, given.seed, given.begin, given.end, status)
    for place, found in report["findings"].items():
        cases = block_until(target, given.seed, found["numbers"][0])
        found["file"] = str(write_finding(given.folder, target, cases, place, found["trace"]))
    sys.stdout.write(json.dumps(report) + "\n")


if __name__ == "__main__":
    main()
