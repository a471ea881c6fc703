"""The stage `quality` once more, in plain Python: what it must equal."""

import math
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from processors.config import ProcessorsConfig
from schemas.events import (
    BookDelta,
    BookSnapshot,
    Clock,
    Event,
    FeedStatus,
    Funding,
    Kline,
    MarkPrice,
    Origin,
    Quality,
    Quote,
    Trade,
)
from tests.processors.books_model import BooksModel, by_bytes
from tests.processors.seen_model import Key, one_nan

_US = 1_000_000
_ORDER = (
    ("STALE", "book"), ("STALE", "quotes"), ("STALE", "trades"), ("CROSSED", "book"),
    ("CROSSED", "quotes"), ("JUMP", "book"), ("IMPOSSIBLE", "book"), ("IMPOSSIBLE", "quotes"),
    ("IMPOSSIBLE", "trades"), ("IMPOSSIBLE", "klines"), ("IMPOSSIBLE", "marks"),
    ("TIME_BACKWARDS", "book"), ("TIME_BACKWARDS", "quotes"), ("TIME_BACKWARDS", "trades"),
    ("VOLUME_OUTLIER", "trades"), ("TRADE_OUTSIDE_BOOK", "trades"), ("GAP", "book"),
    ("FALLBACK", "book"),
)  # fmt: skip
_UNITS = {
    "STALE": "ms", "CROSSED": "bps", "JUMP": "bps", "IMPOSSIBLE": "", "TIME_BACKWARDS": "ms",
    "VOLUME_OUTLIER": "ratio", "TRADE_OUTSIDE_BOOK": "bps", "GAP": "ms", "FALLBACK": "score",
}  # fmt: skip
_ERRORS = {
    ("STALE", "book"), ("CROSSED", "book"), ("CROSSED", "quotes"), ("JUMP", "book"),
    ("IMPOSSIBLE", "book"), ("IMPOSSIBLE", "quotes"),
}  # fmt: skip
_FALLBACK = ("FALLBACK", "book")
_GAP = ("GAP", "book")


@dataclass
class _Feed:
    heard: int = 0
    events: int = 0
    longest: int = 0
    time: int = 0
    crossed_since: int | None = None
    cross: float = 0.0


@dataclass
class _Active:
    raised: int
    worst: float
    limit: float
    last_bad: int = 0
    count: int = 1


@dataclass
class _Market:
    feeds: defaultdict[str, _Feed] = field(default_factory=lambda: defaultdict(_Feed))
    active: dict[tuple[str, str], _Active] = field(default_factory=dict)
    live: bool = False
    top: tuple[float, float] = (math.nan, math.nan)
    top_heard: int = 0
    usual: float = 0.0
    deviations: int = 0
    jump_run: int = 0
    slow: float = math.nan
    last_price: float = math.nan
    absurd_run: int = 0
    volume: float = 0.0
    recent: float = 0.0
    volume_at: int = 0
    volume_seconds: int = 0
    largest: float = 0.0
    deficit: float = 0.0
    score_at: int = 0

    @property
    def in_error(self) -> bool:
        return bool(_ERRORS & self.active.keys())


class QualityModel:
    """Conditions as a dict of what is active."""

    def __init__(self, config: ProcessorsConfig, books: BooksModel) -> None:
        self._config, self._reference, self._books = config.quality, config.reference, books
        self._markets: defaultdict[Key, _Market] = defaultdict(_Market)
        self._now = 0
        self._clock: int | None = None
        self._rows: list[Quality] = []
        self.excluded: set[Key] = set()

    def emit(self, origin: Origin, event: Event) -> Iterator[Quality]:
        self._rows, self._origin, self._event = [], origin, event
        if isinstance(event, Clock):
            self._tick(event.event_time)
        else:
            key = getattr(event, "symbol", ""), getattr(event, "venue", "")
            self._see(key, event)
            if self._rows:
                self._judge(key)
        yield from self._rows

    def _see(self, key: Key, event: Any) -> None:
        match event:
            case BookDelta() | BookSnapshot() | FeedStatus():
                self._book(key, event)
            case Quote():
                self._quote(key, event)
            case Trade(kind="MARKET", backfilled=False):
                self._trade(key, event)
            case Kline():
                value = _wrong_kline(event)
                if value is not None:
                    self._bad(key, ("IMPOSSIBLE", "klines"), value, 0.0)
            case MarkPrice():
                for value in (event.mark_price, event.index_price):
                    if value is not None and not _is_price(value):
                        self._bad(key, ("IMPOSSIBLE", "marks"), value, 0.0)
                        break
            case Funding():
                if not abs(event.rate) < 1.0:
                    self._bad(key, ("IMPOSSIBLE", "marks"), event.rate, 1.0)

    def _book(self, key: Key, event: BookDelta | BookSnapshot | FeedStatus) -> None:
        market, book = self._markets[key], self._books.books[key]
        if market.live and not book.live:
            self._bad(key, _GAP, 0.0, 0.0)
        market.live, market.top = book.live, book.top
        if not book.live:
            market.feeds["book"].crossed_since = None
        elif not isinstance(event, FeedStatus):
            market.top_heard = self._now
            self._cross(market.feeds["book"], *book.top)
            if isinstance(event, BookDelta):
                self._hear(key, "book", event.event_time)
        if not isinstance(event, FeedStatus):
            for price, quantity in [*event.bids, *event.asks]:
                wrong = price if not _is_price(price) else quantity
                if not (_is_price(price) and 0 <= quantity < math.inf):
                    self._bad(key, ("IMPOSSIBLE", "book"), wrong, 0.0)
                    break

    def _quote(self, key: Key, event: Quote) -> None:
        market = self._markets[key]
        self._hear(key, "quotes", event.event_time)
        self._cross(market.feeds["quotes"], event.bid_price, event.ask_price)
        if not market.live:
            market.top, market.top_heard = self._books.books[key].top, self._now
        for price, quantity in (
            (event.bid_price, event.bid_quantity),
            (event.ask_price, event.ask_quantity),
        ):
            if not math.isnan(price) and not (_is_price(price) and 0 <= quantity < math.inf):
                wrong = quantity if _is_price(price) else price
                self._bad(key, ("IMPOSSIBLE", "quotes"), wrong, 0.0)
                break

    def _trade(self, key: Key, event: Trade) -> None:
        market, price = self._markets[key], event.price
        self._hear(key, "trades", event.event_time)
        impossible = ("IMPOSSIBLE", "trades")
        if not _is_price(price):
            self._bad(key, impossible, price, 0.0)
        elif not 0 < event.quantity < math.inf:
            self._bad(key, impossible, event.quantity, 0.0)
        else:
            market.volume += event.quantity
            bound = self._absurd(market, price)
            if bound:
                self._bad(key, impossible, price, bound)
            elif self._is_fresh(market):
                bid, ask = market.top
                with np.errstate(all="ignore"):
                    beyond = np.array([np.float64(price) / ask - 1, 1 - np.float64(price) / bid])
                worst = max(*beyond.tolist()) * 1e4
                if worst > self._config.outside_bps:
                    limit = self._config.outside_bps
                    self._bad(key, ("TRADE_OUTSIDE_BOOK", "trades"), worst, limit)

    def _absurd(self, market: _Market, price: float) -> float:
        usual, ratio = sum(market.top) / 2, self._config.absurd_ratio
        if not _is_price(usual) or not self._is_fresh(market):
            usual = market.last_price
        bound = 0.0
        if price > usual * ratio:
            bound = usual * ratio
        elif price < usual / ratio:
            bound = usual / ratio
        if bound == 0 or market.absurd_run >= 100:
            market.absurd_run, market.last_price = 0, price
            return 0.0
        market.absurd_run += 1
        return bound

    def _is_fresh(self, market: _Market) -> bool:
        return self._now - market.top_heard <= 1000 * self._reference.stale_after_ms

    def _hear(self, key: Key, name: str, time: int) -> None:
        market = self._markets[key]
        feed = market.feeds[name]
        silent = self._now - feed.heard
        if feed.events and silent > 0 and ("STALE", name) not in market.active:
            faded = feed.longest * (silent // _US) // 1_000
            feed.longest = max(feed.longest - min(feed.longest, faded), silent)
        back = feed.time - time if feed.events else 0
        feed.heard, feed.time, feed.events = self._now, time, feed.events + 1
        limit = self._config.backwards_ms
        if back > 1000 * limit:
            self._bad(key, ("TIME_BACKWARDS", name), back / 1e3, float(limit))

    def _cross(self, feed: _Feed, bid: float, ask: float) -> None:
        if not bid >= ask:
            feed.crossed_since = None
            return
        with np.errstate(all="ignore"):
            cross = float((bid - ask) / np.float64(ask) * 1e4)
        if feed.crossed_since is None:
            feed.crossed_since, feed.cross = self._now, cross
        feed.cross = cross if cross > feed.cross else feed.cross

    def _score(self, market: _Market) -> float:
        deficit = market.deficit
        if not market.in_error:
            recovered = (self._now - market.score_at) / (self._config.recover_s * 1e6)
            deficit = max(0.0, deficit - recovered)
        return 1.0 - deficit

    def _bad(self, key: Key, what: tuple[str, str], value: float, limit: float) -> None:
        market = self._markets[key]
        found = market.active.get(what)
        if found:
            found.count += 1
            found.last_bad = self._now
            found.worst = value if value > found.worst else found.worst
            return
        deficit = 1.0 - self._score(market)
        time: int = self._event.event_time  # type: ignore[attr-defined]
        market.active[what] = _Active(time, value, limit, self._now)
        if what != _FALLBACK:
            penalty = 0.6 if what in _ERRORS else 0.05 if what[0] == "VOLUME_OUTLIER" else 0.15
            market.deficit, market.score_at = min(1.0, deficit + penalty), self._now
        self._row(key, what, "RAISED", value, market.active[what])

    def _clear(self, key: Key, what: tuple[str, str]) -> None:
        market = self._markets[key]
        deficit = 1.0 - self._score(market)
        found = market.active.pop(what)
        if what != _FALLBACK:
            market.deficit, market.score_at = deficit, self._now
        self._row(key, what, "CLEARED", found.worst, found)

    def _judge(self, key: Key) -> None:
        market, config = self._markets[key], self._reference
        score = self._score(market)
        if key in self.excluded:
            if not market.in_error and score >= config.return_score:
                self.excluded.remove(key)
                self._clear(key, _FALLBACK)
        elif market.in_error or score < config.least_score:
            self.excluded.add(key)
            self._bad(key, _FALLBACK, score, config.least_score)

    def _tick(self, time: int) -> None:
        before = time if self._clock is None else self._clock
        step = min(max(time - before, 0), 5 * _US)
        self._clock, self._now = time, self._now + step
        for symbol in sorted({key[0] for key in self._markets}, key=str.encode):
            keys = sorted((key for key in self._markets if key[0] == symbol), key=by_bytes)
            jumps = self._jumps(keys)
            for key in keys:
                self._look(key, step, jumps.get(key))
                market = self._markets[key]
                quiet = 1000 * self._config.clear_after_ms
                for what in _ORDER[:-1]:
                    found = market.active.get(what)
                    if found and self._now - found.last_bad >= quiet:
                        self._clear(key, what)
                self._judge(key)

    def _look(self, key: Key, step: int, jump: float | None) -> None:
        config, market = self._config, self._markets[key]
        for name in ("book", "quotes", "trades"):
            feed = market.feeds[name]
            least = 1000.0 * (config.stale_trades_ms if name == "trades" else config.stale_ms)
            least = max(least, config.stale_factor * feed.longest)
            silent = self._now - feed.heard
            if feed.events >= config.learn_events and silent > least:
                self._bad(key, ("STALE", name), silent / 1e3, least / 1e3)
        for name in ("book", "quotes"):
            feed = market.feeds[name]
            since = feed.crossed_since
            if since is not None and self._now - since > 1000 * config.crossed_ms:
                self._bad(key, ("CROSSED", name), feed.cross, 0.0)
        if jump is not None and market.jump_run > 1:
            self._bad(key, ("JUMP", "book"), jump, config.jump_bps)
        if market.volume > 0:
            self._volume(key)
        if _GAP in market.active and not market.live:
            market.active[_GAP].last_bad = self._now
            market.active[_GAP].worst += step / 1e3

    def _volume(self, key: Key) -> None:
        market, config = self._markets[key], self._config
        for _ in range(min((self._now - market.volume_at) // _US, 100)):
            market.recent *= 0.9
        market.recent += market.volume
        market.volume, market.volume_at = 0.0, self._now
        market.volume_seconds += 1
        before = market.largest
        market.largest = max(market.recent, before - before / 3600)
        if market.volume_seconds <= config.learn_s:
            return
        market.largest = min(market.largest, before * 1.05)
        ratio = market.recent / before
        if ratio > config.volume_ratio:
            self._bad(key, ("VOLUME_OUTLIER", "trades"), ratio, config.volume_ratio)

    def _jumps(self, keys: Sequence[Key]) -> dict[Key, float]:
        mids = {key: sum(m.top) / 2 for key in keys if self._is_fresh(m := self._markets[key])}
        mids = {key: mid for key, mid in mids.items() if mid > 0}
        good = {key: mid for key, mid in mids.items() if not self._markets[key].in_error}
        moved = {key: _ratio(mid, self._markets[key].slow) for key, mid in mids.items()}
        most = 0.0
        for key in good:
            most = moved[key] if moved[key] > most else most
        middle = _median(sorted(good.values()))
        found: dict[Key, float] = {}
        for key, mid in mids.items():
            market, slow = self._markets[key], self._markets[key].slow
            market.slow = mid if math.isnan(slow) else slow + (mid - slow) / 10
            other = middle
            if key in good and len(good) <= 2:
                other = math.nan if len(good) == 1 else 2 * middle - mid
            with np.errstate(all="ignore"):
                deviation = float(np.float64(mid) / other - 1) * 1e4
            if math.isnan(deviation):
                continue
            difference = deviation - market.usual
            known = market.deviations
            beyond = known >= self._config.learn_s and abs(difference) > self._config.jump_bps
            blamed = beyond and (len(good) != 2 or moved[key] >= most)
            market.usual += difference / (3600 if beyond else min(known + 1.0, 60.0))
            market.deviations += 1
            market.jump_run = market.jump_run + 1 if blamed else 0
            if blamed:
                found[key] = abs(difference)
        return found

    def _row(
        self, key: Key, what: tuple[str, str], state: Any, value: float, found: _Active
    ) -> None:
        event: Any = self._event
        error = "ERROR" if what in _ERRORS else "WARNING"
        self._rows.append(
            Quality(
                origin=self._origin,
                seq=len(self._rows),
                venue=key[1],
                symbol=key[0],
                event_time=event.event_time,
                receive_time=event.receive_time,
                kind=what[0],  # type: ignore[arg-type]  # one of them
                state=state,
                severity="INFO" if what[0] == "VOLUME_OUTLIER" else error,  # type: ignore[arg-type]
                channel=what[1],
                value=one_nan(value),
                limit=found.limit,
                unit=_UNITS[what[0]],
                raised_time=found.raised,
                count=found.count,
                score=self._score(self._markets[key]),
            )
        )


def _is_price(value: float) -> bool:
    return 0 < value < math.inf


def _ratio(mid: float, slow: float) -> float:
    with np.errstate(all="ignore"):
        return float(abs(np.float64(mid) / slow - 1))


def _median(values: Sequence[float]) -> float:
    if not values:
        return math.nan
    half = len(values) // 2
    return values[half] if len(values) % 2 else (values[half - 1] + values[half]) / 2


def _wrong_kline(event: Kline) -> float | None:
    for price in (event.open, event.high, event.low, event.close):
        if not _is_price(price):
            return price
    if event.high < max(event.open, event.close):
        return event.high
    if event.low > min(event.open, event.close):
        return event.low
    return event.volume if event.volume < 0 or event.volume == math.inf else None
