"""What the stage `bars` promises."""

import math
import struct
from collections.abc import Sequence

from processors.config import BarsConfig, ProcessorsConfig
from processors.pipeline import Pipeline
from schemas.events import Bar, Event
from tests.processors.batches import batch, configured, run
from tests.processors.events import at, clock, kline, trade

SECONDS = ProcessorsConfig(bars=BarsConfig(intervals=("1s",)))
MINUTES = ProcessorsConfig(bars=BarsConfig(intervals=("1m", "5m", "1h")))


def bars(events: Sequence[Event], config: ProcessorsConfig = SECONDS) -> list[Bar]:
    return run(events, config).get("bars", [])


def counts(events: Sequence[Event], config: ProcessorsConfig) -> dict[str, int]:
    pipeline = Pipeline()
    pipeline.process(batch([configured(config), *events]))
    return pipeline.counts()


def test_bar_sums_its_trades() -> None:
    (bar,) = bars(
        [
            trade(0.0, 10.0, 1.0, count=2),
            trade(0.4, 12.0, 2.0, aggressor_side="SELL"),
            trade(0.9, 11.0, 1.0, aggressor_side="UNKNOWN", count=3),
            trade(1.0, 99.0),
        ]
    )
    assert (bar.open, bar.high, bar.low, bar.close) == (10.0, 12.0, 10.0, 11.0)
    assert (bar.volume, bar.notional, bar.vwap) == (4.0, 45.0, 11.25)
    assert (bar.trade_count, bar.taker_buy_volume, bar.source) == (6, 1.0, "TRADES")
    assert (bar.open_time, bar.event_time, bar.interval) == (at(0), at(1), "1s")
    assert (bar.origin.offset, bar.receive_time) == (4, at(1) + 5)


def test_bar_is_closed_by_the_first_clock_after_its_grace() -> None:
    (bar,) = bars([trade(0.5, 10.0), clock(1), clock(2), clock(3)])
    assert bar.origin.offset == 3


def test_interval_without_trades_gives_no_bar() -> None:
    found = bars([trade(0, 1.0), trade(5, 2.0), clock(60)])
    assert [bar.open_time for bar in found] == [at(0), at(5)]


def test_late_trade_changes_no_bar_and_is_counted_in_the_next() -> None:
    events = [
        trade(0.5, 1.0), clock(2), trade(0.6, 50.0), trade(2, 2.0), trade(1.9, 50.0), trade(3, 3.0),
        trade(4, 4.0),
    ]  # fmt: skip
    found = bars(events)
    assert [(bar.open, bar.high, bar.late_trades) for bar in found] == [
        (1.0, 1.0, 0),
        (2.0, 2.0, 2),
        (3.0, 3.0, 0),
    ]
    assert counts(events, SECONDS)["bars.late_trades"] == 2


def test_trade_out_of_order_within_its_bar_belongs_to_it() -> None:
    (bar,) = bars([trade(0.9, 1.0), trade(0.1, 2.0), clock(9)])
    assert (bar.open, bar.close, bar.trade_count, bar.late_trades) == (1.0, 2.0, 2, 0)


def test_trades_that_were_not_in_the_book_make_no_bars() -> None:
    events = [trade(0, 1.0, kind=kind) for kind in ("BLOCK", "INSURANCE_FUND", "ADL", "OTHER")]
    assert bars([*events, clock(9)]) == []
    assert counts(events, SECONDS)["bars.trades_not_of_market"] == 4


def test_bar_without_volume_has_no_vwap() -> None:
    (bar,) = bars([trade(0, 10.0, 0.0), clock(9)])
    assert (bar.volume, bar.notional, math.isnan(bar.vwap)) == (0.0, 0.0, True)


def test_bars_closed_by_one_clock_are_in_the_order_of_symbol_venue_and_interval() -> None:
    events = [
        trade(0, 1.0, venue=venue, symbol=symbol)
        for venue, symbol in (("okx-spot", "Z"), ("okx-spot", "A"), ("binance-spot", "Z"))
    ]
    config = ProcessorsConfig(bars=BarsConfig(intervals=("1m", "1s")))
    found = bars([*events, clock(100)], config)
    assert [(bar.seq, bar.symbol, bar.venue, bar.interval) for bar in found] == [
        (0, "A", "okx-spot", "1s"),
        (1, "A", "okx-spot", "1m"),
        (2, "Z", "binance-spot", "1s"),
        (3, "Z", "binance-spot", "1m"),
        (4, "Z", "okx-spot", "1s"),
        (5, "Z", "okx-spot", "1m"),
    ]


def test_minute_klines_give_minute_bars_and_longer_ones() -> None:
    found = bars([kline(60 * n, "1m", 100.0 + n) for n in range(60)], MINUTES)
    assert [sum(bar.interval == name for bar in found) for name in ("1m", "5m", "1h")] == [
        60,
        12,
        1,
    ]
    hour = found[-1]
    assert (hour.open, hour.high, hour.low, hour.close) == (99.0, 161.0, 97.0, 159.0)
    assert (hour.volume, hour.source, hour.event_time) == (60.0, "KLINES", at(3600))
    assert math.isnan(hour.notional)
    assert math.isnan(hour.vwap)
    assert math.isnan(hour.taker_buy_volume)
    assert hour.trade_count == 0


def test_kline_with_all_fields_gives_them_to_its_bar() -> None:
    (bar,) = bars(
        [kline(0, "1h", 100.0, 2.0, notional=199.0, trade_count=7, taker_buy_volume=0.5)], MINUTES
    )
    assert (bar.interval, bar.notional, bar.vwap) == ("1h", 199.0, 99.5)
    assert (bar.trade_count, bar.taker_buy_volume) == (7, 0.5)


def test_klines_of_several_lengths_count_once() -> None:
    events: list[Event] = []
    for n in range(10):
        events.append(kline(60 * n, "1m", 100.0))
        if n % 5 == 4:
            events.append(kline(60 * n - 240, "5m", 100.0, 5.0))
    found = bars(events, MINUTES)
    assert [bar.volume for bar in found if bar.interval == "5m"] == [5.0, 5.0]
    assert counts(events, MINUTES)["bars.klines_ignored"] == 2


def test_repeated_and_corrected_klines_are_ignored_and_counted() -> None:
    events = [kline(0, "1m", 100.0), kline(0, "1m", 100.0), kline(0, "1m", 101.0)]
    assert len(bars(events, MINUTES)) == 1
    found = counts(events, MINUTES)
    assert (found["seen.klines"], found["bars.klines_ignored"]) == (1, 1)


def test_open_klines_and_those_that_fit_no_interval_give_no_bar() -> None:
    events = [kline(0, "1m", 100.0, closed=False), kline(0, "4h", 1.0), kline(0, "1M", 1.0)]
    assert bars(events, MINUTES) == []
    assert counts(events, MINUTES)["bars.klines_ignored"] == 2


def test_kline_bar_with_missing_klines_is_closed_by_a_later_one_or_the_clock() -> None:
    found = bars([kline(0, "1m", 1.0), kline(600, "1m", 2.0), clock(1000)], MINUTES)
    assert [(bar.interval, bar.volume) for bar in found if bar.interval == "5m"] == [
        ("5m", 1.0),
        ("5m", 1.0),
    ]


def test_klines_are_ignored_once_a_trade_was_seen() -> None:
    events = [
        kline(0, "1m", 100.0), trade(70, 5.0), kline(60, "1m", 100.0), clock(130),
        kline(120, "1m", 100.0),
    ]  # fmt: skip
    found = bars(events, MINUTES)
    assert [(bar.interval, bar.source) for bar in found] == [("1m", "KLINES"), ("1m", "TRADES")]
    assert counts(events, MINUTES)["bars.klines_ignored"] == 2
    assert counts(events, MINUTES)["bars.kline_bars_cut_short"] == 2


def test_bars_before_1970_are_aligned_too() -> None:
    (bar,) = bars([trade(-at(0) / 1e6 - 0.5, 1.0), clock(0)])
    assert (bar.open_time, bar.event_time) == (-1_000_000, 0)


def test_nan_has_the_same_bits_whatever_gave_it() -> None:
    found = bars([trade(0, 0.0, math.inf), trade(1, 1.0, 0.0), clock(9)])
    bits = {struct.pack(">d", value) for bar in found for value in (bar.notional, bar.vwap)}
    assert bits == {struct.pack(">d", math.nan), struct.pack(">d", 0.0)}
