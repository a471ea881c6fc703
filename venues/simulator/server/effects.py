"""What each kind of fault does."""

import math
from collections.abc import Callable
from dataclasses import dataclass

from schemas.errors import ConfigError
from venues.simulator import news
from venues.simulator.engine import random_for
from venues.simulator.server import taps
from venues.simulator.server.clock import MarketClock
from venues.simulator.server.fault import NEWS, Fault, FaultKind
from venues.simulator.server.faults import Effect, Entry
from venues.simulator.server.news import NewsStand
from venues.simulator.server.session import Session
from venues.simulator.server.stage import Stage
from venues.simulator.server.venue import Answer, Venue
from venues.simulator.server.websocket import GOING_AWAY

RESET = Answer("", 0)
NOTICE_S = 5.0
"""A planned cut is announced so long before, market seconds, if the fault does not say."""
BURST_IDS = 41_000_000
_CHANGES: dict[str, taps.Change] = {
    "gap": taps.left_out,
    "duplicate": taps.doubled,
    "malformed": taps.broken,
    "unknown_field": taps.extended,
}
Make = Callable[[Entry, list[Venue]], Effect]


@dataclass(slots=True)
class Effects:
    """Makes effects of faults, for one market."""

    stage: Stage
    clock: MarketClock
    stand: NewsStand
    newsroom: news.Newsroom

    def make(self, entry: Entry, venues: list[Venue]) -> Effect:
        """The effect of a fault."""
        makers: dict[FaultKind, Make] = {
            "disconnect": self._disconnect,
            "half_open": self._half_open,
            "reorder": self._reorder,
            "stale": self._stale,
            "slow": self._slow,
            "rate_limited": self._refuse,
            "banned": self._refuse,
            "server_error": self._server_error,
            "maintenance": self._maintenance,
            "cut": self._cut,
            "delisted": self._delist,
            "news_burst": self._burst,
            "news_edit": self._edit,
        }
        return makers.get(entry.fault.fault, self._single)(entry, venues)

    def _until(self, fault: Fault, default_s: float = 0.0) -> int:
        seconds = fault.seconds or default_s
        return self.clock.now_us() + int(seconds * 1e6)

    def _sessions(self, entry: Entry, venues: list[Venue]) -> list[Session]:
        """The connections that a fault is for; counted in its entry."""
        fault = entry.fault
        found = [
            session
            for venue in venues
            for session in venue.sessions
            if not session.dead
            and (not fault.symbol or any(map(fault.matches, session.channels.values())))
        ]
        found = found[: fault.connections] if fault.connections else found
        entry.connections = len(found)
        return found

    def _disconnect(self, entry: Entry, venues: list[Venue]) -> Effect:
        """Connections are reset; for `seconds` new ones too."""

        def begin() -> None:
            for session in self._sessions(entry, venues):
                session.cut()

        return Effect(entry, venues, self._until(entry.fault), begin=begin, door=lambda _: RESET)

    def _half_open(self, entry: Entry, venues: list[Venue]) -> Effect:
        """Connections stay and say nothing more; those made within `seconds` neither."""

        def begin() -> None:
            for session in self._sessions(entry, venues):
                session.dead = True

        return Effect(entry, venues, self._until(entry.fault), begin=begin, half_open=True)

    def _single(self, entry: Entry, venues: list[Venue]) -> Effect:
        """The next `count` messages that somebody listens to."""
        change = _CHANGES[entry.fault.fault]
        tap = taps.Counted(change, entry.fault.count, entry.touched)
        return Effect(entry, venues, done=lambda: tap.left <= 0, tap=tap)

    def _reorder(self, entry: Entry, venues: list[Venue]) -> Effect:
        """Messages after those that follow them; one that still waits at the end is sent."""
        tap = taps.Swapped(entry.fault.count, entry.touched)

        def end() -> None:
            for channel, data in tap.held.values():
                self.stage.write(channel, data)

        return Effect(entry, venues, done=lambda: tap.left <= 0, end=end, tap=tap)

    def _stale(self, entry: Entry, venues: list[Venue]) -> Effect:
        """Nothing new for `seconds`; connections and pings go on."""
        until = self._until(entry.fault, 5.0)
        if not entry.fault.repeat:
            return Effect(entry, venues, until, tap=taps.Withheld(entry.touched))
        tap = taps.Repeated(entry.touched)

        def again() -> None:
            for channel, data in tap.last.values():
                self.stage.write(channel, data)

        return Effect(entry, venues, until, tap=tap, every_second=again)

    def _slow(self, entry: Entry, venues: list[Venue]) -> Effect:
        """Everything `delay_s` late for `seconds`: messages, answers."""
        delay_us = int(entry.fault.delay_s * 1e6)
        tap = taps.Delayed(delay_us, self.clock.now_us, entry.touched)

        def send(now_us: int | None) -> None:
            for channel, data in tap.due(now_us):
                self.stage.write(channel, data)

        return Effect(
            entry,
            venues,
            self._until(entry.fault, 5.0),
            end=lambda: send(None),
            often=send,
            tap=tap,
            rest_delay_s=self.clock.wall_seconds(delay_us),
        )

    def _refuse(self, entry: Entry, venues: list[Venue]) -> Effect:
        """429 or 418 to every request for `seconds`, saying how long to wait."""
        banned = entry.fault.fault == "banned"
        until = self._until(entry.fault, 5.0)

        def wait_s() -> int:
            left = self.clock.wall_seconds(until - self.clock.now_us())
            return max(1, math.ceil(left))

        if entry.fault.venue == NEWS:
            headers = (("Retry-After", str(wait_s())),)
            return Effect(entry, [], until, news=Answer('{"status":"api_error"}', 429, headers))
        return Effect(entry, venues, until, rest=lambda venue: venue.desk.refusal(banned, wait_s()))

    def _server_error(self, entry: Entry, venues: list[Venue]) -> Effect:
        """REST answers with a status of the server's own trouble."""
        if not 500 <= entry.fault.status <= 599:
            raise ConfigError(f"status was {entry.fault.status}; give one from 500 to 599")
        answer = Answer("<html><body>Bad gateway</body></html>", entry.fault.status)
        until = self._until(entry.fault, 5.0)
        if entry.fault.venue == NEWS:
            return Effect(entry, [], until, news=answer)
        return Effect(entry, venues, until, rest=lambda _: answer)

    def _maintenance(self, entry: Entry, venues: list[Venue]) -> Effect:
        """A message in place of data, 503 by REST and at the door; connections end with it."""

        def say() -> None:
            for venue in venues:
                text, _ = venue.desk.maintenance()
                for session in venue.sessions:
                    session.say(text)

        def end() -> None:
            for session in self._sessions(entry, venues):
                session.cut(GOING_AWAY, "maintenance")

        def closed(venue: Venue) -> Answer:
            return venue.desk.maintenance()[1]

        tap = taps.Withheld(entry.touched)
        until = self._until(entry.fault, 5.0)
        return Effect(
            entry, venues, until, end=end, every_second=say, tap=tap, rest=closed, door=closed
        )

    def _cut(self, entry: Entry, venues: list[Venue]) -> Effect:
        """An announcement where the venue makes one, and after `seconds` the end."""
        sessions = self._sessions(entry, venues)

        def begin() -> None:
            for session in sessions:
                venue = self.stage.venues[session.venue]
                for text in venue.desk.notices(venue.now_ms()):
                    session.say(text)

        def end() -> None:
            for session in sessions:
                session.cut(GOING_AWAY, "24 hours")

        return Effect(entry, venues, self._until(entry.fault, NOTICE_S), begin=begin, end=end)

    def _delist(self, entry: Entry, venues: list[Venue]) -> Effect:
        """The symbol ends, for good."""
        if not entry.fault.symbol:
            raise ConfigError("delisted: say which symbol")

        def begin() -> None:
            for venue in venues:
                symbol = entry.fault.symbol_of(venue)
                if symbol is not None:
                    venue.delist(symbol)

        return Effect(entry, venues, self._until(entry.fault), begin=begin)

    def _burst(self, entry: Entry, venues: list[Venue]) -> Effect:
        """`count` headlines at once."""

        def begin() -> None:
            for number in range(entry.fault.count):
                headline = self.newsroom.write(self.clock.now_us() + number)
                post = news.post(headline).encode()
                self.stand.publish(post)
                entry.messages += 1
                if len(entry.samples) < 20:
                    entry.samples.append(headline.title)

        return Effect(entry, [], self._until(entry.fault), begin=begin)

    def _edit(self, entry: Entry, venues: list[Venue]) -> Effect:
        """The newest headline gets another title and more votes."""

        def begin() -> None:
            title = f"Corrected: {news.NEUTRAL[0].format(name='the market')}"
            entry.messages = int(self.stand.edit(title) is not None)

        return Effect(entry, [], self._until(entry.fault), begin=begin)


def effects(
    stage: Stage, clock: MarketClock, stand: NewsStand, seed: int, bases: list[str]
) -> Effects:
    """The effects of one market; bursts are about its `bases`."""
    room = news.Newsroom(random_for(seed, "news bursts"), bases or ["BTC"], 0.0, BURST_IDS)
    return Effects(stage, clock, stand, room)
