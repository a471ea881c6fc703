"""Where a collector's events land: the tape, or the spool's folder while Kafka is away."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from schemas.errors import StoreError
from schemas.registry import SchemaIds
from streams.drops import ByInstrument
from streams.logs import logger
from streams.spooling import SpoolingWriter
from streams.topics import create_tape
from tape import clients
from tape.config import Settings
from venues.live import tail
from venues.live.tail import Tail

log = logger("tape.collect")

_LOOK_S = 1.0


@dataclass(frozen=True, slots=True)
class Landing:
    """An open tape: `close` its writer. `tail` is what it held; empty while Kafka is away."""

    writer: SpoolingWriter
    tail: Tail
    was_away: bool
    _settings: Settings
    _ids: SchemaIds
    _partitions: int

    async def recall(self, take: Callable[[Tail], None]) -> None:
        """If Kafka was away at the start, give the tail when it is back and has all we spooled."""
        while self.was_away:
            await asyncio.sleep(_LOOK_S)
            if self.writer.away or self.writer.spooled.records:
                continue
            try:
                found = await asyncio.to_thread(self._read)
            except StoreError as error:
                log.warning("tail_not_read", error=str(error))
                continue
            take(found)
            return

    def _read(self) -> Tail:
        kafka, name = self._settings.kafka, self._settings.tape
        return tail.read(kafka, self._ids, name, self._partitions)


def land(settings: Settings, name: str, on_dropped: Callable[[ByInstrument], None]) -> Landing:
    """Open the tape, which is made if it is not there, for the collector of this name.

    While Kafka is away, only a collector that has run before can start: its spool's folder
    knows how many partitions the tape has. StoreError for others, and without the registry.
    """
    spool = settings.collector.spool
    folder = (spool.folder or settings.stack.home / "spool") / name
    known = folder / f"{settings.tape}.partitions"
    registry, found, was_away = clients.registry(settings), Tail(), False
    try:
        made = create_tape(
            settings.kafka, registry, settings.tape, settings.partitions, settings.processors
        )
        ids, partitions = made.ids, made.partitions
        found = tail.read(settings.kafka, ids, settings.tape, partitions)
        _remember(known, partitions)
    except StoreError as error:
        if not known.is_file():
            raise
        ids, partitions, was_away = registry.ids(settings.tape), int(known.read_text()), True
        log.warning("kafka_away", error=str(error))
    writer = SpoolingWriter(
        settings.kafka,
        ids,
        settings.tape,
        partitions,
        folder,
        spool.max_mb << 20,
        spool.fsync_s,
        on_dropped,
    )
    return Landing(writer, found, was_away, settings, ids, partitions)


def _remember(known: Path, partitions: int) -> None:
    try:
        known.parent.mkdir(parents=True, exist_ok=True)
        known.write_text(str(partitions))
    except OSError as error:
        log.warning("spool_folder", path=str(known), error=str(error))
