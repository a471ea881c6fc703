"""What an import did, as one object that a program or a person can read."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from venues.feed import Feed
from venues.history.derive import Tally
from venues.history.files import SourceFile


@dataclass(slots=True)
class Written:
    """What reached Kafka."""

    records: int = 0
    """Records written now: an event for every symbol is one in every partition."""
    already_there: int = 0
    """Records that an interrupted run had written, found equal and not written again."""
    foreign: int = 0
    """Records of others between those of the interrupted run."""


def summary(
    files: Sequence[tuple[SourceFile, str]],
    tally: Tally,
    feed: Feed,
    written: Written,
) -> dict[str, Any]:
    """Counts by venue, symbol and record type, and whatever was not taken as it came."""
    counts = tally.recorded + feed.counts
    return {
        "files": [
            {"file": file.name, "sha256": file.sha256, "format": form} for file, form in files
        ],
        "frames": tally.frames,
        "events": counts.total(),
        "counts": _nested(counts),
        "gaps": _nested(tally.gaps),
        "ignored": _nested(feed.ignored),
        "dead_letters": tally.dead_letters,
        "clock_pulses": tally.pulses,
        "newest_event_time": tally.newest_event_time,
        "written": written.records,
        "already_there": written.already_there,
        "foreign": written.foreign,
    }


def _nested(counts: Mapping[Any, int]) -> dict[str, Any]:
    """Counts by tuples as objects in objects, in the order of their names."""
    nested: dict[str, Any] = {}
    for path, count in sorted(counts.items()):
        node = nested
        for name in path[:-1]:
            node = node.setdefault(name, {})
        node[path[-1]] = count
    return nested
