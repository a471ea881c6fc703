"""The stages once more, in plain Python with dicts, one event at a time: what they must equal."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from processors.config import INTERVAL_US, ProcessorsConfig
from schemas.events import (
    Bar,
    Clock,
    Event,
    Kline,
    Origin,
    ReferencePrice,
    Trade,
)
from schemas.venues import BY_NAME
from tests.processors.books_model import BooksModel, by_bytes
from tests.processors.quality_model import QualityModel
from tests.processors.seen_model import Key, SeenModel, one_nan

_INTERVALS = sorted(INTERVAL_US, key=lambda name: INTERVAL_US[name])


class Model(Protocol):
    """A stage as a plain function of one event after the other."""

    def emit(self, origin: Origin, event: Event) -> Iterator[Event]:
        """What the event causes."""


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
            for key in sorted(self._slots, key=by_bytes):
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
            vwap=one_nan(notional / volume) if volume > 0 else math.nan,
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
    return one_nan(total)


class ReferenceModel:
    """The median of the books' tops."""

    def __init__(self, config: ProcessorsConfig, books: BooksModel, quality: QualityModel) -> None:
        self._stale_us = 1000 * config.reference.stale_after_ms
        self._books, self._quality = books, quality
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
                    excluded=self._excluded(symbol),
                )
                seq += 1

    def _has_spot(self, symbol: str) -> bool:
        return any(s == symbol and _is_spot(venue) for s, venue in self._was_known)

    def _excluded(self, symbol: str) -> list[str]:
        has_spot = self._has_spot(symbol)
        return sorted(
            venue
            for s, venue in self._quality.excluded
            if s == symbol and has_spot == _is_spot(venue)
        )

    def _mids(self, symbol: str, time: int) -> dict[str, float]:
        has_spot = self._has_spot(symbol)
        return {
            venue: (book.top[0] + book.top[1]) / 2
            for (s, venue), book in self._books.books.items()
            if s == symbol
            and has_spot == _is_spot(venue)
            and (s, venue) not in self._quality.excluded
            and not any(map(math.isnan, book.top))
            and time - book.top_time <= self._stale_us
        }


def _bps(difference: float, price: float) -> float:
    with np.errstate(all="ignore"):
        return one_nan(float(np.float64(difference) / price * 1e4))


def _is_spot(venue: str) -> bool:
    return venue in BY_NAME and BY_NAME[venue].kind == "spot"


def expected(
    events: Sequence[Event], config: ProcessorsConfig, first_offset: int, partition: int = 3
) -> dict[str, list[Event]]:
    """What the pipeline must emit under one configuration, by topic."""
    seen, books = SeenModel(config), BooksModel(config)
    quality = QualityModel(config, books)
    models: dict[str, Model] = {
        "books": books,
        "bars": BarsModel(config),
        "quality": quality,
        "reference": ReferenceModel(config, books, quality),
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
            if books.stale:
                break
    return {topic: rows for topic, rows in found.items() if rows}
