"""Latency: from what a venue sends to frames in the order of their receipt."""

from dataclasses import dataclass

import numpy as np

from venues.frames import Frame


@dataclass(frozen=True, slots=True)
class Latency:
    """From a venue's publication to our receipt, milliseconds: base + jitter, seldom a spike."""

    base_ms: float
    jitter_ms: float
    """Median of the log-normal jitter."""
    quote_interval_us: int
    """The venue publishes best quotes at most this often."""


VENUE_LATENCY = {
    "binance-spot": Latency(9.0, 2.0, 0),
    "binance-usdm": Latency(7.0, 1.5, 0),
    "bybit-spot": Latency(22.0, 5.0, 10_000),
    "bybit-linear": Latency(20.0, 4.0, 10_000),
    "okx-spot": Latency(15.0, 3.0, 10_000),
    "okx-swap": Latency(14.0, 3.0, 10_000),
}

REST_MS = 80.0
JITTER_SIGMA = 0.6
SPIKE_CHANCE = 0.0005
SPIKE_MS = 120.0
NEWS_POLL_MS = 2_000.0


class Connection:
    """One way on which a venue's messages arrive, in the order in which they were sent."""

    def __init__(
        self, venue: str, name: str, base_ms: float, jitter_ms: float, random: np.random.Generator
    ) -> None:
        self._venue, self._name = venue, name
        self._base_us, self._jitter_us = base_ms * 1e3, jitter_ms * 1e3
        self._random = random
        self._last_us = 0

    def receive(self, sent: list[tuple[int, str]]) -> list[Frame]:
        """Frames of what was sent; a late one holds up those behind it."""
        if not sent:
            return []
        sent.sort(key=_time_of)
        times = self._arrivals([time for time, _ in sent])
        venue, name = self._venue, self._name
        return [
            Frame(venue, name, time, text.encode())
            for time, (_, text) in zip(times, sent, strict=True)
        ]

    def answer(self, sent: list[tuple[int, str, str]]) -> list[Frame]:
        """Frames of REST responses."""
        sent.sort(key=_time_of)
        times = self._arrivals([time for time, _, _ in sent])
        return [
            Frame(self._venue, self._name, time, text.encode(), url)
            for time, (_, text, url) in zip(times, sent, strict=True)
        ]

    def _arrivals(self, times: list[int]) -> list[int]:
        count, random = len(times), self._random
        late = self._base_us + self._jitter_us * np.exp(
            JITTER_SIGMA * random.standard_normal(count)
        )
        spikes = random.random(count) < SPIKE_CHANCE
        late += np.where(spikes, SPIKE_MS * 1e3 * random.random(count), 0.0)
        arrivals = np.asarray(times, np.int64) + late.astype(np.int64)
        arrivals = np.maximum(np.maximum.accumulate(arrivals), self._last_us)
        if count:
            self._last_us = int(arrivals[-1])
        found: list[int] = arrivals.tolist()
        return found


def _time_of(sent: tuple[int, str] | tuple[int, str, str]) -> int:
    return sent[0]
