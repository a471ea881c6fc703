"""Where venues are: mainnet, testnet, one address for all; what is refused."""

import pytest

from schemas.errors import ConfigError
from schemas.venues import VENUES
from tests.venues.live.listings import NAMES, dialect, instrument
from venues.config import CHANNELS, CollectorConfig
from venues.live.dialects import dialect_of
from venues.live.endpoints import endpoints

VENUE = pytest.mark.parametrize("venue", NAMES)


def test_every_venue_has_a_mainnet() -> None:
    for venue in VENUES:
        found = endpoints(venue.name, CollectorConfig())
        assert found.rest.startswith("https://")
        assert found.ws.startswith("wss://")


def test_testnets_are_other_hosts_than_mainnets() -> None:
    for venue in NAMES:
        if venue == "binanceus-spot":
            continue
        main, test = (endpoints(venue, CollectorConfig(network=n)) for n in ("mainnet", "testnet"))
        assert main.rest != test.rest
        assert main.ws != test.ws


def test_okx_demo_is_told_by_a_header_on_every_request() -> None:
    talk = dialect("okx-swap", network="testnet")
    asked = [talk.time(), talk.trades("BTC-USDT", "1", 0), talk.klines("BTC-USDT", 0)]
    for request in [*asked, *talk.instruments()]:
        assert ("x-simulated-trading", "1") in request.headers
    assert dialect("okx-swap").time().headers == ()


def test_a_venue_without_a_testnet_is_refused() -> None:
    with pytest.raises(ConfigError, match="binanceus-spot has no testnet; take it out"):
        dialect("binanceus-spot", network="testnet")


@VENUE
@pytest.mark.parametrize("address", ["http://127.0.0.1:19443", "http://127.0.0.1:19443/"])
def test_under_one_address_everything_is_below_the_venues_name(venue: str, address: str) -> None:
    talk = dialect(venue, address=address)
    name = instrument(venue, "BTC-USDT").venue_symbol
    asked = [talk.time(), talk.trades(name, "1", 0), talk.klines(name, 0), *talk.instruments()]
    for request in asked:
        assert request.url.startswith(f"http://127.0.0.1:19443/{venue}/")
    for plan in talk.plans([instrument(venue, "BTC-USDT")], CHANNELS):
        assert plan.url.startswith(f"ws://127.0.0.1:19443/{venue}/")


def test_a_secure_address_has_secure_sockets() -> None:
    assert endpoints("okx-spot", CollectorConfig(address="https://sim:8443")).ws == (
        "wss://sim:8443/okx-spot"
    )


@pytest.mark.parametrize(
    "address", ["127.0.0.1:1", "ws://host:1", "http://", "http://host:x", "http://h/p"]
)
def test_an_address_that_is_none_is_refused(address: str) -> None:
    with pytest.raises(ConfigError, match=r"collector\.address was .* give http://HOST:PORT"):
        endpoints("okx-spot", CollectorConfig(address=address))


@pytest.mark.parametrize(
    ("wrong", "right"),
    [("binance-sport", "binance-spot"), ("okx-swaps", "okx-swap"), ("bybit", "bybit-spot")],
)
def test_an_unknown_venue_is_refused_with_the_nearest(wrong: str, right: str) -> None:
    with pytest.raises(ConfigError, match=f"{wrong!r} is no venue; did you mean.*{right}"):
        dialect_of(wrong, CollectorConfig())


def test_a_venue_like_none_is_refused_with_all() -> None:
    with pytest.raises(ConfigError, match=r"known: binance-spot, .*okx-inverse"):
        endpoints("xyz", CollectorConfig())
