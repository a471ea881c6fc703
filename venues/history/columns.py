"""Candle and trade tables: which column is which, by the names that files give them."""

from collections.abc import Sequence
from typing import Literal

# Names by which files call a column, in lower case with only letters and digits.
_CANDLE_NAMES: dict[str, tuple[str, ...]] = {
    "time": ("date", "timestamp", "opentime", "time", "datetime", "ts", "startat"),
    "open": ("open", "o"),
    "high": ("high", "h"),
    "low": ("low", "l"),
    "close": ("close", "c"),
    "volume": ("volume", "vol", "v", "basevolume"),
    "notional": ("quotevolume", "quoteassetvolume", "turnover", "notional", "quotevol"),
    "count": ("count", "numberoftrades", "trades", "tradecount"),
    "taker_buy": ("takerbuyvolume", "takerbuybasevolume", "takerbuybaseassetvolume"),
}
_TRADE_NAMES: dict[str, tuple[str, ...]] = {
    "time": ("transacttime", "time", "timestamp", "t", "ts", "eventtime", "tradetime"),
    "id": ("aggtradeid", "id", "tradeid", "a", "execid", "trdmatchid"),
    "price": ("price", "p"),
    "quantity": ("quantity", "qty", "amount", "size", "q", "volume"),
    "side": ("side", "aggressorside", "takerside"),
    "buyer_maker": ("isbuyermaker", "m", "buyermaker"),
    "first": ("firsttradeid", "f"),
    "last": ("lasttradeid", "l"),
}
_CANDLE_NEEDED = ("time", "open", "high", "low", "close")
_TRADE_NEEDED = ("time", "price", "quantity")

# Binance's dumps without a header line.
KLINE_COLUMNS = (
    "open_time", "open", "high", "low", "close", "volume", "close_time", "quote_volume",
    "count", "taker_buy_volume", "taker_buy_quote_volume", "ignore",
)  # fmt: skip
AGG_TRADE_COLUMNS = (
    "agg_trade_id", "price", "quantity", "first_trade_id", "last_trade_id", "transact_time",
    "is_buyer_maker", "is_best_match",
)  # fmt: skip
TRADE_COLUMNS = ("id", "price", "qty", "quote_qty", "time", "is_buyer_maker", "is_best_match")

Table = Literal["candles", "trades"]
Places = dict[str, int]


def _plain(name: str) -> str:
    return "".join(character for character in name.lower() if character.isalnum())


def places(names: Sequence[str]) -> tuple[Table, Places] | None:
    """Whether columns of these names are candles or trades, and where each part is."""
    plain = [_plain(name) for name in names]
    for table, known, needed in (
        ("candles", _CANDLE_NAMES, _CANDLE_NEEDED),
        ("trades", _TRADE_NAMES, _TRADE_NEEDED),
    ):
        found = {
            part: plain.index(alias)
            for part, aliases in known.items()
            for alias in reversed(aliases)
            if alias in plain
        }
        if all(part in found for part in needed):
            return ("candles" if table == "candles" else "trades"), found
    return None
