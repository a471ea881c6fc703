"""Where a collector's events land: the tape, or the spool's folder while Kafka is away."""

import asyncio
from collections.abc import Callable
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


class Landing:
    """An open tape: `close` its writer. `tail` is what it held, empty if Kafka was away.

    `incomplete`: the tape may lack events that we should know of from it: it could not be read at
    the start, or some were dropped past the spool's bound.
    """

    def __init__(
        self, settings: Settings, ids: SchemaIds, writer: SpoolingWriter, found: Tail | None
    ) -> None:
        self.writer = writer
        self.tail = found or Tail()
        self.incomplete = found is None
        self._settings, self._ids = settings, ids

    async def recall(self, take: Callable[[Tail], None]) -> None:
        """Whenever the tape may be incomplete and has all that was spooled, give its tail."""
        while True:
            await asyncio.sleep(_LOOK_S)
            if not self.incomplete or self.writer.away or self.writer.spooled.records:
                continue
            try:
                found = await asyncio.to_thread(_read, self._settings, self._ids)
            except StoreError as error:
                log.warning("tail_not_read", error=str(error))
                continue
            self.incomplete = False
            take(found)


def land(settings: Settings, name: str, on_dropped: Callable[[ByInstrument], None]) -> Landing:
    """Open the tape, which is made if it is not there, for the collector of this name.

    While Kafka is away, only a collector that has run before can start: its spool's folder
    knows how many partitions the tape has. StoreError for others, and without the registry.
    """
    spool = settings.collector.spool
    folder = (spool.folder or settings.stack.home / "spool") / name
    known = folder / f"{settings.tape}.partitions"
    registry, found = clients.registry(settings), None
    try:
        made = create_tape(
            settings.kafka, registry, settings.tape, settings.partitions, settings.processors
        )
        ids, partitions = made.ids, made.partitions
        found = _read(settings, ids)
        _remember(known, partitions)
    except StoreError as error:
        if not known.is_file():
            raise
        ids, partitions = registry.ids(settings.tape), int(known.read_text())
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
    return Landing(settings, ids, writer, found)


def _read(settings: Settings, ids: SchemaIds) -> Tail:
    return tail.read(settings.kafka, ids, settings.tape)


def _remember(known: Path, partitions: int) -> None:
    try:
        known.parent.mkdir(parents=True, exist_ok=True)
        known.write_text(str(partitions))
    except OSError as error:
        log.warning("spool_folder", path=str(known), error=str(error))
