"""Canonical symbols: a venue's names to BASE-QUOTE[-YYMMDD], and what their quantities mean."""

import math
import re
from dataclasses import dataclass
from datetime import datetime

from schemas.errors import VenueError
from schemas.events import Instrument

Levels = list[tuple[float, float]]

# Longest first, so that BUSD is not read as USD with a base that ends in B.
QUOTES = (
    "RLUSD", "FDUSD", "XUSD", "BKRW", "GYEN", "USDT", "USDC", "BUSD", "TUSD", "USDP", "USDS",
    "USDE", "USD1", "BIDR", "BVND", "IDRT",
    "DAI", "PAX", "UST", "EUR", "GBP", "AUD", "BRL", "TRY", "RUB", "UAH", "NGN", "ZAR", "PLN",
    "RON", "ARS", "MXN", "COP", "CZK", "JPY", "KZT", "IDR", "VAI", "USD", "BTC", "ETH", "BNB",
    "TRX", "XRP", "DOT", "DOGE", "SOL", "MNT", "AED",
)  # fmt: skip
_QUOTES = tuple(sorted(QUOTES, key=len, reverse=True))

# Contract sizes of before any instrument list was seen. Binance's COIN-M sizes are fixed by its
# rules; OKX's differ by instrument, so only those that have never changed are here.
_COINM_BTC_USD, _COINM_USD = 100.0, 10.0
_OKX_SIZES = {
    "BTC-USDT-SWAP": 0.01, "ETH-USDT-SWAP": 0.1, "SOL-USDT-SWAP": 1.0, "LTC-USDT-SWAP": 1.0,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Listing:
    """A venue's instrument as far as its messages need it.

    `contract_size`: base units (linear) or quote units (`inverse`) of one contract; 0 where the
    venue counts base units, NaN where it counts contracts of a size not known.
    """

    venue: str
    symbol: str
    contract_size: float = 0.0
    inverse: bool = False

    def base(self, quantity: float, price: float) -> float:
        """A quantity as the venue sent it, in base units; VenueError if its size is not known."""
        size = self.contract_size
        if size == 0.0:
            return quantity
        if math.isnan(size):
            raise VenueError(
                f"{self.venue} {self.symbol}: its contract size is not known; read the venue's "
                "instrument list first"
            )
        if not self.inverse:
            return quantity * size
        if price == 0.0:
            return 0.0
        return quantity * size / price

    def levels(self, levels: Levels) -> Levels:
        """Book levels in base units; an inverse contract's quantity is taken at its own price."""
        if self.contract_size == 0.0:
            return levels
        return [(price, self.base(quantity, price)) for price, quantity in levels]


class Names(dict[str, Listing]):
    """One venue's names to its instruments: from its instrument list, else by the name's form."""

    def __init__(self, venue: str) -> None:
        super().__init__()
        self.venue = venue

    def __missing__(self, name: str) -> Listing:
        listing = infer(self.venue, name)
        self[name] = listing
        return listing

    def learn(self, instrument: Instrument) -> None:
        """From now on this name means what the venue's instrument list says."""
        self[instrument.venue_symbol] = listing_of(instrument)


def listing_of(instrument: Instrument) -> Listing:
    """What an instrument's messages mean."""
    venue, symbol = instrument.venue, instrument.symbol
    in_contracts = venue == "binance-coinm" or venue.startswith(("okx-swap", "okx-inverse"))
    if not in_contracts:
        return Listing(venue, symbol)
    size = float(instrument.contract_size)
    return Listing(venue, symbol, size, instrument.kind.startswith("INVERSE"))


def infer(venue: str, name: str) -> Listing:
    """An instrument by its name alone; VenueError for a name that cannot be parted."""
    exchange = venue.partition("-")[0]
    if exchange == "okx":
        return _okx(name)
    if exchange == "bybit":
        return Listing(venue, _bybit(name))
    symbol = _binance(name, dollars=venue in ("binance-coinm", "binanceus-spot"))
    if venue != "binance-coinm":
        return Listing(venue, symbol)
    size = _COINM_BTC_USD if symbol.startswith("BTC-USD") else _COINM_USD
    return Listing(venue, symbol, size, inverse=True)


def canonical(base: str, quote: str, expiry: str = "") -> str:
    """BASE-QUOTE or BASE-QUOTE-YYMMDD in upper case."""
    parts = (base, quote, expiry) if expiry else (base, quote)
    return "-".join(parts).upper()


def split(name: str, dollars: bool = True) -> str:
    """BASE-QUOTE of a name without a mark between, by the longest known quote currency.

    A guess where several fit: BNBUSD could be BN-BUSD, USDTUSD could be USD-TUSD; so a base of
    one or two letters, or USD, is taken only where no other quote currency fits. `dollars`:
    the venue trades against dollars, and not only against coins that stand for them.
    """
    upper = name.upper()
    quotes = [quote for quote in _QUOTES if upper.endswith(quote) and upper != quote]
    fitting = [(upper[: -len(q)], q) for q in quotes if dollars or q != "USD"]
    if not fitting:
        raise VenueError(
            f"{name!r} ends in no known quote currency; read the venue's instrument list"
        )
    likely = [(base, quote) for base, quote in fitting if len(base) > 2 and base != "USD"]
    return canonical(*(likely or fitting)[0])


def _binance(name: str, dollars: bool) -> str:
    """BTCUSDT, BTCUSD_PERP, BTCUSDT_240927."""
    pair, _, contract = name.partition("_")
    if contract and contract != "PERP" and not re.fullmatch(r"\d{6}", contract):
        raise VenueError(f"{name!r} is no spot pair, perpetual or dated contract")
    symbol = split(pair, dollars)
    return f"{symbol}-{contract}" if contract.isdigit() else symbol


def _bybit(name: str) -> str:
    """BTCUSDT, BTCPERP (settled in USDC), BTCUSDT-27MAR26, BTC-27MAR26 (USDC)."""
    pair, _, date = name.partition("-")
    if not date:
        if pair.endswith("PERP") and len(pair) > 4:
            return canonical(pair[:-4], "USDC")
        return split(pair)
    try:
        expiry = datetime.strptime(date, "%d%b%y").strftime("%y%m%d")
    except ValueError:
        raise VenueError(f"{name!r} is no spot pair, perpetual or dated contract") from None
    symbol = split(pair) if pair.endswith(("USDT", "USDC", "USD")) else canonical(pair, "USDC")
    return f"{symbol}-{expiry}"


def _okx(name: str) -> Listing:
    """BTC-USDT, BTC-USDT-SWAP, BTC-USD-SWAP, BTC-USD-220527, with the venue each belongs to."""
    base, _, rest = name.partition("-")
    quote, _, contract = rest.partition("-")
    if not base or not quote or (contract and not re.fullmatch(r"SWAP|\d{6}", contract)):
        raise VenueError(f"{name!r} is no spot pair, swap or dated contract")
    if not contract:
        return Listing("okx-spot", canonical(base, quote))
    expiry = contract if contract != "SWAP" else ""
    symbol = canonical(base, quote, expiry)
    if quote == "USD":
        size = 100.0 if base == "BTC" else 10.0
        return Listing("okx-inverse", symbol, size, inverse=True)
    return Listing("okx-swap", symbol, _OKX_SIZES.get(f"{base}-{quote}-SWAP", float("nan")))
