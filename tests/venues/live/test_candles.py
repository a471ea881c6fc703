"""Closed candles: each once, and what is missing after an interruption."""

from schemas.events import Kline
from venues.live.candles import MINUTE_US, REMEMBER, Candles


def kline(minute: int, close: float = 1.0, closed: bool = True) -> Kline:
    return Kline(
        venue="okx-spot", symbol="BTC-USDT", event_time=(minute + 1) * MINUTE_US, receive_time=0,
        interval="1m", open_time=minute * MINUTE_US, open=1.0, high=1.0, low=1.0, close=close,
        volume=1.0, closed=closed,
    )  # fmt: skip


def test_a_repeated_closed_candle_is_left_out_a_corrected_one_is_not() -> None:
    candles = Candles()
    assert [candles.is_new(each) for each in (kline(1), kline(1), kline(1, 2.0))] == [
        True, False, True,
    ]  # fmt: skip


def test_an_answer_gives_the_closed_candles_that_are_missing_in_order() -> None:
    candles = Candles()
    candles.is_new(kline(3))
    assert candles.since("BTC-USDT") == 4 * MINUTE_US
    answer = [kline(6, closed=False), kline(5), kline(4), kline(3, 9.0), kline(2)]
    assert [each.open_time // MINUTE_US for each in candles.missed(answer)] == [4, 5]
    assert candles.missed(answer) == []
    assert not candles.is_new(kline(5))


def test_candles_are_missing_from_the_minute_of_the_start_on() -> None:
    candles = Candles()
    candles.begin("BTC-USDT", 7 * MINUTE_US + 5)
    candles.begin("BTC-USDT", 9 * MINUTE_US)
    assert candles.since("BTC-USDT") == 7 * MINUTE_US


def test_a_hole_is_seen_by_the_candle_after_it_and_filled_by_an_answer() -> None:
    candles = Candles()
    candles.is_new(kline(1))
    assert not candles.has_hole("BTC-USDT")
    candles.is_new(kline(4))
    assert candles.has_hole("BTC-USDT")
    assert candles.since("BTC-USDT") == 2 * MINUTE_US
    answer = [kline(minute) for minute in (4, 3, 2, 1, 0)]
    assert [each.open_time // MINUTE_US for each in candles.missed(answer)] == [2, 3]
    assert not candles.has_hole("BTC-USDT")


def test_what_the_venue_does_not_have_is_no_hole_any_more() -> None:
    candles = Candles()
    candles.is_new(kline(1))
    candles.is_new(kline(4))
    candles.settle("BTC-USDT")
    assert not candles.has_hole("BTC-USDT")
    assert candles.since("BTC-USDT") == 5 * MINUTE_US


def test_memory_is_bounded() -> None:
    candles = Candles()
    assert sum(candles.is_new(kline(minute)) for minute in range(3 * REMEMBER)) == 3 * REMEMBER
    assert candles.is_new(kline(1))
