"""What a collector tells of itself: Prometheus metrics, and a line for people."""

import time
from collections import Counter
from collections.abc import Callable, Iterator

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from streams.spooling import SpoolingWriter
from venues.live.collector import Collector
from venues.live.session import Session

_BY_VENUE: tuple[tuple[str, str, Callable[[Session], float]], ...] = (
    ("frames", "Messages and answers received.", lambda s: s.intake.frames),
    (
        "duplicates",
        "Trades and book events left out: there already.",
        lambda s: s.intake.duplicates,
    ),
    ("refused_frames", "Frames that went to dead letters.", lambda s: s.intake.dead_letters),
    ("connects", "Connections made.", lambda s: s.states["connected"]),
    ("lost", "Connections lost.", lambda s: s.states["lost"]),
    ("handovers", "Connections replaced without a gap.", lambda s: s.states["handover"]),
    ("backfilled_trades", "Trades fetched after a loss.", lambda s: s.backfill.trades_written),
    ("backfilled_klines", "Candles fetched after a loss.", lambda s: s.backfill.candles_written),
    ("lacking_holes", "Holes in trades that no venue fills.", lambda s: s.backfill.holes),
    ("snapshots_asked", "Books asked for anew.", lambda s: s.healer.asked),
    ("books_healed", "Unknown books that are known again.", lambda s: s.healer.healed),
)


class CollectorMetrics:
    """A collector's metrics as Prometheus reads them, with labels `venue` and `collector`."""

    def __init__(
        self,
        registry: CollectorRegistry,
        collector: Collector,
        writer: SpoolingWriter,
        name: str,
    ) -> None:
        self._collector, self._writer, self._name = collector, writer, name
        registry.register(self)

    def collect(self) -> Iterator[Metric]:
        """All of them."""
        sessions = self._collector.sessions.values()
        for name, text, value in _BY_VENUE:
            counter = CounterMetricFamily(
                f"tape_collector_{name}", text, labels=["venue", "collector"]
            )
            for session in sessions:
                counter.add_metric([session.venue, self._name], float(value(session)))
            yield counter
        yield self._events()
        for name, text, value in (
            ("clock_offset_seconds", "The venue's clock minus ours.", _offset_s),
            ("clock_uncertainty_seconds", "The offset is right to within this.", _uncertainty_s),
            ("lag_seconds", "From the venue's clock to our receipt, of the newest frame.", _lag_s),
            ("books_unknown", "Books that wait for a snapshot.", lambda s: s.healer.unknown),
            ("silent_seconds", "Since the newest frame.", _silent_s),
            ("up", "1: all connections are made.", lambda s: not s.not_ready),
        ):
            gauge = GaugeMetricFamily(f"tape_collector_{name}", text, labels=["venue", "collector"])
            for session in sessions:
                gauge.add_metric([session.venue, self._name], float(value(session)))
            yield gauge
        yield from self._writers()

    def _events(self) -> Metric:
        labels = ["venue", "record", "collector"]
        counter = CounterMetricFamily(
            "tape_collector_events", "Events made of frames.", labels=labels
        )
        for session in self._collector.sessions.values():
            found: Counter[tuple[str, str]] = Counter()
            for (venue, _, record), number in session.intake.feed.counts.items():
                found[venue, record] += number
            for (venue, record), number in found.items():
                counter.add_metric([venue, record, self._name], number)
        return counter

    def _writers(self) -> Iterator[Metric]:
        writer, labels = self._writer, [self._name]
        spooled = writer.spooled
        for name, text, value in (
            ("spool_bytes", "Waiting on disk for Kafka.", spooled.bytes),
            ("spool_records", "Waiting on disk for Kafka.", spooled.records),
            ("unacknowledged_records", "Neither Kafka nor the disk has them.",
             writer.written - writer.dropped - writer.acknowledged),
            ("kafka_away", "1: events go to the spool.", writer.away),
        ):  # fmt: skip
            gauge = GaugeMetricFamily(f"tape_collector_{name}", text, labels=["collector"])
            gauge.add_metric(labels, float(value))
            yield gauge
        for name, text, value in (
            ("written_records", "Records given to the writer.", writer.written),
            ("dropped_records", "Records lost: the spool was full.", writer.dropped),
        ):
            counter = CounterMetricFamily(f"tape_collector_{name}", text, labels=["collector"])
            counter.add_metric(labels, float(value))
            yield counter


def _offset_s(session: Session) -> float:
    best = session.clock.best
    return best.offset_us / 1e6 if best is not None else float("nan")


def _uncertainty_s(session: Session) -> float:
    best = session.clock.best
    return best.uncertainty_us / 1e6 if best is not None else float("nan")


def _silent_s(session: Session) -> float:
    newest = session.intake.newest_us
    return max(time.time() - newest / 1e6, 0.0) if newest else float("nan")


def _lag_s(session: Session) -> float:
    newest, best = session.intake.feed.newest(session.venue), session.clock.best
    if not newest:
        return float("nan")
    offset_us = best.offset_us if best is not None else 0
    return (session.intake.newest_us - newest + offset_us) / 1e6


class Summary:
    """What happened since the summary before, for the log."""

    def __init__(self, collector: Collector, writer: SpoolingWriter) -> None:
        self._collector, self._writer = collector, writer
        self._frames: dict[str, int] = {}
        self._written = 0
        self._at = time.monotonic()

    def take(self) -> dict[str, object]:
        """Rates, and what is wrong; what is as it should be is left out."""
        now = time.monotonic()
        elapsed = max(now - self._at, 1e-3)
        sessions = self._collector.sessions
        frames = {venue: session.intake.frames for venue, session in sessions.items()}
        rates = {v: round((n - self._frames.get(v, 0)) / elapsed) for v, n in frames.items()}
        written = self._writer.written
        told: dict[str, object] = {
            "records_s": round((written - self._written) / elapsed),
            "frames_s": rates,
            "reconnects": sum(s.states["lost"] for s in sessions.values()),
            "backfilled": sum(s.backfill.trades_written for s in sessions.values()),
            "books_unknown": sum(s.healer.unknown for s in sessions.values()),
            "spool_bytes": self._writer.spooled.bytes,
            "dropped": self._writer.dropped,
            "not_ready": [s.not_ready for s in sessions.values() if s.not_ready],
        }
        self._frames, self._written, self._at = frames, written, now
        usual = ("records_s", "frames_s", "reconnects")
        return {name: value for name, value in told.items() if value or name in usual}
