"""An import: files checked, derived, written to the tape once, and recorded on `imports`."""

import json
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from schemas import catalogue
from schemas.errors import ConfigError
from schemas.events import Event, Import
from streams import log
from venues.feed import Feed
from venues.history.derive import Tally, derive
from venues.history.existing import Existing, dead_letters, newest_event_time
from venues.history.files import OnRead, SourceFile, examine, no_progress
from venues.history.formats import open_stream
from venues.history.ledger import Ledger, import_id
from venues.history.merge import first_and_rest, merge
from venues.history.names import Hints
from venues.history.reads import STREAMS_A_FILE, Read
from venues.history.summary import Written, summary
from venues.history.writer import ImportWriter, Target

# Streams of one moment overlap by their delays: the first event of a file may be this much
# older than the newest of the file before it.
OVERLAP_US = 5_000_000


def examine_all(paths: Sequence[Path], on_read: OnRead = no_progress) -> list[SourceFile]:
    """Read every file whole once; a file given twice counts once. ConfigError as `examine`."""
    found: dict[str, SourceFile] = {}
    for path in paths:
        source = examine(path, on_read)
        found.setdefault(source.sha256, source)
    return list(found.values())


@dataclass(slots=True)
class Derivation:
    """Files opened and merged, and what was counted while their events are taken."""

    files: Sequence[SourceFile]
    formats: list[str]
    first: Read | None
    reads: Iterator[Read]
    feed: Feed
    tally: Tally

    def events(self) -> Iterator[Event]:
        """What goes onto the tape, in its order, with dead letters between."""
        return derive(self.reads, [file.name for file in self.files], self.feed, self.tally)

    def summary(self, written: Written) -> dict[str, Any]:
        """What was counted while the events were taken."""
        files = list(zip(self.files, self.formats, strict=True))
        return summary(files, self.tally, self.feed, written)


def open_files(
    files: Sequence[SourceFile], hints: Hints, on_read: OnRead = no_progress
) -> Derivation:
    """Files by their readers, merged by receive time; ConfigError as the readers raise it."""
    opened = [
        open_stream(file, hints, index * STREAMS_A_FILE, on_read)
        for index, file in enumerate(files)
    ]
    first, reads = first_and_rest(merge([stream for _, stream in opened]))
    formats = [form.name for form, _ in opened]
    return Derivation(files, formats, first, reads, Feed(), Tally())


def dry_run(
    files: Sequence[SourceFile], hints: Hints, on_read: OnRead = no_progress
) -> dict[str, Any]:
    """What an import would write to an empty tape, without Kafka and without writing."""
    derivation = open_files(files, hints, on_read)
    for _ in derivation.events():
        pass
    return derivation.summary(Written())


def run(
    files: Sequence[SourceFile], hints: Hints, target: Target, on_read: OnRead = no_progress
) -> dict[str, Any]:
    """Import files to a tape, each once; the summary says what was done.

    A file that the tape has already is left out; an import that was interrupted is completed
    by the same call. ConfigError when the files lie before what the tape holds, or when
    another import was interrupted; StoreError when Kafka is away or holds what does not fit.
    """
    ledger = Ledger(target.kafka, target.ids, target.tape)
    new = [file for file in files if ledger.completed(file.sha256) is None]
    known = [file.name for file in files if file not in new]
    if not new:
        return {"already_imported": known, **_nothing()}
    identity = import_id(new, hints)
    started = _interrupted(ledger, identity)
    derivation = open_files(new, hints, on_read)
    ends = log.end_offsets(target.kafka, target.tape, catalogue.TAPE, target.partitions)
    if started is None:
        _refuse_going_back(derivation, target, ends)
        started = progress_record(identity, new, "STARTED", ends, "")
        writer = ImportWriter(target, None, Counter())
        writer.record(started)
    else:
        existing = Existing(target.kafka, target.ids, target.tape, started.start_offsets, ends)
        writer = ImportWriter(target, existing, dead_letters(target.kafka, target.tape))
    for event in derivation.events():
        writer.write(event)
    done = derivation.summary(writer.finish())
    writer.record(
        progress_record(identity, new, "COMPLETED", started.start_offsets, json.dumps(done))
    )
    return {"import_id": identity, "already_imported": known, **done}


def _nothing() -> dict[str, Any]:
    return summary([], Tally(), Feed(), Written())


def _interrupted(ledger: Ledger, identity: str) -> Import | None:
    """The beginning of the import of this id; ConfigError when another one was interrupted."""
    started = ledger.interrupted()
    if started is not None and started.import_id != identity:
        names = " ".join(name for name, _ in started.files)
        raise ConfigError(
            f"the import of {names} to this tape was interrupted: complete it first by the same "
            "command as then, or import to another tape (--tape NAME)"
        )
    return started


def _refuse_going_back(derivation: Derivation, target: Target, ends: Sequence[int]) -> None:
    if derivation.first is None:
        return
    newest = newest_event_time(target.kafka, target.ids, target.tape, ends)
    first = derivation.first[0]
    if first < newest - OVERLAP_US:
        raise ConfigError(
            f"the files begin at {_moment(first)}, but the tape {target.tape!r} already holds "
            f"events up to {_moment(newest)}, and a tape does not go back in time: import them "
            "to another tape (--tape NAME), or all files together to a new one"
        )


def _moment(time_us: int) -> str:
    return datetime.fromtimestamp(time_us / 1e6, UTC).isoformat(sep=" ", timespec="seconds")


def progress_record(
    identity: str,
    files: Sequence[SourceFile],
    status: Literal["STARTED", "COMPLETED"],
    offsets: Sequence[int],
    text: str,
) -> Import:
    """An import's progress as it is put on `imports`, now."""
    return Import(
        import_id=identity,
        event_time=time.time_ns() // 1000,
        status=status,
        files=[(file.name, file.sha256) for file in files],
        start_offsets=list(offsets),
        summary=text,
    )
