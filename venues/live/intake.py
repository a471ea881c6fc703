"""The hot path of one venue: frames to events onto the tape, each trade and candle once.

A frame costs the feed's parser, a look at its trades, and the writer; nothing waits here. What
cannot be read goes to dead letters, whatever is wrong with it.
"""

from collections.abc import Callable, Iterable
from typing import Protocol

import msgspec

from schemas.events import DeadLetter, Event, FeedStatus, Kline, Trade
from streams.logs import logger
from venues.feed import PAYLOAD_LIMIT, Feed
from venues.frames import Frame
from venues.live.candles import Candles
from venues.live.duplicates import Trades
from venues.live.named import NamedTrades
from venues.live.numbered import NumberedTrades

log = logger("venues.intake")


class Writer(Protocol):
    """Where events go: onto the tape, or to the spool while Kafka is away."""

    def write(self, event: Event) -> None:
        """Hand over one event; does not wait."""

    def write_beside(self, topic: str, key: bytes, event: Event) -> None:
        """Hand over an event for another topic of the tape, by its logical name."""


class Intake:
    """What one venue sends, on its way to the tape.

    `troubled`: symbols whose trades wait for something. `without_candles`: symbols that miss
    closed candles; who fetches them takes them off.
    """

    def __init__(
        self,
        venue: str,
        writer: Writer,
        feed: Feed | None = None,
        record: Callable[[Frame], None] | None = None,
    ) -> None:
        self.frames = 0
        self.dead_letters = 0
        self.newest_us = 0
        """Receive time of the newest frame."""
        self.feed = feed or Feed(keep_stale=False)
        self.candles = Candles()
        self.trades: dict[str, Trades] = {}
        self.troubled: set[str] = set()
        self.without_candles: set[str] = set()
        self._venue = venue
        self._writer, self._write = writer, writer.write
        self._receive = self.feed.receive if record is None else self._recorded(record)

    @property
    def duplicates(self) -> int:
        """Trades and book events that were left out because they were there already."""
        return sum(each.duplicates for each in self.trades.values()) + self.feed.stale

    def take(self, frame: Frame) -> None:
        """One frame of a stream; never raises."""
        self.frames += 1
        self.newest_us = frame.receive_time
        try:
            for event in self._receive(frame):
                kind = type(event)
                if kind is Trade:
                    self._trade(event)  # type: ignore[arg-type]  # a Trade
                elif kind is Kline:
                    self._kline(event)  # type: ignore[arg-type]  # a Kline
                else:
                    self._write(event)
        except Exception as error:  # the edge: no frame ends a collector
            self._refuse(frame, error)
        if self.feed.refused:
            self._bury()

    def answer(self, frame: Frame) -> list[Event]:
        """The events of an answer to a request: what is of books is written, the rest given."""
        self.frames += 1
        events = self._receive(frame)
        if self.feed.refused:
            self._bury()
        return events

    def write(self, events: Iterable[Event]) -> None:
        """Events that are ready for the tape."""
        for event in events:
            self._write(event)

    def order(self, symbol: str) -> Trades:
        """The trades of a symbol."""
        order = self.trades.get(symbol)
        if order is None:
            order = self.trades[symbol] = _order_of(self._venue)
        return order

    def lose(self, status: FeedStatus) -> None:
        """A feed of ours was lost: its book is unknown until a snapshot comes."""
        self.write(self.feed.lose(status))

    def expire(self, now_us: int) -> None:
        """Let trades go that have waited long enough."""
        for symbol in tuple(self.troubled):
            order = self.trades[symbol]
            self.write(order.expired(now_us))
            if isinstance(order, NumberedTrades) and not order.contiguous:
                log.warning("trade_ids_not_contiguous", venue=self._venue, symbol=symbol)
                order = self.trades[symbol] = NamedTrades()
            if order.idle:
                self.troubled.discard(symbol)

    def finish(self) -> None:
        """Write all that is still held."""
        for order in self.trades.values():
            self.write(order.expired(2**63 - 1))
        self.write(self.feed.finish())

    def _recorded(self, record: Callable[[Frame], None]) -> Callable[[Frame], list[Event]]:
        """What receives frames when they are recorded, too, as they came."""
        receive = self.feed.receive

        def receive_recorded(frame: Frame) -> list[Event]:
            record(frame)
            return receive(frame)

        return receive_recorded

    def _kline(self, kline: Kline) -> None:
        if kline.closed:
            if not self.candles.is_new(kline):
                return
            if self.candles.has_hole(kline.symbol):
                self.without_candles.add(kline.symbol)
        self._write(kline)

    def _trade(self, trade: Trade) -> None:
        order = self.trades.get(trade.symbol) or self.order(trade.symbol)
        if order.follows(trade):
            self._write(trade)
            return
        for each in order.take(trade):
            self._write(each)
        self.troubled.add(trade.symbol)

    def _refuse(self, frame: Frame, error: Exception) -> None:
        log.exception("frame_failed", venue=self._venue, connection=frame.connection)
        self.feed.refused.append(
            DeadLetter(
                source="collector",
                topic=frame.venue,
                partition=-1,
                offset=-1,
                event_time=frame.receive_time,
                reason=f"{type(error).__name__}: {error}",
                payload=frame.data[:PAYLOAD_LIMIT],
            )
        )

    def _bury(self) -> None:
        letters = self.feed.refused[:]
        self.feed.refused.clear()
        self.dead_letters += len(letters)
        for letter in letters:
            own = msgspec.structs.replace(letter, source="collector")
            self._writer.write_beside("dead_letters", letter.topic.encode(), own)


def _order_of(venue: str) -> Trades:
    if venue.startswith("bybit"):
        return NamedTrades()
    return NumberedTrades(spans=venue.startswith("okx"))
