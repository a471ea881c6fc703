"""What the stage `reference` promises."""

import math
from collections.abc import Sequence

import pytest

from schemas.events import Event, ReferencePrice
from tests.processors.batches import run
from tests.processors.events import clock, quote, trade


def references(events: Sequence[Event]) -> list[ReferencePrice]:
    return run(events).get("reference", [])


def test_price_is_the_median_of_the_spot_venues() -> None:
    (price,) = references(
        [
            quote(0, 99.0, 101.0, "okx-spot"),
            quote(0, 102.0, 104.0, "binance-spot"),
            quote(0, 109.0, 111.0, "bybit-spot"),
            quote(0, 1.0, 2.0, "binance-usdm"),
            clock(1),
        ]
    )
    assert price.price == 103.0
    assert price.dispersion_bps == pytest.approx(10 / 103 * 1e4)
    assert price.venues == [("binance-spot", 103.0), ("bybit-spot", 110.0), ("okx-spot", 100.0)]


def test_two_venues_give_the_mean_of_both() -> None:
    (price,) = references(
        [quote(0, 99.0, 101.0, "okx-spot"), quote(0, 102.0, 104.0, "bybit-spot"), clock(1)]
    )
    assert price.price == 101.5


def test_derivatives_serve_where_no_spot_venue_is_known() -> None:
    events = [
        quote(0, 99.0, 101.0, "binance-usdm"),
        quote(0, 99.0, 103.0, "somewhere"),
        trade(0, 5.0, venue="okx-spot"),
        clock(1),
        quote(1, 89.0, 91.0, "okx-spot"),
        clock(2),
    ]
    assert [price.price for price in references(events)] == [100.5, 90.0]


def test_stale_and_one_sided_venues_do_not_contribute() -> None:
    events = [
        quote(0, 99.0, 101.0, "okx-spot"),
        quote(4, 109.0, 111.0, "bybit-spot"),
        quote(4, math.nan, 111.0, "binance-spot"),
        clock(5),
        clock(6),
    ]
    assert [[venue for venue, _ in price.venues] for price in references(events)] == [
        ["bybit-spot", "okx-spot"],
        ["bybit-spot"],
    ]


def test_nothing_is_emitted_when_none_contributes() -> None:
    assert references([quote(0, 99.0, 101.0), clock(6), trade(6, 1.0), clock(7)]) == []


def test_known_spot_venue_that_falls_silent_is_not_replaced_by_derivatives() -> None:
    events = [quote(0, 99.0, 101.0), quote(9, 89.0, 91.0, "binance-usdm"), clock(10)]
    assert references(events) == []


def test_symbols_come_in_the_order_of_their_bytes() -> None:
    events = [quote(0, 99.0, 101.0, symbol=symbol) for symbol in ("B-USDT", "Ä-USDT", "A-USDT")]
    found = references([*events, clock(1)])
    assert [(price.seq, price.symbol) for price in found] == [
        (0, "A-USDT"),
        (1, "B-USDT"),
        (2, "Ä-USDT"),
    ]


def test_venue_with_a_price_that_cannot_be_is_left_out_and_named() -> None:
    (price,) = references(
        [quote(0, 0.0, 0.0), quote(0, 99.0, 101.0, "okx-spot"), quote(0, 9.0, 9.5, "okx-swap"),
         clock(1)]
    )  # fmt: skip
    assert (price.price, price.venues) == (100.0, [("okx-spot", 100.0)])
    assert price.excluded == ["binance-spot"]


def test_nothing_is_emitted_when_every_venue_is_left_out() -> None:
    assert references([quote(0, 0.0, 0.0), quote(0, 9.0, 9.5, "okx-swap"), clock(1)]) == []
