"""Tapes for the figures: real captures through the venues' parsers, on a broker of the stack."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import msgspec

from processors.config import ProcessorsConfig
from schemas.events import Event
from schemas.registry import Registry, SchemaIds
from streams import log, topics
from streams.config import KafkaConfig
from streams.producer import TapeWriter
from tape import clients, config, stack
from venues.feed import Feed
from venues.history import importer
from venues.history.derive import Tally, derive
from venues.history.files import no_progress
from venues.history.formats import open_stream
from venues.history.merge import merge
from venues.history.names import Hints
from venues.history.reads import STREAMS_A_FILE
from venues.simulator.market import Market

_SIMULATED_EVENTS = 300_000
_TIMES = ("event_time", "receive_time", "open_time", "funding_time")
_NUMBERS = ("sequence", "previous_sequence")


@dataclass(frozen=True, slots=True)
class BenchTape:
    """A tape that is deleted after the measurement."""

    name: str
    kafka: KafkaConfig
    registry: Registry
    registry_url: str
    ids: SchemaIds
    processors: ProcessorsConfig
    partitions: int

    def events(self) -> int:
        """Records on the tape."""
        return sum(log.ends(self.kafka, self.name, "tape").values())


@contextmanager
def bench_tape(processors: ProcessorsConfig, partitions: int = 1) -> Iterator[BenchTape]:
    """A new tape on the stack that the settings name."""
    settings = stack.addresses(config.settings(), only=("kafka", "registry"))
    registry = clients.registry(settings)
    name = f"bench{uuid4().hex[:8]}"
    made = topics.create_tape(settings.kafka, registry, name, partitions, processors)
    try:
        yield BenchTape(
            name, settings.kafka, registry, settings.registry.url, made.ids, processors, partitions
        )
    finally:
        topics.delete_tape(settings.kafka, name)


def captures() -> list[Path]:
    """The recorded captures of ten minutes of three Binance markets, where they are."""
    default = Path(__file__).resolve().parents[2] / "shared" / "data"
    folder = Path(os.environ.get("TAPE_SHARED_DATA", default)) / "ws"
    return sorted(folder.glob("*.hft.gz"))


def market_events() -> list[Event]:
    """Recorded events, with Clock pulses; the market model's where there are no captures."""
    if paths := captures():
        files = importer.examine_all(paths)
        streams = [
            open_stream(file, Hints(), index * STREAMS_A_FILE, no_progress)[1]
            for index, file in enumerate(files)
        ]
        return list(derive(iter(merge(streams)), [f.name for f in files], Feed(), Tally()))
    feed, found = Feed(), []
    for frame in Market(seed=1).frames():
        found += feed.receive(frame)
        if len(found) >= _SIMULATED_EVENTS:
            break
    return found


def fill(tape: BenchTape, events: list[Event], copies: int) -> None:
    """Write the events several times over, each copy after the other in time and sequence."""
    times = [event.event_time for event in events]  # type: ignore[attr-defined]  # all have it
    span = max(times) - min(times) + 1_000_000
    writer = TapeWriter(tape.kafka, tape.ids, tape.name, tape.partitions)
    for copy in range(copies):
        for event in events:
            writer.write(_later(event, copy * span, copy * 10**14) if copy else event)
    writer.flush()


def _later(event: Event, time_us: int, number: int) -> Event:
    changes: dict[str, Any] = {
        name: value + shift
        for names, shift in ((_TIMES, time_us), (_NUMBERS, number))
        for name in names
        if isinstance(value := getattr(event, name, None), int) and value >= 0
    }
    if hasattr(event, "trade_id") and event.trade_id.isdigit():
        changes["trade_id"] = str(int(event.trade_id) + number)
    return msgspec.structs.replace(event, **changes)
