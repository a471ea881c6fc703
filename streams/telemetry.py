"""What every process tells of itself: Prometheus metrics, health, where they are served."""

import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import numpy as np
from numpy.typing import NDArray
from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Gauge,
    Info,
    PlatformCollector,
    ProcessCollector,
    generate_latest,
)
from prometheus_client.core import HistogramMetricFamily, Metric

from schemas.errors import ConfigError
from streams.config import TelemetryConfig

# A main loop that has not come round for so long hangs.
_HANGS_AFTER_S = 180.0
_LATENCY_BOUNDS_S = (
    0.0005, 0.001, 0.002, 0.003, 0.005, 0.0075, 0.01, 0.015, 0.02, 0.03, 0.05, 0.075,
    0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 300.0,
)  # fmt: skip


class Health:
    """Whether the process lives and can do its work; `not_ready` says why it cannot."""

    def __init__(self) -> None:
        self._reasons: dict[str, str] = {"start": "starting"}
        self._beat = time.monotonic()

    @property
    def not_ready(self) -> tuple[str, ...]:
        """Reasons why the process does not do its work now; none: it is ready."""
        return tuple(self._reasons.values())

    @property
    def hangs_for_s(self) -> float:
        """Seconds since the last beat."""
        return time.monotonic() - self._beat

    def ready(self, part: str = "start") -> None:
        """Take a reason away: this part works."""
        self._reasons = {key: text for key, text in self._reasons.items() if key != part}

    def unready(self, part: str, reason: str) -> None:
        """Give a reason why the process cannot work: this part does not."""
        self._reasons = {**self._reasons, part: reason}

    def beat(self) -> None:
        """Say that the main loop goes round."""
        self._beat = time.monotonic()


class LatencyHistogram:
    """A histogram that takes whole arrays, by label `topic`; seconds."""

    def __init__(self, registry: CollectorRegistry, name: str, text: str) -> None:
        self._name, self._text = name, text
        self._bounds = np.array(_LATENCY_BOUNDS_S)
        self._counts: dict[str, NDArray[np.int64]] = {}
        self._sums: dict[str, float] = {}
        registry.register(self)

    def observe(self, topic: str, seconds: NDArray[np.float64]) -> None:
        """Count these latencies."""
        places = np.searchsorted(self._bounds, seconds)
        counts = np.bincount(places, minlength=len(self._bounds) + 1)
        self._counts[topic] = self._counts.get(topic, np.zeros_like(counts)) + counts
        self._sums[topic] = self._sums.get(topic, 0.0) + float(seconds.sum())

    def collect(self) -> Iterator[Metric]:
        """The histogram as Prometheus reads it."""
        family = HistogramMetricFamily(self._name, self._text, labels=["topic"])
        labels = [*(str(bound) for bound in _LATENCY_BOUNDS_S), "+Inf"]
        for topic, counts in list(self._counts.items()):
            buckets = list(zip(labels, np.cumsum(counts).tolist(), strict=True))
            family.add_metric([topic], buckets, self._sums[topic])
        yield family


class Rates:
    """Events per second since the scrape before, by direction and topic."""

    def __init__(
        self, registry: CollectorRegistry, totals: Callable[[], dict[tuple[str, str], float]]
    ):
        self._totals = totals
        self._before: dict[tuple[str, str], float] = {}
        self._at = time.monotonic()
        registry.register(self)

    def collect(self) -> Iterator[Metric]:
        """The rates as Prometheus reads them."""
        family = Metric(
            "tape_events_per_second", "Events per second since the previous scrape.", "gauge"
        )
        now, totals = time.monotonic(), self._totals()
        elapsed = max(now - self._at, 1e-3)
        for (direction, topic), total in totals.items():
            rate = (total - self._before.get((direction, topic), 0.0)) / elapsed
            labels = {"direction": direction, "topic": topic}
            family.add_sample("tape_events_per_second", labels, rate)
        self._before, self._at = totals, now
        yield family


class Metrics:
    """All metrics of all processes; a process fills those that it knows of."""

    def __init__(self, component: str, tape: str) -> None:
        self.registry = CollectorRegistry()
        self.health = Health()
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)
        Info("tape_process", "Which process this is.", registry=self.registry).info(
            {"component": component, "tape": tape}
        )

        def counter(name: str, text: str, *labels: str) -> Counter:
            return Counter(name, text, labels, registry=self.registry)

        def gauge(name: str, text: str, *labels: str) -> Gauge:
            return Gauge(name, text, labels, registry=self.registry)

        self.events_in = counter("tape_events_in", "Events read.", "topic", "record")
        self.events_out = counter("tape_events_out", "Events written.", "topic", "record")
        self.lag = gauge("tape_lag_events", "Events not yet read.", "topic", "partition")
        self.latency = LatencyHistogram(
            self.registry,
            "tape_latency_seconds",
            "From the receive time of the input event to its derived event handed to Kafka.",
        )
        self.snapshot_age = gauge(
            "tape_snapshot_age_seconds", "Time since the newest snapshot.", "partition"
        )
        self.snapshot_bytes = counter(
            "tape_snapshot_bytes", "Bytes of state written to snapshots.", "partition"
        )
        self.assigned = gauge("tape_assigned_partitions", "Partitions that this process owns.")
        self.rebalances = counter("tape_rebalances", "Times that partitions were assigned.")
        self.configuration_mismatch = gauge(
            "tape_configuration_mismatch",
            "1: the partition's Configured event is not this worker's; it does not process.",
            "partition",
        )
        self.processor = gauge(
            "tape_processor_total", "Totals that the processors count.", "name", "partition"
        )
        self.dead_letters = counter("tape_dead_letters", "Records refused.", "topic", "source")
        self.sink_rows = counter("tape_sink_rows", "Rows stored.", "sink", "table")
        self.ready = gauge("tape_ready", "1: the process does its work (as /readyz).")
        self.ready.set_function(lambda: float(not self.health.not_ready))
        Rates(self.registry, self._totals)

    def _totals(self) -> dict[tuple[str, str], float]:
        totals: dict[tuple[str, str], float] = {}
        for direction, found in (("in", self.events_in), ("out", self.events_out)):
            for family in found.collect():
                for sample in family.samples:
                    if sample.name.endswith("_total"):
                        key = direction, sample.labels["topic"]
                        totals[key] = totals.get(key, 0.0) + sample.value
        return totals


class Server:
    """Serves /metrics, /healthz and /readyz from a thread of its own until `close`."""

    def __init__(self, config: TelemetryConfig, metrics: Metrics) -> None:
        handler = type("Handler", (_Handler,), {"metrics": metrics})
        try:
            self._server = ThreadingHTTPServer((config.host, config.port), handler)
        except OSError as error:
            raise ConfigError(
                f"metrics cannot be served at {config.host}:{config.port}: {error.strerror}; "
                "telemetry.port names another port, 0 a free one"
            ) from None
        self._server.daemon_threads = True
        self.address = f"http://{config.host}:{self._server.server_address[1]}"
        self._thread = threading.Thread(
            target=self._server.serve_forever, name="telemetry", daemon=True
        )
        self._thread.start()

    @property
    def port(self) -> int:
        """The port that it listens on."""
        return int(self._server.server_address[1])

    def close(self) -> None:
        """Stop serving."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Handler(BaseHTTPRequestHandler):
    """Answers one request."""

    metrics: Metrics

    def do_GET(self) -> None:  # the name that http.server calls
        """Answer GET."""
        path = self.path.split("?", 1)[0]
        health = self.metrics.health
        if path == "/metrics":
            self._answer(200, generate_latest(self.metrics.registry), CONTENT_TYPE_LATEST)
        elif path == "/healthz":
            silent = health.hangs_for_s
            if silent > _HANGS_AFTER_S:
                self._answer(503, f"the main loop has not come round for {silent:.0f} s\n")
            else:
                self._answer(200, "alive\n")
        elif path == "/readyz":
            reasons = health.not_ready
            self._answer(503 if reasons else 200, "\n".join(reasons or ("ready",)) + "\n")
        else:
            self._answer(404, "there are /metrics, /healthz and /readyz\n")

    def _answer(self, status: int, body: str | bytes, kind: str = "text/plain") -> None:
        data = body.encode() if isinstance(body, str) else body
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: Any) -> None:
        """Requests of the monitoring are no news."""
