"""Events that nobody could keep: counted, logged, and told on the tape as gaps."""

import time
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from schemas.events import Event, FeedStatus
from streams.logs import logger

_log = logger("spool")
_TELL_S = 10.0

ByInstrument = Mapping[tuple[str, str], int]
"""Events by venue and symbol."""


class Drops:
    """Counts what is dropped, and remembers which instruments miss something since when."""

    def __init__(self) -> None:
        self.by_record: Counter[str] = Counter()
        self._missing: dict[tuple[str, str], int] = {}
        self._newest: dict[tuple[str, str], tuple[int, int]] = {}
        self._told_at = 0.0

    def add(self, event: Event, why: str) -> None:
        """Count an event as dropped."""
        self.by_record[type(event).__name__] += 1
        of: Any = event
        instrument = getattr(event, "venue", ""), getattr(event, "symbol", "")
        if all(instrument):
            self._missing[instrument] = self._missing.get(instrument, 0) + 1
            self._newest[instrument] = of.event_time, of.receive_time
        self._tell_at_times(why)

    def add_unknown(self, count: int, why: str) -> None:
        """Count records of which only their bytes are known."""
        self.by_record["record"] += count
        self._tell_at_times(why)

    def _tell_at_times(self, why: str) -> None:
        if time.monotonic() - self._told_at >= _TELL_S:
            self._told_at = time.monotonic()
            self.tell(why)

    def tell(self, why: str) -> None:
        """Log what was dropped so far."""
        _log.error("events_dropped", total=self.by_record.total(), by=dict(self.by_record), why=why)

    def take(self) -> ByInstrument:
        """The instruments that miss events since the last call."""
        missing, self._missing = self._missing, {}
        return missing

    def gaps(self, missing: ByInstrument, why: str) -> Iterator[FeedStatus]:
        """The events that say so on the tape."""
        for (venue, symbol), count in missing.items():
            event_time, receive_time = self._newest[venue, symbol]
            yield FeedStatus(
                venue=venue,
                symbol=symbol,
                event_time=event_time,
                receive_time=receive_time,
                status="GAP",
                channel="*",
                reason=f"{count} events dropped: {why}",
            )
