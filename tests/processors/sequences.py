"""Random tapes: sequences of events with all that goes wrong in the wild."""

import math
from dataclasses import dataclass, field
from typing import Any

import msgspec
from hypothesis import strategies as st

from processors.config import (
    INTERVAL_US,
    BarsConfig,
    BooksConfig,
    FeaturesConfig,
    ProcessorsConfig,
    QualityConfig,
    ReferenceConfig,
    SeenConfig,
)
from schemas.events import (
    BookDelta,
    BookSnapshot,
    Clock,
    Event,
    FeedStatus,
    Funding,
    Kline,
    MarkPrice,
    News,
    Quote,
    SentimentIndex,
    Trade,
)
from tests.processors.batches import configured

START_US = 1_700_000_000_000_000
SECOND_US = 1_000_000

INSTRUMENTS = (
    ("okx-spot", "BTC-USDT"),
    ("binance-spot", "BTC-USDT"),
    ("bybit-linear", "BTC-USDT"),
    ("binance-usdm", "ETH-USDT"),
    ("elsewhere", "ETH-USDT"),
    ("okx-inverse", "Ä-USD"),
)

# So strict that most conditions begin and end within a short tape.
_STRICT = QualityConfig(
    stale_ms=500, stale_trades_ms=1_500, stale_factor=1.5, crossed_ms=0, jump_bps=20.0,
    absurd_ratio=1.005, backwards_ms=10, volume_ratio=1.5, outside_bps=20.0, learn_events=2,
    learn_s=1, clear_after_ms=1_500, recover_s=4.0,
)  # fmt: skip

CONFIGS = (
    ProcessorsConfig(quality=_STRICT, features=FeaturesConfig(decision_ms=0)),
    ProcessorsConfig(
        features=FeaturesConfig(decision_ms=300, stale_after_ms=400, venues=("okx-spot",)),
        seen=SeenConfig(trades=3, others=2, restart_ms=900, set_back_ms=5_000),
        books=BooksConfig(levels=2, emit_interval_ms=0),
        bars=BarsConfig(intervals=("1s", "5m"), grace_ms=0),
    ),
    ProcessorsConfig(
        symbols=("ETH-USDT", "Ä-USD"),
        seen=SeenConfig(trades=20, others=30, set_back_ms=0),
        books=BooksConfig(levels=3),
        quality=_STRICT,
        reference=ReferenceConfig(stale_after_ms=60_000, least_score=0.7, return_score=0.75),
    ),
    ProcessorsConfig(
        symbols=("BTC-USDT",),
        books=BooksConfig(levels=1, emit_interval_ms=700),
        features=FeaturesConfig(decision_ms=2_500, stale_after_ms=60_000),
    ),
    ProcessorsConfig(features=FeaturesConfig(enabled=False)),
)

_STEPS_US = (
    0, 0, 1_000, 1_000, 20_000, 50_000, 300_000, 999_999, SECOND_US, SECOND_US, 7 * SECOND_US,
    61 * SECOND_US, 301 * SECOND_US, 3_700 * SECOND_US, -30_000, -400_000, -2 * SECOND_US,
    -90 * SECOND_US,
)  # fmt: skip
_KLINES = {**INTERVAL_US, "15m": 900_000_000, "1d": 86_400_000_000, "1M": 1, "odd": 1}
_ACTIONS = (
    "trade", "trade", "trade", "delta", "delta", "delta", "delta", "snapshot", "snapshot", "quote",
    "quote", "kline", "kline", "feed", "clock", "clock", "clock", "other", "other", "repeat",
    "repeat",
)  # fmt: skip


@dataclass
class _Builder:
    now: int = START_US
    sequences: dict[tuple[str, str], int] = field(default_factory=dict)
    made: list[Event] = field(default_factory=list)

    def event(self, action: str, which: int, step: int, a: int, b: int) -> Event:
        if action == "repeat" and self.made:
            # Another collector writes it again: soon, or much later.
            back = min(1 + a * (1 + b % 3), len(self.made))
            return msgspec.structs.replace(self.made[-back], receive_time=self.now)
        self.made.append(self._new(action, which, step, a, b))
        return self.made[-1]

    def _new(self, action: str, which: int, step: int, a: int, b: int) -> Event:
        self.now += step
        venue, symbol = INSTRUMENTS[which]
        common: dict[str, Any] = {
            "venue": venue,
            "symbol": symbol,
            "event_time": self.now,
            "receive_time": self.now + 3_000,
        }
        if action == "clock":
            whole = self.now - self.now % SECOND_US
            return Clock(event_time=whole, receive_time=whole + 7)
        if action == "configure":
            return configured(CONFIGS[a % len(CONFIGS)], self.now)
        if action in {"other", "repeat"}:
            return _other(common, a, b)
        made: Event = getattr(self, f"_{action}")(common, a, b)
        return made

    def _trade(self, common: dict[str, Any], a: int, b: int) -> Trade:
        return Trade(
            **common,
            trade_id=self._id(a, b),
            price=math.nan if (a, b) == (13, 13) else 100.0 + 0.1 * a,
            quantity=math.inf if (a, b) == (12, 9) else 0.37 * b,
            aggressor_side=("BUY", "SELL", "UNKNOWN")[a % 3],
            kind="BLOCK" if b == 11 else "ADL" if b == 12 else "MARKET",
            count=a % 4,
            backfilled=b == 10,
        )

    def _id(self, a: int, b: int) -> str:
        """Numbers in their order, texts, a number too long for one; none; seldom one again."""
        number = len(self.made)
        if b == 2:
            return ("", "0", "007", str(a))[a % 4]
        return f"{number:x}-{b:04x}" if b == 3 else f"{10**18 + number}" if b == 4 else str(number)

    def _snapshot(self, common: dict[str, Any], a: int, b: int) -> BookSnapshot:
        key = common["venue"], common["symbol"]
        self.sequences[key] = self.sequences.get(key, 100) + b - 3 if b != 9 else 0
        return BookSnapshot(
            **common,
            sequence=self.sequences[key],
            depth=0,
            bids=[(100.0 - 0.5 * j, 1.0 + j) for j in range(a)],
            asks=[(99.0 + a / 7 + 0.5 * j, 2.0 + b) for j in range(b)],
        )

    def _delta(self, common: dict[str, Any], a: int, b: int) -> BookDelta:
        key = common["venue"], common["symbol"]
        known = self.sequences.get(key, 100)
        previous, sequence = {
            0: (known + 5, known + 9),
            1: (known - 4, known - 2),
            2: (-1, -1),
            3: (known - 2, known + 2),
            4: (known, known - 50),
            5: (known, known),
        }.get(a, (known, known + 1 + b))
        self.sequences[key] = sequence
        quantities = (0.0, 0.0, 1.5, 2.5, math.nan, -1.0) if b == 7 else (0.0, 1.5, 2.5)
        return BookDelta(
            **common,
            previous_sequence=previous,
            sequence=sequence,
            bids=[
                (100.0 - 0.5 * ((a * j + b) % 17), quantities[(b + j) % len(quantities)])
                for j in range(b % 5)
            ],
            asks=[
                (99.0 + 0.5 * ((b * j + a) % 17), quantities[(a + j) % len(quantities)])
                for j in range(a % 4)
            ],
        )

    def _quote(self, common: dict[str, Any], a: int, b: int) -> Quote:
        return Quote(
            **common,
            sequence=-1 if a % 3 == 0 else len(self.made) + a - b if a % 3 == 1 else len(self.made),
            bid_price=math.nan if a == 0 else 0.0 if a == 1 else 99.0 + a / 10,
            bid_quantity=1.0,
            ask_price=math.nan if b == 0 else 0.0 if b == 1 else 100.0 + b / 10,
            ask_quantity=1.0,
        )

    def _kline(self, common: dict[str, Any], a: int, b: int) -> Kline:
        interval = list(_KLINES)[b % len(_KLINES)]
        length = _KLINES[interval]
        return Kline(
            **common,
            interval=interval,
            open_time=self.now - self.now % length - length * (a % 2),
            open=100.0 + a,
            high=103.0 + a,
            low=99.0 + a - b,
            close=101.0,
            volume=math.nan if a == 5 else 0.7 * b,
            notional=None if a == 6 else 70.1 * b,
            trade_count=None if a == 7 else a,
            taker_buy_volume=None if a == 8 else 0.3 * b,
            closed=a != 9,
        )

    def _feed(self, common: dict[str, Any], a: int, b: int) -> FeedStatus:
        return FeedStatus(
            **common,
            status=("GAP", "LOST", "RESYNCED", "CONNECTED", "OTHER")[a % 5],
            channel=("book", "*", "quotes", "trades", "klines")[b % 5],
            reason="",
        )


def _other(common: dict[str, Any], a: int, b: int) -> Event:
    times = {name: common[name] for name in ("event_time", "receive_time")}
    if a % 4 == 0:
        index = b - 3.5 if b else None
        return MarkPrice(**common, mark_price=-1.0 if b == 2 else 1.0, index_price=index)
    if a % 4 == 1:
        due = b if b % 3 else None
        return Funding(**common, rate=b / 10, settled=b % 2 == 0, funding_time=due)
    if a % 4 == 2:
        return SentimentIndex(**times, index="fear_greed", value=b % 3, classification="Ä")
    return News(
        **{**times, "event_time": times["event_time"] + (a - 3) * 3_600 * SECOND_US},
        source="", news_id=str(b % 2), publisher="", title="Ä" * (b % 3),
        currencies=["BTC", "Ä"][: b % 4], votes_positive=b % 5 or None, votes_negative=b % 3,
        sentiment=(a - b) / 13 if b % 4 else None,
    )  # fmt: skip


def tapes(max_size: int = 120, configure: bool = False) -> st.SearchStrategy[list[Event]]:
    """Sequences of events; with switches of configuration in between if asked for."""
    actions = (*_ACTIONS, "configure") if configure else _ACTIONS

    def steps(size: int, instruments: int) -> st.SearchStrategy[list[Event]]:
        step = st.tuples(
            st.sampled_from(actions),
            st.integers(0, instruments - 1),
            st.sampled_from(_STEPS_US),
            st.integers(0, 13),
            st.integers(0, 13),
        )
        # Lists of a free size are mostly short.
        return st.lists(step, min_size=max(1, size // 2), max_size=size).map(_build)

    sizes = st.integers(1, max_size)
    return st.tuples(sizes, st.sampled_from((1, 2, len(INSTRUMENTS)))).flatmap(
        lambda drawn: steps(*drawn)
    )


def _build(steps: list[tuple[str, int, int, int, int]]) -> list[Event]:
    builder = _Builder()
    return [builder.event(*step) for step in steps]
