"""Canonical symbols: by the form of a name, and by the venues' instrument lists."""

import math

import pytest

from schemas.errors import VenueError
from schemas.events import Instrument
from tests.venues import captures
from venues.feed import Feed
from venues.symbols import Listing, Names, infer


@pytest.mark.parametrize(
    ("venue", "name", "symbol"),
    [
        ("binance-spot", "BTCUSDT", "BTC-USDT"),
        ("binance-spot", "BUSDUSDT", "BUSD-USDT"),
        ("binance-spot", "BLZETH", "BLZ-ETH"),
        ("binance-spot", "RUNEEUR", "RUNE-EUR"),
        ("binanceus-spot", "OMGBUSD", "OMG-BUSD"),
        ("binanceus-spot", "BNBUSD", "BNB-USD"),
        ("binanceus-spot", "USDTUSD", "USDT-USD"),
        ("binance-spot", "OPUSDT", "OP-USDT"),
        ("binance-usdm", "1000PEPEUSDT", "1000PEPE-USDT"),
        ("binance-usdm", "BTCUSDT_240927", "BTC-USDT-240927"),
        ("binance-coinm", "BTCUSD_PERP", "BTC-USD"),
        ("binance-coinm", "ETHUSD_240927", "ETH-USD-240927"),
        ("bybit-spot", "BTCUSDT", "BTC-USDT"),
        ("bybit-linear", "BTCPERP", "BTC-USDC"),
        ("bybit-linear", "BTC-27MAR26", "BTC-USDC-260327"),
        ("bybit-linear", "BTCUSDT-27MAR26", "BTC-USDT-260327"),
    ],
)
def test_a_name_alone_tells_the_symbol(venue: str, name: str, symbol: str) -> None:
    assert infer(venue, name).symbol == symbol


@pytest.mark.parametrize(
    ("name", "venue", "symbol"),
    [
        ("BTC-USDT", "okx-spot", "BTC-USDT"),
        ("BTC-USDT-SWAP", "okx-swap", "BTC-USDT"),
        ("BTC-USD-SWAP", "okx-inverse", "BTC-USD"),
        ("BTC-USD-220527", "okx-inverse", "BTC-USD-220527"),
        ("BTC-USDT-220527", "okx-swap", "BTC-USDT-220527"),
    ],
)
def test_okx_names_tell_the_venue_too(name: str, venue: str, symbol: str) -> None:
    listing = infer("okx", name)
    assert (listing.venue, listing.symbol) == (venue, symbol)


@pytest.mark.parametrize(
    ("venue", "name"),
    [("binance-spot", "USDT"), ("binance-spot", "ABCXYZ"), ("bybit-linear", "BTC-27XXX26"),
     ("okx", "BTC"), ("okx", "BTC-USD-220527-30000-C"), ("binance-usdm", "BTCUSDT_X")],
)  # fmt: skip
def test_a_name_that_cannot_be_parted_is_an_error(venue: str, name: str) -> None:
    with pytest.raises(VenueError, match=name):
        infer(venue, name)


def test_contracts_become_base_units() -> None:
    linear = Listing("okx-swap", "ETH-USDT", 0.1)
    inverse = Listing("binance-coinm", "BTC-USD", 100.0, inverse=True)
    assert linear.base(25.0, 3_000.0) == 2.5
    assert inverse.base(30.0, 60_000.0) == 0.05
    assert inverse.levels([(60_000.0, 30.0), (50_000.0, 0.0)]) == [
        (60_000.0, 0.05),
        (50_000.0, 0.0),
    ]
    assert inverse.base(0.0, 0.0) == 0.0


def test_coinm_sizes_are_100_usd_for_btc_and_10_for_others() -> None:
    assert infer("binance-coinm", "BTCUSD_PERP").contract_size == 100.0
    assert infer("binance-coinm", "BTCUSD_240927").contract_size == 100.0
    assert infer("binance-coinm", "ETHUSD_PERP").contract_size == 10.0


def test_a_size_that_is_not_known_is_an_error_and_no_quantity() -> None:
    listing = infer("okx", "PEPE-USDT-SWAP")
    assert math.isnan(listing.contract_size)
    with pytest.raises(VenueError, match="instrument list"):
        listing.base(1.0, 1.0)


def test_the_instrument_list_overrules_the_name() -> None:
    names = Names("okx")
    assert math.isnan(names["PEPE-USDT-SWAP"].contract_size)
    names.learn(
        Instrument(
            venue="okx-swap", symbol="PEPE-USDT", event_time=0, receive_time=0,
            venue_symbol="PEPE-USDT-SWAP", kind="LINEAR_PERPETUAL", base="PEPE", quote="USDT",
            settle="USDT", status="live", tick_size="", lot_size="", min_quantity="",
            min_notional="", contract_size="10000000",
        )
    )  # fmt: skip
    assert names["PEPE-USDT-SWAP"].base(2.0, 1.0) == 20_000_000.0


def test_names_and_lists_of_the_captures_agree() -> None:
    agree, other = 0, []
    for path in captures.paths():
        feed = Feed()
        for frame in captures.frames(path):
            if not frame.request:
                continue
            for event in feed.receive(frame):
                if isinstance(event, Instrument):
                    try:
                        guess = infer(event.venue, event.venue_symbol).symbol
                    except VenueError as error:
                        guess = str(error)
                    agree += guess == event.symbol
                    if guess != event.symbol:
                        other.append((event.venue, event.venue_symbol, guess))
    assert agree > 3_900
    assert other == []
