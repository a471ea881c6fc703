"""Faults: which are on, what they do to connections and requests, and the ledger of them."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from streams.logs import logger
from venues.simulator.server.channel import Channel, Tap
from venues.simulator.server.clock import MarketClock, wall_us
from venues.simulator.server.fault import Fault
from venues.simulator.server.stage import Stage
from venues.simulator.server.venue import Answer, Venue

log = logger("simulator")

MOST_SAMPLES = 20
SAMPLE_BYTES = 200
EVERY_US = 1_000_000
Act = Callable[[], None]


@dataclass(slots=True)
class Entry:
    """A fault in the ledger; wall and market times in microseconds UTC.

    `ended_us`: from then on the venue answers and sends as it should again; None while it does not.
    """

    number: int
    fault: Fault
    asked_us: int
    begun_us: int | None = None
    begun_market_us: int | None = None
    ended_us: int | None = None
    ended_market_us: int | None = None
    messages: int = 0
    """Messages that it touched; the first ones are in `samples`."""
    connections: int = 0
    samples: list[str] = field(default_factory=list)

    def touched(self, channel: Channel, data: bytes) -> None:
        """Count a message."""
        self.messages += 1
        if len(self.samples) < MOST_SAMPLES:
            self.samples.append(data[:SAMPLE_BYTES].decode("utf-8", "replace"))

    def as_dict(self) -> dict[str, Any]:
        """For the control endpoint."""
        return {
            "number": self.number,
            **self.fault.as_dict(),
            "asked_us": self.asked_us,
            "begun_us": self.begun_us,
            "begun_market_us": self.begun_market_us,
            "ended_us": self.ended_us,
            "ended_market_us": self.ended_market_us,
            "messages": self.messages,
            "connections": self.connections,
            "samples": self.samples,
        }


@dataclass(slots=True)
class Effect:
    """What a fault does while it is on; whatever it does not do is None.

    It ends at `until_us` of the market, or when `done` says so.
    """

    entry: Entry
    venues: list[Venue]
    until_us: int | None = None
    done: Callable[[], bool] | None = None
    begin: Act | None = None
    end: Act | None = None
    often: Callable[[int], None] | None = None
    """Called at every tick with the market's time."""
    every_second: Act | None = None
    tap: Tap | None = None
    rest: Callable[[Venue], Answer] | None = None
    rest_delay_s: float = 0.0
    door: Callable[[Venue], Answer] | None = None
    """What a new connection gets; a status of 0: a reset."""
    half_open: bool = False
    news: Answer | None = None
    _next_us: int = 0

    def channels(self) -> list[Channel]:
        """Those that the tap is for, as far as they exist by now."""
        fault = self.entry.fault
        return [
            channel
            for venue in self.venues
            for channel in venue.channels.values()
            if fault.matches(channel)
        ]

    def attach(self) -> None:
        """Put the tap into channels that have come up."""
        if self.tap is not None:
            for channel in self.channels():
                if self.tap not in channel.taps:
                    channel.taps.append(self.tap)

    def detach(self) -> None:
        """Take the tap out everywhere."""
        for venue in self.venues:
            for channel in venue.channels.values():
                if self.tap in channel.taps:
                    channel.taps.remove(self.tap)

    def tick(self, now_us: int) -> bool:
        """Whether it goes on."""
        self.attach()
        if self.often is not None:
            self.often(now_us)
        if self.every_second is not None and now_us >= self._next_us:
            self._next_us = now_us + EVERY_US
            self.every_second()
        if self.done is not None and self.done():
            return False
        return self.until_us is None or now_us < self.until_us


class Faults:
    """All faults, past and present."""

    def __init__(self, stage: Stage, clock: MarketClock) -> None:
        self.entries: list[Entry] = []
        self._stage = stage
        self._clock = clock
        self._effects: list[Effect] = []

    def begin(self, fault: Fault, make: Callable[[Entry, list[Venue]], Effect]) -> Entry:
        """Let a fault happen now; `make` says what it does."""
        entry = Entry(len(self.entries) + 1, fault, wall_us())
        effect = make(entry, fault.venues(self._stage))
        self.entries.append(entry)
        now = self._clock.now_us()
        entry.begun_us, entry.begun_market_us = wall_us(), now
        if effect.begin is not None:
            effect.begin()
        log.info("fault_begun", number=entry.number, **fault.as_dict())
        if effect.tick(now):
            self._effects.append(effect)
        else:
            self._finish(effect, now)
        return entry

    def tick(self, now_us: int) -> None:
        """Go on with what is on, end what is over."""
        if not self._effects:
            return
        over = [effect for effect in self._effects if not effect.tick(now_us)]
        for effect in over:
            self._effects.remove(effect)
            self._finish(effect, now_us)

    def clear(self) -> None:
        """End all at once."""
        effects, self._effects = self._effects, []
        for effect in effects:
            self._finish(effect, self._clock.now_us())

    def _finish(self, effect: Effect, now_us: int) -> None:
        effect.detach()
        if effect.end is not None:
            effect.end()
        effect.entry.ended_us, effect.entry.ended_market_us = wall_us(), now_us
        log.info("fault_ended", number=effect.entry.number, fault=effect.entry.fault.fault)

    def _on(self, venue: Venue) -> list[Effect]:
        return [effect for effect in self._effects if venue in effect.venues]

    def rest(self, venue: Venue) -> Answer | None:
        """What a REST request gets in place of its answer."""
        found = [effect.rest for effect in self._on(venue) if effect.rest is not None]
        return found[0](venue) if found else None

    def rest_delay_s(self, venue: Venue) -> float:
        """How long an answer is kept back, wall seconds."""
        return max((effect.rest_delay_s for effect in self._on(venue)), default=0.0)

    def door(self, venue: Venue) -> Answer | None:
        """What a new connection gets in place of one."""
        found = [effect.door for effect in self._on(venue) if effect.door is not None]
        return found[0](venue) if found else None

    def half_open(self, venue: Venue) -> bool:
        """Whether a new connection is dead from its start."""
        return any(effect.half_open for effect in self._on(venue))

    def news(self) -> Answer | None:
        """What a request for news gets in place of its answer."""
        found = [effect.news for effect in self._effects if effect.news is not None]
        return found[0] if found else None
