"""Faults planted into clean markets, and the table of which were found.

`python -m tests.processors.faults` prints the table of docs/quality.md.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

from msgspec.structs import replace

from processors.config import ProcessorsConfig
from processors.pipeline import Pipeline
from schemas.events import (
    BookDelta,
    BookSnapshot,
    Clock,
    FeedStatus,
    Funding,
    Kline,
    MarkPrice,
    Origin,
    Quality,
    Quote,
    ReferencePrice,
    Trade,
)
from tests.processors.batches import batch, configured, plain
from tests.processors.books_model import BooksModel
from tests.processors.captures import BINANCE, capture
from venues.feed import Feed
from venues.history.clock import EventClock
from venues.simulator.market import Market

SECOND_US = 1_000_000
# What is planted begins after what is usual was learnt, and ends long before the tape does.
BEGIN_S, END_S, LENGTH_S = 80, 100, 150
SYMBOL = "BTC-USDT"

Plant = Callable[[list[Any]], list[Any]]


@dataclass(frozen=True)
class Base:
    """A clean market, and whose data are spoilt."""

    name: str
    venue: str
    events: Callable[[], list[Any]]


@dataclass(frozen=True)
class Fault:
    """Something planted: a function from the victim's events of the interval to others."""

    name: str
    plant: Plant
    kind: str
    channel: str


@dataclass(frozen=True)
class Found:
    """What the processors made of it."""

    base: Base
    fault: Fault
    quality: list[Quality]
    reference: list[ReferencePrice]
    planted_us: int
    """Receive time of the first event that differs."""

    @property
    def named(self) -> list[Quality]:
        """What was raised and cleared as the fault is called."""
        return [
            row
            for row in self.quality
            if (row.venue, row.kind, row.channel)
            == (self.base.venue, self.fault.kind, self.fault.channel)
        ]

    @property
    def elsewhere(self) -> list[Quality]:
        """False alarms: what was said of other venues and symbols."""
        return [row for row in self.quality if (row.venue, row.symbol) != (self.base.venue, SYMBOL)]

    @property
    def delay_s(self) -> float:
        """Seconds from the first event that differs to the alarm; NaN for none."""
        raised = self.named[0].receive_time if self.named else math.nan
        return (raised - self.planted_us) / SECOND_US


@cache
def recorded() -> list[Any]:
    """Two and a half minutes of three Binance markets."""
    events: list[Any] = capture(*BINANCE, most=90_000)
    end = events[0].receive_time + LENGTH_S * SECOND_US
    return [event for event in events if event.receive_time < end]


@cache
def modelled() -> list[Any]:
    """The same of the market model: six venues, by their wire formats."""
    feed, clock = Feed(), EventClock()
    found: list[Any] = []
    end = None
    for frame in Market(seed=3, symbols=(SYMBOL,), events_per_second=300).frames():
        end = frame.receive_time + LENGTH_S * SECOND_US if end is None else end
        if frame.receive_time >= end:
            return found
        for event in feed.receive(frame):
            made: Any = event
            for pulse in clock.pulses(made.event_time, made.receive_time):
                found.append(Clock(event_time=pulse, receive_time=made.receive_time))
            found.append(made)
    return found


RECORDED = Base("recorded", "binance-usdm", recorded)
MODELLED = Base("modelled", "okx-spot", modelled)
# Of which there are mark prices and funding rates.
DERIVATIVE = Base("modelled", "binance-usdm", modelled)
BASES = (RECORDED, MODELLED, DERIVATIVE)


def _all(change: Callable[[Any], Any], kind: type, every: int = 1) -> Plant:
    """Change every so manieth event of a kind."""

    def plant(events: list[Any]) -> list[Any]:
        number = iter(range(len(events)))
        return [
            change(event) if isinstance(event, kind) and next(number) % every == 0 else event
            for event in events
        ]

    return plant


def _one(change: Callable[[Any], Any], kind: type) -> Plant:
    return _all(change, kind, every=1 << 40)


def _without(*kinds: type) -> Plant:
    return lambda events: [event for event in events if not isinstance(event, kinds)]


def _lose_one_delta(events: list[Any]) -> list[Any]:
    at = next(i for i, event in enumerate(events) if isinstance(event, BookDelta))
    return events[:at] + events[at + 1 :]


def _lost(events: list[Any]) -> list[Any]:
    first = events[0]
    common = {name: getattr(first, name) for name in ("venue", "symbol", "event_time")}
    lost = FeedStatus(
        **common, receive_time=first.receive_time, status="LOST", channel="*", reason="planted"
    )
    return [lost, *events]


def _large(events: list[Any]) -> list[Any]:
    quantity = 100 * sum(event.quantity for event in events if isinstance(event, Trade))
    return _one(lambda e: replace(e, quantity=quantity), Trade)(events)


def _crossed(events: list[Any]) -> list[Any]:
    """A bid far above the asks comes with the first delta and goes with the last."""
    places = [i for i, event in enumerate(events) if isinstance(event, BookDelta)]
    price = 1.004 * next(e.price for e in events if isinstance(e, Trade))
    changed = list(events)
    for place, quantity in ((places[0], 1.0), (places[-1], 0.0)):
        delta = changed[place]
        changed[place] = replace(delta, bids=[(price, quantity), *delta.bids])
    return changed


def _shifted(event: Any) -> Any:
    """Prices one per cent higher."""
    if isinstance(event, Trade):
        return replace(event, price=1.01 * event.price)
    if isinstance(event, Quote):
        return replace(event, bid_price=1.01 * event.bid_price, ask_price=1.01 * event.ask_price)
    if isinstance(event, BookDelta | BookSnapshot):
        sides = {
            name: [(1.01 * price, quantity) for price, quantity in getattr(event, name)]
            for name in ("bids", "asks")
        }
        return replace(event, **sides)
    return event


def _jump(base: Base) -> Plant:
    """All prices of the venue are shifted; the book comes whole at both ends."""

    def plant(events: list[Any]) -> list[Any]:
        books = BooksModel(ProcessorsConfig())
        found: list[Any] = []
        key = SYMBOL, base.venue
        inside = {id(event) for event in events}
        deltas = [event for event in events if isinstance(event, BookDelta)]
        first, last = deltas[0], deltas[-1]
        begun = ended = False
        for event in base.events():
            if getattr(event, "venue", "") == base.venue and getattr(event, "symbol", "") == SYMBOL:
                list(books.emit(Origin("tape", 0, 0), event))
            if id(event) not in inside:
                continue
            begun, ended = begun or event is first, ended or event is last
            whole = _whole(books, key, event) if event is first or event is last else event
            found.append(_shifted(whole) if begun and not ended else whole)
        return found

    return plant


def _whole(books: BooksModel, key: tuple[str, str], event: Any) -> BookSnapshot:
    """The book after an event as a snapshot; of the next sequence, so that it counts."""
    book = books.books[key]
    return BookSnapshot(
        venue=key[1],
        symbol=key[0],
        event_time=event.event_time,
        receive_time=event.receive_time,
        sequence=book.sequence,
        depth=0,
        bids=sorted(book.bids.items(), reverse=True),
        asks=sorted(book.asks.items()),
    )


def _back(seconds: float) -> Callable[[Any], Any]:
    return lambda e: replace(e, event_time=e.event_time - round(seconds * SECOND_US))


def _level(price: float, quantity: float) -> Callable[[Any], Any]:
    return lambda e: replace(e, asks=[*e.asks, (price, quantity)])


def faults(base: Base) -> Iterator[Fault]:
    """Every kind of fault that can be planted into a market."""
    if base is DERIVATIVE:
        yield Fault("a mark price 0", _one(lambda e: replace(e, mark_price=0.0), MarkPrice),
                    "IMPOSSIBLE", "marks")  # fmt: skip
        yield Fault("a funding rate of 200 %", _one(lambda e: replace(e, rate=2.0), Funding),
                    "IMPOSSIBLE", "marks")  # fmt: skip
        return
    everything = (BookDelta, BookSnapshot, Quote, Trade, Kline, MarkPrice)
    yield Fault("all feeds silent", _without(*everything), "STALE", "book")
    yield Fault("the book silent", _without(BookDelta, BookSnapshot), "STALE", "book")
    yield Fault("quotes silent", _without(Quote), "STALE", "quotes")
    yield Fault("best bid above best ask", _crossed, "CROSSED", "book")
    yield Fault(
        "quotes crossed",
        _all(lambda e: replace(e, bid_price=1.001 * e.ask_price), Quote),
        "CROSSED", "quotes",
    )  # fmt: skip
    yield Fault("prices 1 % higher", _jump(base), "JUMP", "book")
    for name, price in (("0", 0.0), ("NaN", math.nan), ("negative", -5.0), ("infinite", math.inf)):
        change = _one(lambda e, p=price: replace(e, price=p), Trade)  # type: ignore[misc]
        yield Fault(f"a trade's price {name}", change, "IMPOSSIBLE", "trades")
    yield Fault(
        "a trade's quantity 0", _one(lambda e: replace(e, quantity=0.0), Trade),
        "IMPOSSIBLE", "trades",
    )  # fmt: skip
    yield Fault(
        "every tenth trade at a third", _all(lambda e: replace(e, price=e.price / 3), Trade, 10),
        "IMPOSSIBLE", "trades",
    )  # fmt: skip
    yield Fault("a level's price NaN", _one(_level(math.nan, 1.0), BookDelta), "IMPOSSIBLE", "book")
    yield Fault(
        "a level's quantity negative", _one(_level(1e9, -1.0), BookDelta), "IMPOSSIBLE", "book"
    )
    yield Fault(
        "a quote's bid negative", _one(lambda e: replace(e, bid_price=-1.0), Quote),
        "IMPOSSIBLE", "quotes",
    )  # fmt: skip
    yield Fault("a trade's time 30 s back", _one(_back(30), Trade), "TIME_BACKWARDS", "trades")
    yield Fault("a delta's time 3 s back", _one(_back(3), BookDelta), "TIME_BACKWARDS", "book")
    yield Fault("a quote's time 1 h ahead", _one(_back(-3600), Quote), "TIME_BACKWARDS", "quotes")
    yield Fault("a trade of 100 times the volume of 20 s", _large, "VOLUME_OUTLIER", "trades")
    yield Fault(
        "trades in another unit (1,000 times)",
        _all(lambda e: replace(e, quantity=1e3 * e.quantity), Trade),
        "VOLUME_OUTLIER", "trades",
    )  # fmt: skip
    yield Fault(
        "a trade 3 % above the book", _one(lambda e: replace(e, price=1.03 * e.price), Trade),
        "TRADE_OUTSIDE_BOOK", "trades",
    )  # fmt: skip
    yield Fault("a delta lost", _lose_one_delta, "GAP", "book")
    yield Fault("a connection lost", _lost, "GAP", "book")
    if base is RECORDED:
        # It has no candles.
        return
    yield Fault(
        "a candle's high below its low", _all(lambda e: replace(e, high=e.low / 2), Kline),
        "IMPOSSIBLE", "klines",
    )  # fmt: skip


def spoil(base: Base, fault: Fault) -> tuple[int, list[Any], int]:
    """Where the events begin that are spoilt, what comes from there on, and when (receive time)
    the first differs.
    """
    events = base.events()
    start = events[0].receive_time

    def is_hit(event: Any) -> bool:
        return (
            getattr(event, "venue", "") == base.venue
            and getattr(event, "symbol", "") == SYMBOL
            and BEGIN_S <= (event.receive_time - start) / SECOND_US < END_S
        )

    places = [at for at, event in enumerate(events) if is_hit(event)]
    begin, end = places[0], places[-1] + 1
    hit = [events[at] for at in places]
    planted = fault.plant(hit)
    first = next((a for a, b in zip(hit, planted, strict=False) if a is not b), hit[0])
    others = [event for event in events[begin:end] if not is_hit(event)]
    middle = sorted([*others, *planted], key=lambda event: event.receive_time)
    return begin, [*middle, *events[end:]], first.receive_time


@cache
def _clean(base: Base, begin: int) -> dict[tuple[str, str], bytes]:
    """The processors' state after the clean events before."""
    pipeline = Pipeline()
    made = plain(pipeline.process(batch([configured(ProcessorsConfig()), *base.events()[:begin]])))
    assert "quality" not in made
    return {key: pipeline.snapshot(*key) for key in pipeline.changed()}


def find(base: Base, fault: Fault) -> Found:
    """Plant a fault and look."""
    begin, events, first = spoil(base, fault)
    pipeline = Pipeline()
    for key, state in _clean(base, begin).items():
        pipeline.restore(*key, state)
    made = plain(pipeline.process(batch(events, first_offset=begin + 1)))
    return Found(base, fault, made.get("quality", []), made.get("reference", []), first)


def main() -> None:
    """Print the table."""
    print("| planted | market | found as | after | begins | of other venues | ended |")
    print("|---|---|---|---:|---:|---:|---|")
    for base in BASES:
        for fault in faults(base):
            found = find(base, fault)
            states = [row.state for row in found.named]
            severity = found.named[0].severity if found.named else "not found"
            print(
                f"| {fault.name} | {base.name} | {fault.kind}, {fault.channel}: {severity} "
                f"| {found.delay_s:.2f} s | {states.count('RAISED')} | {len(found.elsewhere)} "
                f"| {'yes' if states and states[-1] == 'CLEARED' else 'no'} |"
            )


if __name__ == "__main__":
    main()
