"""Prints what each file of some folders would import: `python -m venues.history.inventory DIR…`."""

import sys
from pathlib import Path
from typing import Any

from venues.history import importer
from venues.history.names import Hints

HEAD = ("file", "format", "venue symbol: events", "gaps", "pulses", "dead", "ignored")


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
        if len(symbols) > 8:
            events = sum(sum(records.values()) for records in symbols.values())
            lines.append(f"{venue} {len(symbols)} symbols: {events:,}")
            continue
        for symbol, records in symbols.items():
            kinds = ", ".join(f"{record} {count:,}" for record, count in records.items())
            lines.append(f"{venue} {symbol}: {kinds}")
    return "<br>".join(lines)


def _ignored(done: dict[str, Any]) -> str:
    kinds = [
        f"{kind} {count:,}" for kinds in done["ignored"].values() for kind, count in kinds.items()
    ]
    return ", ".join(kinds) or "–"


def table(folders: list[Path]) -> str:
    """The Markdown table of all files of these folders."""
    paths = [path for folder in folders for path in sorted(folder.iterdir()) if path.is_file()]
    rows = [HEAD, tuple("---" for _ in HEAD), *(row(path) for path in paths)]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in rows)


if __name__ == "__main__":
    print(table([Path(argument) for argument in sys.argv[1:]]))
