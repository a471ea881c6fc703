"""`python -m tests.torture.report RESULTS…`: the figures of docs/torture.md out of results."""

import json
import sys
from collections import Counter
from pathlib import Path
from statistics import median
from typing import Any


def main() -> None:
    """Print the tables."""
    results = [
        json.loads(line) for name in sys.argv[1:] for line in Path(name).read_text().splitlines()
    ]
    print("\n".join(lines(results)))


def lines(results: list[dict[str, Any]]) -> list[str]:
    """Markdown of all results together."""
    kills, faults, ended = Counter[str](), Counter[str](), Counter[str]()
    compared, times = Counter[str](), dict[str, list[float]]()
    for one in results:
        kills.update(one["kills"])
        faults.update(one["faults"])
        compared.update(one["compared"])
        for name, statuses in one["ended"].items():
            ended[name] += sum(statuses.values())
        for fault, found in one["recovery_s"].items():
            times.setdefault(fault, []).extend(found)
    bad = [one for one in results if one["findings"] or one["failure"]]
    return [
        f"{len(results)} plans, {kills.total():,} kills, {faults.total()} other faults; "
        f"{len(bad)} plans with findings.",
        "",
        "| seed | blows, s | kills | others | tape | trades | repeats | settled after, s | found |",
        "|---|---|---|---|---|---|---|---|---|",
        *map(_plan, results),
        "",
        "| killed | times | ended by itself |",
        "|---|---|---|",
        *(f"| {name} | {n:,} | {ended[name]} |" for name, n in kills.most_common()),
        f"| all | {kills.total():,} | {ended.total()} |",
        "",
        "| other faults | times |",
        "|---|---|",
        *(f"| {name} | {n} |" for name, n in faults.most_common()),
        "",
        "| fault | n | median, s | most, s |",
        "|---|---|---|---|",
        *(
            f"| {name} | {len(found)} | {median(found):.2f} | {max(found):.2f} |"
            for name, found in times.items()
        ),
        "",
        ", ".join(f"{n:,} {name}" for name, n in compared.most_common()),
    ]


def _plan(one: dict[str, Any]) -> str:
    found = "**failed**" if one["failure"] else len(one["findings"]) or "nothing"
    return (
        f"| {one['seed']} | {one['seconds']:.0f} | {sum(one['kills'].values())} "
        f"| {sum(one['faults'].values())} | {one['compared'].get('tape', 0):,} "
        f"| {one['compared'].get('trades', 0):,} | {one['repeats']} | {one['settle_s']} "
        f"| {found} |"
    )


if __name__ == "__main__":
    main()
