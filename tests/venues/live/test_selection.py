"""Which instruments are collected: by symbol, on each venue; refusals name what is near."""

import pytest

from schemas.errors import ConfigError
from schemas.events import Instrument
from tests.venues.live.listings import instrument
from venues.live.selection import Selection, select, select_of


def listed(
    *venues: str, symbols: str = "BTC-USDT ETH-USDT SOL-USDT"
) -> dict[str, list[Instrument]]:
    return {venue: [instrument(venue, symbol) for symbol in symbols.split()] for venue in venues}


def chosen(selection: Selection) -> list[tuple[str, str]]:
    return [
        (venue, each.venue_symbol)
        for venue, instruments in selection.instruments.items()
        for each in instruments
    ]


def test_a_symbol_is_the_pair_on_spot_and_the_perpetual_elsewhere() -> None:
    found = select(listed("binance-spot", "okx-spot", "okx-swap", "bybit-linear"), ["BTC-USDT"])
    assert chosen(found) == [
        ("binance-spot", "BTCUSDT"),
        ("okx-spot", "BTC-USDT"),
        ("okx-swap", "BTC-USDT-SWAP"),
        ("bybit-linear", "BTCUSDT"),
    ]
    assert found.warnings == ()


def test_symbols_come_in_the_configured_order_and_once() -> None:
    found = select(listed("okx-spot"), ["SOL-USDT", "BTC-USDT", "SOL-USDT"])
    assert [each.symbol for each in found.instruments["okx-spot"]] == ["SOL-USDT", "BTC-USDT"]


def test_a_dated_contract_is_chosen_by_its_own_symbol_only() -> None:
    dated = instrument("okx-swap", "BTC-USDT-261225", kind="LINEAR_FUTURE")
    lists = {"okx-swap": [dated, instrument("okx-swap", "BTC-USDT")]}
    (perpetual,) = select(lists, ["BTC-USDT"]).instruments["okx-swap"]
    assert perpetual.kind == "LINEAR_PERPETUAL"
    assert select(lists, ["BTC-USDT-261225"]).instruments["okx-swap"] == (dated,)


def test_a_list_with_instruments_of_another_venue_gives_only_the_venues() -> None:
    both = [instrument("okx-swap", "BTC-USDT"), instrument("okx-inverse", "BTC-USD")]
    found = select({"okx-swap": both, "okx-inverse": both}, ["BTC-USDT", "BTC-USD"])
    assert chosen(found) == [("okx-swap", "BTC-USDT-SWAP"), ("okx-inverse", "BTC-USD-SWAP")]


def test_of_two_instruments_with_a_symbol_the_one_that_trades_is_taken() -> None:
    old = instrument("binance-usdm", "BTC-USDT", status="SETTLING")
    new = instrument("binance-usdm", "BTC-USDT")
    assert select({"binance-usdm": [old, new, old]}, ["BTC-USDT"]).instruments == {
        "binance-usdm": (new,)
    }


def test_a_symbol_that_some_venues_lack_is_a_warning_by_name() -> None:
    lists = listed("okx-spot") | listed("bybit-spot", symbols="BTC-USDT")
    found = select(lists, ["BTC-USDT", "SOL-USDT"])
    assert found.warnings == ("SOL-USDT is not listed on bybit-spot: not collected there",)
    assert len(found.instruments["okx-spot"]) == 2


def test_a_symbol_halted_on_one_venue_is_a_warning_since_the_others_trade_it() -> None:
    lists = listed("okx-spot", "binance-spot")
    lists["binance-spot"][0] = instrument("binance-spot", "BTC-USDT", status="BREAK")
    found = select(lists, ["BTC-USDT", "ETH-USDT"])
    assert found.warnings == (
        "BTC-USDT does not trade (BREAK) on binance-spot: not collected there",
    )


def test_an_unknown_symbol_is_refused_with_the_nearest_of_each_venue() -> None:
    lists = listed("okx-spot") | listed("binance-coinm", symbols="BTC-USD ETH-USD")
    with pytest.raises(ConfigError) as refused:
        select(lists, ["BTC-USTD", "BTC-USDT", "BTC-USD"])
    assert "'BTC-USTD' is on no venue; nearest that trade: okx-spot: BTC-USDT" in str(refused.value)
    assert "binance-coinm: BTC-USD" in str(refused.value)


def test_every_wrong_symbol_is_named_at_once() -> None:
    with pytest.raises(ConfigError) as refused:
        select(listed("okx-spot"), ["BTC-USTD", "ETHUSDT", "SOL-USDT"])
    assert "'BTC-USTD' is on no venue" in str(refused.value)
    assert "'ETHUSDT' is on no venue; nearest that trade: okx-spot: ETH-USDT" in str(refused.value)
    assert "'SOL-USDT'" not in str(refused.value)


def test_a_symbol_that_trades_nowhere_is_refused_with_its_status_and_the_nearest() -> None:
    lists = listed("okx-spot", symbols="ETH-USDT SOL-USDT")
    lists["okx-spot"].append(instrument("okx-spot", "ETC-USDT", status="suspend"))
    with pytest.raises(ConfigError) as refused:
        select(lists, ["ETC-USDT", "SOL-USDT"])
    said = "'ETC-USDT' is listed on okx-spot (suspend) but does not trade; nearest that trade: "
    assert f"{said}okx-spot: ETH-USDT" in str(refused.value)


def test_a_venue_that_has_none_of_the_symbols_is_refused_with_its_nearest() -> None:
    lists = listed("okx-spot") | listed("binance-coinm", symbols="BTC-USD ETH-USD")
    with pytest.raises(ConfigError) as refused:
        select(lists, ["BTC-USDT", "ETH-USDT"])
    said = str(refused.value)
    assert (
        "binance-coinm trades none of BTC-USDT, ETH-USDT; nearest that trade there: BTC-USD" in said
    )
    assert "okx-spot" not in said


def test_of_one_venue_what_trades_is_chosen_and_nothing_is_no_error() -> None:
    both = [instrument("okx-swap", "BTC-USDT"), instrument("okx-inverse", "BTC-USD")]
    assert select_of("okx-swap", both, ["BTC-USD", "BTC-USDT", "X-Y"]) == (both[0],)
    assert select_of("okx-swap", both, ["BTC-USD"]) == ()
