"""Reads of files to the events of an import: what the tape gets, in its order.

A function of the files' bytes alone, so that an interrupted import can be derived again and
compared with what is already on the tape.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from schemas.events import Clock, DeadLetter, Event, FeedStatus, Trade
from venues.feed import Feed
from venues.frames import Frame
from venues.history.clock import EventClock
from venues.history.reads import STREAMS_A_FILE, Read, Refused

SOURCE = "import"


@dataclass(slots=True)
class Tally:
    """What an import has derived so far."""

    frames: int = 0
    recorded: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    """Events that files held as such, by venue, symbol and record; the feed counts its own."""
    gaps: Counter[tuple[str, str]] = field(default_factory=Counter)
    pulses: int = 0
    dead_letters: int = 0
    newest_event_time: int = 0


def derive(
    reads: Iterator[Read], files: Sequence[str], feed: Feed, tally: Tally
) -> Iterator[Event]:
    """The events of all reads with the Clock pulses between them, and dead letters.

    `files` are the names of the files, which dead letters give with the line.
    """
    clock = EventClock()
    newest = 0
    for time, stream, line, what in reads:
        if isinstance(what, Frame):
            # Any: every event that a venue causes has a venue, a symbol and times.
            tally.frames += 1
            events: Sequence[Any] = feed.receive(what)
            if feed.refused:
                for letter in _take(feed):
                    tally.dead_letters += 1
                    yield _located(letter, files[stream // STREAMS_A_FILE], line)
        elif isinstance(what, Refused):
            tally.dead_letters += 1
            yield _letter(what, files[stream // STREAMS_A_FILE], line)
            continue
        else:
            events = (what,)
            tally.recorded[what.venue, what.symbol, type(what).__name__] += 1
        ticks = isinstance(what, Frame | Trade)
        for event in events:
            event_time = event.event_time
            if ticks and event_time > clock.newest:
                for pulse in clock.pulses(event_time, time):
                    tally.pulses += 1
                    yield Clock(event_time=pulse, receive_time=time)
            if event_time > newest:
                newest = tally.newest_event_time = event_time
            if isinstance(event, FeedStatus) and event.status == "GAP":
                tally.gaps[event.venue, event.symbol] += 1
            yield event
    yield from feed.finish()


def _take(feed: Feed) -> list[DeadLetter]:
    letters = list(feed.refused)
    feed.refused.clear()
    return letters


def _located(letter: DeadLetter, file: str, line: int) -> DeadLetter:
    reason = f"{file} line {line}: {letter.reason}"
    return msgspec.structs.replace(letter, source=SOURCE, offset=line, reason=reason)


def _letter(refused: Refused, file: str, line: int) -> DeadLetter:
    return DeadLetter(
        source=SOURCE,
        topic=refused.venue,
        partition=-1,
        offset=line,
        event_time=refused.receive_time,
        reason=f"{file} line {line}: {refused.reason}",
        payload=refused.payload,
    )
