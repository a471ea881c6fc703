"""`python -m tests.fuzz`: the long form; prints a table, ends with 1 when something was found."""

import argparse
import json
import os
import sys
import tempfile
from pathlib import Path

from tests.fuzz.runner import fuzz
from tests.fuzz.targets import TARGETS


def main() -> None:
    """Run the cases and show what was found."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--target", action="append", default=[], choices=TARGETS)
    parser.add_argument("--folder", type=Path, help="where findings go; default: a new one")
    parser.add_argument("--unchecked", action="store_true", help="kernels without index checks")
    given = parser.parse_args()
    folder = given.folder or Path(tempfile.mkdtemp(prefix="tape-fuzz-"))
    folder.mkdir(parents=True, exist_ok=True)
    found = total = 0
    print("| target | cases | seconds | memory MB | found |\n|---|---:|---:|---:|---|", flush=True)
    for report in fuzz(given.cases, given.seed, folder, given.target, not given.unchecked):
        with (folder / "reports.jsonl").open("a") as file:
            file.write(json.dumps(report) + "\n")
        total += report["cases"]
        places = [f"{place} × {one['count']}" for place, one in report["findings"].items()]
        found += len(places)
        row = (report["target"], report["cases"], report["seconds"], report["memory_mb"])
        print("|", " | ".join(map(str, (*row, "; ".join(places) or "–"))), "|", flush=True)
    print(f"{total} cases, {found} places, load {os.getloadavg()[0]:.1f}; in {folder}")
    sys.exit(1 if found else 0)


if __name__ == "__main__":
    main()
