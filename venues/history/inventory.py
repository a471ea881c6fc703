"""Prints what each file of some folders would import: `python -m venues.history.inventory DIR…`."""

import sys
from collections import Counter
from pathlib import Path
from typing import Any

from venues.history import importer
from venues.history.names import Hints

HEAD = ("file", "format", "venue symbol: events", "gaps", "pulses", "dead", "ignored")
# An instrument list has hundreds: then the venue is counted as one.
_MOST_SYMBOLS = 8


def row(path: Path) -> tuple[str, ...]:
    """One file's line of the table."""
    done = importer.dry_run(importer.examine_all([path]), Hints())
    form: str = done["files"][0]["format"]
    gaps = sum(count for symbols in done["gaps"].values() for count in symbols.values())
    dead, pulses = done["dead_letters"], done["clock_pulses"]
    counts = (_counts(done), f"{gaps:,}", f"{pulses:,}", f"{dead:,}", _ignored(done))
    return (f"`{path.name}`", form, *counts)


def _counts(done: dict[str, Any]) -> str:
    lines = []
    for venue, symbols in done["counts"].items():
        if len(symbols) <= _MOST_SYMBOLS:
            lines += [f"{venue} {symbol}: {_kinds(kinds)}" for symbol, kinds in symbols.items()]
        else:
            total: Counter[str] = Counter()
            for kinds in symbols.values():
                total.update(kinds)
            lines.append(
                f"{venue}, {len(symbols):,} symbols: {_kinds(dict(sorted(total.items())))}"
            )
    return "<br>".join(lines)


def _kinds(counts: dict[str, int]) -> str:
    return ", ".join(f"{record} {count:,}" for record, count in counts.items())


def _ignored(done: dict[str, Any]) -> str:
    venues = [f"{venue}: {_kinds(kinds)}" for venue, kinds in done["ignored"].items()]
    return "<br>".join(venues) or "–"


def table(folders: list[Path]) -> str:
    """The Markdown table of all files of these folders."""
    paths = [path for folder in folders for path in sorted(folder.iterdir()) if path.is_file()]
    rows = [HEAD, tuple("---" for _ in HEAD), *(row(path) for path in paths)]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in rows)


if __name__ == "__main__":
    print(table([Path(argument) for argument in sys.argv[1:]]))
