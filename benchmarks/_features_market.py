"""Hours of one symbol's made-up market, and the pipeline that has followed them, for `features-*`.

Headlines come with the market model; the Fear & Greed index of the month before is made up here.
"""

from collections.abc import Iterator, Sequence

import msgspec
import numpy as np

from processors.config import VERSION, ProcessorsConfig
from processors.pipeline import Pipeline
from schemas import catalogue, rows
from schemas.columns import Batch, Rows
from schemas.decode import Decoder
from schemas.events import Clock, Configured, Event, SentimentIndex
from venues.feed import Feed
from venues.simulator.listings import VENUE_NAMES
from venues.simulator.market import Market

SYMBOL = "BTC-USDT"
SPOT = ("binance-spot", "bybit-spot", "okx-spot")
SPOT_AND_PERPETUAL = VENUE_NAMES
# Frames a second of a venue, about.
_RATE = 10.0
_SECOND_US = 1_000_000
_DAY_US = 86_400 * _SECOND_US
_DAYS = 32
_IDS = {record: number for number, record in enumerate(catalogue.RECORDS, 1)}


def seconds(venues: Sequence[str], copied: str = "") -> Iterator[list[Event]]:
    """The market's events, a second at a time; the pulse that ends it comes last.

    With `copied`, a venue that the model does not speak has what the first venue has.
    """
    market = Market(seed=7, symbols=(SYMBOL,), venues=venues, events_per_second=_RATE * len(venues))
    feed, now = Feed(), market.start_us
    for frames in market.seconds():
        events = [event for frame in frames for event in feed.receive(frame)]
        if copied:
            events += [
                msgspec.structs.replace(event, venue=copied)
                for event in events
                if getattr(event, "venue", "") == venues[0]
            ]
        if now == market.start_us:
            events += _index(now)
        now += _SECOND_US
        yield [*events, Clock(event_time=now, receive_time=now)]


def _index(now: int) -> list[Event]:
    """A value of each day up to now."""
    return [
        SentimentIndex(
            index="fear_greed", value=50.0 + day % 7, classification="Neutral",
            event_time=now - (_DAYS - day) * _DAY_US, receive_time=now,
        )
        for day in range(_DAYS)
    ]  # fmt: skip


class Following:
    """A pipeline on its way along a tape."""

    def __init__(self, config: ProcessorsConfig) -> None:
        self.pipeline = Pipeline()
        self._decoder = Decoder({n: catalogue.schema(record) for record, n in _IDS.items()})
        self._offset = 0
        self.process(
            [
                Configured(
                    event_time=0, receive_time=0, version=VERSION, hash=config.hash(),
                    configuration=config.canonical_json(),
                )
            ]
        )  # fmt: skip

    def batch(self, events: Sequence[Event]) -> Batch:
        """These events, decoded, as the next of the tape."""
        values = [rows.encode(event, _IDS[type(event).__name__]) for event in events]
        ends = np.cumsum([len(value) for value in values], dtype=np.int64)
        offsets = np.arange(self._offset, self._offset + len(values), dtype=np.int64)
        self._offset += len(values)
        return self._decoder.decode(
            catalogue.TAPE, 0, np.frombuffer(b"".join(values), np.uint8),
            ends - np.array([len(value) for value in values], np.int64), ends, offsets, offsets,
        )  # fmt: skip

    def process(self, events: Sequence[Event]) -> list[Rows]:
        """Go on by these events."""
        return self.pipeline.process(self.batch(events))
