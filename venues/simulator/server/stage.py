"""All venues at once: frames of the market become messages of channels, and go to who listens."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from schemas.errors import ConfigError
from venues.frames import Frame
from venues.simulator.server.binance import BinanceDesk
from venues.simulator.server.bybit import BybitDesk
from venues.simulator.server.channel import Channel
from venues.simulator.server.clock import MarketClock, wall_us
from venues.simulator.server.ledger import Ledger
from venues.simulator.server.okx import OkxDesk
from venues.simulator.server.session import Session
from venues.simulator.server.source import NEWS
from venues.simulator.server.venue import Desk, Venue
from venues.simulator.server.websocket import frame as framed

_DESKS: dict[str, Desk] = {
    "binance-spot": BinanceDesk("spot"),
    "binance-usdm": BinanceDesk("usdm"),
    "binance-coinm": BinanceDesk("coinm"),
    "binanceus-spot": BinanceDesk("spot"),
    "bybit-spot": BybitDesk("spot"),
    "bybit-linear": BybitDesk("linear"),
    "okx-spot": OkxDesk("SPOT"),
    "okx-swap": OkxDesk("SWAP"),
}


@dataclass(slots=True)
class Item:
    """A message to publish; without a channel an answer of the news source.

    Not frozen, since a frozen one takes three times as long to make.
    """

    time_us: int
    channel: Channel | None
    data: bytes


class Stage:
    """The venues, and the way of a message to its subscribers."""

    def __init__(
        self, names: Iterable[str], clock: MarketClock, offsets_us: Mapping[str, int]
    ) -> None:
        self.venues: dict[str, Venue] = {}
        for name in names:
            desk = _DESKS.get(name)
            if desk is None:
                known = ", ".join(_DESKS)
                raise ConfigError(f"venue was {name!r}; the simulator speaks {known}")
            self.venues[name] = Venue(name, desk, clock, offsets_us.get(name, 0))
        self.news: list[bytes] = []
        """Answers of the news source that came and were not taken yet."""
        self.ledger: Ledger | None = None
        self.published = 0

    @property
    def sessions(self) -> list[Session]:
        """Every open connection."""
        return [session for venue in self.venues.values() for session in venue.sessions]

    def open(self, frames: Sequence[Frame], model: bool) -> None:
        """Learn instruments and first books, before anybody connects.

        Of a `model` market the channels are known beforehand too.
        """
        for frame in frames:
            if frame.request and frame.venue in self.venues:
                self.venues[frame.venue].seed(frame.request, frame.data)
        for venue in self.venues.values() if model else ():
            for symbol in venue.listings:
                for key in venue.desk.natives(symbol):
                    venue.channel(key)

    def items(self, frames: Iterable[Frame]) -> list[Item]:
        """Frames as messages of their channels; REST answers and acknowledgements are left out."""
        items = []
        for frame in frames:
            if frame.request:
                if frame.venue == NEWS:
                    items.append(Item(frame.receive_time, None, frame.data))
                continue
            venue = self.venues[frame.venue]
            key = venue.desk.key(frame.data)
            if key:
                channel = venue.channels.get(key) or venue.channel(key)
                items.append(Item(frame.receive_time, channel, frame.data))
        return items

    def publish(self, items: Sequence[Item]) -> None:
        """Remember messages and hand them to their subscribers; `flush` writes them."""
        ledger = self.ledger
        for item in items:
            channel, data = item.channel, item.data
            if channel is None:
                self.news.append(data)
                continue
            if channel.closed:
                continue
            channel.published += 1
            channel.recent.append(data)
            if ledger is not None:
                ledger.note(channel, data)
            if channel.taps or channel.derived:
                self._publish_changed(channel, data)
            elif channel.subscribers:
                written = framed(data)
                for session in channel.subscribers:
                    session.pending.append(written)
        self.published += len(items)

    def _publish_changed(self, channel: Channel, data: bytes) -> None:
        """Send to this channel and those that say the same, as they are disturbed."""
        self.send(channel, data)
        for other, change in channel.derived:
            if other.subscribers or other.derived:
                self._publish_changed(other, change(data))

    def send(self, channel: Channel, data: bytes) -> None:
        """Send one message to who listens, through what disturbs the channel."""
        if not channel.subscribers:
            return
        sent = [data]
        for tap in list(channel.taps):
            sent = [out for one in sent for out in tap.passed(channel, one)]
        for one in sent:
            self.write(channel, one)

    def write(self, channel: Channel, data: bytes) -> None:
        """Send one message to who listens as it is."""
        written = framed(data)
        for session in channel.subscribers:
            session.pending.append(written)

    def flush(self, now: float) -> None:
        """Write what is pending; `now` in the event loop's seconds."""
        written_us = wall_us()
        for venue in self.venues.values():
            for session in venue.sessions:
                if session.pending:
                    session.sent += len(session.pending)
                    session.flush(now)
        if self.ledger is not None:
            self.ledger.flush(written_us)

    def tidy(self) -> None:
        """Keep memory bounded."""
        for venue in self.venues.values():
            for instrument in venue.instruments.values():
                instrument.tidy()
