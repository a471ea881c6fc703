"""What a file's name and folder say of its content: venue, symbol, interval, kind."""

import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from schemas.errors import ConfigError, VenueError
from schemas.venues import BY_NAME, VENUES
from venues import symbols

Kind = Literal["candles", "mark", "funding", "trades"]

_EXCHANGES = sorted({venue.exchange for venue in VENUES}, key=len, reverse=True)
# `bybit_ADAUSDT_perp-1h-mark`, `okx_BTC-USDT-SWAP-5m`, `BTC_USDT_USDT-5m-futures`,
# `BTCUSDT-1m-2024-08`, `BTCUSDT-aggTrades-2024-08-08`, `binance_XRPETH_aggTrades_2019`
_INTERVAL = re.compile(r"(?<=[-_])([1-9]\d{0,2}[smhdw])(?=$|[-_.])")
_COIN_M = re.compile(r"[A-Z0-9]+USD_(PERP|\d{6})")
_KINDS: tuple[tuple[str, Kind], ...] = (
    ("funding_rate", "funding"),
    ("fundingRate", "funding"),
    ("markPriceKlines", "mark"),
    ("-mark", "mark"),
    ("aggTrades", "trades"),
    ("trades", "trades"),
)


@dataclass(frozen=True, slots=True)
class Hints:
    """What is known of a file; an empty text is not known."""

    venue: str = ""
    symbol: str = ""
    interval: str = ""
    kind: Kind = "candles"

    def over(self, weaker: "Hints") -> "Hints":
        """These hints (options), completed by weaker ones (a name), which alone know the kind."""
        return replace(
            self,
            venue=self.venue or weaker.venue,
            symbol=self.symbol or weaker.symbol,
            interval=self.interval or weaker.interval,
            kind=weaker.kind,
        )


def from_path(path: Path) -> Hints:
    """What a file's name and its folders say, by the patterns of exchanges and freqtrade."""
    stem = path.name
    for suffix in (".gz", ".zst", ".zip", ".csv", ".json", ".jsonl", ".feather", ".parquet"):
        stem = stem.removesuffix(suffix)
    exchange, rest = _exchange(stem, path)
    found = _INTERVAL.search(rest)
    kind: Kind = next((kind for text, kind in _KINDS if text in rest), "candles")
    native = _native_symbol(rest, found.start() - 1 if found else len(rest))
    symbol, contract = _symbol(native)
    folders = {folder.lower() for folder in path.resolve().parent.parts}
    venue = _venue(exchange, contract or _contract_of(folders, rest, native)) if exchange else ""
    return Hints(venue, symbol, found[1] if found else "", kind)


def _exchange(stem: str, path: Path) -> tuple[str, str]:
    """The exchange, and the name without it."""
    lowered = stem.lower()
    for exchange in _EXCHANGES:
        if lowered.startswith((f"{exchange}_", f"{exchange}-")):
            return exchange, stem[len(exchange) + 1 :]
    for folder in reversed(path.resolve().parent.parts):
        if folder.lower() in _EXCHANGES:
            return folder.lower(), stem
    return "", stem


def _native_symbol(rest: str, end: int) -> str:
    native = rest[:end]
    for marker in ("-aggTrades", "_aggTrades", "-trades", "_trades"):
        native = native.partition(marker)[0]
    return native


def _symbol(native: str) -> tuple[str, str]:
    """Canonical symbol and contract (spot, linear, inverse or "" when the name does not say)."""
    if native.endswith("_perp"):
        return canonical(native.removesuffix("_perp")), "linear"
    if native.endswith("-SWAP"):
        pair = native.removesuffix("-SWAP")
        return pair, "inverse" if pair.endswith("-USD") else "linear"
    if _COIN_M.fullmatch(native):
        return canonical(native), "inverse"
    parts = re.split(r"[_/:-]", native)
    if len(parts) == 3 and all(parts):
        base, quote, settle = parts
        return f"{base}-{quote}", "linear" if settle == quote else "inverse"
    return canonical(native), ""


def _contract_of(folders: set[str], rest: str, native: str) -> str:
    if _COIN_M.fullmatch(native) or "cm" in folders or "inverse" in folders:
        return "inverse"
    linear = {"futures", "um", "linear", "swap"} & folders
    return "linear" if linear or rest.endswith("-futures") else "spot"


def _venue(exchange: str, contract: str) -> str:
    return next(
        (v.name for v in VENUES if v.exchange == exchange and v.kind == contract),
        "",
    )


def canonical(native: str) -> str:
    """The canonical symbol of a venue's own (`BTCUSDT`, `BTC_USDT`, `XRP/ETH`), or ""."""
    text = native.upper().partition(":")[0]
    if coin_m := re.fullmatch(r"([A-Z0-9]+)USD_(PERP|\d{6})", text):
        dated = "" if coin_m[2] == "PERP" else f"-{coin_m[2]}"
        return f"{coin_m[1]}-USD{dated}"
    parts = re.split(r"[/_-]", text)
    if len(parts) == 2 and all(part.isalnum() for part in parts):
        return "-".join(parts)
    try:
        return symbols.split(text) if text.isalnum() else ""
    except VenueError:
        return ""


def require(path: Path, hints: Hints, *names: str) -> Hints:
    """The hints, if they say all that is named; else ConfigError with the missing option."""
    for name in names:
        if not getattr(hints, name):
            raise ConfigError(
                f"{path}: neither its name nor its content says its {name}: give --{name} "
                + _EXAMPLES[name]
            )
    if hints.venue and hints.venue not in BY_NAME:
        raise ConfigError(f"--venue {hints.venue}: unknown; known are {', '.join(BY_NAME)}")
    return hints


_EXAMPLES = {
    "venue": f"(one of {', '.join(BY_NAME)})",
    "symbol": "(canonical, like BTC-USDT)",
    "interval": "(like 1m or 5m)",
}
