"""What the stage `features` promises, seen through the whole pipeline."""

import math
from collections.abc import Iterable, Sequence
from random import Random
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from processors.config import FeaturesConfig, ProcessorsConfig, QualityConfig
from processors.features import calendar, cross_exchange, feature_set, indicators_kernel
from processors.features import microstructure as micro
from processors.features import sentiment as news_features
from processors.features.catalogue import BAR_INPUTS
from processors.features.stage import Features
from processors.instruments import Instruments
from processors.pipeline import Pipeline
from schemas.errors import SchemaError
from schemas.events import (
    Bar,
    BookSnapshot,
    Event,
    FeatureVector,
    Funding,
    MarkPrice,
    News,
    SentimentIndex,
)
from tests.processors.batches import Emitted, add, batch, configured, plain, run, values
from tests.processors.events import at, clock, common, feed, kline, quote, snapshot, trade
from tests.processors.features.decisions_model import Decision, expected, said
from tests.processors.features.technical.oracle import RELATIVE, theirs
from tests.processors.sequences import CONFIGS, tapes

NAN, INF = math.nan, math.inf
BTC, ETH = "BTC-USDT", "ETH-USDT"
SPOT = ("binance-spot", "bybit-spot", "okx-spot")

OF_BARS = [feature.name for feature in indicators_kernel.FEATURES]
OF_TALIB = [feature for feature in feature_set.BUILT_IN if feature.talib is not None]
CALENDAR, MICROSTRUCTURE, CROSS, SENTIMENT = (
    [feature.name for feature in module.FEATURES]
    for module in (calendar, micro, cross_exchange, news_features)
)
OF_PRIMARY = [*OF_BARS, *MICROSTRUCTURE]
PRIMARY_GROUPS = {"technical", "microstructure", "time and regime"}


def under(**fields: Any) -> ProcessorsConfig:
    return ProcessorsConfig(features=FeaturesConfig(**fields))


def vectors(
    events: Sequence[Event], config: ProcessorsConfig | None = None, symbol: str = ""
) -> list[FeatureVector]:
    found = run(events, config).get("features", [])
    return [vector for vector in found if symbol in ("", vector.symbol)]


def in_time(events: Iterable[Event]) -> list[Event]:
    return sorted(events, key=lambda event: getattr(event, "event_time"))  # noqa: B009


def seconds(vector: FeatureVector) -> float:
    return (vector.event_time - at(0)) / 1e6


def bits(vector: FeatureVector, names: Sequence[str]) -> list[str | None]:
    found = [getattr(vector, name) for name in names]
    return [None if value is None else value.hex() for value in found]


def known(vector: FeatureVector) -> set[str]:
    return {name for name in feature_set.NAMES if getattr(vector, name) is not None}


def side(best: float, step: float, quantity: float = 1.0) -> list[tuple[float, float]]:
    return [(best + step * level, quantity * (1 + level)) for level in range(10)]


def headline(
    seconds: float, name: str = "1", currencies: Sequence[str] = (), **fields: Any
) -> News:
    return News(
        **{
            "event_time": at(seconds), "receive_time": at(seconds), "source": "cryptopanic",
            "news_id": name, "publisher": "", "title": name, "currencies": list(currencies),
            **fields,
        }
    )  # fmt: skip


def index(seconds: float, value: float, name: str = "fear_greed") -> SentimentIndex:
    return SentimentIndex(
        event_time=at(seconds), receive_time=at(seconds), index=name, value=value,
        classification="",
    )  # fmt: skip


def funding(seconds: float, rate: float, venue: str = "binance-usdm", **fields: Any) -> Funding:
    return Funding(**common(seconds, venue, BTC), rate=rate, **fields)


MARKETS = tuple(
    (venue, symbol)
    for symbol in (BTC, ETH)
    for venue in (*SPOT, "binance-usdm", "bybit-linear", "elsewhere")
)


def market(
    duration: int, begin: int = 0, seed: int = 1, markets: Sequence[tuple[str, str]] = MARKETS
) -> list[Event]:
    """Some busy markets: books, trades, marks, funding, headlines, and a pulse a second.

    Each market has random numbers of its own, so that its events are the same without the others;
    their prices are the symbol's, but for a basis point.
    """
    events: list[Event] = list(map(clock, range(begin, begin + duration + 1)))
    for venue, symbol in markets:
        rng, common_rng = Random(f"{venue} {symbol} {seed}"), Random(f"{symbol} {seed}")
        price = 100.0
        for s in range(begin, begin + duration):
            price *= 1 + common_rng.gauss(0, 1e-4)
            mid = price + 0.01 * rng.random()
            sizes = [rng.random() + 0.1 for _ in "ba"]
            bids, asks = side(mid - 0.01, -0.01, sizes[0]), side(mid + 0.01, 0.01, sizes[1])
            events.append(snapshot(s + 0.2, s + 2, bids, asks, venue, symbol))
            for _ in range(rng.randrange(4)):
                taker, price = rng.choice([("BUY", mid + 0.01), ("SELL", mid - 0.01)])
                events.append(
                    trade(
                        s + rng.uniform(0.3, 0.99), price, rng.random(), venue, symbol,
                        aggressor_side=taker,
                    )
                )  # fmt: skip
            if venue in ("binance-usdm", "bybit-linear") and s % 3 == 0:
                names = common(s + 0.5, venue, symbol)
                events.append(MarkPrice(**names, mark_price=mid, index_price=mid))
                events.append(Funding(**names, rate=rng.gauss(0, 1e-4), funding_time=at(7_200)))
    rng = Random(seed)
    for s in range(begin, begin + duration, 7):
        named = rng.choice([["BTC"], ["ETH"], [], ["BTC", "ETH"], ["DOGE"]])
        events.append(headline(s + 0.7, f"{s}", named, sentiment=rng.uniform(-1, 1)))
    return in_time(events)


# Decisions


def test_every_symbol_has_a_vector_with_each_pulse() -> None:
    events: list[Event] = [
        trade(0.1, 100.0, symbol="Ä-USDT"), trade(0.2, 100.0, symbol="B-USDT"), clock(1), clock(2),
        trade(2.5, 100.0, symbol="A-USDT"), clock(3), clock(3),
    ]  # fmt: skip
    found = vectors(events)
    assert [(v.origin.offset, v.seq, v.symbol, seconds(v)) for v in found] == [
        (3, 0, "B-USDT", 1), (3, 1, "Ä-USDT", 1),
        (4, 0, "B-USDT", 2), (4, 1, "Ä-USDT", 2),
        (6, 0, "A-USDT", 3), (6, 1, "B-USDT", 3), (6, 2, "Ä-USDT", 3),
    ]  # fmt: skip
    assert {v.venue for v in found} == {"binance-spot"}
    assert {v.feature_set for v in found} == {feature_set.version()}
    assert found[0].receive_time == clock(1).receive_time


@pytest.mark.parametrize(
    ("decision_ms", "expected"),
    [
        (0, [0.1, 0.2, 0.3, 0.6, 1, 1.1, 1.3, 2, 3, 4, 5, 6]),
        (250, [0.1, 0.3, 0.6, 1, 1.3, 2, 3, 4, 5, 6]),
        (1000, [1, 2, 3, 4, 5, 6]),
        (2500, [1, 3, 5]),
        (5000, [1, 5]),
    ],
)
def test_decisions_come_as_often_as_configured(decision_ms: int, expected: list[float]) -> None:
    times = (0.1, 0.2, 0.3, 0.6, 1.1, 1.3)
    events = [*(trade(time, 100.0) for time in times), *map(clock, range(1, 7))]
    found = vectors(in_time(events), under(decision_ms=decision_ms))
    assert [seconds(v) for v in found] == expected


def test_a_pulse_decides_at_the_time_of_a_trade_too() -> None:
    events = [trade(0.1, 100.0), trade(1, 100.0), clock(1), clock(1), clock(2)]
    found = vectors(events, under(decision_ms=0))
    assert [v.origin.offset for v in found] == [1, 2, 3, 5]


def test_a_trade_decides_for_its_own_symbol_alone() -> None:
    events = [
        trade(0.1, 100.0), trade(0.2, 100.0, symbol=ETH), clock(1), trade(1.1, 100.0),
        quote(1.2, 99.0, 101.0), trade(1.3, 100.0, venue="okx-spot", symbol=ETH),
    ]  # fmt: skip
    assert [(seconds(v), v.seq, v.symbol) for v in vectors(events, under(decision_ms=0))] == [
        (0.1, 0, BTC), (0.2, 0, ETH), (1, 0, BTC), (1, 1, ETH), (1.1, 0, BTC), (1.3, 0, ETH),
    ]  # fmt: skip


def test_a_decision_with_a_trade_sees_the_trade() -> None:
    (first, *_, last) = vectors(
        [clock(0), trade(0.1, 100.0), trade(0.2, 100.0, aggressor_side="SELL", quantity=3.0)],
        under(decision_ms=0),
    )
    assert (first.trade_imbalance_10s, last.trade_imbalance_10s) == (1.0, -0.5)


def test_trades_fetched_later_are_of_no_market_now() -> None:
    fine = [clock(0), trade(0.5, 100.0, 1.0), clock(1)]
    old = trade(-30, 7.0, 50.0, backfilled=True, aggressor_side="SELL")
    block = trade(1.1, 7.0, 50.0, kind="BLOCK", aggressor_side="SELL")
    for odd in (old, block):
        assert bits(vectors([*fine, odd, clock(2)])[-1], MICROSTRUCTURE) == bits(
            vectors([*fine, clock(2)])[-1], MICROSTRUCTURE
        )
    events = [*fine, old, clock(2)]
    assert [seconds(v) for v in vectors(events, under(decision_ms=0))] == [0.5, 1, 2]


def test_nothing_without_features_and_all_anew_with_them_again() -> None:
    first, later = market(20), market(40, begin=20)
    pipeline = Pipeline()
    pipeline.process(batch([configured(ProcessorsConfig()), *first], 0))
    off = batch([configured(under(enabled=False)), *first], 2_000)
    assert "features" not in plain(pipeline.process(off))
    assert {symbol for stage, symbol in pipeline.changed() if stage == "features"} == {BTC, ETH}
    for stage in ("features", "indicators"):
        assert pipeline.snapshot(stage, BTC) == Pipeline().snapshot(stage, BTC)
    on = plain(pipeline.process(batch([configured(ProcessorsConfig()), *later], 4_000)))
    assert on["features"][-1].trade_intensity_60s is not None


@pytest.mark.parametrize("odd_second", [1, 3], ids=["before", "while off"])
def test_what_quality_excludes_is_known_after_a_time_without_features(odd_second: int) -> None:
    off, on = configured(under(enabled=False)), configured(ProcessorsConfig())
    events: list[Event] = []
    for s in range(6):
        events += [quote(s + 0.1, 98.0, 101.0), quote(s + 0.2, 99.0, 101.0, "okx-spot")]
        if s == odd_second:
            events += [quote(s + 0.3, -1.0, 101.0), quote(s + 0.4, 98.0, 101.0)]
        events += [*({2: [off], 4: [on]}.get(s, [])), clock(s + 1)]
    found = vectors(events)
    assert [seconds(v) for v in found] == [1, 2, 6]
    assert found[-1].venue == "okx-spot"


def test_symbols_that_are_not_configured_have_none() -> None:
    config = ProcessorsConfig(symbols=(ETH,))
    assert {v.symbol for v in vectors(market(3), config)} == {ETH}


def test_another_feature_set_than_the_schema_s_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feature_set, "version", lambda: "0123456789ab")
    with pytest.raises(SchemaError, match=r"0123456789ab.*tape features generate"):
        Features(Instruments())


# What is in a vector


def test_nothing_is_filled_in() -> None:
    bare = funding(0.1, 1e-4)
    (vector,) = vectors([bare, clock(1)])
    assert known(vector) == set(CALENDAR)
    assert said(vector.stale) == {"sentiment"}
    # What precedes the first pulse is not counted.
    (first, vector) = vectors([trade(10.1, 100.0), clock(11), trade(11.1, 100.0), clock(12)])
    assert known(first) == {*CALENDAR, "trade_intensity_60s"}
    assert known(vector) == {
        *CALENDAR, "trade_imbalance_10s", "trade_imbalance_60s", "trade_imbalance_300s",
        "trade_intensity_60s", "intensity_ratio",
        "volume_share_binance",
    }  # fmt: skip


def test_numbers_of_a_market_that_is_counted_by_hand() -> None:
    events: list[Event] = [
        *(quote(-1, 1.0, 2.0, venue) for venue in ("binance-spot", "okx-spot", "bybit-linear")),
        clock(0),
        snapshot(0.1, 5, [(99.0, 3.0), (98.0, 1.0)], [(101.0, 1.0), (102.0, 1.0)]),
        snapshot(0.1, 5, [(102.0, 2.0)], [(104.0, 2.0)], "okx-spot"),
        snapshot(0.2, 5, [(104.0, 1.0)], [(106.0, 1.0)], "bybit-linear"),
        trade(0.3, 101.0, 3.0),
        trade(0.4, 99.0, 1.0, aggressor_side="SELL"),
        trade(0.5, 103.0, 4.0, "okx-spot", aggressor_side="UNKNOWN"),
        funding(0.6, 3e-4, "bybit-linear", funding_time=at(1_800), interval_hours=4.0),
        funding(0.6, 1e-4, "binance-usdm", funding_time=at(3_600)),
        funding(0.7, 9e-4, "bybit-linear", settled=True),
        clock(1),
    ]
    config = under(fees_bps={"binance-spot": 10.0, "okx-spot": 20.0})
    vector = vectors(events, config)[-1]
    assert (vector.venue, said(vector.stale)) == ("binance-spot", {"sentiment"})
    traded = 101 * 3 + 99 + 103 * 4
    expected = {
        "spread_bps": 2 / 100 * 1e4,
        "microprice_deviation_bps": 0.5 / 100 * 1e4,
        "book_imbalance_1": 0.5,
        "book_imbalance_5": 2 / 6,
        "book_depth_notional": 99 * 3 + 98 + 101 + 102,
        "trade_imbalance_10s": 0.5,
        "effective_spread_bps_60s": 2 / 100 * 1e4,
        "price_gap_binance_okx_bps": -3 / 101.5 * 1e4,
        "price_gap_binance_bybit_bps": NAN,
        "volume_share_binance": 402 / traded,
        "volume_share_bybit": 0.0,
        "volume_share_okx": 412 / traded,
        "liquidity_share": 598 / (598 + 412 + 210),
        "perp_spot_basis_bps": (105 / 101.5 - 1) * 1e4,
        "funding_difference_bps": 5.0,
        "arbitrage_edge_bps": (102 * 0.998 - 101 * 1.001) / 101.5 * 1e4,
        "reference_deviation_bps": (100 / 101.5 - 1) * 1e4,
        "book_pressure_difference": 2 / 6,
        "minutes_to_funding": (1_800 - 1) / 60,
        "session": 3.0,
    }
    for name, value in expected.items():
        found = getattr(vector, name)
        assert (NAN if found is None else found) == pytest.approx(value, rel=1e-9, nan_ok=True), (
            name
        )


def bars_of(emitted: dict[str, list[Any]], venue: str, interval: str) -> list[Bar]:
    return [bar for bar in emitted["bars"] if (bar.venue, bar.interval) == (venue, interval)]


def assert_is_talib_s(emitted: dict[str, list[Any]], venues: Sequence[str]) -> None:
    """All technical numbers are what TA-Lib gives for the bars of the vector's venue so far."""
    oracle: dict[tuple[str, str], Any] = {}
    for venue in venues:
        for feature in OF_TALIB:
            bars = bars_of(emitted, venue, feature.interval)
            columns = [[getattr(b, name) for b in bars] for name in BAR_INPUTS]
            offsets = [bar.origin.offset for bar in bars]
            table = np.array(columns, np.float64).T.reshape(-1, 5)
            oracle[venue, feature.name] = offsets, theirs(feature, table) if len(bars) else []
    for vector in emitted["features"]:
        for feature in OF_TALIB:
            offsets, series = oracle[vector.venue, feature.name]
            closed = int(np.searchsorted(offsets, vector.origin.offset, "right"))
            expected = series[closed - 1] if closed else NAN
            value = getattr(vector, feature.name)
            if math.isnan(expected):
                assert value is None, feature.name
            else:
                assert value == pytest.approx(expected, rel=RELATIVE, abs=0), feature.name


def test_technical_numbers_are_talib_s_over_the_bars_that_were_emitted() -> None:
    minutes = 195
    rng = Random(7)
    events: list[Event] = list(map(clock, range(0, 60 * minutes, 2)))
    # The first venue falls silent at the end, the second rests for some minutes.
    silent = {"binance-spot": (60 * minutes - 300, INF), "okx-spot": (3_000, 3_400)}
    for venue, first in (("binance-spot", 100.0), ("okx-spot", 3e-5)):
        price = first
        for s in range(0, 60 * minutes, 10):
            price *= 1 + rng.gauss(0, 1e-3)
            if not silent[venue][0] <= s < silent[venue][1]:
                events.append(trade(s + 9 * rng.random(), price, rng.random(), venue))
    config = under(decision_ms=10_000, stale_after_ms=30_000)
    emitted = run(in_time(events), config)
    last = emitted["features"][-1]
    assert (last.venue, said(last.fallback)) == ("okx-spot", PRIMARY_GROUPS)
    assert {v.venue for v in emitted["features"]} == set(silent)
    assert all(getattr(last, feature.name) is not None for feature in OF_TALIB)
    assert_is_talib_s(emitted, list(silent))


def test_bars_that_are_no_numbers_are_passed_over() -> None:
    events = in_time(
        [*map(clock, range(0, 900, 5)), *(trade(s + 0.5, 1e2 + s) for s in range(900))]
    )
    odd = [trade(400.5, INF), trade(401.5, 1e308, 1e308)]
    emitted = run(in_time([*events, *odd]), under(decision_ms=30_000))
    assert any(math.isinf(bar.high) for bar in bars_of(emitted, "binance-spot", "1m"))
    emitted["bars"] = [bar for bar in emitted["bars"] if math.isfinite(bar.high + bar.volume)]
    assert_is_talib_s(emitted, ["binance-spot"])
    assert emitted["features"][-1].mom_10 is not None


def test_a_symbol_known_by_klines_has_technical_features() -> None:
    events: list[Event] = [*map(clock, range(0, 6_000, 20))]
    rng = Random(3)
    events += [kline(60 * n, "1m", 100 + rng.random(), rng.random()) for n in range(100)]
    config = under(stale_after_ms=120_000, decision_ms=20_000)
    emitted = run(in_time(events), config)
    assert len(bars_of(emitted, "binance-spot", "1m")) > 95
    assert_is_talib_s(emitted, ["binance-spot"])
    last = emitted["features"][-1]
    assert {*CALENDAR, *(f.name for f in OF_TALIB if f.interval == "1m")} <= known(last)
    assert not known(last) & {*MICROSTRUCTURE, *CROSS, *SENTIMENT}
    assert said(last.stale) == {"sentiment"}


# Which venue


def test_venues_come_in_the_configured_order_and_others_by_name() -> None:
    events = [
        quote(0.1, 99.0, 101.0, venue)
        for venue in ("zz", "elsewhere", "binanceus-spot", "okx-spot")
    ]
    for listed, first in (
        (SPOT, "okx-spot"),
        (("zz", "okx-spot"), "zz"),
        (("bybit-spot",), "binanceus-spot"),
        ((), "binanceus-spot"),
    ):
        (vector,) = vectors([*events, clock(1)], under(venues=listed))
        assert (vector.venue, vector.fallback) == (first, 0)


def test_an_unknown_venue_is_a_market_as_others() -> None:
    events = [
        quote(-1, 99.0, 101.0, "elsewhere"),
        clock(0),
        snapshot(0.1, 5, side(99.0, -1), side(101.0, 1), "elsewhere"),
        snapshot(0.1, 5, side(97.0, -1), side(98.0, 1), "nowhere"),
        trade(0.2, 101.0, 1.0, "elsewhere"),
        clock(1),
    ]
    vector = vectors(events)[-1]
    assert vector.venue == "elsewhere"
    assert vector.spread_bps == pytest.approx(200)
    # Ten basis points of fees each; kinds that are not known are one kind.
    assert vector.arbitrage_edge_bps == pytest.approx((99 * 0.999 - 98 * 1.001) / 98.75 * 1e4)
    assert vector.price_gap_binance_okx_bps is None
    assert vector.volume_share_binance is None


def test_a_silent_venue_is_replaced_until_it_returns() -> None:
    events = in_time(
        [
            *(quote(s + 0.1, 99.0, 101.0, "okx-spot") for s in range(40)),
            *(quote(s + 0.2, 98.0, 101.0) for s in range(40) if not 5 <= s < 25),
            *map(clock, range(41)),
        ]
    )
    for vector in vectors(events):
        silent = 14.2 < seconds(vector) < 25.2
        assert vector.venue == ("okx-spot" if silent else "binance-spot")
        assert vector.spread_bps == pytest.approx((2 / 100 if silent else 3 / 99.5) * 1e4)
        assert said(vector.fallback) == (PRIMARY_GROUPS if silent else set())
        assert said(vector.stale) == ({"sentiment", "cross-exchange"} if silent else {"sentiment"})


def test_where_all_are_silent_the_first_is_stale() -> None:
    events = [quote(0.1, 99.0, 101.0, "okx-spot"), trade(0.2, 1.0), *map(clock, range(1, 13))]
    last = vectors(events)[-1]
    assert (last.venue, last.fallback) == ("binance-spot", 0)
    assert said(last.stale) == set(feature_set.GROUPS)


def test_a_venue_whose_clock_once_was_ahead_is_not_fresh_for_ever() -> None:
    ahead = [quote(86_400, 98.0, 101.0), trade(86_400, 98.0)]
    events = in_time(
        [*map(clock, range(20)), *(quote(s + 0.1, 99.0, 101.0, "okx-spot") for s in range(20))]
    )
    found = vectors([*events[:5], *ahead, *events[5:]])
    assert [(v.venue, said(v.fallback)) for v in found[-1:]] == [("okx-spot", PRIMARY_GROUPS)]
    assert found[-1].price_gap_binance_okx_bps is None
    assert "cross-exchange" in said(found[-1].stale)


def test_a_gap_in_the_book_is_a_reason_and_a_venue_without_one_is_none() -> None:
    events = in_time(
        [
            *(
                snapshot(s + 0.1, 2 + s, side(99.0, -1), side(101.0, 1), "okx-spot")
                for s in range(9)
            ),
            *(snapshot(s + 0.2, 2 + s, side(98.0, -1), side(101.0, 1)) for s in (0, 1, 5)),
            *(trade(s + 0.3, 98.0) for s in range(9)),
            feed(2.5, "GAP", "book"),
            *map(clock, range(10)),
        ]
    )
    for vector in vectors(events):
        gap = 2.5 < seconds(vector) <= 5
        assert vector.venue == ("okx-spot" if gap else "binance-spot")
        assert said(vector.fallback) == (PRIMARY_GROUPS if gap else set())
        assert ("cross-exchange" in said(vector.stale)) == gap
        assert (vector.price_gap_binance_okx_bps is None) == gap
    # Without a book at all nothing is missing.
    assert {v.venue for v in vectors([e for e in events if not _is_binance_book(e)])} == {
        "binance-spot"
    }


def _is_binance_book(event: Event) -> bool:
    return isinstance(event, BookSnapshot) and event.venue == "binance-spot"


def test_a_venue_that_quality_leaves_out_is_replaced_as_long() -> None:
    config = ProcessorsConfig(quality=QualityConfig(recover_s=10, clear_after_ms=2_000))
    fine = [(quote(s + 0.1, 98.0, 101.0), quote(s + 0.2, 99.0, 101.0, "okx-spot"), clock(s + 1))
            for s in range(40)]  # fmt: skip
    odd = [quote(10.3, -1.0, 101.0), quote(10.4, 98.0, 101.0)]
    emitted = run(in_time([*(event for each in fine for event in each), *odd]), config)
    begin, end = (
        row.event_time for row in emitted["quality"]
        if (row.kind, row.venue) == ("FALLBACK", "binance-spot")
    )  # fmt: skip
    assert end - begin > 3_000_000
    for vector in emitted["features"]:
        out = begin <= vector.event_time < end
        assert vector.venue == ("okx-spot" if out else "binance-spot")
        assert said(vector.fallback) == (PRIMARY_GROUPS if out else set())
        assert ("cross-exchange" in said(vector.stale)) == out
        assert (vector.price_gap_binance_okx_bps is None) == out


@pytest.mark.parametrize("config", CONFIGS)
@given(events=tapes(max_size=300))
@settings(max_examples=60, deadline=None)
def test_decisions_are_those_of_a_plain_model(
    config: ProcessorsConfig, events: list[Event]
) -> None:
    assert [
        Decision(
            v.origin.offset, v.seq, v.symbol, v.event_time, v.venue, said(v.stale), said(v.fallback)
        )
        for v in vectors(events, config)
    ] == expected(events, config, first=1)


@pytest.fixture(scope="module")
def whole() -> list[FeatureVector]:
    return vectors(market(420))


def without(venue: str, symbol: str, since: float) -> list[FeatureVector]:
    """Vectors of the same market with an outage of one venue for one symbol."""
    return vectors(
        [
            event for event in market(420)
            if (getattr(event, "venue", ""), getattr(event, "symbol", "")) != (venue, symbol)
            or getattr(event, "event_time") < at(since)  # noqa: B009
        ]
    )  # fmt: skip


def test_an_outage_changes_only_what_rests_on_the_venue(whole: list[FeatureVector]) -> None:
    outage = without("bybit-linear", BTC, 380)
    # Of spot markets alone, or of the primary's own trades and prices.
    spot = [name for name in CROSS if name.startswith(("price_", "reference_"))]
    others = [name for name in feature_set.NAMES if name not in CROSS]
    assert len(spot) == 5
    changed = set()
    for one, other in zip(whole, outage, strict=True):
        assert (one.venue, one.fallback, other.fallback) == (other.venue, 0, 0)
        assert bits(one, [*others, *spot]) == bits(other, [*others, *spot])
        if one.symbol == ETH or seconds(one) <= 380:
            assert bits(one, CROSS) == bits(other, CROSS)
            assert one.stale == other.stale
        else:
            changed |= {name for name in CROSS if getattr(one, name) != getattr(other, name)}
    assert {"perp_spot_basis_bps", "volume_share_bybit", "lead_return_1s_bps"} <= changed
    assert said(outage[-2].stale) == {"cross-exchange"}
    assert said(outage[-1].stale) == set()


def test_the_next_venue_s_features_are_there_at_once(whole: list[FeatureVector]) -> None:
    outage = without("binance-spot", BTC, 380)
    other_first = FeaturesConfig(venues=("bybit-spot",))
    expected = vectors(market(420), ProcessorsConfig(features=other_first))
    switched = 0
    for found, one, other in zip(outage, whole, expected, strict=True):
        if found.symbol == BTC and seconds(found) > 391:
            switched += 1
            assert (found.venue, said(found.fallback)) == ("bybit-spot", PRIMARY_GROUPS)
            assert bits(found, OF_PRIMARY) == bits(other, OF_PRIMARY)
            assert bits(found, [*CALENDAR, *SENTIMENT]) == bits(one, [*CALENDAR, *SENTIMENT])
        elif found.symbol == ETH:
            assert found.venue == "binance-spot"
            assert bits(found, feature_set.NAMES) == bits(one, feature_set.NAMES)
    assert switched == 29
    assert outage[-2].ad is not None


# Sentiment


def test_headlines_reach_the_symbols_that_they_name() -> None:
    start: list[Event] = [trade(0.1, 1.0), trade(0.1, 1.0, symbol=ETH), clock(1)]
    before = headline(0.05, "before", ["BTC"])
    events = [
        before, *start,
        headline(1.1, "a", ["BTC"], sentiment=0.5, votes_positive=3, votes_negative=1),
        headline(1.2, "b", ["ETH", "DOGE"], sentiment=-0.5),
        headline(1.3, "c", [], sentiment=0.1, votes_positive=1),
        headline(1.4, "d", ["DOGE"], sentiment=0.9),
        headline(1.5, "c", [], sentiment=0.3, votes_positive=1),
        clock(2),
    ]  # fmt: skip
    btc, eth = vectors(events)[-2:]
    assert (btc.news_count_24h, eth.news_count_24h) == (2.0, 2.0)
    assert (btc.social_share, eth.social_share) == (0.5, 0.5)
    assert btc.news_score_24h == pytest.approx(0.4, rel=1e-3)
    assert eth.news_score_24h == pytest.approx(-0.1, rel=1e-3)
    # Votes of which one side is not said are not known.
    assert (btc.vote_balance_24h, eth.vote_balance_24h) == (0.5, None)
    assert btc.minutes_since_news == pytest.approx(0.5 / 60)
    assert eth.minutes_since_news == pytest.approx(0.5 / 60)
    assert (said(btc.stale), said(eth.stale)) == (set(), set())


def test_an_edit_is_the_same_headline_and_another_source_is_another() -> None:
    events = [
        trade(0.1, 1.0), clock(1),
        headline(1.1, "a", ["BTC"], sentiment=0.5), headline(1.1, "a", ["BTC"], sentiment=-0.5),
        headline(1.1, "a", ["BTC"], source="rss"), clock(2),
    ]  # fmt: skip
    vector = vectors(events)[-1]
    assert (vector.news_count_24h, vector.news_score_24h) == (2.0, -0.5)


def test_the_index_reaches_every_symbol_and_another_index_none() -> None:
    events = [
        trade(0.1, 1.0), trade(0.1, 1.0, symbol=ETH), clock(1), index(-86_400, 20.0),
        index(0, 30.0), index(1.5, 90.0, "another"), clock(2), *map(clock, range(3, 6)),
    ]  # fmt: skip
    for vector in vectors(events)[2:]:
        assert (vector.fear_greed, vector.fear_greed_change) == (30.0, 10.0)
        assert said(vector.stale) - {"cross-exchange"} == set()


def test_sentiment_that_is_old_is_stale() -> None:
    two_days = 48 * 3_600
    events = [trade(0.1, 1.0), clock(1), headline(1.0, currencies=["BTC"]), clock(2)]
    events += [clock(two_days + 1), clock(two_days + 2)]
    stale = ["sentiment" in said(v.stale) for v in vectors(events)]
    assert stale == [True, False, False, True]


@pytest.mark.parametrize("first", [[], [clock(1)]], ids=["before a pulse", "after it"])
def test_what_is_dated_ahead_counts_as_of_now(first: list[Event]) -> None:
    ahead = 10 * 86_400
    fields = {"event_time": at(ahead), "sentiment": 1.0}
    events = [
        trade(0.1, 1.0), *first, headline(1.0, "a", ["BTC"], **fields),
        msgspec.structs.replace(index(1.0, 40.0), event_time=at(ahead)),
        clock(2), headline(2.5, "b", ["BTC"], sentiment=-1.0), index(2.5, 50.0), clock(62),
        clock(86_402), clock(90_000),
    ]  # fmt: skip
    found = {seconds(v): v for v in vectors(events)}
    # It came before a pulse of which it is not known how late it was, or after the first.
    assert found[2].minutes_since_news == pytest.approx(0.0 if first else 1 / 60)
    assert (found[2].news_score_24h, found[2].fear_greed) == (1.0, 40.0)
    assert found[62].minutes_since_news == pytest.approx(59.5 / 60)
    assert (found[62].news_count_24h, found[62].fear_greed) == (2.0, 50.0)
    assert found[86_402].news_count_24h == 1.0
    assert found[90_000].news_count_24h == 0.0


# Numbers that cannot be


def odd_events(s: float) -> list[Event]:
    odd = (NAN, INF, -INF, 0.0, -1.0, 1e308, 5e-324, -0.0)
    events: list[Event] = []
    for number in odd:
        events += [
            trade(s, number), trade(s, 100.0, number), trade(s, number, number),
            quote(s, number, 101.0), quote(s, 99.0, number), quote(s, number, number),
            snapshot(s, 0, [(number, 1.0), (98.0, number)], [(101.0, number)]),
            MarkPrice(**common(s, "binance-usdm", BTC), mark_price=number, index_price=number),
            funding(s, number), funding(s, 1e-4, interval_hours=number),
            headline(s, f"{number}", ["BTC"], sentiment=number), index(s, number),
        ]  # fmt: skip
    far = 2**62
    times = {"event_time": far, "receive_time": far}
    return [
        *events, funding(s, 1e-4, funding_time=far), funding(s, 1e-4, funding_time=-far),
        headline(s, "far", ["BTC"], votes_positive=2**62, votes_negative=2**62),
        msgspec.structs.replace(trade(s, 100.0), **times),
        msgspec.structs.replace(index(s, 1.0), **times),
        msgspec.structs.replace(quote(s, 99.0, 101.0), **times),
        msgspec.structs.replace(trade(s, 100.0), event_time=-far),
    ]  # fmt: skip


@pytest.mark.parametrize("decision_ms", [0, 300, 1000])
def test_odd_numbers_give_null_and_pass(decision_ms: int) -> None:
    config = under(decision_ms=decision_ms)
    one = [("binance-spot", BTC)]
    before, after = market(400, markets=one), market(2_400, begin=400, seed=2, markets=one)
    found = vectors([*before, *odd_events(400), *after], config)
    for vector in found:
        assert all(math.isfinite(getattr(vector, name)) for name in known(vector))
    fine = vectors([*before, *after], config)
    names = [name for name in MICROSTRUCTURE if name != "vpin"] + CALENDAR
    assert bits(found[-1], names) == bits(fine[-1], names)
    assert found[-1].vpin is not None


# The laws, on busier markets than random tapes are


def test_many_symbols_give_the_same_at_once_and_one_by_one() -> None:
    rng = Random(11)
    events: list[Event] = [clock(0)]
    for second in range(3):
        for number in range(200):
            symbol, mid = f"S{number * 7 % 200}-USDT", 50 + rng.random()
            venue = rng.choice(SPOT)
            events += [
                quote(second + 0.1, mid - 0.1, mid + 0.1, venue, symbol),
                trade(second + 0.2, mid, rng.random(), venue, symbol),
            ]
        events += [headline(second + 0.5, f"{second}", [f"S{second}"]), clock(second + 1)]
    config = under(decision_ms=500)
    together = values(Pipeline().process(batch([configured(config), *events])))
    # With each pulse, and with each symbol's first trade: later ones have had their pulse.
    assert len(together["features"]) == 3 * 200 + 200
    pipeline = Pipeline()
    apart: Emitted = {}
    for offset, event in enumerate([configured(config), *events]):
        add(apart, values(pipeline.process(batch([event], offset))))
    assert apart == together


PAST = market(75, markets=MARKETS[:6])
FUTURES = market(75, seed=2, markets=MARKETS[:6])
SUCH = st.sampled_from([under(), under(decision_ms=0), under(decision_ms=300, stale_after_ms=700)])


def encoded(events: Sequence[Event], config: ProcessorsConfig) -> list[tuple[int, bytes]]:
    emitted = Pipeline().process(batch([configured(config), *events]))
    (rows,) = (rows for rows in emitted if rows.topic == "features")
    offsets = rows.table["origin_offset"].tolist()
    return list(zip(offsets, values([rows])["features"], strict=True))


@given(cut=st.integers(200, len(PAST)), config=SUCH, other=st.booleans())
@settings(max_examples=15, deadline=None)
def test_no_vector_knows_what_comes_later(cut: int, config: ProcessorsConfig, other: bool) -> None:
    whole = encoded(PAST, config)
    until = [each for each in whole if each[0] <= cut]
    if other:
        # Another future has other headlines, prices far away, and a clock that jumps.
        future = [*FUTURES[cut:], *odd_events(80), clock(9_000)]
        changed = encoded([*PAST[:cut], *future], config)
        assert [each for each in changed if each[0] <= cut] == until
    else:
        assert encoded(PAST[:cut], config) == until


@given(cut=st.integers(1, len(PAST) - 1), config=SUCH)
@settings(max_examples=10, deadline=None)
def test_a_restored_pipeline_goes_on_with_the_same_bytes(
    cut: int, config: ProcessorsConfig
) -> None:
    events = [configured(config), *PAST]
    pipeline, restored = Pipeline(), Pipeline()
    first = values(pipeline.process(batch(events[:cut])))
    for key in pipeline.changed():
        restored.restore(*key, pipeline.snapshot(*key))
    rest = values(restored.process(batch(events[cut:], cut)))
    assert add(first, rest) == values(Pipeline().process(batch(events)))
