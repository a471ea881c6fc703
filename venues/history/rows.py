"""Rows of candle and trade tables as events, whatever file they came from."""

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal

from schemas.events import Funding, Kline, MarkPrice, Trade
from venues.history import names
from venues.history.columns import Places
from venues.history.names import Hints
from venues.history.reads import Recorded
from venues.history.times import interval_us
from venues.symbols import Listing, infer

# A row's values, and its time in microseconds, to its event; ValueError names what is wrong.
MakeEvent = Callable[[int, Sequence[Any]], Recorded]

_BUYS = {"buy", "b", "bid", "long"}
_SELLS = {"sell", "s", "ask", "short"}
_TRUE = {"true", "1", "t"}
_FALSE = {"false", "0", "f"}


def candle_rows(path: Path, hints: Hints, places: Places) -> MakeEvent:
    """How to make events of a candle file's rows; ConfigError when the file does not say of what.

    A candle is received at its close. Mark price candles give the mark price at their close;
    funding files (freqtrade's: the rate is in the column `open`) give rates at their times.
    """
    if hints.kind == "funding":
        return _funding_rows(names.require(path, hints, "venue", "symbol"), places)
    hints = names.require(path, hints, "venue", "symbol", "interval")
    length = interval_us(hints.interval)
    if hints.kind == "mark":
        return _mark_rows(hints, places, length)
    if hints.venue == "binance-coinm":
        places = _coin_margined(places)
    return _kline_rows(hints, places, length)


def _kline_rows(hints: Hints, places: Places, length: int) -> MakeEvent:
    venue, symbol, interval = hints.venue, hints.symbol, hints.interval
    o, h, low_at, c = (places[part] for part in ("open", "high", "low", "close"))
    volume_at, notional_at = places.get("volume"), places.get("notional")
    count_at, taker_at = places.get("count"), places.get("taker_buy")

    def make(open_time: int, row: Sequence[Any]) -> Recorded:
        open_, high, low, close = float(row[o]), float(row[h]), float(row[low_at]), float(row[c])
        if not 0 < low <= min(open_, close) <= max(open_, close) <= high < math.inf:
            raise ValueError(f"no candle: open {open_}, high {high}, low {low}, close {close}")
        closed_at = open_time + length
        return Kline(
            venue=venue,
            symbol=symbol,
            event_time=closed_at,
            receive_time=closed_at,
            interval=interval,
            open_time=open_time,
            open=open_,
            high=high,
            low=low,
            close=close,
            volume=_amount(row, volume_at, "volume", math.nan),
            notional=_amount(row, notional_at, "notional", None),
            trade_count=None if count_at is None else _count(int(row[count_at])),
            taker_buy_volume=_amount(row, taker_at, "taker buy volume", None),
            closed=True,
        )

    return make


def _amount(row: Sequence[Any], at: int | None, name: str, absent: Any) -> Any:
    if at is None or row[at] is None or row[at] == "":
        return absent
    amount = float(row[at])
    if amount < 0 or amount == math.inf:
        raise ValueError(f"{name} is {row[at]}")
    return amount


def _count(number: int) -> int:
    if not 0 <= number < 1 << 31:
        raise ValueError(f"the number of trades is {number}")
    return number


def _coin_margined(places: Places) -> Places:
    """COIN-M candles: `volume` counts contracts; base amounts are in the quote columns."""
    moved = dict(places)
    if "notional" in places:
        moved["volume"] = places["notional"]
    moved.pop("notional", None)
    if "taker_buy" in places:
        moved["taker_buy"] = places["taker_buy"] + 1
    return moved


def _mark_rows(hints: Hints, places: Places, length: int) -> MakeEvent:
    close_at = places["close"]

    def make(open_time: int, row: Sequence[Any]) -> Recorded:
        price = float(row[close_at])
        if not 0 < price < math.inf:
            raise ValueError(f"mark price is {row[close_at]}")
        return MarkPrice(
            venue=hints.venue,
            symbol=hints.symbol,
            event_time=open_time + length,
            receive_time=open_time + length,
            mark_price=price,
        )

    return make


def _funding_rows(hints: Hints, places: Places) -> MakeEvent:
    rate_at = places["open"]

    def make(time: int, row: Sequence[Any]) -> Recorded:
        rate = float(row[rate_at])
        if not -1 < rate < 1:
            raise ValueError(f"funding rate is {row[rate_at]}")
        return Funding(
            venue=hints.venue,
            symbol=hints.symbol,
            event_time=time,
            receive_time=time,
            rate=rate,
            funding_time=time,
            settled=True,
        )

    return make


def trade_rows(path: Path, hints: Hints, places: Places) -> MakeEvent:
    """How to make trades of a trade file's rows; ConfigError when the file does not say of what."""
    hints = names.require(path, hints, "venue", "symbol")
    venue, symbol = hints.venue, hints.symbol
    id_at, price_at, quantity_at = places.get("id"), places["price"], places["quantity"]
    first_at, last_at = places.get("first"), places.get("last")
    side_of = _side(places)
    listing = _listing(venue, symbol)

    def make(time: int, row: Sequence[Any]) -> Recorded:
        price, quantity = float(row[price_at]), float(row[quantity_at])
        if not (0 < price < math.inf and 0 < quantity < math.inf):
            raise ValueError(f"no trade: price {row[price_at]}, quantity {row[quantity_at]}")
        count = 1
        if first_at is not None and last_at is not None:
            count = _count(int(row[last_at]) - int(row[first_at]) + 1)
        return Trade(
            venue=venue,
            symbol=symbol,
            event_time=time,
            receive_time=time,
            trade_id="" if id_at is None else str(row[id_at]),
            price=price,
            quantity=listing.base(quantity, price),
            aggressor_side=side_of(row),
            kind="MARKET",
            count=count,
        )

    return make


def _listing(venue: str, symbol: str) -> Listing:
    """What a quantity means: Binance's COIN-M dumps count contracts, other files base units."""
    if venue != "binance-coinm":
        return Listing(venue, symbol)
    base, quote, *_ = symbol.split("-")
    return infer(venue, base + quote)


Side = Literal["BUY", "SELL", "UNKNOWN"]


def _side(places: Places) -> Callable[[Sequence[Any]], Side]:
    """The aggressor's side: the buyer was the maker, so the seller was the aggressor."""
    maker_at, side_at = places.get("buyer_maker"), places.get("side")

    def by_maker(row: Sequence[Any]) -> Side:
        text = str(row[maker_at]).lower()  # type: ignore[index]  # only used when not None
        if text in _TRUE:
            return "SELL"
        if text in _FALSE:
            return "BUY"
        raise ValueError(f"buyer is maker: {text!r} is neither true nor false")

    def by_side(row: Sequence[Any]) -> Side:
        text = str(row[side_at]).lower()  # type: ignore[index]  # only used when not None
        return "BUY" if text in _BUYS else "SELL" if text in _SELLS else "UNKNOWN"

    if maker_at is not None:
        return by_maker
    return by_side if side_at is not None else lambda _: "UNKNOWN"
