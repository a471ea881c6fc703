"""Where each venue is: its hosts on mainnet and testnet, or one address for all, as a simulator's.

Sources: the venues' documents as of mid 2026. Binance's and OKX's testnets for derivatives are
what they call demo trading.
"""

import difflib
from dataclasses import dataclass
from urllib.parse import urlsplit

from schemas.errors import ConfigError
from schemas.venues import VENUES
from venues.config import CollectorConfig

Headers = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Endpoints:
    """Bases to which the venue's own paths are appended, and headers for every REST request."""

    rest: str
    ws: str
    headers: Headers = ()


_OKX = Endpoints("https://www.okx.com", "wss://ws.okx.com:8443")
_OKX_DEMO = Endpoints(
    "https://openapi.okx.com", "wss://wspap.okx.com:8443", (("x-simulated-trading", "1"),)
)
_BYBIT = Endpoints("https://api.bybit.com", "wss://stream.bybit.com")
_BYBIT_TEST = Endpoints("https://api-testnet.bybit.com", "wss://stream-testnet.bybit.com")
_MAINNET = {
    "binance-spot": Endpoints("https://api.binance.com", "wss://stream.binance.com:9443"),
    "binance-usdm": Endpoints("https://fapi.binance.com", "wss://fstream.binance.com"),
    "binance-coinm": Endpoints("https://dapi.binance.com", "wss://dstream.binance.com"),
    "binanceus-spot": Endpoints("https://api.binance.us", "wss://stream.binance.us:9443"),
    "bybit-spot": _BYBIT,
    "bybit-linear": _BYBIT,
    "okx-spot": _OKX,
    "okx-swap": _OKX,
    "okx-inverse": _OKX,
}
_TESTNET = {
    "binance-spot": Endpoints(
        "https://testnet.binance.vision", "wss://stream.testnet.binance.vision"
    ),
    "binance-usdm": Endpoints("https://demo-fapi.binance.com", "wss://demo-fstream.binance.com"),
    "binance-coinm": Endpoints("https://demo-dapi.binance.com", "wss://demo-dstream.binance.com"),
    "bybit-spot": _BYBIT_TEST,
    "bybit-linear": _BYBIT_TEST,
    "okx-spot": _OKX_DEMO,
    "okx-swap": _OKX_DEMO,
    "okx-inverse": _OKX_DEMO,
}


def endpoints(venue: str, config: CollectorConfig) -> Endpoints:
    """A venue's endpoints; ConfigError for a venue or an address that is none."""
    require_venue(venue)
    if config.address:
        address = base_address(config.address)
        return Endpoints(f"{address}/{venue}", f"ws{address.removeprefix('http')}/{venue}")
    hosts = _MAINNET if config.network == "mainnet" else _TESTNET
    found = hosts.get(venue)
    if found is None:
        raise ConfigError(
            f"{venue} has no testnet; take it out of `venues` or set collector.network to mainnet"
        )
    return found


def base_address(address: str) -> str:
    """`collector.address` without a slash at its end; ConfigError unless http(s)://HOST:PORT."""
    parts = urlsplit(address)
    try:
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:  # a port that is no number
        usable = False
    if not usable or parts.path.strip("/") or parts.query:
        raise ConfigError(
            f"collector.address was {address!r}; give http://HOST:PORT, as `tape sim` prints it"
        )
    return address.rstrip("/")


def require_venue(venue: str) -> None:
    """ConfigError, with the nearest names, for a venue that there is none of."""
    known = [each.name for each in VENUES]
    if venue in known:
        return
    near = difflib.get_close_matches(venue, known, n=3, cutoff=0.4)
    hint = f"did you mean {' or '.join(near)}?" if near else f"known: {', '.join(known)}"
    raise ConfigError(f"{venue!r} is no venue; {hint}")
