"""The stages once more, in plain Python with dicts, one event at a time: what they must equal."""

import math
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from processors.config import INTERVAL_US, ProcessorsConfig
from schemas.events import (
    Bar,
    Book,
    BookDelta,
    BookSnapshot,
    Clock,
    Event,
    FeedStatus,
    Funding,
    Kline,
    MarkPrice,
    News,
    Origin,
    Quote,
    ReferencePrice,
    SentimentIndex,
    Trade,
)
from schemas.venues import BY_NAME

_NEVER = -(1 << 62)

Key = tuple[str, str]  # symbol, venue: in this order they sort as outputs do
_INTERVALS = sorted(INTERVAL_US, key=lambda name: INTERVAL_US[name])


def _bytes(key: Key) -> tuple[bytes, bytes]:
    return key[0].encode(), key[1].encode()


@dataclass
class _Book:
    live: bool = False
    has_snapshot: bool = False
    sequence: int = -1
    bids: dict[float, float] = field(default_factory=dict)
    asks: dict[float, float] = field(default_factory=dict)
    pending: bool = False
    emitted: int | None = None
    top: tuple[float, float] = (math.nan, math.nan)
    top_time: int = 0

    def apply(
        self, bids: Sequence[tuple[float, float]], asks: Sequence[tuple[float, float]]
    ) -> None:
        for side, levels in ((self.bids, bids), (self.asks, asks)):
            for price, quantity in levels:
                if quantity > 0:
                    side[price] = quantity
                else:
                    side.pop(price, None)

    def suspend(self) -> None:
        self.live, self.top = False, (math.nan, math.nan)


class Model(Protocol):
    """A stage as a plain function of one event after the other."""

    def emit(self, origin: Origin, event: Event) -> Iterator[Event]:
        """What the event causes."""


class SeenModel:
    """Events that came before, as lists of what identifies them."""

    def __init__(self, config: ProcessorsConfig) -> None:
        self._config = config.seen
        self._keys: defaultdict[object, list[object]] = defaultdict(list)
        self._newest: dict[object, int] = {}
        self._quotes: dict[Key, tuple[int, int, tuple[str, ...]]] = {}

    def repeats(self, event: Event) -> bool:
        """Whether an event came before; it has come then."""
        most, others = self._config.trades, self._config.others
        match event:
            case Clock():
                repeated = self._old("clock", event.event_time)
            case News() | SentimentIndex():
                repeated = self._among("global", _content(event), others)
            case Quote():
                repeated = self._quote((event.symbol, event.venue), event)
            case Trade():
                key = (event.symbol, event.venue, "trade")
                repeated = bool(event.trade_id) and self._among(key, event.trade_id, most)
            case MarkPrice() | Funding(settled=False):
                repeated = self._old((event.symbol, event.venue, type(event)), event.event_time)
            case Funding() | Kline(closed=True):
                repeated = self._among((event.symbol, event.venue), _content(event), others)
            case _:
                repeated = False
        return repeated

    def _quote(self, key: Key, event: Quote) -> bool:
        prices = event.bid_price, event.bid_quantity, event.ask_price, event.ask_quantity
        said = tuple(map(repr, map(_one_nan, prices)))
        sequence, newest, before = self._quotes.get(key, (-1, _NEVER, ()))
        time = event.event_time
        if event.sequence >= 0:
            limit = newest + 1000 * self._config.restart_ms
            repeated = event.sequence <= sequence and time < limit
        else:
            near = newest - time <= 1000 * self._config.set_back_ms
            repeated = near and (time < newest or (time == newest and said == before))
        if not repeated:
            known = event.sequence if event.sequence >= 0 else sequence
            self._quotes[key] = known, time, said
        return repeated

    def _old(self, key: object, time: int) -> bool:
        newest = self._newest.get(key, _NEVER)
        if time <= newest and newest - time <= 1000 * self._config.set_back_ms:
            return True
        self._newest[key] = time
        return False

    def _among(self, key: object, said: object, most: int) -> bool:
        if said in self._keys[key]:
            return True
        self._keys[key] = [*self._keys[key], said][-most:]
        return False


def _content(event: News | SentimentIndex | Kline | Funding) -> tuple[object, ...]:
    """What makes an event the same as another."""
    if isinstance(event, Kline):
        prices = event.open, event.high, event.low, event.close, event.volume
        return (event.interval, event.open_time, *map(repr, prices))
    unsaid = {"receive_time"} | ({"event_time"} if isinstance(event, News) else set())
    fields = {name: getattr(event, name) for name in event.__struct_fields__}
    return (type(event), *(repr(value) for name, value in fields.items() if name not in unsaid))


class BooksModel:
    """Books, and the tops of book that they give."""

    def __init__(self, config: ProcessorsConfig) -> None:
        self._config = config.books
        self._restart_us = 1000 * config.seen.restart_ms
        self.books: defaultdict[Key, _Book] = defaultdict(_Book)

    def emit(self, origin: Origin, event: Event) -> Iterator[Book]:
        if isinstance(event, Clock):
            seq = 0
            for key in sorted(self.books, key=_bytes):
                if self._due(self.books[key], event.event_time):
                    yield self._row(origin, seq, key, event)
                    seq += 1
        elif isinstance(event, BookSnapshot | BookDelta | FeedStatus | Quote):
            key = event.symbol, event.venue
            book = self.books[key]
            was_live = book.live
            self._advance(book, event)
            if book.live != was_live or (
                not isinstance(event, Quote) and self._due(book, event.event_time)
            ):
                yield self._row(origin, 0, key, event)

    def _advance(self, book: _Book, event: Event) -> None:
        if isinstance(event, Quote):
            if not book.has_snapshot:
                book.top, book.top_time = (event.bid_price, event.ask_price), event.event_time
        elif isinstance(event, FeedStatus):
            if event.status in {"GAP", "LOST"}:
                if event.channel in {"book", "*"} and book.live:
                    book.suspend()
                if event.channel in {"quotes", "*"} and not book.has_snapshot:
                    book.top = (math.nan, math.nan)
        elif isinstance(event, BookSnapshot | BookDelta):
            self._follow(book, event)

    def _follow(self, book: _Book, event: BookSnapshot | BookDelta) -> None:
        if isinstance(event, BookSnapshot):
            if (
                book.live
                and 1 < event.sequence <= book.sequence
                and event.event_time < book.top_time + self._restart_us
            ):
                return
            book.live, book.has_snapshot, book.sequence = True, True, event.sequence
            book.bids, book.asks = {}, {}
            book.apply(event.bids[::-1], event.asks[::-1])
        else:
            previous, known, was_live = event.previous_sequence, book.sequence, book.live
            if not book.has_snapshot:
                return
            if previous == -1:
                if not book.live:
                    return
            elif previous != known:
                if event.sequence <= known:
                    return
                if previous > known:
                    if book.live:
                        book.suspend()
                    return
            book.live = True
            if was_live and event.sequence == known and not event.bids and not event.asks:
                book.top_time = event.event_time
                return
            book.sequence = event.sequence
            book.apply(event.bids, event.asks)
        book.pending, book.top_time = True, event.event_time
        book.top = (max(book.bids, default=math.nan), min(book.asks, default=math.nan))

    def _due(self, book: _Book, time: int) -> bool:
        return book.pending and (
            book.emitted is None or abs(time - book.emitted) >= 1000 * self._config.emit_interval_ms
        )

    def _row(self, origin: Origin, seq: int, key: Key, event: Event) -> Book:
        book, levels = self.books[key], self._config.levels
        book.pending, book.emitted = False, event.event_time  # type: ignore[attr-defined]
        return Book(
            origin=origin,
            seq=seq,
            venue=key[1],
            symbol=key[0],
            event_time=event.event_time,  # type: ignore[attr-defined]
            receive_time=event.receive_time,  # type: ignore[attr-defined]
            state="LIVE" if book.live else "UNKNOWN",
            sequence=book.sequence if book.live else -1,
            bids=sorted(book.bids.items(), reverse=True)[:levels] if book.live else [],
            asks=sorted(book.asks.items())[:levels] if book.live else [],
        )


@dataclass
class _Open:
    source: str
    start: int
    rows: list[tuple[float, float, float, float, float, float, float, int]] = field(
        default_factory=list
    )
    fed_until: int = 0
    kline: int = 0


@dataclass
class _Slot:
    bar: _Open | None = None
    floor: int | None = None
    late: int = 0


class BarsModel:
    """Bars that keep all their trades and klines until they close."""

    def __init__(self, config: ProcessorsConfig) -> None:
        self._grace = 1000 * config.bars.grace_ms
        self._intervals = [name for name in _INTERVALS if name in config.bars.intervals]
        self._slots: dict[Key, dict[str, _Slot]] = {}
        self._traded: set[Key] = set()

    def emit(self, origin: Origin, event: Event) -> Iterator[Bar]:
        bars: list[Bar] = []
        for key, interval, bar, late in self._closed(event):
            bars.append(self._row(origin, len(bars), key, interval, bar, late, event))
        yield from bars

    def _closed(self, event: Event) -> Iterator[tuple[Key, str, _Open, int]]:
        if isinstance(event, Clock):
            for key in sorted(self._slots, key=_bytes):
                for interval, slot in self._slots[key].items():
                    end_of = INTERVAL_US[interval] + self._grace
                    if slot.bar and event.event_time >= slot.bar.start + end_of:
                        yield self._close(key, interval)
        if isinstance(event, Trade) and event.kind == "MARKET":
            if not (math.isnan(event.price) or math.isnan(event.quantity)):
                yield from self._trade((event.symbol, event.venue), event)
        elif isinstance(event, Kline) and event.closed:
            key = event.symbol, event.venue
            if key not in self._traded:
                yield from self._kline(key, event)

    def _close(self, key: Key, interval: str) -> tuple[Key, str, _Open, int]:
        slot = self._slots[key][interval]
        bar, late = slot.bar, slot.late
        assert bar
        slot.bar, slot.late, slot.floor = None, 0, bar.start + INTERVAL_US[interval]
        return key, interval, bar, late

    def _slot(self, key: Key) -> dict[str, _Slot]:
        return self._slots.setdefault(key, {name: _Slot() for name in self._intervals})

    def _trade(self, key: Key, event: Trade) -> Iterator[tuple[Key, str, _Open, int]]:
        slots = self._slot(key)
        if key not in self._traded:
            self._traded.add(key)
            for interval, slot in slots.items():
                if slot.bar and event.event_time >= slot.bar.start + INTERVAL_US[interval]:
                    yield self._close(key, interval)
                slot.bar = None
        for interval, slot in slots.items():
            start = event.event_time // INTERVAL_US[interval] * INTERVAL_US[interval]
            if slot.floor is not None and start < slot.floor:
                slot.late += 1
                continue
            if slot.bar and start > slot.bar.start:
                yield self._close(key, interval)
            if slot.bar is None:
                slot.bar, slot.floor = _Open("TRADES", start), start
            bought = event.quantity if event.aggressor_side == "BUY" else 0.0
            price, notional = event.price, event.price * event.quantity
            slot.bar.rows.append(
                (price, price, price, price, event.quantity, notional, bought, event.count)
            )

    def _kline(self, key: Key, event: Kline) -> Iterator[tuple[Key, str, _Open, int]]:
        unit = {"s": 1, "m": 60, "h": 3600, "d": 86400}.get(event.interval[-1])
        if unit is None or not event.interval[:-1].isdigit():
            return
        length = int(event.interval[:-1]) * unit * 1_000_000
        for interval, slot in self._slot(key).items():
            whole = INTERVAL_US[interval]
            start = event.open_time // whole * whole
            if whole % length or (slot.floor is not None and start < slot.floor):
                continue
            if slot.bar and start > slot.bar.start:
                yield self._close(key, interval)
            if slot.bar and (event.open_time < slot.bar.fed_until or slot.bar.kline != length):
                continue
            if slot.bar is None:
                slot.bar, slot.floor = _Open("KLINES", start, kline=length), start
            slot.bar.rows.append(
                (
                    event.open,
                    event.high,
                    event.low,
                    event.close,
                    event.volume,
                    math.nan if event.notional is None else event.notional,
                    math.nan if event.taker_buy_volume is None else event.taker_buy_volume,
                    event.trade_count or 0,
                )
            )
            slot.bar.fed_until = event.open_time + length
            if slot.bar.fed_until >= start + whole:
                yield self._close(key, interval)

    def _row(
        self, origin: Origin, seq: int, key: Key, interval: str, bar: _Open, late: int,
        event: Event,
    ) -> Bar:  # fmt: skip
        opens, highs, lows, closes, volumes, notionals, bought, counts = zip(*bar.rows, strict=True)
        volume, notional = _sum(volumes), _sum(notionals)
        return Bar(
            origin=origin,
            seq=seq,
            venue=key[1],
            symbol=key[0],
            event_time=bar.start + INTERVAL_US[interval],
            receive_time=event.receive_time,  # type: ignore[attr-defined]
            interval=interval,
            open_time=bar.start,
            open=opens[0],
            high=max(highs),
            low=min(lows),
            close=closes[-1],
            volume=volume,
            notional=notional,
            vwap=_one_nan(notional / volume) if volume > 0 else math.nan,
            trade_count=sum(counts),
            taker_buy_volume=_sum(bought),
            late_trades=late,
            source="TRADES" if bar.source == "TRADES" else "KLINES",
        )


def _sum(values: Sequence[float]) -> float:
    """From left to right; `sum` of Python 3.12 compensates."""
    total = values[0]
    for value in values[1:]:
        total += value
    return _one_nan(total)


class ReferenceModel:
    """The median of the books' tops."""

    def __init__(self, config: ProcessorsConfig, books: BooksModel) -> None:
        self._stale_us = 1000 * config.reference.stale_after_ms
        self._books = books
        self._was_known: set[Key] = set()

    def emit(self, origin: Origin, event: Event) -> Iterator[ReferencePrice]:
        for key, book in self._books.books.items():
            if not any(map(math.isnan, book.top)):
                self._was_known.add(key)
        if not isinstance(event, Clock):
            return
        seq = 0
        for symbol in sorted({key[0] for key in self._books.books}, key=str.encode):
            mids = self._mids(symbol, event.event_time)
            if mids:
                values = sorted(mids.values())
                half = len(values) // 2
                price = values[half]
                if len(values) % 2 == 0:
                    price = (values[half - 1] + values[half]) / 2
                yield ReferencePrice(
                    origin=origin,
                    seq=seq,
                    symbol=symbol,
                    event_time=event.event_time,
                    receive_time=event.receive_time,
                    price=price,
                    dispersion_bps=_bps(values[-1] - values[0], price),
                    venues=sorted(mids.items()),
                )
                seq += 1

    def _mids(self, symbol: str, time: int) -> dict[str, float]:
        has_spot = any(s == symbol and _is_spot(venue) for s, venue in self._was_known)
        return {
            venue: (book.top[0] + book.top[1]) / 2
            for (s, venue), book in self._books.books.items()
            if s == symbol
            and has_spot == _is_spot(venue)
            and not any(map(math.isnan, book.top))
            and time - book.top_time <= self._stale_us
        }


def _bps(difference: float, price: float) -> float:
    with np.errstate(all="ignore"):
        return _one_nan(float(np.float64(difference) / price * 1e4))


def _one_nan(value: float) -> float:
    """All NaN as one, as the stages give them."""
    return math.nan if math.isnan(value) else value


def _is_spot(venue: str) -> bool:
    return venue in BY_NAME and BY_NAME[venue].kind == "spot"


def expected(
    events: Sequence[Event], config: ProcessorsConfig, first_offset: int, partition: int = 3
) -> dict[str, list[Event]]:
    """What the pipeline must emit under one configuration, by topic."""
    seen, books = SeenModel(config), BooksModel(config)
    models: dict[str, Model] = {
        "books": books,
        "bars": BarsModel(config),
        "reference": ReferenceModel(config, books),
    }
    found: dict[str, list[Event]] = {topic: [] for topic in models}
    for offset, event in enumerate(events, first_offset):
        symbol = getattr(event, "symbol", None)
        if symbol is not None and config.symbols and symbol not in config.symbols:
            continue
        if seen.repeats(event):
            continue
        for topic, model in models.items():
            found[topic].extend(model.emit(Origin("tape", partition, offset), event))
    return {topic: rows for topic, rows in found.items() if rows}
