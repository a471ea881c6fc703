"""What is listed where: steps, contract sizes and number formats of every venue and symbol."""

import math
from collections.abc import Callable
from dataclasses import dataclass

from schemas.errors import ConfigError

VENUE_NAMES = (
    "binance-spot",
    "binance-usdm",
    "bybit-spot",
    "bybit-linear",
    "okx-spot",
    "okx-swap",
)
PERPETUAL = frozenset({"binance-usdm", "bybit-linear", "okx-swap"})

START_PRICES = {
    "BTC-USDT": 61_800.0,
    "ETH-USDT": 2_480.0,
    "SOL-USDT": 148.0,
    "BNB-USDT": 590.0,
    "XRP-USDT": 0.58,
    "DOGE-USDT": 0.11,
    "ADA-USDT": 0.36,
}
OTHER_START_PRICE = 10.0

# (price decimals, quantity decimals) of the steps; OKX swaps count contracts.
_STEPS = {
    ("binance-spot", "BTC"): (2, 5),
    ("binance-spot", "ETH"): (2, 4),
    ("binance-spot", "SOL"): (2, 3),
    ("binance-usdm", "BTC"): (1, 3),
    ("binance-usdm", "ETH"): (2, 3),
    ("binance-usdm", "SOL"): (2, 2),
    ("bybit-spot", "BTC"): (1, 6),
    ("bybit-spot", "ETH"): (2, 5),
    ("bybit-spot", "SOL"): (2, 3),
    ("bybit-linear", "BTC"): (1, 3),
    ("bybit-linear", "ETH"): (2, 2),
    ("bybit-linear", "SOL"): (2, 1),
    ("okx-spot", "BTC"): (1, 8),
    ("okx-spot", "ETH"): (2, 6),
    ("okx-spot", "SOL"): (2, 6),
    ("okx-swap", "BTC"): (1, 2),
    ("okx-swap", "ETH"): (2, 2),
    ("okx-swap", "SOL"): (2, 2),
}
_CONTRACT_SIZES = {"BTC": "0.01", "ETH": "0.1"}
_MEMO_LIMIT = 50_000


@dataclass(frozen=True, slots=True)
class Listing:
    """One symbol on one venue; prices count ticks of 10^-price_decimals, quantities lots."""

    venue: str
    symbol: str
    venue_symbol: str
    base: str
    quote: str
    price_decimals: int
    lot_decimals: int
    contract_size: str
    price_text: Callable[[int], str]
    """Ticks as the venue writes them."""
    quantity_text: Callable[[int], str]
    """Lots as the venue writes them, 0 included."""

    @property
    def tick(self) -> float:
        """Smallest price step, quote currency."""
        return float(10.0**-self.price_decimals)

    @property
    def lot(self) -> float:
        """Smallest quantity step, base units."""
        return float(10.0**-self.lot_decimals) * float(self.contract_size)

    @property
    def tick_text(self) -> str:
        """The tick as an exact decimal."""
        return step_text(self.price_decimals)

    @property
    def lot_text(self) -> str:
        """The lot as an exact decimal in the venue's own unit."""
        return step_text(self.lot_decimals)

    @property
    def size_decimals(self) -> int:
        """Decimals of the contract size, which is a power of ten."""
        return len(self.contract_size.partition(".")[2])

    def notional_text(self, ticks_times_lots: int) -> str:
        """Price times quantity in the venue's own unit, without trailing zeros."""
        return short_text(ticks_times_lots, self.price_decimals + self.lot_decimals)

    def quote_text(self, ticks_times_lots: int) -> str:
        """Price times quantity in quote currency, without trailing zeros."""
        decimals = self.price_decimals + self.lot_decimals + self.size_decimals
        return short_text(ticks_times_lots, decimals)

    def base_text(self, lots: int) -> str:
        """A quantity in base units, without trailing zeros."""
        return short_text(lots, self.lot_decimals + self.size_decimals)


def step_text(decimals: int) -> str:
    """10^-decimals as an exact decimal."""
    return "1" if decimals == 0 else f"0.{'0' * (decimals - 1)}1"


def fixed_text(units: int, decimals: int, written: int) -> str:
    """units·10^-decimals with `written` decimals (not fewer), exactly."""
    if written == 0:
        return str(units)
    whole, part = divmod(units * 10 ** (written - decimals), 10**written)
    return f"{whole}.{part:0{written}d}"


def short_text(units: int, decimals: int) -> str:
    """units·10^-decimals without trailing zeros, exactly."""
    if decimals == 0:
        return str(units)
    return fixed_text(units, decimals, decimals).rstrip("0").rstrip(".")


def stripped(value: float, decimals: int) -> str:
    """A decimal without trailing zeros."""
    text = f"{value:.{decimals}f}"
    return text.rstrip("0").rstrip(".") if decimals else text


def list_symbol(venue: str, symbol: str) -> Listing:
    """How `symbol` is listed on `venue`; ConfigError where the model does not know either."""
    if venue not in VENUE_NAMES:
        raise ConfigError(f"venue was {venue!r}; the model speaks {', '.join(VENUE_NAMES)}")
    base, dash, quote = symbol.partition("-")
    if not dash or not base or not quote or "-" in quote:
        raise ConfigError(f"symbol was {symbol!r}; give BASE-QUOTE, for example BTC-USDT")
    price_decimals, lot_decimals = _STEPS.get((venue, base), _steps_by_price(symbol))
    contract_size = _CONTRACT_SIZES.get(base, "1") if venue == "okx-swap" else "1"
    if venue.startswith("okx"):
        venue_symbol = f"{symbol}-SWAP" if venue == "okx-swap" else symbol
    else:
        venue_symbol = base + quote
    price_text, quantity_text = _texts(venue, price_decimals, lot_decimals)
    return Listing(
        venue,
        symbol,
        venue_symbol,
        base,
        quote,
        price_decimals,
        lot_decimals,
        contract_size,
        _remembered(price_text),
        _remembered(quantity_text),
    )


def start_price(symbol: str) -> float:
    """Where a symbol's efficient price begins, quote currency."""
    return START_PRICES.get(symbol, OTHER_START_PRICE)


def _steps_by_price(symbol: str) -> tuple[int, int]:
    digits = math.floor(math.log10(start_price(symbol)))
    return max(0, 4 - digits), max(0, digits + 1)


def _texts(
    venue: str, price_decimals: int, lot_decimals: int
) -> tuple[Callable[[int], str], Callable[[int], str]]:
    if venue == "binance-spot":
        price_written, lot_written = 8, 8
    else:
        price_written, lot_written = max(2, price_decimals), lot_decimals

    def price(ticks: int) -> str:
        return fixed_text(ticks, price_decimals, price_written)

    def quantity(lots: int) -> str:
        return fixed_text(lots, lot_decimals, lot_written)

    if venue.startswith("binance"):
        return price, quantity
    if venue == "bybit-linear":
        return price, lambda lots: quantity(lots) if lots else "0"
    return (
        lambda ticks: short_text(ticks, price_decimals),
        lambda lots: short_text(lots, lot_decimals),
    )


def _remembered(text: Callable[[int], str]) -> Callable[[int], str]:
    memo: dict[int, str] = {}

    def look_up(units: int) -> str:
        found = memo.get(units)
        if found is None:
            if len(memo) >= _MEMO_LIMIT:
                memo.clear()
            found = memo[units] = text(units)
        return found

    return look_up
